//! The head of an event: the few fields that routing needs, read in one pass over the raw body.
//!
//! Most events fire no hook, so most bodies are never parsed further. What is skipped is still validated in full and
//! without allocation: after [`Head::parse`] has succeeded, parsing the same text as a JSON object cannot fail.

use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::kazoo::Object;
use crate::kazoo::members::{Member, Places, ReadKey};
use crate::kazoo::skim::{Glance, Keep, Look, Skip, TextOf};
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
        Self::read(body).map(|(head, _)| head)
    }

    /// The head, and where the members stand that somebody may look at later.
    pub fn read(body: &str) -> Result<(Self, Places), serde_json::Error> {
        let (mut head, mut places) = (Self::default(), Places::default());
        let mut deserializer = serde_json::Deserializer::from_str(body);
        deserializer.deserialize_map(ReadHead { body, head: &mut head, places: &mut places })?;
        deserializer.end()?;
        Ok((head, places))
    }

    /// The event of this text, written anew with no escapes in its names, and where its members stand then.
    pub fn unescaped(text: &str) -> (String, Places) {
        let plain = serde_json::from_str::<Object>(text).unwrap_or_default();
        let plain = Value::Object(plain).to_string();
        let places = Self::read(&plain).map(|(_, places)| places).unwrap_or_default();
        (plain, places)
    }

    fn take(&mut self, member: Member, value: &Glance<'_>) {
        let slot = match member {
            Member::ChannelIsLoopback => {
                self.channel_is_loopback = value.is_true();
                return;
            }
            Member::EventCategory => &mut self.event_category,
            Member::EventName => &mut self.event_name,
            Member::MsgId => &mut self.msg_id,
            Member::AccountId => &mut self.account_id,
            Member::CallId => &mut self.call_id,
            Member::ChannelName => &mut self.channel_name,
            Member::Database => &mut self.database,
            Member::Type => &mut self.doc_type,
            Member::Id => &mut self.doc_id,
            Member::PresenceId => &mut self.presence_id,
            Member::To => &mut self.to,
            Member::ConferenceId => &mut self.conference_id,
            Member::Event => &mut self.event,
            Member::FaxId => &mut self.fax_id,
            Member::JobId => &mut self.job_id,
            Member::MessageId => &mut self.message_id,
            Member::RouteType => &mut self.route_type,
            Member::Action => &mut self.action,
            // The others stand in payloads only.
            _ => return,
        };
        *slot = value.text().map(Into::into);
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

/// Reads this text, and notes where its members stand.
struct ReadHead<'a> {
    body: &'a str,
    head: &'a mut Head,
    places: &'a mut Places,
}

impl<'de> Visitor<'de> for ReadHead<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event, which is a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { body, head, places } = self;
        while let Some(key) = map.next_key_seed(ReadKey)? {
            let Some(member) = key.member else {
                map.next_value::<Skip>()?;
                continue;
            };
            match member {
                Member::CustomChannelVars => {
                    head.channel_account_id = map.next_value_seed(Keep(TextOf("Account-ID")))?;
                    places.note(member, &key, None, body);
                }
                Member::Hook => head.hook_account_id = map.next_value_seed(Keep(TextOf("pvt_account_id")))?,
                _ => {
                    let glance = map.next_value_seed(Keep(Look))?;
                    places.note(member, &key, glance.borrowed(), body);
                    head.take(member, &glance);
                }
            }
        }
        Ok(())
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
