//! The head of an event: the few fields that routing needs, read in one pass over the raw body.
//!
//! Most events fire no hook, so most bodies are never parsed further. What is skipped is still validated in full and
//! without allocation: after [`Head::parse`] has succeeded, parsing the same text as a JSON object cannot fail.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::kazoo::skim::{Keep, Member, Skip, Text, Truth};
use crate::kazoo::table::MWI_UPDATE;

/// The fields of one event. A field is absent when it is missing, empty, or not of the expected type; of a repeated
/// key the last one counts, as it does when the body is parsed in full.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Head {
    pub event_category: Option<Box<str>>,
    pub event_name: Option<Box<str>>,
    pub msg_id: Option<Box<str>>,
    pub account_id: Option<Box<str>>,
    /// `Custom-Channel-Vars.Account-ID`
    pub channel_account_id: Option<Box<str>>,
    /// `Hook.pvt_account_id`, of a one-off hook.
    pub hook_account_id: Option<Box<str>>,
    pub call_id: Option<Box<str>>,
    pub channel_name: Option<Box<str>>,
    /// `Channel-Is-Loopback` is true, or the text of it.
    pub channel_is_loopback: bool,
    pub database: Option<Box<str>>,
    /// `Type`
    pub doc_type: Option<Box<str>>,
    /// `ID`
    pub doc_id: Option<Box<str>>,
    pub presence_id: Option<Box<str>>,
    pub to: Option<Box<str>>,
    pub conference_id: Option<Box<str>>,
    /// `Event`: what happened in a conference.
    pub event: Option<Box<str>>,
    pub fax_id: Option<Box<str>>,
    pub job_id: Option<Box<str>>,
    pub message_id: Option<Box<str>>,
    pub route_type: Option<Box<str>>,
    /// `Action`, of a metaflow.
    pub action: Option<Box<str>>,
}

impl Head {
    /// Errors are those of JSON itself, and a body that is no object.
    pub fn parse(body: &str) -> Result<Self, serde_json::Error> {
        let mut deserializer = serde_json::Deserializer::from_str(body);
        let head = deserializer.deserialize_map(HeadVisitor)?;
        deserializer.end()?;
        Ok(head)
    }

    /// The user of the presence address; all of the address where it has no realm.
    pub fn presence_user(&self) -> Option<&str> {
        self.presence_address().map(|address| address.split_once('@').map_or(address, |(user, _)| user))
    }

    /// The realm of the presence address `user@realm`.
    pub fn presence_realm(&self) -> Option<&str> {
        let (_, realm) = self.presence_address()?.split_once('@')?;
        (!realm.is_empty()).then_some(realm)
    }

    /// Whose presence it is: `Presence-ID`, or `To` in an update of waiting messages.
    fn presence_address(&self) -> Option<&str> {
        // Elsewhere `To` is the other party, who may be somebody else's.
        let addressee = self.to.as_deref().filter(|_| self.event_name.as_deref() == Some(MWI_UPDATE));
        self.presence_id.as_deref().or(addressee)
    }
}

#[derive(Deserialize)]
#[serde(field_identifier)]
enum Field {
    #[serde(rename = "Event-Category")]
    EventCategory,
    #[serde(rename = "Event-Name")]
    EventName,
    #[serde(rename = "Msg-ID")]
    MsgId,
    #[serde(rename = "Account-ID")]
    AccountId,
    #[serde(rename = "Custom-Channel-Vars")]
    CustomChannelVars,
    Hook,
    #[serde(rename = "Call-ID")]
    CallId,
    #[serde(rename = "Channel-Name")]
    ChannelName,
    #[serde(rename = "Channel-Is-Loopback")]
    ChannelIsLoopback,
    Database,
    Type,
    #[serde(rename = "ID")]
    Id,
    #[serde(rename = "Presence-ID")]
    PresenceId,
    To,
    #[serde(rename = "Conference-ID")]
    ConferenceId,
    Event,
    #[serde(rename = "Fax-ID")]
    FaxId,
    #[serde(rename = "Job-ID")]
    JobId,
    #[serde(rename = "Message-ID")]
    MessageId,
    #[serde(rename = "Route-Type")]
    RouteType,
    Action,
    #[serde(other)]
    Other,
}

struct HeadVisitor;

impl<'de> Visitor<'de> for HeadVisitor {
    type Value = Head;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event, which is a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Head, A::Error> {
        let mut head = Head::default();
        while let Some(field) = map.next_key::<Field>()? {
            let slot = match field {
                Field::CustomChannelVars => {
                    head.channel_account_id = map.next_value_seed(Keep(Member("Account-ID")))?;
                    continue;
                }
                Field::Hook => {
                    head.hook_account_id = map.next_value_seed(Keep(Member("pvt_account_id")))?;
                    continue;
                }
                Field::ChannelIsLoopback => {
                    head.channel_is_loopback = map.next_value_seed(Keep(Truth))?;
                    continue;
                }
                Field::Other => {
                    map.next_value::<Skip>()?;
                    continue;
                }
                Field::EventCategory => &mut head.event_category,
                Field::EventName => &mut head.event_name,
                Field::MsgId => &mut head.msg_id,
                Field::AccountId => &mut head.account_id,
                Field::CallId => &mut head.call_id,
                Field::ChannelName => &mut head.channel_name,
                Field::Database => &mut head.database,
                Field::Type => &mut head.doc_type,
                Field::Id => &mut head.doc_id,
                Field::PresenceId => &mut head.presence_id,
                Field::To => &mut head.to,
                Field::ConferenceId => &mut head.conference_id,
                Field::Event => &mut head.event,
                Field::FaxId => &mut head.fax_id,
                Field::JobId => &mut head.job_id,
                Field::MessageId => &mut head.message_id,
                Field::RouteType => &mut head.route_type,
                Field::Action => &mut head.action,
            };
            *slot = map.next_value_seed(Keep(Text))?;
        }
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{BoxedStrategy, Just, Strategy, prop_assert_eq, prop_oneof, proptest};
    use serde_json::Value;

    use super::Head;
    use crate::kazoo::Object;
    use crate::kazoo::coerce::is_true;

    fn some(text: &str) -> Option<Box<str>> {
        Some(text.into())
    }

    #[test]
    fn every_field_is_read() {
        let body = r#"{"Event-Category":"a","Event-Name":"b","Msg-ID":"c","Account-ID":"d","x":[{"Account-ID":"no"}],
            "Custom-Channel-Vars":{"Owner-ID":"no","Account-ID":"e","deep":{"Account-ID":"no"}},
            "Hook":{"pvt_account_id":"f"},"Call-ID":"g","Channel-Name":"h","Channel-Is-Loopback":"true",
            "Database":"i","Type":"j","ID":"k","Presence-ID":"l","To":"m","Conference-ID":"n","Event":"o",
            "Fax-ID":"p","Job-ID":"q","Message-ID":"r","Route-Type":"s","Action":"\u0074"}"#;
        let expected = Head {
            event_category: some("a"),
            event_name: some("b"),
            msg_id: some("c"),
            account_id: some("d"),
            channel_account_id: some("e"),
            hook_account_id: some("f"),
            call_id: some("g"),
            channel_name: some("h"),
            channel_is_loopback: true,
            database: some("i"),
            doc_type: some("j"),
            doc_id: some("k"),
            presence_id: some("l"),
            to: some("m"),
            conference_id: some("n"),
            event: some("o"),
            fax_id: some("p"),
            job_id: some("q"),
            message_id: some("r"),
            route_type: some("s"),
            action: some("t"),
        };
        assert_eq!(Head::parse(body).unwrap(), expected);
    }

    #[test]
    fn last_of_a_repeated_key_counts_even_when_it_is_of_the_wrong_type() {
        let head = Head::parse(
            r#"{"Call-ID":"a","Call-ID":"b","Msg-ID":"a","Msg-ID":1,"Channel-Is-Loopback":true,"Channel-Is-Loopback":0,
                "Custom-Channel-Vars":{"Account-ID":"a","Account-ID":"b"},"Hook":{"pvt_account_id":"a"},"Hook":[]}"#,
        )
        .unwrap();
        let expected = Head { call_id: some("b"), channel_account_id: some("b"), ..Head::default() };
        assert_eq!(head, expected);
    }

    #[test]
    fn wrongly_typed_and_empty_fields_are_absent() {
        for value in ["1", "-1", "1.5", "true", "null", "[\"a\"]", "{\"Account-ID\":1}", "\"\""] {
            let body = format!(
                r#"{{"Account-ID":{value},"Event-Name":{value},"Custom-Channel-Vars":{value},"Hook":{value}}}"#
            );
            assert_eq!(Head::parse(&body).unwrap(), Head::default(), "{body}");
        }
    }

    #[test]
    fn loopback_may_be_a_boolean_or_its_text() {
        for (value, expected) in
            [("true", true), ("\"true\"", true), ("false", false), ("\"false\"", false), ("1", false)]
        {
            let head = Head::parse(&format!(r#"{{"Channel-Is-Loopback":{value}}}"#)).unwrap();
            assert_eq!(head.channel_is_loopback, expected, "{value}");
        }
    }

    #[track_caller]
    fn check_agrees_with_full_parse(body: &str) {
        let head = Head::parse(body).is_ok();
        let full = serde_json::from_str::<Object>(body).is_ok();
        assert_eq!(head, full, "{body}");
    }

    #[test]
    fn what_the_head_accepts_parses_in_full() {
        for body in [
            "",
            "{}",
            " {} ",
            "{} x",
            "[]",
            "null",
            "\"a\"",
            "{",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            r#"{"a":"\ud800"}"#,
            r#"{"\ud800":1}"#,
            r#"{"a":{"\udc00":1}}"#,
            r#"{"a":"\ud83d\ude00"}"#,
            r#"{"a":1e999}"#,
            r#"{"a":-1e999}"#,
            r#"{"a":1e-999}"#,
            r#"{"Call-ID":1e999}"#,
            r#"{"Hook":[1e999]}"#,
            r#"{"a":123456789012345678901234567890}"#,
            r#"{"a":01}"#,
            r#"{"a":-}"#,
            r#"{"a":nul}"#,
            "{\"a\":\"\n\"}",
            "{\"Call-ID\":\"\u{0}\"}",
            r#"{"a":"\x"}"#,
            r#"{"Custom-Channel-Vars":{"a":"\ud800"}}"#,
        ] {
            check_agrees_with_full_parse(body);
        }
        for depth in 120..132 {
            for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("{\"Account-ID\":", "}")] {
                for key in ["a", "Call-ID", "Custom-Channel-Vars", "Channel-Is-Loopback"] {
                    let body = format!("{{\"{key}\":{}1{}}}", open.repeat(depth), close.repeat(depth));
                    check_agrees_with_full_parse(&body);
                }
            }
        }
    }

    #[test]
    fn a_hundred_thousand_brackets_are_an_error_not_a_crash() {
        assert!(Head::parse(&format!("{{\"a\":{}", "[".repeat(100_000))).is_err());
    }

    fn key() -> impl Strategy<Value = String> {
        const KEYS: [&str; 8] =
            ["a", "Call-ID", "Account-ID", "Custom-Channel-Vars", "Hook", "Channel-Is-Loopback", "\\ud800", "\\u0041"];
        proptest::sample::select(&KEYS[..]).prop_map(str::to_owned)
    }

    fn value() -> BoxedStrategy<String> {
        const SCALARS: [&str; 15] = [
            "1",
            "-0",
            "1.5e3",
            "1e999",
            "18446744073709551616",
            "true",
            "null",
            "\"x\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ud800\"",
            "\"\\udc00x\"",
            "\"\\u12\"",
            "tru",
            "01",
            "",
        ];
        let scalar = prop_oneof![8 => Just("\"x\"".to_owned()), 2 => proptest::sample::select(&SCALARS[..]).prop_map(str::to_owned)];
        scalar
            .prop_recursive(5, 40, 4, |inner| {
                prop_oneof![
                    vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
                    vec((key(), inner), 0..4).prop_map(object),
                ]
            })
            .boxed()
    }

    fn object(members: Vec<(String, String)>) -> String {
        let members: Vec<_> = members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        format!("{{{}}}", members.join(","))
    }

    proptest! {
        #[test]
        fn any_body_is_accepted_by_both_or_neither(members in vec((key(), value()), 0..5)) {
            let body = object(members);
            prop_assert_eq!(Head::parse(&body).is_ok(), serde_json::from_str::<Object>(&body).is_ok(), "{}", body);
        }

        #[test]
        fn head_says_what_the_full_parse_says(members in vec((key(), value()), 0..8)) {
            let body = object(members);
            let Ok(full) = serde_json::from_str::<Value>(&body) else { return Ok(()) };
            let head = Head::parse(&body).unwrap();
            let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(Box::from);
            prop_assert_eq!(head.call_id, text(&full["Call-ID"]));
            prop_assert_eq!(head.account_id, text(&full["Account-ID"]));
            prop_assert_eq!(head.channel_account_id, text(&full["Custom-Channel-Vars"]["Account-ID"]));
            prop_assert_eq!(head.channel_is_loopback, is_true(&full["Channel-Is-Loopback"]));
        }

        #[test]
        fn any_text_is_accepted_by_both_or_neither(body in ".*") {
            prop_assert_eq!(Head::parse(&body).is_ok(), serde_json::from_str::<Object>(&body).is_ok());
        }
    }
}
