//! The days of a client that behaves as Monster UI does, good ones and bad ones.

use std::time::Duration;

use actix_web::http::Method;
use hookswitch::ids::{AccountId, EventId};
use serde_json::{Value, json};

use crate::support::bus::Bus;
use crate::support::kazoo::{event, message, with};
use crate::support::monster::Monster;
use crate::support::publisher::Publisher;
use crate::support::rabbit::Rabbit;

const CREATES: &str = "call.CHANNEL_CREATE.*";
const DESTROYS: &str = "call.CHANNEL_DESTROY.*";

fn create(account: AccountId, call: &str) -> Value {
    with(event("webhooks_channel_create", account), json!({ "Call-ID": call, "Msg-ID": EventId::random() }))
}

fn destroy(account: AccountId, call: &str) -> Value {
    with(event("webhooks_channel_destroy", account), json!({ "Call-ID": call, "Msg-ID": EventId::random() }))
}

async fn patch(bus: &Bus, account: AccountId, fields: Value) {
    let answer = bus.app.call(Method::PATCH, &format!("/v2/accounts/{account}"), Some(json!({ "data": fields }))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[actix_web::test]
async fn a_normal_day() {
    let mut bus = Bus::start().await;
    let account = bus.app.create_account("own", None).await;
    let realm = bus.app.get(&format!("/v2/accounts/{account}")).await.data("realm").as_str().unwrap().to_owned();
    let mut monster = Monster::start(&bus.app, account).await;
    let edits = "doc_edited.*.user.*";
    // One of them twice, as after a page was shown again.
    for binding in [CREATES, edits, "presence.dialog.a%2Eb", "conference.event.k.*", CREATES, "call.*.*"] {
        monster.bind(binding).await;
    }
    monster.settle().await;
    assert_eq!((monster.logins, &*monster.errors), (1, [].as_slice()));

    let id = account.to_string();
    let database = format!("account%2F{}%2F{}%2F{}", &id[..2], &id[2..4], &id[4..]);
    for (binding, event) in [
        (
            edits,
            json!({ "Event-Category": "configuration", "Event-Name": "doc_edited", "Database": database,
            "Type": "user", "ID": "u", "Msg-ID": "1" }),
        ),
        (
            "presence.dialog.a%2Eb",
            json!({ "Event-Category": "presence", "Event-Name": "dialog_update",
            "Presence-ID": format!("101@{}", realm.to_uppercase()), "Call-ID": "a.b", "Msg-ID": "2" }),
        ),
        (
            "conference.event.k.*",
            json!({ "Event-Category": "conference", "Event-Name": "event", "Event": "add-member",
            "Account-ID": id, "Conference-ID": "k", "Call-ID": "c", "Msg-ID": "3" }),
        ),
        ("call.*.*", destroy(account, "c")),
    ] {
        bus.publish(&event).await;
        let (key, data) = monster.event().await;
        assert_eq!((key.as_str(), &data["msg_id"]), (binding, &event["Msg-ID"]));
    }
    bus.publish(&create(account, "new")).await;
    let mut keys = [monster.event().await.0, monster.event().await.0];
    keys.sort();
    assert_eq!(keys, ["call.*.*", CREATES]);
    assert_eq!(monster.closes, []);
}

#[actix_web::test]
async fn a_token_runs_out_and_events_go_on_over_the_same_socket() {
    let mut bus = Bus::start().await;
    let account = bus.app.create_account("own", None).await;
    let mut monster = Monster::start(&bus.app, account).await;
    monster.has_token(bus.app.short_token_for(account, Duration::from_secs(2)));
    monster.bind(CREATES).await;
    monster.bind(DESTROYS).await;
    monster.log_in_again(2).await;
    monster.settle().await;
    bus.publish(&create(account, "after")).await;
    assert_eq!(monster.call().await, "after");
    assert_eq!((&*monster.closes, &*monster.errors), ([].as_slice(), [].as_slice()));
}

#[actix_web::test]
async fn a_token_runs_out_unheeded_and_events_go_on_after_4001() {
    let mut bus = Bus::with(|config| config.websockets.token_grace_ms = 50).await;
    let account = bus.app.create_account("own", None).await;
    let mut monster = Monster::start(&bus.app, account).await;
    monster.heeds_news = false;
    monster.has_token(bus.app.short_token_for(account, Duration::from_secs(2)));
    monster.bind(CREATES).await;
    monster.bind(DESTROYS).await;
    monster.lose(1).await;
    assert_eq!(monster.closes, [Some(4001)]);
    // It is refused with the old one, logs in, and binds again.
    monster.log_in_again(2).await;
    monster.settle().await;
    bus.publish(&destroy(account, "after")).await;
    assert_eq!(monster.event().await.0, DESTROYS);
    // Where the login took longer than the grace, it was closed once more.
    assert!(monster.closes.iter().all(|code| *code == Some(4001)) && monster.errors.is_empty());
}

#[actix_web::test]
async fn the_server_is_restarted() {
    let mut bus = Bus::start().await;
    let account = bus.app.create_account("own", None).await;
    let mut monster = Monster::start(&bus.app, account).await;
    let mut other = monster.tab().await;
    for monster in [&mut monster, &mut other] {
        monster.bind(CREATES).await;
        monster.bind(DESTROYS).await;
        monster.settle().await;
    }
    tokio::join!(bus.app.stop(), monster.lose(1), other.lose(1));
    for monster in [&monster, &other] {
        assert_eq!(monster.closes, [Some(1001)]);
        assert!(monster.finds_nobody().await);
    }
    bus.app.start_with(|_| {}).await;
    bus.app.await_ready().await;
    for monster in [&mut monster, &mut other] {
        monster.finds(&bus.app);
        monster.settle().await;
    }
    bus.publish(&create(account, "after")).await;
    for monster in [&mut monster, &mut other] {
        assert_eq!(monster.call().await, "after");
        assert_eq!((monster.closes.len(), &*monster.errors), (1, [].as_slice()));
    }
    assert_eq!((monster.logins, other.logins), (1, 0), "tokens outlive a server");
}

#[actix_web::test]
async fn the_broker_is_killed() {
    let rabbit = Rabbit::start().await;
    let mut bus = Bus::on(rabbit.uri(), |_| {}).await;
    let account = bus.app.create_account("own", None).await;
    let mut monster = Monster::start(&bus.app, account).await;
    monster.bind(CREATES).await;
    monster.settle().await;
    bus.publish(&create(account, "before")).await;
    assert_eq!(monster.call().await, "before");
    for call in ["once", "twice"] {
        rabbit.kill().await;
        rabbit.start_again().await;
        Publisher::publish_surely(rabbit.uri(), &[message(&create(account, call))], |_| {}).await;
        assert_eq!(monster.call().await, call);
    }
    assert_eq!((&*monster.closes, &*monster.errors), ([].as_slice(), [].as_slice()), "it noticed nothing");
}

#[actix_web::test]
async fn the_account_is_disabled_and_enabled_again() {
    let mut bus = Bus::start().await;
    let account = bus.app.create_account("own", None).await;
    let beside = bus.app.create_account("beside", None).await;
    let mut monster = Monster::start(&bus.app, account).await;
    let mut other = Monster::start(&bus.app, beside).await;
    for monster in [&mut monster, &mut other] {
        monster.bind(CREATES).await;
        monster.settle().await;
    }
    patch(&bus, account, json!({ "enabled": false })).await;
    monster.log_out().await;
    assert_eq!((&*monster.closes, monster.logins), ([Some(4501)].as_slice(), 1));
    bus.publish(&create(account, "unseen")).await;
    bus.publish(&create(beside, "beside")).await;
    assert_eq!(other.call().await, "beside");

    patch(&bus, account, json!({ "enabled": true })).await;
    monster.sign_in().await;
    monster.settle().await;
    bus.publish(&create(account, "again")).await;
    assert_eq!(monster.call().await, "again");
    assert_eq!((monster.closes.len(), other.closes.len()), (1, 0));
}

#[actix_web::test]
async fn an_administrator_ceases_to_be_one() {
    let mut bus = Bus::start().await;
    let (own, other) = (bus.app.create_account("own", None).await, bus.app.create_account("other", None).await);
    patch(&bus, own, json!({ "superduper_admin": true })).await;
    let mut monster = Monster::start(&bus.app, own).await;
    // Two events of one kind in different scopes; nothing else is told apart on the socket.
    monster.bind_for(&other.to_string(), CREATES).await;
    monster.bind(DESTROYS).await;
    monster.settle().await;
    bus.publish(&create(other, "seen")).await;
    assert_eq!(monster.call().await, "seen");

    patch(&bus, own, json!({ "superduper_admin": false })).await;
    bus.publish(&create(other, "unseen")).await;
    bus.publish(&destroy(own, "own")).await;
    assert_eq!(monster.call().await, "own", "the right is gone before the next event, and nothing else is");
    assert_eq!(monster.closes, []);
}

#[actix_web::test]
async fn two_tabs_get_the_same_and_what_one_unbinds_is_its_own_matter() {
    let mut bus = Bus::start().await;
    let account = bus.app.create_account("own", None).await;
    let mut one = Monster::start(&bus.app, account).await;
    let mut two = one.tab().await;
    for tab in [&mut one, &mut two] {
        tab.bind(CREATES).await;
        tab.bind(DESTROYS).await;
        tab.settle().await;
    }
    bus.publish(&create(account, "both")).await;
    for tab in [&mut one, &mut two] {
        assert_eq!(tab.event().await.0, CREATES);
    }
    one.unbind(CREATES).await;
    one.settle().await;
    bus.publish(&create(account, "two's")).await;
    bus.publish(&destroy(account, "both")).await;
    assert_eq!(one.event().await.0, DESTROYS);
    assert_eq!([two.event().await.0, two.event().await.0], [CREATES, DESTROYS]);
    // It is gone for good on that socket, and comes back when it is asked for.
    one.bind(CREATES).await;
    one.settle().await;
    bus.publish(&create(account, "both again")).await;
    for tab in [&mut one, &mut two] {
        assert_eq!(tab.call().await, "both again");
        assert_eq!((&*tab.closes, &*tab.errors), ([].as_slice(), [].as_slice()));
    }
}
