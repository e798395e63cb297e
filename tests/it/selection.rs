//! Which hooks fire for an event, over a real broker: older ids, legs, modifiers, sub-accounts, calls seen before, names
//! for administrators.
//!
//! That something is *not* delivered is told by what the hook's actor handled once a later event has arrived: events are
//! routed in the order in which they were published.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use hookswitch::ids::AccountId;
use serde_json::{Value, json};

use crate::support::bus::Bus;
use crate::support::hook_server::HookServer;
use crate::support::kazoo::{event, events, message, sample_ids, samples, with, without};

/// A hook that gets JSON.
async fn put_hook(bus: &Bus, server: &HookServer, account: AccountId, fields: Value) -> String {
    let hook = with(json!({ "uri": server.url("/"), "format": "json" }), fields);
    bus.app.put_hook(account, &hook).await
}

async fn handled(bus: &Bus, hook: &str) -> Value {
    bus.app.actor(hook).await["handled"].clone()
}

/// The request with that value in its payload.
async fn expect(server: &HookServer, key: &str, value: &str) -> Value {
    let payload = server.expect_delivery().await.json();
    assert_eq!(payload[key], value, "{payload}");
    payload
}

#[actix_web::test]
async fn older_ids_mean_their_notifications_and_are_kept_as_given() {
    let mut bus = Bus::start().await;
    let server = HookServer::start();
    let account = bus.app.create_account("mine", None).await;
    for (id, names) in [
        ("inbound_fax", ["inbound_fax", "inbound_fax_error"]),
        ("outbound_fax", ["outbound_fax", "outbound_fax_error"]),
    ] {
        let hook = put_hook(&bus, &server, account, json!({ "hook": id })).await;
        assert_eq!(bus.app.hook(account, &hook).await["hook"], id);
        for name in names {
            bus.publish(&event(&format!("webhooks_notifications_{name}"), account)).await;
            expect(&server, "event_name", name).await;
        }
        assert_eq!(handled(&bus, &hook).await, 2);
        bus.app.delete_hook(account, &hook).await;
    }
}

#[actix_web::test]
async fn lost_channel_counts_as_destroyed() {
    let mut bus = Bus::start().await;
    let server = HookServer::start();
    let account = bus.app.create_account("mine", None).await;
    put_hook(&bus, &server, account, json!({ "hook": "channel_destroy" })).await;
    let lost = events("webhooks_channel_destroy", account).swap_remove(1);
    assert_eq!(lost["Event-Name"], "CHANNEL_DISCONNECTED");
    bus.publish(&lost).await;
    expect(&server, "hook_event", "channel_destroy").await;
}

#[actix_web::test]
async fn call_event_without_an_account_belongs_to_the_account_of_its_call() {
    let mut bus = Bus::start().await;
    let server = HookServer::start();
    let account = bus.app.create_account("mine", None).await;
    let other = bus.app.create_account("other", None).await;
    for account in [account, other] {
        put_hook(&bus, &server, account, json!({ "hook": "all" })).await;
    }
    let call_id = format!("call-of-{account}");
    let call = json!({ "Call-ID": call_id });
    bus.publish(&with(event("webhooks_channel_create", account), call.clone())).await;
    expect(&server, "hook_event", "channel_create").await;
    let anonymous = without(event("webhooks_channel_answer", account), &["Custom-Channel-Vars"]);
    bus.publish(&with(anonymous, call)).await;
    let answered = expect(&server, "hook_event", "channel_answer").await;
    assert_eq!(answered["account_id"], account.to_string());
    assert_eq!(answered["call_id"], call_id);
}

#[actix_web::test]
async fn internal_legs_are_left_out_where_the_hook_says_so() {
    let mut bus = Bus::start().await;
    let server = HookServer::start();
    let account = bus.app.create_account("mine", None).await;
    let outer = json!({ "hook": "channel_create", "include_internal_legs": false });
    let outer = put_hook(&bus, &server, account, outer).await;
    let every = put_hook(&bus, &server, account, json!({ "hook": "channel_create" })).await;
    let [outside, internal] = events("webhooks_channel_create", account).try_into().unwrap();
    let by_name = with(internal.clone(), json!({ "Call-ID": "by name", "Channel-Is-Loopback": false }));
    let by_flag = with(internal, json!({ "Call-ID": "by flag", "Channel-Name": "sofia/x" }));
    for event in [by_name, by_flag, outside] {
        bus.publish(&event).await;
    }
    let received = server.eventually_received(4).await;
    let of_outer: Vec<_> = received.iter().filter(|request| request.header("x-hook-id") == Some(&outer)).collect();
    assert_eq!(of_outer[0].json()["is_internal_leg"], false);
    assert_eq!((handled(&bus, &outer).await, handled(&bus, &every).await), (json!(1), json!(3)));
}

#[actix_web::test]
async fn modifiers_choose_by_what_is_in_the_payload() {
    let mut bus = Bus::start().await;
    let server = HookServer::start();
    let account = bus.app.create_account("mine", None).await;
    let mut hooks = Vec::new();
    for (modifiers, expected) in [
        (json!({}), 2),
        (json!({ "call_direction": "inbound" }), 1),
        (json!({ "call_direction": ["inbound", "outbound"] }), 2),
        (json!({ "call_direction": [] }), 2),
        (json!({ "call_direction": "inbound", "caller_id_number": "+1" }), 0),
        (json!({ "no_such_key": "x" }), 2),
        // Of a kind: booleans and numbers arrive as text.
        (json!({ "is_internal_leg": true }), 1),
    ] {
        let hook = json!({ "hook": "channel_create", "modifiers": modifiers });
        hooks.push((put_hook(&bus, &server, account, hook).await, expected));
    }
    for event in events("webhooks_channel_create", account) {
        bus.publish(&event).await;
    }
    let count: usize = hooks.iter().map(|(_, expected)| expected).sum();
    server.eventually_received(count).await;
    for (hook, expected) in hooks {
        assert_eq!(handled(&bus, &hook).await, expected);
    }
}

#[actix_web::test]
async fn ancestors_get_events_of_accounts_below_when_they_ask_for_them() {
    let mut bus = Bus::start().await;
    let server = HookServer::start();
    let top = bus.app.create_account("top", None).await;
    let middle = bus.app.create_account("middle", Some(top)).await;
    let bottom = bus.app.create_account("bottom", Some(middle)).await;
    let mut asking = Vec::new();
    let mut silent = Vec::new();
    for account in [bus.app.system_account, top, middle, bottom] {
        for (include, hooks) in [(true, &mut asking), (false, &mut silent)] {
            let hook = json!({ "hook": "sms", "include_subaccounts": include });
            hooks.push((account, put_hook(&bus, &server, account, hook).await));
        }
    }
    bus.publish(&event("webhooks_sms", bottom)).await;
    let received = server.eventually_received(5).await;
    let sample = &samples("webhooks_sms", bottom)[0];
    for (account, hook) in &asking {
        let request = received.iter().find(|request| request.header("x-hook-id") == Some(hook)).unwrap();
        assert_eq!(request.header("x-account-id"), Some(account.to_string().as_str()), "the hook's account");
        assert_eq!(request.json()["account_id"], sample["account_id"], "the event's account");
    }
    for (account, hook) in silent {
        assert_eq!(handled(&bus, &hook).await, u8::from(account == bottom));
    }
}

#[actix_web::test]
async fn hook_of_everything_gets_every_kind() {
    let mut bus = Bus::start().await;
    let server = HookServer::start();
    let account = bus.app.create_account("mine", None).await;
    let hook = put_hook(&bus, &server, account, json!({ "hook": "all" })).await;
    let mut expected = 0;
    for id in sample_ids() {
        if !id.contains("callflow") && !id.ends_with("_webhook") {
            for event in events(&id, account) {
                bus.publish(&event).await;
                expected += u64::from(!id.ends_with("_system_alert") && !id.ends_with("_webhook_disabled"));
            }
        }
    }
    server.eventually_received(usize::try_from(expected).unwrap()).await;
    assert_eq!(handled(&bus, &hook).await, expected);
}

#[actix_web::test]
async fn names_for_administrators_reach_their_hooks_alone() {
    let mut bus = Bus::start().await;
    let server = HookServer::start();
    let root = bus.app.system_account;
    let tenant = bus.app.create_account("tenant", None).await;
    for name in ["system_alert", "webhook_disabled"] {
        let alert = json!({ "hook": "notifications", "custom_data": { "type": name } });
        let of_root = put_hook(&bus, &server, root, with(alert.clone(), json!({ "include_subaccounts": true }))).await;
        // An administrator may make such a hook for a tenant; that opens nothing.
        let mut of_tenant = vec![put_hook(&bus, &server, tenant, alert).await];
        for fields in [json!({"hook": "all"}), json!({"hook": "notifications", "custom_data": {"type": "all"}})] {
            of_tenant.push(put_hook(&bus, &server, tenant, fields).await);
        }
        bus.publish(&event(&format!("webhooks_notifications_{name}"), tenant)).await;
        let alert = expect(&server, "event_name", name).await;
        assert_eq!(alert["account_id"], tenant.to_string());
        assert_eq!(handled(&bus, &of_root).await, 1);
        for hook in &of_tenant {
            assert_eq!(handled(&bus, hook).await, 0);
        }
        for (account, hook) in [(root, &of_root)].into_iter().chain(of_tenant.iter().map(|hook| (tenant, hook))) {
            bus.app.delete_hook(account, hook).await;
        }
    }
}

#[actix_web::test]
async fn gzip_bodies_are_read() {
    let mut bus = Bus::start().await;
    let server = HookServer::start();
    let account = bus.app.create_account("mine", None).await;
    put_hook(&bus, &server, account, json!({ "hook": "mms" })).await;
    let mut message = message(&event("webhooks_mms", account)).encoding("gzip");
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(&message.body).unwrap();
    message.body = encoder.finish().unwrap();
    bus.publisher.try_publish(&message).await.unwrap();
    let payload = expect(&server, "type", "mms").await;
    assert_eq!(payload["body"], samples("webhooks_mms", account)[0]["body"]);
}

#[actix_web::test]
async fn events_of_nobody_are_counted_by_reason_and_dropped() {
    let mut bus = Bus::start().await;
    let server = HookServer::start();
    let account = bus.app.create_account("mine", None).await;
    let hook = put_hook(&bus, &server, account, json!({ "hook": "all" })).await;
    let of = |id: &str| event(id, account);
    let sms = of("webhooks_sms");
    let known = [
        ("missing_account", without(sms.clone(), &["Account-ID"])),
        ("malformed_account", with(sms.clone(), json!({ "Account-ID": "nobody" }))),
        ("no_account_database", with(of("webhooks_object"), json!({ "Database": "system_config" }))),
        ("unknown_call", with(without(of("webhooks_parking"), &["Custom-Channel-Vars"]), json!({ "Call-ID": "new" }))),
        ("missing_realm", without(of("presence_update"), &["Presence-ID", "To", "From"])),
        ("unknown_realm", with(of("presence_dialog"), json!({ "Presence-ID": "1@nowhere.example" }))),
        ("missing_conference", without(of("conference_command"), &["Conference-ID"])),
        ("unknown_conference", of("conference_command")),
        ("unknown_kind", with(sms.clone(), json!({ "Event-Name": "unheard" }))),
        ("unwanted", of("hold")),
    ];
    for (_, event) in &known {
        bus.publish_here(event).await;
    }
    bus.publish_here(&sms).await;
    expect(&server, "type", "sms").await;
    let count = async |result: &str| {
        let name = format!("hookswitch_events_total{{exchange=\"other\",result=\"{result}\"}}");
        bus.app.metric(&name).await
    };
    for (reason, _) in known {
        assert_eq!(count(reason).await, 1.0, "{reason}");
    }
    assert_eq!((count("routed").await, handled(&bus, &hook).await), (1.0, json!(1)));
}
