//! What a client of the API does, for tests whose subject lies elsewhere. Each operation must succeed.

use actix_web::http::Method;
use hookswitch::ids::AccountId;
use serde_json::{Value, json};

use super::app::{Answer, TestApp};
use super::eventually;

impl TestApp {
    pub async fn is_ready(&self) -> bool {
        self.get("/readyz").await.status == 200
    }

    pub async fn await_ready(&self) {
        eventually("a server that is ready", async || self.is_ready().await).await;
    }

    pub async fn patch_hook(&self, account: AccountId, id: &str, fields: &Value) -> Value {
        let answer = self.call(Method::PATCH, &hook_path(account, id), Some(json!({ "data": fields }))).await;
        data(answer)
    }

    pub async fn delete_hook(&self, account: AccountId, id: &str) {
        data(self.call(Method::DELETE, &hook_path(account, id), None).await);
    }

    /// Enables again what was disabled automatically, all at once.
    pub async fn enable_hooks(&self, account: AccountId) {
        let path = format!("/v2/accounts/{account}/webhooks");
        data(self.call(Method::PATCH, &path, Some(json!({ "data": { "re-enable": true } }))).await);
    }

    /// The numbers of the account's own.
    pub async fn put_limits(&self, account: AccountId, limits: &Value) {
        let path = format!("/v2/accounts/{account}/configs/webhooks");
        data(self.call(Method::POST, &path, Some(json!({ "data": limits }))).await);
    }

    /// Newest first.
    pub async fn attempts(&self, account: AccountId, hook: &str) -> Vec<Value> {
        list(self.get(&format!("{}/attempts", hook_path(account, hook))).await)
    }

    /// The attempts of a hook, once there are so many.
    pub async fn eventually_attempts(&self, account: AccountId, hook: &str, count: usize) -> Vec<Value> {
        let mut attempts = Vec::new();
        eventually(&format!("{count} attempts"), async || {
            attempts = self.attempts(account, hook).await;
            attempts.len() >= count
        })
        .await;
        attempts
    }

    /// Newest first.
    pub async fn dead_letters(&self, account: AccountId, hook: &str) -> Vec<Value> {
        list(self.get(&format!("{}/dead", hook_path(account, hook))).await)
    }

    /// How many were sent again.
    pub async fn resend_dead(&self, account: AccountId, hook: &str) -> u64 {
        let path = format!("{}/dead", hook_path(account, hook));
        let resent = data(self.call(Method::PATCH, &path, Some(json!({ "data": { "resend": true } }))).await);
        resent["resent"].as_u64().unwrap()
    }

    /// Waits until the hook is disabled for that reason.
    pub async fn eventually_disabled(&self, account: AccountId, hook: &str, reason: &str) {
        eventually(&format!("a hook disabled for {reason:?}"), async || {
            let hook = self.hook(account, hook).await;
            hook["enabled"] == false && hook["disable_reason"] == reason
        })
        .await;
    }

    /// Waits until the hook has that many deliveries in the store.
    pub async fn eventually_pending(&self, hook: &str, count: u64) {
        eventually(&format!("{count} pending deliveries"), async || self.actor(hook).await["pending"] == count).await;
    }

    /// Deliveries that ended so since the server started, as `/metrics` counts them.
    pub async fn ended(&self, outcome: &str) -> f64 {
        self.metric(&format!("hookswitch_deliveries_total{{outcome=\"{outcome}\"}}")).await
    }

    /// Waits until so many deliveries ended so.
    pub async fn eventually_ended(&self, outcome: &str, count: f64) {
        eventually(&format!("{count} deliveries {outcome}"), async || self.ended(outcome).await == count).await;
    }
}

fn hook_path(account: AccountId, id: &str) -> String {
    format!("/v2/accounts/{account}/webhooks/{id}")
}

#[track_caller]
fn data(answer: Answer) -> Value {
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body["data"].clone()
}

#[track_caller]
fn list(answer: Answer) -> Vec<Value> {
    data(answer).as_array().unwrap().clone()
}
