//! `Api`: a server's HTTP API, as an administrator and as a publisher use it, and its figures.

use std::cell::RefCell;
use std::time::Instant;

use actix_web::http::Method;
use serde_json::{Value, json};

use super::endpoint::Endpoint;
use super::{PATIENCE, POLL_EVERY, eventually};

/// Asks for nothing.
const NOTHING: Value = Value::Null;

pub struct Api {
    /// It has another one after each start.
    pub(super) address: RefCell<String>,
    pub(super) token: String,
}

impl Api {
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Waits until the server is there.
    pub async fn expect_answer(&self) {
        eventually("an answer", async || self.try_call(Method::GET, "/healthz", &NOTHING).await.is_some()).await;
    }

    /// Waits until the broker hands out events, and the broker has every binding.
    pub async fn expect_ready(&self) {
        eventually("a ready server", async || {
            self.try_call(Method::GET, "/readyz", &NOTHING).await.is_some_and(|(status, _)| status == 200)
        })
        .await;
    }

    /// Status and envelope; `None` when there was no answer.
    pub async fn try_call(&self, method: Method, path: &str, data: &Value) -> Option<(u16, Value)> {
        let client = awc::Client::builder().timeout(PATIENCE).finish();
        let request = client.request(method, format!("{}{path}", self.address.borrow()));
        let request = request.insert_header(("X-Auth-Token", self.token.as_str()));
        let sent = if data.is_null() { request.send() } else { request.send_json(&json!({ "data": data })) };
        let mut response = sent.await.ok()?;
        let text = response.body().limit(64 << 20).await.ok()?;
        Some((response.status().as_u16(), serde_json::from_slice(&text).unwrap_or_default()))
    }

    /// The status that a GET gets with that token.
    pub async fn status_with(&self, token: &str, path: &str) -> u16 {
        let request = awc::Client::default().get(format!("{}{path}", self.address.borrow()));
        request.insert_header(("X-Auth-Token", token)).send().await.unwrap().status().as_u16()
    }

    /// The `data` of an answer that must be a success.
    pub async fn call(&self, method: Method, path: &str, data: &Value) -> Value {
        let (status, mut envelope) = self.try_call(method, path, data).await.expect("an answer");
        assert!((200..300).contains(&status), "{path}: {status} {envelope}");
        envelope["data"].take()
    }

    /// Its id.
    pub async fn create_account(&self, name: &str) -> String {
        let account = self.call(Method::PUT, "/v2/accounts", &json!({ "name": name })).await;
        account["id"].as_str().unwrap().to_owned()
    }

    /// Fails the test when there is no such account.
    pub async fn expect_account(&self, id: &str) {
        self.call(Method::GET, &format!("/v2/accounts/{id}"), &NOTHING).await;
    }

    /// For everything, to that endpoint; its id.
    pub async fn put_hook(&self, account: &str, endpoint: &Endpoint) -> String {
        let hook =
            json!({ "name": endpoint.name, "uri": endpoint.url(), "hook": "all", "format": "json", "retries": 4 });
        let hook = self.call(Method::PUT, &format!("/v2/accounts/{account}/webhooks"), &hook).await;
        hook["id"].as_str().unwrap().to_owned()
    }

    pub async fn hook(&self, account: &str, id: &str) -> Value {
        self.call(Method::GET, &format!("/v2/accounts/{account}/webhooks/{id}"), &NOTHING).await
    }

    pub async fn reenable_hooks(&self, account: &str) {
        let path = format!("/v2/accounts/{account}/webhooks");
        self.call(Method::PATCH, &path, &json!({ "re-enable": true })).await;
    }

    /// Sends what was given up again.
    pub async fn resend_dead(&self, account: &str, hook: &str) {
        let path = format!("/v2/accounts/{account}/webhooks/{hook}/dead");
        self.call(Method::PATCH, &path, &json!({ "resend": true })).await;
    }

    /// Attempts that may fail within a minute until the account's hooks are disabled.
    pub async fn set_failures_max(&self, account: &str, count: u32) {
        let path = format!("/v2/accounts/{account}/configs/webhooks");
        self.call(Method::PATCH, &path, &json!({ "attempt_failure_count": count })).await;
    }

    /// The ids of the events when all of them were accepted; `None` when there was any other answer, or none.
    pub async fn post_events(&self, account: &str, payloads: &[&Value]) -> Option<Vec<String>> {
        let events: Vec<Value> = payloads.iter().map(|payload| json!({ "payload": payload })).collect();
        let path = format!("/v2/accounts/{account}/events");
        let (status, envelope) = self.try_call(Method::POST, &path, &events.into()).await?;
        let ids = envelope["data"]["event_ids"].as_array().filter(|_| status == 202)?;
        Some(ids.iter().map(|id| id.as_str().unwrap().to_owned()).collect())
    }

    // ---- its figures

    /// What waits on disk for one hook.
    pub async fn pending(&self, hook: &str) -> u64 {
        let hooks = self.hook_figures().await;
        hooks.iter().find(|figures| figures["id"] == hook).map_or(0, |figures| figure(figures, "pending"))
    }

    /// Deliveries that are in flight or pending, those in mailboxes too.
    pub async fn load(&self) -> u64 {
        let of_hook = |hook: &Value| ["in_flight", "pending", "mailbox_depth"].map(|name| figure(hook, name));
        self.hook_figures().await.iter().flat_map(of_hook).sum()
    }

    async fn hook_figures(&self) -> Vec<Value> {
        let actors = self.call(Method::GET, "/v2/actors", &NOTHING).await;
        actors["webhooks"].as_array().unwrap().clone()
    }

    /// Waits until nothing is in flight or pending, for as long as that gets less; fails the test when it does not for
    /// [`PATIENCE`].
    pub async fn expect_idle(&self) {
        let (mut least, mut since) = (u64::MAX, Instant::now());
        while least > 0 {
            tokio::time::sleep(POLL_EVERY).await;
            let load = self.load().await;
            if load < least {
                (least, since) = (load, Instant::now());
            }
            assert!(since.elapsed() < PATIENCE, "{load} deliveries stay: {:?}", self.hook_figures().await);
        }
    }

    /// A counter or gauge of `/metrics`, named with its labels; 0 when absent.
    pub async fn metric(&self, name: &str) -> u64 {
        let client = awc::Client::default();
        let mut response = client.get(format!("{}/metrics", self.address.borrow())).send().await.unwrap();
        let text = response.body().limit(1 << 20).await.unwrap();
        let text = std::str::from_utf8(&text).unwrap();
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(0, |value| value.parse().unwrap())
    }
}

#[track_caller]
fn figure(figures: &Value, name: &str) -> u64 {
    figures[name].as_u64().unwrap()
}
