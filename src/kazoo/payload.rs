//! What a hook is sent for an event: the fields, their names and their types, per kind.
//!
//! The payload does not depend on the hook; [`finish`] adds what does. What a call event is sent as stands in
//! `call_payload`.

use serde_json::Value;

use crate::ids::AccountId;
use crate::kazoo::Object;
use crate::kazoo::call_payload::{Call, is_call};
use crate::kazoo::coerce::{integer, number};
use crate::kazoo::fields::{Field, Fields, Seen};
use crate::kazoo::head::Head;
use crate::kazoo::kind::Kind;
use crate::kazoo::members::Places;
use crate::kazoo::normalise::normalise;

/// The payload, for every hook that takes it, of the event with this text, and with its members at these places.
/// `account` is whose the event turned out to be, which a call event itself need not say. `reserved_ccv_keys` are the
/// channel variables that stay inside. A text that is no object is sent as nothing: `Head::read` has refused it.
pub fn payload<'a>(
    kind: Kind,
    text: &'a str,
    places: &Places,
    account: AccountId,
    reserved_ccv_keys: &[String],
) -> Fields<'a> {
    if is_call(kind) {
        if places.are_complete() {
            return Call::read(text, places).payload(kind, account, reserved_ccv_keys);
        }
        let (plain, places) = Head::unescaped(text);
        return Call::read(&plain, &places).payload(kind, account, reserved_ccv_keys).into_owned();
    }
    let event: Object = serde_json::from_str(text).unwrap_or_default();
    match kind {
        Kind::Parking(_) => parking(event, account).into(),
        Kind::Object { action, object_type } => object(event, account, action, object_type),
        Kind::Sms | Kind::Mms => message(&event, account),
        // A notification goes out whole; so would the kinds that no hook takes.
        _ => normalise(event).into(),
    }
}

/// The payload of a one-off hook: the `Data` that came with it.
pub fn one_off_payload(mut event: Object) -> Fields<'static> {
    match event.remove("Data") {
        Some(Value::Object(fields)) => normalise(fields).into(),
        _ => Fields::default(),
    }
}

/// The payload as one hook gets it: its `custom_data` over the event's fields, then the cluster's id.
///
/// `type` and `action` of `custom_data` select events and are not sent.
pub fn finish<'a>(
    payload: &'a Fields<'_>,
    custom_data: &'a Object,
    cluster_id: &'a str,
) -> impl Iterator<Item = (&'a str, Seen<'a>)> {
    let own = move |name: &str| match name {
        "type" | "action" => None,
        CLUSTER_ID => Some(Seen::Text(cluster_id)),
        name => custom_data.get(name).map(Seen::from),
    };
    let further = custom_data.keys().map(String::as_str).filter(|name| *name != CLUSTER_ID);
    let further = further.chain([CLUSTER_ID]).filter(|name| payload.get(name).is_none());
    let further = further.filter_map(move |name| Some((name, own(name)?)));
    payload.iter().map(move |(name, value)| (name, own(name).unwrap_or(value))).chain(further)
}

/// Why a notification's one-off hook is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OneOffError {
    #[error("the notification carries no hook")]
    MissingHook,
    #[error("the one-off hook has no uri")]
    MissingUri,
}

/// The hook document that a callflow's notification carries in `Hook`. Its values still need validation.
pub fn one_off_hook(event: &Object) -> Result<Object, OneOffError> {
    let hook = event.get("Hook").and_then(Value::as_object).ok_or(OneOffError::MissingHook)?;
    if !hook.get("uri").is_some_and(Value::is_string) {
        return Err(OneOffError::MissingUri);
    }
    let known = ONE_OFF_KEYS.iter().filter_map(|key| Some(((*key).to_owned(), hook.get(*key)?.clone())));
    let mut document: Object = known.filter(|(_, value)| !value.is_null()).collect();
    if let Some(retries) = document.get_mut("retries")
        && let Some(number) = integer(&*retries)
    {
        *retries = Value::Number(number);
    }
    Ok(document)
}

const ONE_OFF_KEYS: [&str; 6] = ["_id", "uri", "http_verb", "retries", "pvt_account_id", "custom_data"];

const CLUSTER_ID: &str = "cluster_id";

/// What Kazoo keeps to itself of a parking event.
const PARKING_HEADERS: [&str; 6] =
    ["Node", "Msg-ID", "App-Name", "App-Version", "Event-Category", "Custom-Channel-Vars"];

fn parking(mut event: Object, account: AccountId) -> Object {
    event.retain(|key, _| !PARKING_HEADERS.contains(&key.as_str()));
    let mut payload = normalise(event);
    payload.insert("account_id".into(), account.to_string().into());
    payload
}

fn object(mut event: Object, account: AccountId, action: &'static str, object_type: &'static str) -> Fields<'static> {
    let mut payload = Fields::default();
    payload.put("id", event.remove("ID").map(Field::from));
    payload.put("account_id", Some(account.to_string().into()));
    payload.put("action", Some(action.into()));
    payload.put("type", Some(object_type.into()));
    payload
}

fn message(event: &Object, account: AccountId) -> Fields<'static> {
    let of_event = |key: &str| event.get(key).cloned().map(Field::from);
    let mut payload = Fields::default();
    payload.put("id", of_event("Message-ID"));
    payload.put("account_id", Some(account.to_string().into()));
    payload.put("type", of_event("Event-Category"));
    payload.put("from", of_event("From"));
    payload.put("to", of_event("To"));
    payload.put("body", of_event("Body"));
    payload.put("origin", of_event("Route-Type"));
    payload.put("charges", event.get("Charges").and_then(number).map(Field::from));
    payload
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Fields, Head, OneOffError, Seen, finish, one_off_hook, one_off_payload, payload};
    use crate::ids::AccountId;
    use crate::kazoo::Object;
    use crate::kazoo::kind::{Kind, Parking};
    use crate::kazoo::notifications::by_name;

    const A: &str = "4b2f8c1d9e0a7f36b5c4d3e2f1a09b87";

    fn object(value: Value) -> Object {
        serde_json::from_value(value).unwrap()
    }

    fn with_escaped_names(event: &Value) -> String {
        let name = |name: &str| name.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect::<String>();
        let members = event.as_object().unwrap().iter();
        let members: Vec<_> = members.map(|(key, value)| format!("\"{}\" : {value}", name(key))).collect();
        format!("{{{}}}", members.join(" , "))
    }

    #[track_caller]
    fn check(kind: Kind, event: Value, expected: Value) {
        let reserved = ["Account-ID".to_owned(), "Call-Forward".to_owned(), "Owner-ID".to_owned()];
        let plain = event.to_string();
        // The same text, with every name written in escapes.
        let escaped = with_escaped_names(&event);
        for text in [plain, escaped] {
            let (_, places) = Head::read(&text).unwrap();
            let found = payload(kind, &text, &places, AccountId::parse(A).unwrap(), &reserved);
            let expected = object(expected.clone());
            assert_eq!(Object::from(found), expected, "{text}");
        }
    }

    #[test]
    fn empty_channel_event_still_has_its_booleans() {
        for (kind, hook_event) in [
            (Kind::ChannelCreate, "channel_create"),
            (Kind::ChannelAnswer, "channel_answer"),
            (Kind::ChannelBridge, "channel_bridge"),
            (Kind::ChannelDestroy, "channel_destroy"),
        ] {
            let expected = json!({"account_id": A, "custom_channel_vars": {}, "emergency_resource_used": false,
                "local_resource_used": true, "is_internal_leg": false, "hook_event": hook_event});
            check(kind, json!({}), expected.clone());
            let odd = json!({"Custom-Channel-Vars": "none", "Call-ID": null, "Timestamp": "soon", "From": null,
                "Custom-Application-Vars": null, "Duration-Seconds": {}, "Hangup-Cause": null});
            check(kind, odd, expected);
        }
    }

    #[test]
    fn channel_types_are_coerced() {
        let event = json!({"Timestamp": "63936000000", "Channel-Is-Loopback": "true", "Inception": "+15550100@example.com",
            "Custom-Channel-Vars": {"Account-ID": "other", "Call-Forward": "true", "Emergency-Resource": "true",
                "Global-Resource": "true", "Resource-ID": "res", "Owner-ID": "own", "Reseller-ID": "rid", "X": null},
            "Custom-Application-Vars": {"Case-ID": "7", "N": null}});
        let expected = json!({"account_id": A, "call_forwarded": true,
            "custom_channel_vars": {"Emergency-Resource": "true", "Global-Resource": "true", "Resource-ID": "res",
                "Reseller-ID": "rid"},
            "custom_application_vars": {"Case-ID": "7"}, "emergency_resource_used": true,
            "inception": "+15550100@example.com", "local_resource_used": false, "is_internal_leg": true,
            "owner_id": "own", "reseller_id": "rid", "timestamp": 63_936_000_000_u64, "hook_event": "channel_create"});
        check(Kind::ChannelCreate, event, expected);
    }

    #[test]
    fn local_resource_is_named_only_where_one_was_used() {
        for (global, used) in
            [(json!(true), false), (json!("true"), false), (json!(false), true), (json!("false"), true)]
        {
            let event = json!({"Custom-Channel-Vars": {"Global-Resource": global, "Resource-ID": "res"}});
            let mut expected = json!({"account_id": A, "emergency_resource_used": false, "local_resource_used": used,
                "custom_channel_vars": {"Global-Resource": global, "Resource-ID": "res"}, "is_internal_leg": false,
                "hook_event": "channel_answer"});
            if used {
                expected["local_resource_id"] = "res".into();
            }
            check(Kind::ChannelAnswer, event, expected);
        }
    }

    #[test]
    fn destroy_tells_how_long_and_why() {
        let event = json!({"Hangup-Cause": "NORMAL_CLEARING", "Hangup-Code": "sip:200", "Duration-Seconds": "12",
            "Ringing-Seconds": 3, "Billing-Seconds": "9", "Channel-Name": "loopback/101-b"});
        let expected = json!({"account_id": A, "custom_channel_vars": {}, "emergency_resource_used": false,
            "local_resource_used": true, "is_internal_leg": true, "hook_event": "channel_destroy",
            "hangup_cause": "NORMAL_CLEARING", "hangup_code": "sip:200", "duration_seconds": 12, "ringing_seconds": 3,
            "billing_seconds": 9});
        check(Kind::ChannelDestroy, event, expected);
    }

    #[test]
    fn parking_is_the_whole_event_without_its_envelope() {
        let event = json!({"Node": "n", "Msg-ID": "m", "App-Name": "a", "App-Version": "v", "Event-Category": "call_event",
            "Event-Name": "PARK_PARKED", "Parking-Slot": "*31", "Custom-Channel-Vars": {"Account-ID": "other"}, "X": null});
        let expected = json!({"event_name": "PARK_PARKED", "parking_slot": "*31", "account_id": A});
        check(Kind::Parking(Parking::Parked), event, expected);
    }

    #[test]
    fn objects_and_messages_are_reduced() {
        let kind = Kind::Object { action: "doc_edited", object_type: "user" };
        let event = json!({"ID": "u", "Type": "user", "Rev": "2-a", "Doc": {}});
        check(kind, event, json!({"id": "u", "account_id": A, "action": "doc_edited", "type": "user"}));
        let event = json!({"Message-ID": "m", "Event-Category": "sms", "From": "+15550101", "To": null, "Body": "hi",
            "Route-Type": "offnet", "Charges": "0.5"});
        let expected = json!({"id": "m", "account_id": A, "type": "sms", "from": "+15550101", "body": "hi",
            "origin": "offnet", "charges": 0.5});
        check(Kind::Sms, event, expected);
        check(Kind::Mms, json!({"Charges": "free"}), json!({"account_id": A}));
    }

    #[test]
    fn notifications_go_out_whole() {
        let event = json!({"Event-Name": "topup", "Account-ID": "x", "Custom-Channel-Vars": {"A-B": 1}});
        let expected = json!({"event_name": "topup", "account_id": "x", "custom_channel_vars": {"a_b": 1}});
        check(Kind::Notification(by_name("topup").unwrap()), event, expected);
    }

    #[test]
    fn custom_data_goes_over_the_event_but_not_what_selects_it() {
        let payload = object(json!({"type": "user", "id": "u", "cluster_id": "event"}));
        let custom = object(json!({"type": "all", "action": "all", "id": "mine", "cluster_id": "mine", "k": "v"}));
        let expected = json!({"type": "user", "id": "mine", "cluster_id": "c", "k": "v"});
        let payload = Fields::from(payload);
        let finished: Vec<_> = finish(&payload, &custom, "c").collect();
        let expected: Vec<(&str, Seen<'_>)> =
            expected.as_object().unwrap().iter().map(|(name, value)| (name.as_str(), value.into())).collect();
        assert_eq!(finished, expected);
        let payload = Fields::from(object(json!({"id": "u"})));
        let finished: Vec<&str> = finish(&payload, &custom, "c").map(|(name, _)| name).collect();
        assert_eq!(finished, ["id", "k", "cluster_id"]);
    }

    #[test]
    fn one_off_hook_brings_its_document_and_its_payload() {
        let hook = json!({"_id": "h", "uri": "https://example.com/", "http_verb": "get", "retries": "3",
            "pvt_account_id": A, "custom_data": {"a": "b"}, "enabled": false, "format": null});
        let event = object(json!({"Hook": hook, "Data": {"Call-ID": "c", "X": null}}));
        let expected = object(json!({"_id": "h", "uri": "https://example.com/", "http_verb": "get", "retries": 3,
            "pvt_account_id": A, "custom_data": {"a": "b"}}));
        assert_eq!(one_off_hook(&event), Ok(expected));
        assert_eq!(Object::from(one_off_payload(event)), object(json!({"call_id": "c"})));
        assert_eq!(one_off_hook(&object(json!({"Hook": []}))), Err(OneOffError::MissingHook));
        assert_eq!(one_off_hook(&object(json!({"Hook": {"uri": 1}}))), Err(OneOffError::MissingUri));
        assert_eq!(one_off_payload(object(json!({"Data": "text"}))), Fields::default());
    }
}
