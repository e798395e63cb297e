//! Normalising: from the keys of the bus (`Caller-ID-Name`) to the keys of payloads (`caller_id_name`).
//!
//! Called for whole events and for parts of them. It recurses as deep as the value is nested, which is at most
//! serde_json's own limit of 128, since every value here was parsed by it.

use serde_json::Value;

use crate::kazoo::Object;

/// Lower-cases every key, turns `-` into `_`, and drops nulls, all through objects and lists.
///
/// Of two keys that become the same (`A-B` and `a_b`) the later one's value counts, at the place of the first.
/// Only ASCII letters change: keys of the bus are header names.
pub fn normalise(object: Object) -> Object {
    let kept = object.into_iter().filter(|(_, value)| !value.is_null());
    kept.map(|(key, value)| (normal_key(key), normal_value(value))).collect()
}

/// Drops nulls all through objects and lists; keys stay as they are.
pub fn drop_nulls(object: &mut Object) {
    object.retain(|_, value| !is_null_within(value));
}

/// Whether the value itself is null; those within it are dropped.
pub(super) fn is_null_within(value: &mut Value) -> bool {
    match value {
        Value::Object(object) => drop_nulls(object),
        Value::Array(items) => items.retain_mut(|item| !is_null_within(item)),
        _ => (),
    }
    value.is_null()
}

fn normal_value(value: Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(normalise(object)),
        Value::Array(items) => {
            let kept = items.into_iter().filter(|item| !item.is_null());
            Value::Array(kept.map(normal_value).collect())
        }
        scalar => scalar,
    }
}

fn normal_key(mut key: String) -> String {
    key.make_ascii_lowercase();
    if key.contains('-') { key.replace('-', "_") } else { key }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
    use serde_json::{Value, json};

    use super::{drop_nulls, normalise};
    use crate::kazoo::Object;

    fn object(value: Value) -> Object {
        serde_json::from_value(value).unwrap()
    }

    #[track_caller]
    fn check(given: Value, expected: Value) {
        assert_eq!(normalise(object(given)), object(expected));
    }

    #[test]
    fn keys_are_lowered_and_nulls_dropped_at_every_depth() {
        check(json!({}), json!({}));
        check(json!({"Call-ID": "A-B", "X": null}), json!({"call_id": "A-B"}));
        check(
            json!({"Fax-Info": {"Fax-Bad-Rows": 0, "N": null, "L": [{"A-B": [[{"C-D": null}]]}, null, "E-F"]}}),
            json!({"fax_info": {"fax_bad_rows": 0, "l": [{"a_b": [[{}]]}, "E-F"]}}),
        );
        check(json!({"É-A": 1}), json!({"É_a": 1}));
    }

    #[test]
    fn later_of_two_keys_that_become_the_same_counts() {
        check(json!({"A-B": 1, "c": 2, "a_b": 3}), json!({"a_b": 3, "c": 2}));
        check(json!({"A-B": 1, "a_b": null}), json!({"a_b": 1}));
    }

    #[test]
    fn dropping_nulls_keeps_the_case_of_keys() {
        let mut given = object(json!({"A-B": {"C-D": null, "E": [null, 1]}, "F": null}));
        drop_nulls(&mut given);
        assert_eq!(given, object(json!({"A-B": {"E": [1]}})));
    }

    #[test]
    fn deepest_body_that_parses_is_normalised() {
        let body = format!("{}1{}", "{\"A\":".repeat(127), "}".repeat(127));
        let deepest: Object = serde_json::from_str(&body).unwrap();
        assert_eq!(serde_json::to_string(&normalise(deepest)).unwrap(), body.to_lowercase());
    }

    fn value() -> impl Strategy<Value = Value> {
        let scalar =
            prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), "[A-Z-]{0,4}".prop_map(Value::from)];
        scalar.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Value::from),
                vec(("[A-Ca-c_ÉΣ-]{0,3}", inner), 0..4)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing_more(members in vec(("[A-Ca-c_-]{0,3}", value()), 0..5)) {
            let once = normalise(members.into_iter().collect());
            prop_assert_eq!(normalise(once.clone()), once);
        }
    }
}
