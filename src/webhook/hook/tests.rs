//! Hooks from documents: every rule, every fault, and what writes do to a hook.

use serde_json::{Map, Value, json};

use crate::ids::{AccountId, HookId};
use crate::webhook::allow::AllowList;
use crate::webhook::document::{HookRules, Requester, merge};
use crate::webhook::hook::{Hook, Past};
use crate::webhook::request::{Format, Verb};

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn rules(requester: Requester, allow: &AllowList) -> HookRules<'_> {
    HookRules {
        requester,
        allow,
        hook_ids: &["channel_create", "object", "notifications", "all", "callflow", "inbound_fax"],
        object_types: &["all", "user", "device"],
        object_actions: &["all", "doc_created", "doc_edited"],
        notification_names: &[("voicemail_new", false), ("system_alert", true)],
        document_bytes_max: 2_000,
        uri_bytes_max: 1_000,
        custom_data_bytes_max: 500,
    }
}

fn validate_as(requester: Requester, document: Value) -> Result<Hook, Value> {
    let allow = AllowList::none();
    let account = AccountId::from_bytes([1; 16]);
    Hook::validate(HookId::from_bytes([2; 16]), account, map(document), &rules(requester, &allow), 1_000)
        .map_err(|faults| faults.into_value())
}

fn validate(document: Value) -> Result<Hook, Value> {
    validate_as(Requester::Tenant, document)
}

/// A valid document with `changes` merged over it.
fn with(changes: Value) -> Value {
    let document = json!({"name": "New Calls", "uri": "https://example.com/hook", "hook": "channel_create"});
    merge(map(document), map(changes)).into()
}

/// The faults as `field: rule`, in order.
#[track_caller]
fn check_faults(document: Value, expected: &[&str]) {
    let faults = validate(document.clone()).expect_err(&document.to_string());
    let found: Vec<String> = faults
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(field, rules)| rules.as_object().unwrap().keys().map(move |rule| format!("{field}: {rule}")))
        .collect();
    assert_eq!(found, expected, "{document}");
}

#[test]
fn defaults_are_stored_and_returned_and_unknown_keys_are_kept() {
    let hook = validate(with(json!({"group": "g", "own": {"k": [1, null]}}))).unwrap();
    assert_eq!(
        Value::from(hook.to_document()),
        json!({
            "name": "New Calls", "uri": "https://example.com/hook", "hook": "channel_create", "group": "g",
            "own": {"k": [1, null]}, "http_verb": "post", "format": "form-data", "retries": 2, "enabled": true,
            "include_subaccounts": false, "include_internal_legs": true, "id": "02020202020202020202020202020202",
        })
    );
    assert_eq!((hook.verb, hook.format, hook.retries, hook.enabled), (Verb::Post, Format::FormData, 2, true));
    assert_eq!((hook.created_ms, hook.modified_ms, hook.revision), (1_000, 1_000, 1));
    assert_eq!(hook.uri.target(), "https://example.com/hook");
}

#[test]
fn every_faulty_field_is_reported_at_once() {
    check_faults(
        json!({
            "name": 1, "uri": "http://127.0.0.1/", "hook": "nope", "http_verb": "patch", "format": "xml", "retries": 5,
            "enabled": "yes", "include_subaccounts": 1, "include_internal_legs": [], "custom_data": {"a": 1, "b": "x"},
            "modifiers": {"m": {}}, "success_codes": "1xx", "group": 7,
        }),
        &[
            "name: type",
            "group: type",
            "hook: enum",
            "uri: format",
            "http_verb: enum",
            "format: enum",
            "retries: maximum",
            "enabled: type",
            "include_subaccounts: type",
            "include_internal_legs: type",
            "custom_data.a: type",
            "modifiers.m: type",
            "success_codes: format",
        ],
    );
    check_faults(json!({}), &["name: required", "uri: required", "hook: required"]);
}

#[test]
fn each_rule_has_its_name() {
    check_faults(with(json!({"name": ""})), &["name: minLength"]);
    check_faults(with(json!({"name": "ä".repeat(129)})), &["name: maxLength"]);
    check_faults(with(json!({"uri": 5})), &["uri: type"]);
    check_faults(
        with(json!({"uri": format!("http://e.example/{}", "x".repeat(2_100))})),
        &["data: maxLength", "uri: maxLength"],
    );
    check_faults(with(json!({"retries": -1})), &["retries: minimum"]);
    check_faults(with(json!({"retries": 1.5})), &["retries: type"]);
    check_faults(with(json!({"retries": "2"})), &["retries: type"]);
    check_faults(with(json!({"custom_data": "x"})), &["custom_data: type"]);
    check_faults(with(json!({"custom_data": {"k": "x".repeat(600)}})), &["custom_data: maxLength"]);
    check_faults(with(json!({"own": "x".repeat(2_000)})), &["data: maxLength"]);
    check_faults(with(json!({"modifiers": []})), &["modifiers: type"]);
    check_faults(with(json!({"success_codes": 200})), &["success_codes: type"]);
    check_faults(with(json!({"success_codes": ""})), &["success_codes: format"]);
}

#[test]
fn the_refusal_of_a_uri_names_its_reason() {
    let faults = validate(with(json!({"uri": "http://10.0.0.1/x"}))).unwrap_err();
    assert_eq!(
        faults,
        json!({"uri": {"format": {"message": "address 10.0.0.1 is private", "cause": "http://10.0.0.1/x", "target": "uri"}}})
    );
}

#[test]
fn hooks_that_select_events_need_their_custom_data() {
    let object = |custom_data: Value| with(json!({"hook": "object", "custom_data": custom_data}));
    check_faults(with(json!({"hook": "object"})), &["custom_data.action: required", "custom_data.type: required"]);
    check_faults(object(json!({"action": "x"})), &["custom_data.action: enum", "custom_data.type: required"]);
    check_faults(object(json!({"action": "all", "type": 1})), &["custom_data.type: type"]);
    check_faults(object(json!([])), &["custom_data: type"]);
    assert!(validate(object(json!({"action": "all", "type": "all"}))).is_ok());
    assert!(validate(object(json!({"action": "doc_edited", "type": "user", "more": "x"}))).is_ok());

    let notification = |name: &str| with(json!({"hook": "notifications", "custom_data": {"type": name}}));
    check_faults(with(json!({"hook": "notifications"})), &["custom_data.type: required"]);
    check_faults(notification("nope"), &["custom_data.type: enum"]);
    check_faults(notification("system_alert"), &["custom_data.type: enum"]);
    assert!(validate(notification("voicemail_new")).is_ok());
    assert!(validate(notification("all")).is_ok());
    assert!(validate_as(Requester::Administrator, notification("system_alert")).is_ok());
    let offered = &validate(notification("system_alert")).unwrap_err()["custom_data.type"]["enum"]["target"];
    assert_eq!(offered, &json!(["all", "voicemail_new"]));
}

#[test]
fn older_hook_ids_are_kept_as_given() {
    let hook = validate(with(json!({"hook": "inbound_fax"}))).unwrap();
    assert_eq!(hook.hook.as_ref(), "inbound_fax");
}

#[test]
fn limits_are_inclusive() {
    for changes in [
        json!({"name": "ä".repeat(128)}),
        json!({"name": "x"}),
        json!({"retries": 0}),
        json!({"retries": 4}),
        json!({"modifiers": {"a": "x", "b": 1, "c": true, "d": ["x", 2, false], "e": []}}),
        json!({"success_codes": "2xx,304"}),
    ] {
        assert!(validate(with(changes.clone())).is_ok(), "{changes}");
    }
}

#[test]
fn what_a_client_reads_it_can_send_back() {
    let hook = validate(with(json!({}))).unwrap().disabled("too many failed attempts", 2_000);
    let mut document = hook.to_document();
    assert_eq!(document["disable_reason"], "too many failed attempts");
    document.insert("pvt_modified".into(), json!(1));
    let again = validate(document.into()).unwrap();
    assert_eq!(again.doc, hook.doc);
}

#[test]
fn disabling_and_enabling_make_new_revisions() {
    let hook = validate(with(json!({}))).unwrap();
    let disabled = hook.disabled("endpoint is gone (410)", 2_000);
    assert_eq!((disabled.enabled, disabled.revision, disabled.modified_ms), (false, 2, 2_000));
    assert_eq!(disabled.disabled_at_ms, Some(2_000));
    assert_eq!(disabled.to_document()["enabled"], false);
    assert_eq!(disabled.created_ms, 1_000);

    let enabled = disabled.enabled(3_000);
    assert_eq!((enabled.enabled, enabled.revision, enabled.modified_ms), (true, 3, 3_000));
    assert_eq!((enabled.disable_reason.as_ref(), enabled.disabled_at_ms), (None, None));
    assert_eq!(enabled.doc, hook.doc);
}

#[test]
fn a_hook_that_stays_disabled_keeps_the_reason_and_one_that_is_enabled_loses_it() {
    let old = validate(with(json!({}))).unwrap().disabled("too many failed attempts", 2_000);
    let renamed = validate(with(json!({"name": "b", "enabled": false}))).unwrap().succeeding(&old);
    assert_eq!(renamed.disable_reason.as_deref(), Some("too many failed attempts"));
    assert_eq!((renamed.disabled_at_ms, renamed.revision, renamed.created_ms), (Some(2_000), 3, 1_000));

    let replaced = validate(with(json!({"name": "b"}))).unwrap().succeeding(&old);
    assert_eq!((replaced.enabled, replaced.disable_reason), (true, None));

    let by_hand = validate(with(json!({"enabled": false}))).unwrap();
    assert_eq!((by_hand.disable_reason, by_hand.disabled_at_ms), (None, Some(1_000)));
}

#[test]
fn a_listing_shows_the_keys_that_are_there() {
    let hook = validate(with(json!({"group": "g", "custom_data": {"a": "b"}}))).unwrap();
    let summary = json!({
        "id": hook.id.to_string(), "hook": "channel_create", "name": "New Calls", "uri": "https://example.com/hook",
        "group": "g", "enabled": true,
    });
    assert_eq!(Value::from(hook.summary()), summary);
    assert_eq!(hook.summary().keys().next().unwrap(), "id");
    assert_eq!(hook.disabled("x", 1).summary()["disable_reason"], "x");
}

#[test]
fn a_one_off_hook_is_the_same_hook_every_time() {
    let account = AccountId::from_bytes([1; 16]);
    let document = json!({
        "_id": "abc", "pvt_account_id": "def", "uri": "http://example.com/", "http_verb": "get", "retries": 3,
        "custom_data": {"a": "1", "b": "2"},
    });
    let other_order = json!({
        "custom_data": {"b": "2", "a": "1"}, "retries": 3, "uri": "http://example.com/", "http_verb": "get", "_id": "xyz",
    });
    let hook = Hook::one_off(account, &map(document.clone())).unwrap();
    assert_eq!((hook.verb, hook.retries, hook.hook.as_ref(), hook.enabled), (Verb::Get, 3, "callflow", true));
    // Written out, since deliveries on disk refer to it.
    assert_eq!(hook.id.to_string(), "55188d1332b5cd2a7a89d2bcc6fd971a");
    assert_eq!(Hook::one_off(account, &map(other_order)).unwrap().id, hook.id);

    let another_account = Hook::one_off(AccountId::from_bytes([9; 16]), &map(document.clone())).unwrap();
    assert_ne!(another_account.id, hook.id);
    let another_verb = Hook::one_off(account, &merge(map(document), map(json!({"http_verb": "put"})))).unwrap();
    assert_ne!(another_verb.id, hook.id);
}

#[test]
fn a_one_off_hook_that_cannot_be_requested_is_refused() {
    let account = AccountId::from_bytes([1; 16]);
    for document in [json!({}), json!({"uri": "ftp://example.com"}), json!({"uri": "http://example.com", "retries": 9})]
    {
        assert!(Hook::one_off(account, &map(document.clone())).is_err(), "{document}");
    }
    assert!(Hook::one_off(account, &map(json!({"uri": "http://10.0.0.1/"}))).is_ok(), "the guard decides at delivery");
}

#[test]
fn a_hook_is_small() {
    assert!(size_of::<Hook>() <= 256, "{}", size_of::<Hook>());
}

fn adopt(document: Value, reason: Option<&str>) -> Hook {
    let past = Past { disable_reason: reason.map(String::from), created_ms: 5, modified_ms: 7 };
    let (id, account) = (HookId::from_bytes([2; 16]), AccountId::from_bytes([1; 16]));
    let allow = AllowList::none();
    let (hook, refused) = Hook::adopt(id, account, map(document), past, &rules(Requester::Tenant, &allow)).unwrap();
    assert_eq!(refused.is_some(), !hook.enabled && reason.is_none() && hook.disable_reason.is_some());
    hook
}

#[test]
fn an_adopted_hook_keeps_its_past() {
    let hook = adopt(with(json!({})), Some("forgotten, since it is enabled"));
    assert_eq!((hook.created_ms, hook.modified_ms, hook.revision), (5, 7, 1));
    assert_eq!((hook.enabled, hook.disable_reason, hook.disabled_at_ms), (true, None, None));
    let hook = adopt(with(json!({"enabled": false})), Some("too many failed attempts"));
    assert_eq!((hook.disable_reason.as_deref(), hook.disabled_at_ms), (Some("too many failed attempts"), Some(7)));
    assert_eq!(adopt(with(json!({"enabled": false})), None).disable_reason, None);
}

#[test]
fn an_adopted_hook_that_the_guard_refuses_is_disabled_and_says_why() {
    let hook = adopt(with(json!({"uri": "http://10.0.0.1/hook"})), None);
    assert_eq!((hook.enabled, hook.to_document()["enabled"].as_bool()), (false, Some(false)));
    assert_eq!(hook.disable_reason.as_deref(), Some("address 10.0.0.1 is private"));
    let by_hand = adopt(with(json!({"uri": "http://10.0.0.1/hook", "enabled": false})), None);
    assert_eq!(by_hand.disable_reason, None, "enabling all would enable it");
}
