//! Which payloads a hook wants: `modifiers`, `{key: value | [values]}`.
//!
//! Read from the hook's document, asked by the registry for each payload. It knows nothing of accounts or hook ids.

use serde_json::{Map, Value};

use crate::kazoo::fields::{Fields, Seen};
use crate::validation::Faults;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Modifiers(Box<[Wanted]>);

/// The values that pass under a key; without any, everything passes.
#[derive(Debug, Clone, PartialEq)]
struct Wanted {
    key: Box<str>,
    values: Box<[Value]>,
}

impl Modifiers {
    /// Values are strings, numbers or booleans, or lists of them.
    pub fn read(members: &Map<String, Value>, faults: &mut Faults) -> Self {
        let wanted = |(key, value): (&String, &Value)| {
            let values = match value {
                Value::Array(items) if items.iter().all(is_scalar) => items.clone(),
                scalar if is_scalar(scalar) => vec![scalar.clone()],
                other => {
                    faults.wrong_type(&format!("modifiers.{key}"), "string, number, boolean, array", other);
                    return None;
                }
            };
            Some(Wanted { key: key.as_str().into(), values: values.into() })
        };
        Self(members.iter().filter_map(wanted).collect())
    }

    /// Nothing is asked for: every payload passes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every key that the payload has carries one of the values asked for.
    pub fn pass(&self, payload: &Fields<'_>) -> bool {
        self.0.iter().all(|Wanted { key, values }| match payload.get(key) {
            Some(value) => values.is_empty() || values.iter().any(|wanted| same(wanted.into(), value.seen())),
            None => true,
        })
    }
}

/// Text equals the number or boolean that it spells: the values of Kazoo's events often come as text.
fn same(wanted: Seen<'_>, found: Seen<'_>) -> bool {
    match (wanted, found) {
        (Seen::Text(text), other) | (other, Seen::Text(text)) => spells(text, other),
        _ => wanted == found,
    }
}

fn spells(text: &str, value: Seen<'_>) -> bool {
    match value {
        Seen::Text(other) => text == other,
        Seen::Truth(truth) => text == if truth { "true" } else { "false" },
        Seen::Number(number) => text == number.to_string().as_str(),
        _ => false,
    }
}

fn is_scalar(value: &Value) -> bool {
    matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Modifiers;
    use crate::validation::Faults;

    #[track_caller]
    fn check(modifiers: Value, payload: Value, passes: bool) {
        let mut faults = Faults::new();
        let modifiers = Modifiers::read(modifiers.as_object().unwrap(), &mut faults);
        assert!(faults.is_empty());
        assert_eq!(modifiers.pass(&payload.as_object().unwrap().clone().into()), passes);
    }

    #[test]
    fn a_payload_passes_with_every_key_it_has() {
        check(json!({}), json!({"a": 1}), true);
        check(json!({"call_direction": "inbound"}), json!({"call_direction": "inbound"}), true);
        check(json!({"call_direction": "inbound"}), json!({"call_direction": "outbound"}), false);
        check(json!({"call_direction": ["inbound", "outbound"]}), json!({"call_direction": "outbound"}), true);
        check(json!({"call_direction": "inbound"}), json!({"other": 1}), true);
        check(json!({"call_direction": []}), json!({"call_direction": "outbound"}), true);
        check(json!({"a": 1, "b": true}), json!({"a": 1, "b": false}), false);
        check(json!({"a": 1, "b": [true, false]}), json!({"a": 1, "b": false}), true);
        check(json!({"a": "1", "b": true}), json!({"a": 1, "b": "true"}), true);
        check(json!({"a": "2"}), json!({"a": 1}), false);
    }

    #[test]
    fn every_value_that_cannot_be_compared_is_a_fault() {
        let mut faults = Faults::new();
        Modifiers::read(json!({"a": {}, "b": [1, []], "c": "x", "d": null}).as_object().unwrap(), &mut faults);
        let faults = faults.into_value();
        assert_eq!(
            faults.as_object().unwrap().keys().collect::<Vec<_>>(),
            ["modifiers.a", "modifiers.b", "modifiers.d"]
        );
    }
}
