//! Nobody sees what is not theirs: a tree of accounts, every kind of hook in each of them, every token at every door.

use std::collections::BTreeMap;

use actix_web::http::Method;
use hookswitch::ids::AccountId;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::bus::Bus;
use crate::support::hook_server::HookServer;
use crate::support::kazoo::{event, events, hook_for, sample_ids, with};

const NAMES: [&str; 6] = ["root", "A", "A1", "A11", "B", "U"];

/// The root; A with A1 below it and A11 below that; B beside A; and U, which is not registered.
#[derive(Clone, Copy)]
struct Tree([AccountId; 6]);

impl Tree {
    async fn plant(app: &TestApp) -> Self {
        let a = app.create_account("A", None).await;
        let a1 = app.create_account("A1", Some(a)).await;
        let a11 = app.create_account("A11", Some(a1)).await;
        let b = app.create_account("B", None).await;
        Self([app.system_account, a, a1, a11, b, AccountId::random()])
    }

    fn named(&self) -> impl Iterator<Item = (&'static str, AccountId)> {
        NAMES.into_iter().zip(self.0)
    }

    fn registered(&self) -> impl Iterator<Item = (&'static str, AccountId)> {
        self.named().take(5)
    }
}

fn is_above(upper: &str, lower: &str) -> bool {
    matches!((upper, lower), ("root", "A" | "A1" | "A11" | "B") | ("A", "A1" | "A11") | ("A1", "A11"))
}

fn for_administrators(id: &str) -> bool {
    id.ends_with("_system_alert") || id.ends_with("_webhook_disabled")
}

/// Whether a hook of `owner` for the events of `hook_id` gets one of `event_id` that belongs to `account`.
fn is_expected(owner: &str, includes: bool, hook_id: &str, account: &str, event_id: &str) -> bool {
    (hook_id == "all" || hook_id == event_id)
        && (owner == account || (includes && is_above(owner, account)))
        && (owner == "root" || !for_administrators(event_id))
}

#[actix_web::test]
async fn events_reach_the_hooks_of_their_account_and_those_above_that_ask_and_no_others() {
    let mut bus = Bus::start().await;
    let server = HookServer::start();
    let tree = Tree::plant(&bus.app).await;
    // A callflow's own hook goes to every server on the broker.
    let kinds: Vec<String> =
        sample_ids().into_iter().filter(|id| !id.ends_with("_webhook") && !id.ends_with("_callflow")).collect();
    let mut hooks = Vec::new();
    for (owner, account) in tree.registered() {
        for id in kinds.iter().map(String::as_str).chain(["all"]) {
            let hook = if id == "all" { json!({ "hook": "all" }) } else { hook_for(id) };
            for includes in [false, true] {
                let uri = server.url(&format!("/{owner}/{includes}/{id}"));
                let rest = json!({ "uri": uri, "format": "json", "include_subaccounts": includes });
                bus.app.put_hook(account, &with(hook.clone(), rest)).await;
                hooks.push((owner, includes, id));
            }
        }
    }

    let mut expected = BTreeMap::new();
    // The root's come last, and with them the last that is expected at all.
    for (name, account) in tree.named().collect::<Vec<_>>().into_iter().rev() {
        for id in &kinds {
            let events = events(id, account);
            for event in &events {
                bus.publish(event).await;
            }
            for (owner, includes, hook_id) in &hooks {
                if is_expected(owner, *includes, hook_id, name, id) {
                    *expected.entry((format!("/{owner}/{includes}/{hook_id}"), account.to_string())).or_insert(0) +=
                        events.len();
                }
            }
        }
    }
    let count = expected.values().sum();
    let mut found = BTreeMap::new();
    for request in server.eventually_received(count).await {
        let account = request.json()["account_id"].as_str().unwrap().to_owned();
        *found.entry((request.target, account)).or_insert(0) += 1;
    }
    assert_eq!(found, expected);
    // Whatever an actor was given, it has been given by now.
    let actors = bus.app.get("/v2/actors").await;
    let handled = actors.data("webhooks").as_array().unwrap().iter().map(|actor| actor["handled"].as_u64().unwrap());
    assert_eq!(handled.sum::<u64>(), count as u64);
}

#[actix_web::test]
async fn hook_that_a_callflow_carries_is_its_accounts_alone() {
    let mut bus = Bus::start().await;
    let (server, own) = (HookServer::start(), HookServer::start());
    let tree = Tree::plant(&bus.app).await;
    for (owner, account) in tree.registered() {
        for includes in [false, true] {
            let hook = hook_for("webhooks_notifications_webhook");
            let rest = json!({ "uri": server.url(&format!("/{owner}")), "include_subaccounts": includes });
            bus.app.put_hook(account, &with(hook, rest)).await;
        }
    }
    for (name, account) in tree.registered() {
        let mut event = event("webhooks_callflow", account);
        event["Hook"]["uri"] = own.url(&format!("/{name}")).into();
        bus.publish_here(&event).await;
        let request = own.expect_delivery().await;
        assert_eq!(request.target, format!("/{name}"));
        assert_eq!(request.header("x-account-id"), Some(account.to_string().as_str()));
        let above = NAMES.iter().filter(|upper| is_above(upper, name));
        let mut expected: Vec<String> = above.chain([&name, &name]).map(|owner| format!("/{owner}")).collect();
        server.eventually_received(expected.len()).await;
        let mut found: Vec<_> = server.take().into_iter().map(|request| request.target).collect();
        found.sort();
        expected.sort();
        assert_eq!(found, expected, "{name}");
    }
}

/// What a client may ask about an account and a hook of it. Those that change something would really do so.
fn requests(account: AccountId, hook: &str) -> Vec<(Method, String, Value)> {
    let webhooks = format!("/v2/accounts/{account}/webhooks");
    let stolen = json!({ "data": { "name": "stolen", "uri": "http://thief.example/", "hook": "all" } });
    vec![
        (Method::GET, webhooks.clone(), Value::Null),
        (Method::GET, format!("{webhooks}/attempts"), Value::Null),
        (Method::GET, format!("{webhooks}/{hook}"), Value::Null),
        (Method::GET, format!("{webhooks}/{hook}/attempts"), Value::Null),
        (Method::GET, format!("{webhooks}/{hook}/dead"), Value::Null),
        (Method::PUT, webhooks.clone(), stolen.clone()),
        (Method::PATCH, webhooks.clone(), json!({ "data": { "re-enable": true } })),
        (
            Method::PATCH,
            format!("/v2/accounts/{account}/descendants/webhooks"),
            json!({ "data": { "re-enable": true } }),
        ),
        (Method::POST, format!("{webhooks}/{hook}"), stolen.clone()),
        (Method::PATCH, format!("{webhooks}/{hook}"), stolen),
        (Method::PATCH, format!("{webhooks}/{hook}/dead"), json!({ "data": { "resend": true } })),
        (Method::DELETE, format!("{webhooks}/{hook}"), Value::Null),
        (
            Method::POST,
            format!("/v2/accounts/{account}/events"),
            json!({ "data": { "payload": event("webhooks_sms", account) } }),
        ),
    ]
}

fn configs(account: AccountId) -> [(Method, String, Value); 3] {
    let path = format!("/v2/accounts/{account}/configs/webhooks");
    let limits = json!({ "data": { "attempt_failure_count": 1 } });
    [
        (Method::GET, path.clone(), Value::Null),
        (Method::POST, path.clone(), limits.clone()),
        (Method::PATCH, path, limits),
    ]
}

async fn send(app: &TestApp, token: &str, (method, path, body): &(Method, String, Value)) -> (u16, String) {
    let body = (!body.is_null()).then(|| body.clone());
    let answer = app.call_as(token, method.clone(), path, body).await;
    (answer.status, answer.text)
}

#[actix_web::test]
async fn no_token_reads_or_writes_what_is_of_another_branch() {
    let app = TestApp::with(|config| config.webhooks.disable_disabler = true).await;
    let server = HookServer::start();
    let tree = Tree::plant(&app).await;
    let mut hooks = BTreeMap::new();
    for (owner, account) in tree.registered() {
        let fields = json!({ "name": format!("secret of {owner}"), "uri": server.url(&format!("/{owner}")), "hook": "sms",
            "retries": 0 });
        hooks.insert(owner, app.put_hook(account, &fields).await);
    }
    // Each has an attempt and a dead letter.
    server.answer_with(500);
    for (owner, account) in tree.registered() {
        app.publish(account, &[event("webhooks_sms", account)]).await;
        app.eventually_attempts(account, &hooks[owner], 1).await;
    }
    let before = server.take().len();
    assert_eq!(before, 5);

    for (caller, own) in tree.named() {
        let token = app.token_for(own);
        for (target, account) in tree.named() {
            let foreign = "0".repeat(32);
            let hook = hooks.get(target).unwrap_or(&foreign);
            let all = requests(account, hook);
            let reached = caller == target || is_above(caller, target);
            let (tried, expected) = match (reached, caller, target) {
                (false, "root", _) => (&all[..], 404),
                (false, ..) => (&all[..], 403),
                (true, "U", _) => (&all[..2], 200),
                (true, ..) => (&all[..5], 200),
            };
            for request in tried {
                let (status, text) = send(&app, &token, request).await;
                assert_eq!(status, expected, "{caller}: {request:?}: {text}");
                assert!(reached || !text.contains("secret"), "{caller}: {text}");
            }
            let expected = match () {
                () if is_above(caller, target) || (caller == "root" && target == "root") => continue,
                () if caller == "root" => 404,
                () => 403,
            };
            for request in configs(account) {
                assert_eq!(send(&app, &token, &request).await.0, expected, "{caller}: {request:?}");
            }
        }
        // Under the own path, hooks of others do not exist, not even those of accounts below.
        for (_, hook) in hooks.iter().filter(|(owner, _)| **owner != caller) {
            for request in requests(own, hook).iter().filter(|(_, path, _)| path.contains(hook.as_str())) {
                let (status, text) = send(&app, &token, request).await;
                assert_eq!(status, 404, "{caller}: {request:?}: {text}");
            }
        }
    }

    // Nothing came of any of it.
    for (owner, account) in tree.registered() {
        let document = app.hook(account, &hooks[owner]).await;
        assert_eq!((&document["name"], &document["enabled"]), (&json!(format!("secret of {owner}")), &json!(true)));
        assert_eq!(app.dead_letters(account, &hooks[owner]).await.len(), 1);
        let listed = app.get(&format!("/v2/accounts/{account}/webhooks")).await;
        assert_eq!(listed.body["data"].as_array().unwrap().len(), 1);
        let limits = app.get(&format!("/v2/accounts/{account}/configs/webhooks")).await;
        assert_eq!(limits.body["data"], json!({}));
    }
    assert_eq!(server.received().len(), 0);
}

#[actix_web::test]
async fn nobody_publishes_in_the_name_of_another_branch() {
    let app = TestApp::spawn().await;
    let server = HookServer::start();
    let tree = Tree::plant(&app).await;
    for (owner, account) in tree.registered() {
        app.put_hook(account, &json!({ "hook": "all", "uri": server.url(&format!("/{owner}")) })).await;
    }
    let ids = ["webhooks_sms", "webhooks_channel_create", "webhooks_object", "webhooks_notifications_topup"];
    let mut accepted = Vec::new();
    for (caller, own) in tree.registered().chain(tree.named().skip(5)) {
        let token = app.token_for(own);
        for (target, account) in tree.named() {
            for id in ids {
                let path = format!("/v2/accounts/{own}/events");
                let body = json!({ "data": [{ "payload": event(id, own) }, { "payload": event(id, account) }] });
                let answer = app.call_as(&token, Method::POST, &path, Some(body)).await;
                let reached = caller == target || is_above(caller, target);
                assert_eq!(answer.status, if reached { 202 } else { 403 }, "{caller} for {target}: {}", answer.text);
                if reached && caller != "U" {
                    accepted.extend([format!("/{caller}"), format!("/{target}")]);
                }
            }
        }
    }
    let mut found: Vec<_> =
        server.eventually_received(accepted.len()).await.into_iter().map(|request| request.target).collect();
    accepted.sort();
    found.sort();
    assert_eq!(found, accepted, "of a list that was refused, nothing was taken");
}
