//! The members of an event that are looked at: their names, and where they stand in the event's text.
//!
//! [`crate::kazoo::head`] notes the places as it validates the text, so that whoever needs a few members later reads
//! those and nothing else.

use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Visitor};

use crate::kazoo::fields::Field;

macro_rules! members {
    (placed { $($placed:ident = $placed_name:literal,)* } others { $($other:ident = $other_name:literal,)* }) => {
        /// A member that this server knows by name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Member {
            $($placed,)*
            $($other,)*
        }

        /// Those whose places are noted.
        const PLACED: &[Member] = &[$(Member::$placed,)*];

        impl Member {
            pub fn of(name: &str) -> Option<Self> {
                Some(match name {
                    $($placed_name => Self::$placed,)*
                    $($other_name => Self::$other,)*
                    _ => return None,
                })
            }

            #[cfg(test)]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$placed => $placed_name,)*
                    $(Self::$other => $other_name,)*
                }
            }
        }
    };
}

members! {
    placed {
        BillingSeconds = "Billing-Seconds",
        CallDirection = "Call-Direction",
        CallId = "Call-ID",
        CalleeIdName = "Callee-ID-Name",
        CalleeIdNumber = "Callee-ID-Number",
        CallerIdName = "Caller-ID-Name",
        CallerIdNumber = "Caller-ID-Number",
        ChannelIsLoopback = "Channel-Is-Loopback",
        ChannelName = "Channel-Name",
        CustomApplicationVars = "Custom-Application-Vars",
        CustomChannelVars = "Custom-Channel-Vars",
        DurationSeconds = "Duration-Seconds",
        From = "From",
        HangupCause = "Hangup-Cause",
        HangupCode = "Hangup-Code",
        Inception = "Inception",
        OtherLegCallId = "Other-Leg-Call-ID",
        OtherLegDestinationNumber = "Other-Leg-Destination-Number",
        Request = "Request",
        RingingSeconds = "Ringing-Seconds",
        Timestamp = "Timestamp",
        To = "To",
    }
    others {
        AccountId = "Account-ID",
        Action = "Action",
        ConferenceId = "Conference-ID",
        Database = "Database",
        Event = "Event",
        EventCategory = "Event-Category",
        EventName = "Event-Name",
        FaxId = "Fax-ID",
        Hook = "Hook",
        Id = "ID",
        JobId = "Job-ID",
        MessageId = "Message-ID",
        MsgId = "Msg-ID",
        PresenceId = "Presence-ID",
        RouteType = "Route-Type",
        Type = "Type",
    }
}

/// Where the members that payloads of calls are made of stand in an event's text; of a repeated key the last one counts.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Places {
    places: [Place; PLACED.len()],
    /// The name of a member is written with escapes: it has no place that could be told.
    escaped: bool,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Place {
    /// 0 for a member that the event does not have.
    start: u32,
    /// Of a text without escapes, between its quotes; or `NO_TEXT`, and `start` is behind the key's closing quote.
    bytes: u32,
}

const NO_TEXT: u32 = u32::MAX;

impl Places {
    pub(super) fn note(&mut self, member: Member, key: &Key<'_>, text: Option<&str>, body: &str) {
        let Some(place) = self.places.get_mut(member as usize) else { return };
        let offset = |part: &str| part.as_ptr().addr() - body.as_ptr().addr();
        let (start, bytes) = match (text, key.text) {
            (Some(text), Some(_)) => (offset(text), text.len()),
            (None, Some(key)) => (offset(key) + key.len() + 1, NO_TEXT as usize),
            (_, None) => {
                self.escaped = true;
                return;
            }
        };
        // No text of so many bytes is ever taken in.
        *place = match (u32::try_from(start), u32::try_from(bytes)) {
            (Ok(start), Ok(bytes)) => Place { start, bytes },
            _ => Place::default(),
        };
    }

    /// Whether they say where all members are.
    pub fn are_complete(&self) -> bool {
        !self.escaped
    }

    /// The value of a member that is placed, in the text that these are the places of.
    pub fn read<'a>(&self, member: Member, body: &'a str) -> Option<Field<'a>> {
        let Place { start, bytes } = *self.places.get(member as usize)?;
        let rest = body.get(start as usize..)?;
        match (start, bytes) {
            (0, _) => None,
            // The text is valid JSON: between a key and its value there is one colon, and white space at the most.
            (_, NO_TEXT) => {
                let value = rest.trim_start_matches([':', ' ', '\t', '\r', '\n']);
                Field::deserialize(&mut serde_json::Deserializer::from_str(value)).ok()
            }
            _ => rest.get(..bytes as usize).map(Field::from),
        }
    }
}

/// A key as it comes out of the parser.
pub(super) struct Key<'de> {
    pub member: Option<Member>,
    /// `None` if it is written with escapes.
    text: Option<&'de str>,
}

pub(super) struct ReadKey;

impl<'de> DeserializeSeed<'de> for ReadKey {
    type Value = Key<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key<'de>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for ReadKey {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
        Ok(Key { member: Member::of(text), text: Some(text) })
    }

    fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
        Ok(Key { member: Member::of(text), text: None })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Member;
    use crate::kazoo::fields::Field;
    use crate::kazoo::head::Head;

    #[test]
    fn members_are_found_by_their_names() {
        assert_eq!((Member::of("Call-ID"), Member::of("ID")), (Some(Member::CallId), Some(Member::Id)));
        assert_eq!((Member::of(""), Member::of("call-id"), Member::of("Call-IDs")), (None, None, None));
    }

    #[test]
    fn values_are_read_where_they_stand() {
        let body = "{\"To\" \r\n:\t\"a\",\"x\":{\"From\":1},\"Timestamp\":1.5 ,\"Request\":\"\\n\",\"Channel-Name\" : [1,{}],
            \"To\":null,\"\\u0061\":2,\"Inception\" : \"\u{e9}{\",\"Call-ID\":\"\",\"Custom-Channel-Vars\":{\"a\":\":\"}}";
        let (_, places) = Head::read(body).unwrap();
        let read = |member| places.read(member, body);
        assert!(places.are_complete());
        assert_eq!(read(Member::To), Some(Field::Null));
        assert_eq!(read(Member::From), None);
        for (member, expected) in [
            (Member::Timestamp, json!(1.5)),
            (Member::Request, json!("\n")),
            (Member::ChannelName, json!([1, {}])),
            (Member::Inception, json!("\u{e9}{")),
            (Member::CallId, json!("")),
            (Member::CustomChannelVars, json!({"a": ":"})),
        ] {
            assert_eq!(read(member).map(serde_json::Value::from), Some(expected));
        }
    }

    #[test]
    fn a_name_with_escapes_is_noticed() {
        for (body, complete) in [(r#"{"T\u006f":1}"#, false), (r#"{"T\u006fo":1}"#, true), ("{}", true)] {
            assert_eq!(Head::read(body).unwrap().1.are_complete(), complete, "{body}");
        }
    }
}
