//! Hooks are made, edited, disabled and deleted while events stream in: nobody else loses or repeats anything.
//!
//! Every event has a number of its own, which comes back as the Call-ID of what is delivered.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::http::Method;
use hookswitch::ids::AccountId;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::app::TestApp;
use crate::support::eventually;
use crate::support::hook_server::{Answer, HookServer};
use crate::support::publisher::{Message, Publisher};
use crate::support::rabbit::shared_broker_uri;

/// Hooks that each churner makes and deletes.
const ROUNDS: usize = 24;
const CHURNERS: usize = 3;
/// How long a hook lives between two changes.
const PAUSE: Duration = Duration::from_millis(15);
const BATCH: usize = 20;
/// How far the events may be ahead of their deliveries. A slow machine, where the churning takes long, would otherwise
/// have a backlog at its end that nobody waits for.
const AHEAD_MAX: usize = 400;

/// A server with hooks that stay, in two accounts of which one is the other's parent.
struct Scene {
    app: TestApp,
    server: HookServer,
    parent: AccountId,
    child: AccountId,
    /// Their paths at the receiver.
    stable: [&'static str; 4],
    edited: String,
    /// The number of the next event.
    next: Cell<usize>,
    /// Requests that the first of the stable hooks has made.
    delivered: Arc<AtomicUsize>,
    /// Events that the server has taken.
    taken: RefCell<Vec<usize>>,
    churning: Cell<usize>,
    /// Per path of a hook that went: what it must have got, once each.
    owed: RefCell<HashMap<String, Vec<usize>>>,
}

impl Scene {
    async fn new(app: TestApp) -> Self {
        let server = HookServer::start();
        let delivered = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&delivered);
        server.answer_by(move |request| {
            count.fetch_add(usize::from(request.target == "/own"), Ordering::SeqCst);
            Answer::status(if request.target.starts_with("/fail") { 500 } else { 200 })
        });
        let parent = app.create_account("parent", None).await;
        let child = app.create_account("child", Some(parent)).await;
        let hook = |path: &str, kind: &str| json!({"uri": server.url(path), "hook": kind, "format": "json"});
        app.put_hook(child, &hook("/own", "channel_create")).await;
        app.put_hook(child, &hook("/all", "all")).await;
        let mut of_parent = hook("/parent", "all");
        of_parent["include_subaccounts"] = true.into();
        app.put_hook(parent, &of_parent).await;
        let edited = app.put_hook(child, &hook("/edited", "channel_create")).await;
        Self {
            app,
            server,
            parent,
            child,
            stable: ["/own", "/all", "/parent", "/edited"],
            edited,
            next: Cell::new(0),
            delivered,
            taken: RefCell::default(),
            churning: Cell::new(CHURNERS),
            owed: RefCell::default(),
        }
    }

    fn is_churning(&self) -> bool {
        self.churning.get() > 0
    }

    /// The numbers of further events, once most of the earlier ones are delivered.
    async fn batch(&self) -> std::ops::Range<usize> {
        eventually("deliveries follow the events", async || {
            self.next.get() < self.delivered.load(Ordering::SeqCst) + AHEAD_MAX
        })
        .await;
        let first = self.next.get();
        self.next.set(first + BATCH);
        first..first + BATCH
    }

    async fn publish_over_http(&self) {
        while self.is_churning() {
            let numbers = self.batch().await;
            let events: Vec<Value> = numbers.clone().map(|number| event(self.child, number)).collect();
            self.app.publish(self.child, &events).await;
            self.taken.borrow_mut().extend(numbers);
        }
    }

    async fn publish_to(&self, mut broker: Publisher) {
        while self.is_churning() {
            let numbers = self.batch().await;
            let key = |number: usize| format!("call.CHANNEL_CREATE.{number}");
            let message = |number: usize| Message::json("callevt", &key(number), &event(self.child, number));
            let messages: Vec<Message> = numbers.clone().map(message).collect();
            assert!(broker.publish_all(&messages).await.unwrap().is_empty(), "the queue stays bound");
            self.taken.borrow_mut().extend(numbers);
        }
    }

    /// Changes a hook all the time that is to get everything.
    async fn edit(&self) {
        let mut round = 0;
        while self.is_churning() {
            let change = json!({"name": format!("round {round}"), "custom_data": {"round": round.to_string()}});
            self.patch(self.child, &self.edited, change).await;
            round += 1;
        }
    }

    /// Makes hooks of all sorts and deletes them again.
    async fn churn(&self, churner: usize, owed: Owed) {
        for round in 0..ROUNDS {
            let (account, reach) = if round % 2 == 0 { (self.child, false) } else { (self.parent, true) };
            let kind = ["channel_create", "all", "channel_answer"][round % 3];
            let fails = round % 4 == 3;
            let path = format!("/{}/{churner}/{round}", if fails { "fail" } else { "churn" });
            let fields = json!({
                "uri": self.server.url(&path), "hook": kind, "format": "json", "include_subaccounts": reach,
            });
            let id = self.app.put_hook(account, &fields).await;
            let first = self.next.get();
            sleep(PAUSE).await;
            self.patch(account, &id, json!({"name": "changed"})).await;
            sleep(PAUSE).await;
            let was_disabled = round % 5 == 4;
            if was_disabled {
                self.patch(account, &id, json!({"enabled": false})).await;
                sleep(PAUSE).await;
                self.patch(account, &id, json!({"enabled": true})).await;
            }
            if owed == Owed::WhatWasTaken && !fails && !was_disabled && kind != "channel_answer" {
                let meanwhile = self.taken.borrow().iter().copied().filter(|number| *number >= first).collect();
                self.owed.borrow_mut().insert(path, meanwhile);
            }
            let hook = format!("/v2/accounts/{account}/webhooks/{id}");
            let deleted = self.app.call(Method::DELETE, &hook, None).await;
            assert_eq!(deleted.status, 200, "{}", deleted.body);
        }
        self.churning.set(self.churning.get() - 1);
    }

    async fn churn_all(&self, owed: Owed) {
        tokio::join!(self.churn(0, owed), self.churn(1, owed), self.churn(2, owed));
    }

    async fn patch(&self, account: AccountId, hook: &str, change: Value) {
        let path = format!("/v2/accounts/{account}/webhooks/{hook}");
        let patched = self.app.call(Method::PATCH, &path, Some(json!({ "data": change }))).await;
        assert_eq!(patched.status, 200, "{}", patched.body);
    }

    /// How often each path got each event.
    fn counts(&self) -> HashMap<String, HashMap<usize, usize>> {
        let mut counts: HashMap<String, HashMap<usize, usize>> = HashMap::new();
        for request in self.server.received() {
            let number = request.json()["call_id"].as_str().unwrap().parse().unwrap();
            *counts.entry(request.target).or_default().entry(number).or_default() += 1;
        }
        counts
    }

    async fn check(mut self) {
        let published = self.next.get();
        eventually("all that stays is delivered", async || {
            self.app.metric("hookswitch_deliveries_pending").await == 0.0
                && self.app.metric("hookswitch_deliveries_in_flight").await == 0.0
        })
        .await;
        eventually("every stable hook got every event", async || {
            let counts = self.counts();
            self.stable.iter().all(|path| counts.get(*path).is_some_and(|events| events.len() == published))
        })
        .await;
        let counts = self.counts();
        for (path, events) in &counts {
            let repeated: Vec<_> = events.iter().filter(|(_, count)| **count > 1).collect();
            assert!(path.starts_with("/fail") || repeated.is_empty(), "{path} got these again: {repeated:?}");
        }
        for (path, owed) in self.owed.borrow().iter() {
            let missing: Vec<_> =
                owed.iter().filter(|number| !counts.get(path).is_some_and(|got| got.contains_key(*number))).collect();
            assert!(missing.is_empty(), "{path} did not get {missing:?}");
        }
        for account in [self.child, self.parent] {
            let deleted = self.app.call(Method::DELETE, &format!("/v2/accounts/{account}"), None).await;
            assert_eq!(deleted.status, 200, "{}", deleted.body);
        }
        self.app.stop().await;
        assert_eq!(self.app.hooks_with_deliveries_on_disk(), 0, "what deleted hooks had is deleted");
        assert_eq!(self.app.attempts_on_disk(), 0, "what deleted hooks did is deleted");
    }
}

/// What a hook that went must have got for certain.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Owed {
    /// Every event that was taken, and answered, while it was there.
    WhatWasTaken,
    /// Nothing: the publisher is not told when its events are delivered.
    Nothing,
}

fn event(account: AccountId, number: usize) -> Value {
    json!({
        "Event-Category": "call_event", "Event-Name": "CHANNEL_CREATE", "Msg-ID": format!("{account}-{number}"),
        "Call-ID": number.to_string(), "Call-Direction": "inbound", "Timestamp": 63_930_000_000_u64,
        "Custom-Channel-Vars": { "Account-ID": account },
    })
}

#[actix_web::test]
async fn stable_hooks_get_every_posted_event_once_while_others_come_and_go() {
    let app = TestApp::with(|config| config.webhooks.log_successful_attempts = true).await;
    let scene = Scene::new(app).await;
    let publishing = async { tokio::join!(scene.publish_over_http(), scene.publish_over_http()) };
    tokio::join!(publishing, scene.edit(), scene.churn_all(Owed::WhatWasTaken));
    assert!(!scene.owed.borrow().values().all(Vec::is_empty), "no hook lived long enough to show anything");
    scene.check().await;
}

#[actix_web::test]
async fn stable_hooks_get_every_published_event_once_while_bindings_come_and_go() {
    let uri = shared_broker_uri().await;
    let app = TestApp::with(|config| {
        config.amqp.uri = uri.clone();
        config.channels.track = false;
        config.amqp.queue = "churn".into();
        config.webhooks.threads = 2;
        config.webhooks.log_successful_attempts = true;
    })
    .await;
    eventually("the broker is consumed", async || app.get("/readyz").await.status == 200).await;
    let scene = Scene::new(app).await;
    let publisher = Publisher::connect(&uri).await;
    tokio::join!(scene.publish_to(publisher), scene.edit(), scene.churn_all(Owed::Nothing));
    scene.check().await;
    Publisher::connect(&uri).await.delete_queue("churn").await;
}
