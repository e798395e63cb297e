//! `Scene`: a server with planned faults on a queue of the shared broker, and endpoints with hooks for everything.

use actix_web::http::Method;
use serde_json::Value;

use crate::support::bridge::Bridge;
use crate::support::bus::{own_queue, queue_settings};
use crate::support::calls::{CallEvent, call_events, calls_of};
use crate::support::chaos::Publication;
use crate::support::endpoint::Endpoint;
use crate::support::eventually;
use crate::support::publisher::{Message, Publisher};
use crate::support::rabbit::shared_broker_uri;

pub struct Scene {
    pub bridge: Bridge,
    pub account: String,
    pub endpoints: Vec<Endpoint>,
    /// One per endpoint.
    pub hooks: Vec<String>,
    /// In each of its events, and in none of other tests on the broker.
    mark: String,
    uri: String,
    queue: String,
}

impl Scene {
    /// In the plan, `MARK` stands for what the body of each of its events has, and `MARK-word` for what those with that
    /// word have: other tests' events come by its fault points, too.
    pub async fn start(plan: &str, endpoints: &[&'static str], settings: &[(&str, &str)]) -> Self {
        let uri = shared_broker_uri().await;
        let (queue, mark) = (own_queue(), format!("{:032x}", rand::random::<u128>()));
        let plan = plan.replace("MARK", &mark);
        let mut all = queue_settings(&uri, &queue).to_vec();
        all.extend([
            ("faults", plan.as_str()),
            ("amqp.prefetch", "100"),
            ("amqp.requeue_delay_ms", "20"),
            ("webhooks.concurrency_max", "32"),
            ("webhooks.window_max", "64"),
            ("webhooks.retry_base_ms", "800"),
            ("webhooks.disable_disabler", "true"),
        ]);
        all.extend(settings);
        let bridge = Bridge::start(&all).await;
        let account = bridge.create_account("supervised").await;
        let endpoints: Vec<Endpoint> = endpoints.iter().copied().map(Endpoint::start).collect();
        let mut hooks = Vec::new();
        for endpoint in &endpoints {
            hooks.push(bridge.put_hook(&account, endpoint).await);
        }
        bridge.expect_ready().await;
        Self { bridge, account, endpoints, hooks, mark, uri, queue }
    }

    pub fn events(&self, count: usize) -> Vec<CallEvent> {
        self.events_with("", count)
    }

    /// Events that a fault can be planned for by that word.
    pub fn events_with(&self, word: &str, count: usize) -> Vec<CallEvent> {
        let mut events = call_events(&self.account, count);
        for event in &mut events {
            event.payload["Caller-ID-Name"] = format!("{}-{word}", self.mark).into();
        }
        events
    }

    pub async fn publish(&self, events: &[CallEvent]) {
        assert!(Publication::start(&self.uri, events).end().await.is_empty(), "the broker was there all the time");
    }

    pub async fn publisher(&self) -> Publisher {
        Publisher::connect(&self.uri).await
    }

    /// Past the exchanges, into this server's queue.
    pub async fn send_here(&self, event: &Value) {
        self.publisher().await.try_publish(&Message::json("", &self.queue, event)).await.unwrap();
    }

    /// Waits until every endpoint has got all of these.
    pub async fn expect_everywhere(&self, events: &[CallEvent]) {
        for endpoint in &self.endpoints {
            endpoint.expect_delivered(&calls_of(events)).await;
        }
    }

    /// Waits until so many actors of that kind were started again after a panic.
    pub async fn expect_restarts(&self, kind: &str, count: u64) {
        let metric = format!("hookswitch_actor_restarts_total{{kind=\"{kind}\"}}");
        eventually(&format!("{count} restarts of {kind}"), async || self.bridge.metric(&metric).await == count).await;
    }

    /// Of the hook of that endpoint, newest first.
    pub async fn dead_letters(&self, endpoint: usize) -> Vec<Value> {
        let path = format!("/v2/accounts/{}/webhooks/{}/dead", self.account, self.hooks[endpoint]);
        self.bridge.call(Method::GET, &path, &Value::Null).await.as_array().unwrap().clone()
    }

    /// A figure of an actor of which there is one.
    pub async fn figure(&self, kind: &str, name: &str) -> Value {
        let actors = self.bridge.call(Method::GET, "/v2/actors", &Value::Null).await;
        let all = actors["actors"].as_array().unwrap();
        all.iter().find(|actor| actor["kind"] == kind).unwrap()[name].clone()
    }

    /// Waits until the server has nothing to do, and looks whether its figures say so, too. Then it must end well.
    pub async fn expect_good_end(mut self) {
        self.bridge.expect_idle().await;
        for gauge in ["hookswitch_deliveries_pending", "hookswitch_deliveries_in_flight"] {
            eventually(&format!("{gauge} at 0"), async || self.bridge.metric(gauge).await == 0).await;
        }
        self.bridge.expect_ready().await;
        for kind in ["Registry", "AmqpConsumer"] {
            assert_eq!(self.figure(kind, "alive").await, true);
        }
        for endpoint in &self.endpoints {
            endpoint.assert_ids_identify();
        }
        self.bridge.server.sigterm();
        assert!(self.bridge.server.wait().await.success());
    }
}

/// What the server said explains a failure.
impl Drop for Scene {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.bridge.server.log());
        }
    }
}
