//! The public document of a hook: which keys it keeps, its defaults, and the rules that a client must keep to.
//!
//! Used when a hook is written over the API. It never sees a stored hook: rules may have changed since, and what was
//! accepted stays valid. What delivery needs of a document is read by `fields`.

use serde_json::{Map, Value, json};

use crate::validation::Faults;
use crate::webhook::allow::AllowList;

/// What a document is checked against. The lists are data of the catalogue, handed in by the caller.
#[derive(Debug, Clone, Copy)]
pub struct HookRules<'a> {
    pub requester: Requester,
    pub allow: &'a AllowList,
    /// Every accepted value of `hook`: the catalogue, `all`, and the ids of older versions.
    pub hook_ids: &'a [&'a str],
    /// For hooks of `object`; `all` is always accepted too.
    pub object_types: &'a [&'a str],
    pub object_actions: &'a [&'a str],
    /// For hooks of `notifications`: name, and whether it is for administrators only; `all` is always accepted too.
    pub notification_names: &'a [(&'a str, bool)],
    pub document_bytes_max: usize,
    pub uri_bytes_max: usize,
    pub custom_data_bytes_max: usize,
}

/// On whose behalf a hook is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requester {
    Administrator,
    Tenant,
}

const NAME_CHARS_MAX: usize = 128;

/// Keys that a client reads in a document and may send back, but not set.
const READ_ONLY: [&str; 2] = ["id", "disable_reason"];

/// The document with `patch` merged over it, at the top level only: `custom_data` is replaced whole, null removes.
pub fn merge(mut document: Map<String, Value>, patch: Map<String, Value>) -> Map<String, Value> {
    for (key, value) in patch {
        if value.is_null() {
            document.shift_remove(&key);
        } else {
            document.insert(key, value);
        }
    }
    document
}

/// The document as it is stored: without read-only keys and nulls, with defaults for what is absent.
pub(super) fn complete(mut document: Map<String, Value>) -> Map<String, Value> {
    document.retain(|key, value| {
        !(value.is_null() || READ_ONLY.contains(&key.as_str()) || key.starts_with("pvt_") || key.starts_with('_'))
    });
    for (key, default) in [
        ("http_verb", json!("post")),
        ("format", json!("form-data")),
        ("retries", json!(2)),
        ("enabled", json!(true)),
        ("include_subaccounts", json!(false)),
        ("include_internal_legs", json!(true)),
    ] {
        document.entry(key).or_insert(default);
    }
    document
}

/// Adds every fault that is not one of type or form; those are found where the fields are read.
pub(super) fn check(document: &Map<String, Value>, rules: &HookRules, faults: &mut Faults) {
    check_name(document.get("name"), faults);
    check_size("data", &Value::from(document.clone()), rules.document_bytes_max, faults);
    if let Some(uri) = document.get("uri") {
        check_size("uri", uri, rules.uri_bytes_max, faults);
    }
    if let Some(group) = document.get("group").filter(|group| !group.is_string()) {
        faults.wrong_type("group", "string", group);
    }
    if let Some(custom_data) = document.get("custom_data") {
        check_size("custom_data", custom_data, rules.custom_data_bytes_max, faults);
    }
    if let Some(given @ Value::String(hook)) = document.get("hook") {
        if rules.hook_ids.contains(&hook.as_str()) {
            check_selection(hook, document.get("custom_data"), rules, faults);
        } else {
            faults.not_in("hook", rules.hook_ids, given);
        }
    }
}

fn check_name(name: Option<&Value>, faults: &mut Faults) {
    match name {
        None => faults.required("name"),
        Some(Value::String(name)) if name.is_empty() => {
            faults.add("name", "minLength", "String must be at least 1 characters", Some(json!("")), Some(json!(1)));
        }
        Some(given @ Value::String(name)) if name.chars().count() > NAME_CHARS_MAX => {
            let message = format!("String must not be more than {NAME_CHARS_MAX} characters");
            faults.add("name", "maxLength", &message, Some(given.clone()), Some(NAME_CHARS_MAX.into()));
        }
        Some(Value::String(_)) => (),
        Some(other) => faults.wrong_type("name", "string", other),
    }
}

fn check_size(field: &str, value: &Value, bytes_max: usize, faults: &mut Faults) {
    // No cause: the offending value would be echoed in full.
    if value.to_string().len() > bytes_max {
        let message = format!("Value must not be more than {bytes_max} bytes of JSON");
        faults.add(field, "maxLength", &message, None, Some(bytes_max.into()));
    }
}

/// The keys of `custom_data` that select events, for the hooks that need them.
fn check_selection(hook: &str, custom_data: Option<&Value>, rules: &HookRules, faults: &mut Faults) {
    let custom_data = match custom_data {
        Some(Value::Object(members)) => Some(members),
        Some(_) => return, // Its wrong type is fault enough.
        None => None,
    };
    let given = |key: &str| custom_data.and_then(|members| members.get(key));
    match hook {
        "object" => {
            check_choice("custom_data.action", given("action"), rules.object_actions.iter().copied(), faults);
            check_choice("custom_data.type", given("type"), rules.object_types.iter().copied(), faults);
        }
        "notifications" => {
            let offered = rules
                .notification_names
                .iter()
                .filter(|(_, administrators_only)| !administrators_only || rules.requester == Requester::Administrator);
            check_choice("custom_data.type", given("type"), offered.map(|(name, _)| *name), faults);
        }
        _ => (),
    }
}

fn check_choice<'a>(field: &str, given: Option<&Value>, choices: impl Iterator<Item = &'a str>, faults: &mut Faults) {
    match given {
        None => faults.required(field),
        Some(value @ Value::String(given)) => {
            let allowed: Vec<&str> = std::iter::once("all").chain(choices.filter(|choice| *choice != "all")).collect();
            if !allowed.contains(&given.as_str()) {
                faults.not_in(field, &allowed, value);
            }
        }
        Some(_) => (), // Of the wrong type, as the fields' reader says.
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{complete, merge};

    fn map(value: Value) -> serde_json::Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn a_patch_merges_at_the_top_level_only() {
        let merged = merge(
            map(json!({"name": "a", "custom_data": {"x": "1", "y": "2"}, "group": "g", "own": {"k": 1}})),
            map(json!({"name": "b", "custom_data": {"z": "3"}, "group": null, "absent": null, "new": [1]})),
        );
        assert_eq!(Value::from(merged), json!({"name": "b", "custom_data": {"z": "3"}, "own": {"k": 1}, "new": [1]}));
    }

    #[test]
    fn what_clients_may_not_set_is_dropped_and_defaults_are_filled_in() {
        let document = complete(map(json!({
            "id": "x", "_id": "y", "_read_only": {}, "pvt_account_id": "z", "disable_reason": "no", "retries": null,
            "own": {"id": "kept", "pvt_x": null}, "enabled": false,
        })));
        assert_eq!(
            Value::from(document),
            json!({
                "own": {"id": "kept", "pvt_x": null}, "enabled": false, "http_verb": "post", "format": "form-data",
                "retries": 2, "include_subaccounts": false, "include_internal_legs": true,
            })
        );
    }
}
