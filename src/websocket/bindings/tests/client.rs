//! What a binding becomes, what it needs of the broker, and what is wrong with it.

use super::{A, DATABASE, administrator, ordinary, subscriber};
use crate::auth::directory::Rank;
use crate::ids::AccountId;
use crate::kazoo::notifications;
use crate::routing::subscriptions::Scope;
use crate::websocket::bindings::client::{BadBinding, Subscription};

fn keys(subscription: &Subscription) -> Vec<&str> {
    subscription.topics.iter().map(|topic| &*topic.subscription_key).collect()
}

#[track_caller]
fn check_keys(binding: &str, of_account: &[&str], of_everything: &[&str]) {
    let fill = |keys: &[&str]| -> Vec<String> {
        keys.iter().map(|key| key.replace("{DB}", DATABASE).replace("{A}", A)).collect()
    };
    let found = ordinary().subscription(binding).unwrap();
    assert_eq!(&*found.subscribed_key, binding);
    assert_eq!(keys(&found), fill(of_account), "{binding}");
    assert_eq!(keys(&administrator().subscription(binding).unwrap()), fill(of_everything), "{binding}");
}

#[test]
fn bindings_become_kazoos_internal_keys() {
    check_keys("call.CHANNEL_CREATE.*", &["call.{A}.CHANNEL_CREATE.*"], &["call.*.CHANNEL_CREATE.*"]);
    check_keys("call.PARK_PARKED.a%2Eb", &["call.{A}.PARK_PARKED.a%2Eb"], &["call.*.PARK_PARKED.a%2Eb"]);
    check_keys("object.doc_edited.user", &["doc_edited.{DB}.user.*"], &["doc_edited.*.user.*"]);
    check_keys("object.*.fax", &["*.{DB}-202611.fax.*"], &["*.*.fax.*"]);
    let key = ["doc_deleted.{DB}-202611.mailbox_message.*"];
    check_keys("object.doc_deleted.mailbox_message", &key, &["doc_deleted.*.mailbox_message.*"]);
    check_keys("object.*.*", &["*.{DB}.*.*", "*.{DB}-202611.*.*"], &["*.*.*.*", "*.*.*.*"]);
    check_keys("fax.status.*", &["fax.status.{A}.*"], &["fax.status.*.*"]);
    check_keys("fax.object.doc_created", &["doc_created.{DB}-202611.fax.*"], &["doc_created.*.fax.*"]);
    check_keys("conference.event.k.*", &["conference.event.*.{A}.k.*"], &["conference.event.*.*.k.*"]);
    check_keys("conference.event.add.k.c", &["conference.event.add.{A}.k.c"], &["conference.event.add.*.k.c"]);
    check_keys("conference.command.k", &["conference.command.k"], &["conference.command.k"]);
    check_keys("presence.dialog.*", &["dialog.PBX%2Eexample%2Ecom.*"], &["dialog.*.*"]);
    check_keys("presence.mwi_updates.101", &["mwi_updates.PBX%2Eexample%2Ecom.101"], &["mwi_updates.*.101"]);
    check_keys("doc_created.*.user.*", &["doc_created.{DB}.user.*"], &["doc_created.*.user.*"]);
    check_keys("doc_edited.*.*.*", &["doc_edited.{DB}.*.*", "doc_edited.{DB}-202611.*.*"], &["doc_edited.*.*.*"; 2]);
    check_keys("notifications.topup", &["notifications.{A}.topup"], &["notifications.*.topup"]);
    let all = ordinary().subscription("call.*.x").unwrap();
    assert_eq!((all.topics.len(), all.needs.len()), (9, 9));
    assert_eq!(&*all.topics[0].subscription_key, format!("call.{A}.CHANNEL_CREATE.x"));
}

#[track_caller]
fn check_needs(binding: &str, expected: &[&str]) {
    let needs = administrator().subscription(binding).unwrap().needs;
    let found: Vec<_> = needs.iter().map(|need| format!("{} {}", need.exchange, need.routing_key)).collect();
    assert_eq!(found, expected, "{binding}");
}

#[test]
fn the_broker_is_asked_by_kind_and_not_by_id() {
    check_needs("call.CHANNEL_HOLD.x", &["callevt call.CHANNEL_HOLD.*"]);
    check_needs("object.doc_edited.user", &["configuration doc_edited.*.user.*"]);
    check_needs("fax.object.doc_created", &["configuration doc_created.*.fax.*"]);
    check_needs("fax.status.x", &["faxes fax.status.*.*"]);
    check_needs("conference.event.k.*", &["conference conference.event.*.*.*.*"]);
    check_needs("conference.command.k", &["conference conference.command.*", "conference conference.event.*.*.*.*"]);
    check_needs("presence.dialog.x", &["presence dialog.*.*"]);
    check_needs("presence.update.x", &["presence update.*.*"]);
    check_needs("presence.mwi_updates.x", &["presence mwi_updates.*.*"]);
    check_needs("notifications.new_account", &["notifications notifications.account.new"]);
    assert_eq!(administrator().subscription("object.*.*").unwrap().needs.len(), 30);
    assert_eq!(administrator().subscription("notifications.*").unwrap().needs.len(), notifications::ROWS.len());
    assert_eq!(ordinary().subscription("notifications.*").unwrap().needs.len(), notifications::ROWS.len() - 2);
}

#[track_caller]
fn check_error(binding: &str, text: &str) {
    assert_eq!(ordinary().subscription(binding).unwrap_err().to_string(), text, "{binding}");
}

#[test]
fn errors_are_the_texts_that_clients_show() {
    check_error("call.CHANNEL_DISCONNECTED.*", "event CHANNEL_DISCONNECTED not supported");
    check_error("call.channel_create.*", "event channel_create not supported");
    check_error("call.#.*", "event # not supported");
    check_error("call", "invalid format for call subscription : ");
    check_error("call.CHANNEL_CREATE", "invalid format for call subscription : CHANNEL_CREATE");
    check_error("call.CHANNEL_CREATE.a.b", "invalid format for call subscription : CHANNEL_CREATE, a, b");
    check_error("call.CHANNEL_CREATE.", "invalid format for call subscription : CHANNEL_CREATE, ");
    check_error("object.doc_edited.cdr", "event doc_edited.cdr not supported");
    check_error("object.user.doc_edited", "event user.doc_edited not supported");
    check_error("object.*.cdr", "event cdr not supported");
    check_error("object.db_created.*", "event db_created not supported");
    check_error("object.*", "invalid format for object subscription : *");
    check_error("doc_edited.x.user.*", "invalid format for object subscription : x, user, *");
    check_error("doc_edited.*.cdr.*", "event doc_edited.cdr not supported");
    check_error("fax.object.burn", "event burn not supported");
    check_error("fax.status", "invalid format for fax subscription : status");
    check_error("conference.command.*", "ConferenceId required");
    check_error("conference.command.#", "ConferenceId required");
    check_error("conference.event.*.*", "ConferenceId required");
    check_error("conference.event.add.*.c", "ConferenceId required");
    check_error("conference.event.k", "invalid format for conference subscription : event, k");
    check_error("presence.offline.x", "event offline not supported");
    check_error("presence.dialog", "invalid format for presence subscription : dialog");
    check_error("presence", "invalid format for presence subscription : ");
    check_error("notifications.skel", "event skel not supported");
    check_error("notifications.system_alert", "event system_alert not supported");
    check_error("notifications.webhook_disabled", "event webhook_disabled not supported");
    check_error("notifications.fax.inbound", "invalid format for notifications subscription : fax, inbound");
    for unknown in ["", "*", "#", "*.*.*", "calls.CHANNEL_CREATE.*", "db_created.*.user.*"] {
        check_error(unknown, "no available subscriptions to requested binding");
    }
    assert_eq!(ordinary().subscription(&"a".repeat(256)), Err(BadBinding::TooLong(256)));
    let elsewhere = Scope::Account(AccountId::from_bytes([9; 16]));
    let without_realm = subscriber(elsewhere, Rank::Ordinary).subscription("presence.dialog.*");
    assert_eq!(without_realm, Err(BadBinding::UnknownRealm));
}

#[test]
fn of_several_bindings_the_good_ones_hold() {
    let texts = ["call.CHANNEL_CREATE.*", "call.X.*", "nothing"].map(str::to_owned);
    let (held, errors) = ordinary().subscriptions(&texts);
    assert_eq!(held.iter().map(|one| &*one.subscribed_key).collect::<Vec<_>>(), ["call.CHANNEL_CREATE.*"]);
    let expected = ["call.X.*: event X not supported", "nothing: no available subscriptions to requested binding"];
    assert_eq!(errors, expected);
    let (_, alone) = ordinary().subscriptions(&texts[1..2]);
    assert_eq!(alone, ["event X not supported"]);
}
