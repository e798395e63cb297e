//! The fields of an event that its payload is made of: the rest is read over without being kept.
//!
//! A call event carries some sixty fields, and a hook gets twenty of them.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::kazoo::Object;
use crate::kazoo::fields::Fields;
use crate::kazoo::kind::Kind;
use crate::kazoo::skim::Skip;

/// All that `payload` looks at in a call event.
const CALL_FIELDS: [&str; 22] = [
    "Billing-Seconds",
    "Call-Direction",
    "Call-ID",
    "Callee-ID-Name",
    "Callee-ID-Number",
    "Caller-ID-Name",
    "Caller-ID-Number",
    "Channel-Is-Loopback",
    "Channel-Name",
    "Custom-Application-Vars",
    "Custom-Channel-Vars",
    "Duration-Seconds",
    "From",
    "Hangup-Cause",
    "Hangup-Code",
    "Inception",
    "Other-Leg-Call-ID",
    "Other-Leg-Destination-Number",
    "Request",
    "Ringing-Seconds",
    "Timestamp",
    "To",
];

/// The object's members for a payload of this kind. A body that is no object has none: `Head::parse` has refused it.
pub fn needed_fields(kind: Kind, body: &str) -> Fields {
    match kind {
        Kind::ChannelCreate | Kind::ChannelAnswer | Kind::ChannelBridge | Kind::ChannelDestroy => {
            selected_fields(&CALL_FIELDS, body)
        }
        _ => serde_json::from_str::<Object>(body).unwrap_or_default().into(),
    }
}

/// The members of these names.
pub fn selected_fields(names: &'static [&'static str], body: &str) -> Fields {
    let mut deserializer = serde_json::Deserializer::from_str(body);
    Selection(names).deserialize(&mut deserializer).unwrap_or_default()
}

struct Selection(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Selection {
    type Value = Fields;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fields, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Selection {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut selected = Fields::with_capacity(self.0.len());
        while let Some(name) = map.next_key_seed(Wanted(self.0))? {
            match name {
                Some(name) => {
                    selected.set(name, map.next_value::<Value>()?);
                }
                None => {
                    map.next_value::<Skip>()?;
                }
            }
        }
        Ok(selected)
    }
}

/// Recognises a key without keeping it.
struct Wanted(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Wanted {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Wanted {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().copied().find(|name| *name == key))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::needed_fields;
    use crate::ids::AccountId;
    use crate::kazoo::Object;
    use crate::kazoo::classify::classify;
    use crate::kazoo::head::Head;
    use crate::kazoo::payload::payload;

    const EVENTS: &str = include_str!("catalogue/events/calls.json");

    #[test]
    fn a_payload_needs_no_field_that_is_read_over() {
        let account = AccountId::from_bytes([7; 16]);
        let mut checked = 0;
        let events: Object = serde_json::from_str(EVENTS).unwrap();
        for mut event in events.values().flat_map(|events| events.as_array().unwrap()).cloned() {
            // Every field that a call event can have, also where the example has none.
            for name in super::CALL_FIELDS.iter().filter(|name| !name.starts_with("Custom")) {
                let object = event.as_object_mut().unwrap();
                object.entry(*name).or_insert_with(|| Value::from("12"));
            }
            let body = event.to_string();
            let kind = classify(&Head::parse(&body).unwrap()).unwrap();
            let whole: Object = serde_json::from_str(&body).unwrap();
            let whole = payload(kind, whole.into(), account, &[]);
            let selected = payload(kind, needed_fields(kind, &body), account, &[]);
            assert_eq!(Object::from(selected), Object::from(whole));
            checked += 1;
        }
        assert!(checked > 4);
    }
}
