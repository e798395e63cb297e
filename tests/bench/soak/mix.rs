//! Everything that a server is asked to do, at once and without end.

use std::rc::Rc;
use std::time::Duration;

use actix_web::http::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::counts::{Counts, add};
use super::endpoint::Endpoint;
use super::relay::Relay;
use super::support::publisher::{Events, Publisher, event};
use super::support::server::Api;

pub const QUEUE: &str = "soak";

const BATCH: usize = 200;
/// Beyond it the publisher waits: the server, not the broker's disk, is under test.
const QUEUED_MAX: u32 = 2_000;
const CHURNERS: usize = 2;
const POSTED_AT_ONCE: usize = 20;

pub struct Mix {
    api: Api,
    endpoint: Endpoint,
    relay: Relay,
    counts: Rc<Counts>,
    /// Whose calls come as fast as they are taken.
    busy: String,
    /// Whose hooks fail, and are never disabled.
    failing: String,
    /// Whose hooks fail, are disabled, and enabled again.
    disabled: String,
}

impl Mix {
    /// The load runs as long as the actix system does.
    pub async fn start(broker: &str, api: Api, endpoint: Endpoint, relay: Relay, counts: Rc<Counts>) -> Rc<Self> {
        let busy = api.create_account("busy").await;
        let failing = api.create_account("failing").await;
        let disabled = api.create_account("disabled").await;
        let mix = Rc::new(Self { api, endpoint, relay, counts, busy, failing, disabled });
        mix.make_hooks().await;
        mix.publish_calls(Publisher::connect(broker).await);
        mix.publish_failing(Publisher::connect(broker).await);
        mix.publish_one_offs(Publisher::connect(broker).await);
        mix.post();
        (0..CHURNERS).for_each(|_| mix.churn());
        mix.look_after();
        mix.cut();
        mix
    }

    pub async fn print_metrics(&self) {
        let text = self.api.metrics().await;
        let wanted = ["deliveries", "retries", "amqp_re", "actor_restarts", "store_", "hooks"];
        let is_wanted = |line: &&str| {
            line.strip_prefix("hookswitch_").is_some_and(|name| wanted.iter().any(|wanted| name.starts_with(wanted)))
        };
        text.lines().filter(is_wanted).for_each(|line| println!("  {line}"));
    }

    async fn make_hooks(&self) {
        let hooks = [
            (&self.busy, "/form", json!({"hook": "channel_create"})),
            (&self.busy, "/json", json!({"hook": "all", "format": "json", "custom_data": {"crm": "42"}})),
            (&self.busy, "/query", json!({"hook": "channel_create", "http_verb": "get"})),
            (&self.failing, "/flaky", json!({"hook": "channel_destroy", "retries": 3})),
            (&self.failing, "/fail", json!({"hook": "channel_destroy", "retries": 1})),
            (&self.failing, "/slow", json!({"hook": "channel_destroy"})),
            (&self.disabled, "/fail", json!({"hook": "channel_bridge", "retries": 0})),
            (&self.disabled, "/gone", json!({"hook": "channel_bridge"})),
        ];
        for (account, path, fields) in hooks {
            self.make_hook(account, path, fields).await.unwrap();
        }
        let lenient = json!({"attempt_failure_count": 1000, "attempt_failure_expiry_ms": 1000});
        let path = format!("/accounts/{}/configs/webhooks", self.failing);
        self.api.call(Method::POST, &path, lenient).await.unwrap();
    }

    async fn make_hook(&self, account: &str, path: &str, mut fields: Value) -> Result<String, Value> {
        fields["name"] = "soak".into();
        fields["uri"] = self.endpoint.url(path).into();
        let made = self.api.call(Method::PUT, &format!("/accounts/{account}/webhooks"), fields).await?;
        Ok(made["data"]["id"].as_str().unwrap().to_owned())
    }

    /// As fast as they are taken.
    fn publish_calls(self: &Rc<Self>, publisher: Publisher) {
        let mix = Rc::clone(self);
        actix::spawn(async move {
            let calls = Events { name: "CHANNEL_CREATE", accounts: &[&mix.busy], calls: &[] };
            loop {
                publisher.publish(&calls, BATCH, None).await;
                add(&mix.counts.published, BATCH);
                while publisher.depth(QUEUE).await > QUEUED_MAX {
                    sleep(Duration::from_millis(20)).await;
                }
            }
        });
    }

    /// 20 a second for the hooks that fail and stay, 10 for those that are disabled.
    fn publish_failing(self: &Rc<Self>, publisher: Publisher) {
        let mix = Rc::clone(self);
        actix::spawn(async move {
            loop {
                let destroyed = Events { name: "CHANNEL_DESTROY", accounts: &[&mix.failing], calls: &[] };
                publisher.publish(&destroyed, 2, None).await;
                let bridged = Events { name: "CHANNEL_BRIDGE", accounts: &[&mix.disabled], calls: &[] };
                publisher.publish(&bridged, 1, None).await;
                add(&mix.counts.published, 3);
                sleep(Duration::from_millis(100)).await;
            }
        });
    }

    /// Hooks that come with their events, each another one.
    fn publish_one_offs(self: &Rc<Self>, publisher: Publisher) {
        let mix = Rc::clone(self);
        actix::spawn(async move {
            for number in 0_u64.. {
                // One in a while waits on disk for its retry.
                let path = if number.is_multiple_of(50) { "/flaky" } else { "/one-off" };
                let hook = json!({
                    "hook": "callflow", "uri": mix.endpoint.url(&format!("{path}?{number}")), "http_verb": "post",
                    "retries": 2, "custom_data": {"step": "greeting"},
                });
                let event = json!({
                    "App-Name": "callflow", "App-Version": "4.3.141", "Event-Category": "notification",
                    "Event-Name": "webhook", "Msg-ID": format!("one-off-{number}"), "Account-ID": mix.busy,
                    "Hook": hook, "Data": {"Call-ID": format!("one-off-{number}"), "Account-ID": mix.busy},
                });
                publisher.publish_one("notifications", "notifications.webhook.callflow", &event.to_string()).await;
                add(&mix.counts.published, 1);
                sleep(Duration::from_millis(25)).await;
            }
        });
    }

    /// Events over HTTP; the answer comes when they are delivered.
    fn post(self: &Rc<Self>) {
        let mix = Rc::clone(self);
        actix::spawn(async move {
            for round in 0_u64.. {
                let event = |number: usize| {
                    let call = format!("posted-{round}-{number}");
                    let payload: Value =
                        serde_json::from_str(&event("CHANNEL_ANSWER", &mix.busy, &call, &call)).unwrap();
                    json!({"exchange": "callevt", "routing_key": format!("call.CHANNEL_ANSWER.{call}"), "payload": payload})
                };
                let events: Vec<Value> = (0..POSTED_AT_ONCE).map(event).collect();
                if mix.ask(Method::POST, format!("/accounts/{}/events", mix.busy), events.into()).await.is_some() {
                    add(&mix.counts.posted, POSTED_AT_ONCE);
                }
                sleep(Duration::from_millis(20)).await;
            }
        });
    }

    /// Makes, edits, disables, enables and deletes hooks, sometimes with an account around them.
    fn churn(self: &Rc<Self>) {
        let mix = Rc::clone(self);
        actix::spawn(async move {
            for round in 0_usize.. {
                let account = match round % 5 {
                    0 => mix.ask(Method::PUT, format!("/accounts/{}", mix.busy), json!({"name": "passing"})).await,
                    _ => None,
                };
                let account = account.map(|made| made["data"]["id"].as_str().unwrap().to_owned());
                mix.hook_life(account.as_deref().unwrap_or(&mix.busy), round).await;
                if let Some(account) = account {
                    mix.ask(Method::PUT, format!("/accounts/{account}/api_key"), json!({})).await;
                    mix.ask(Method::DELETE, format!("/accounts/{account}"), json!({})).await;
                    add(&mix.counts.accounts, 1);
                }
            }
        });
    }

    async fn hook_life(&self, account: &str, round: usize) {
        let kind = ["channel_create", "all", "channel_answer"][round % 3];
        let fields = json!({"hook": kind, "custom_data": {"round": round.to_string()}, "include_subaccounts": round.is_multiple_of(2)});
        let path = if round % 4 == 3 { "/fail" } else { "/passing" };
        let Ok(id) = self.make_hook(account, path, fields).await else {
            add(&self.counts.errors, 1);
            return;
        };
        let hook = format!("/accounts/{account}/webhooks/{id}");
        for change in [json!({"name": "changed"}), json!({"enabled": false}), json!({"enabled": true})] {
            sleep(Duration::from_millis(30)).await;
            // One that failed too often is being disabled by the server at the same time.
            let _ = self.api.call(Method::PATCH, &hook, change).await;
        }
        sleep(Duration::from_millis(30)).await;
        self.ask(Method::DELETE, hook, json!({})).await;
        add(&self.counts.changes, 5);
    }

    /// What an operator does: looks, enables again, sends dead letters again.
    fn look_after(self: &Rc<Self>) {
        let mix = Rc::clone(self);
        actix::spawn(async move {
            for round in 0_u64.. {
                sleep(Duration::from_secs(1)).await;
                let hooks = format!("/accounts/{}/webhooks", mix.failing);
                for path in [hooks.clone(), format!("{hooks}/attempts"), "/actors".into()] {
                    mix.ask(Method::GET, path, json!({})).await;
                }
                if round.is_multiple_of(3) {
                    let path = format!("/accounts/{}/webhooks", mix.disabled);
                    if mix.ask(Method::PATCH, path, json!({"re-enable": true})).await.is_some() {
                        add(&mix.counts.enabled, 2);
                    }
                }
                if round.is_multiple_of(10) {
                    mix.resend_dead(&hooks).await;
                }
            }
        });
    }

    async fn resend_dead(&self, hooks: &str) {
        let listed = self.ask(Method::GET, hooks.to_owned(), json!({})).await;
        for hook in listed.iter().flat_map(|answer| answer["data"].as_array().unwrap()) {
            let dead = format!("{hooks}/{}/dead", hook["id"].as_str().unwrap());
            self.ask(Method::GET, dead.clone(), json!({})).await;
            if self.ask(Method::PATCH, dead, json!({"resend": true})).await.is_some() {
                add(&self.counts.resent, 1);
            }
        }
    }

    fn cut(self: &Rc<Self>) {
        let mix = Rc::clone(self);
        actix::spawn(async move {
            loop {
                sleep(Duration::from_secs(3)).await;
                mix.relay.cut();
                add(&mix.counts.cuts, 1);
            }
        });
    }

    /// An error is counted and, the first time, shown.
    async fn ask(&self, method: Method, path: String, data: Value) -> Option<Value> {
        match self.api.call(method.clone(), &path, data).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                if self.counts.errors.get() == 0 {
                    // Not all of it: an envelope holds the token that was shown.
                    let shown = if error.is_object() { &error["message"] } else { &error };
                    println!("{method} {path}: {shown} {}", error["data"]);
                }
                add(&self.counts.errors, 1);
                None
            }
        }
    }
}
