//! What a document of Kazoo's `webhooks` database says about a hook.
//!
//! Called by the importer. It brings old ways of writing a document into the form that hooks have now, as Kazoo itself
//! does when it reads one; whether that document is valid is the hook's own rules' business.

use std::fmt;

use serde_json::Value;

use super::{Document, is_private, unix_ms};
use crate::ids::{AccountId, BadId, HookId};
use crate::kazoo::Object;
use crate::kazoo::coerce::{integer, is_true};
use crate::kazoo::database::account_of_database;

const FLAGS: [&str; 3] = ["enabled", "include_subaccounts", "include_internal_legs"];
/// Compared in lower case by Kazoo.
const WORDS: [&str; 2] = ["http_verb", "format"];
const RETRIES_MAX: i64 = 4;

#[derive(Debug, Clone, PartialEq)]
pub struct DumpedHook {
    pub id: HookId,
    pub account: AccountId,
    /// Why Kazoo disabled it; `None` when it is enabled or was disabled by hand.
    pub disable_reason: Option<String>,
    /// Unix milliseconds.
    pub created_ms: Option<u64>,
    pub modified_ms: Option<u64>,
    pub document: Object,
    /// What means something else now.
    pub changes: Vec<Change>,
}

/// A value that could not stay what it was.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    Retries { given: Value, now: i64 },
    Text { key: String },
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retries { given, now } => write!(f, "its retries are {now} now and were {given}"),
            Self::Text { key } => write!(f, "custom_data.{} is text now", key.escape_debug()),
        }
    }
}

/// Why a document holds no hook.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HookFlaw {
    #[error(transparent)]
    Id(#[from] BadId),
    #[error("it names no account")]
    NoAccount,
}

impl DumpedHook {
    pub fn read(Document { id, members, .. }: Document) -> Result<Self, HookFlaw> {
        let id = HookId::parse(&id)?;
        let text = |key: &str| members.get(key).and_then(Value::as_str);
        let account = match text("pvt_account_id") {
            Some(account) => AccountId::parse(account)?,
            None => text("pvt_account_db").and_then(account_of_database).ok_or(HookFlaw::NoAccount)?,
        };
        let reason = text("pvt_disabled_message").or(text("disable_reason")).map(str::to_owned);
        let (created_ms, modified_ms) = (unix_ms(&members, "pvt_created"), unix_ms(&members, "pvt_modified"));
        let mut document = members;
        document.retain(|key, value| !(is_private(key) || value.is_null()));
        // Without a verb Kazoo sends GET, whatever its schema has for new hooks.
        document.entry("http_verb").or_insert("get".into());
        let changes = modernise(&mut document);
        let is_enabled = document.get("enabled").is_none_or(is_true);
        let disable_reason = reason.filter(|_| !is_enabled);
        Ok(Self { id, account, disable_reason, created_ms, modified_ms, document, changes })
    }
}

/// Values that do not say what they should are left to the rules to refuse.
fn modernise(document: &mut Object) -> Vec<Change> {
    for key in FLAGS {
        if let Some(value) = document.get_mut(key)
            && let Some(text) = value.as_str()
            && let Ok(flag) = text.to_ascii_lowercase().parse::<bool>()
        {
            *value = flag.into();
        }
    }
    for key in WORDS {
        if let Some(Value::String(word)) = document.get_mut(key) {
            word.make_ascii_lowercase();
        }
    }
    let mut changes = Vec::new();
    if let Some(value) = document.get_mut("retries")
        && let Some(given) = integer(&*value).and_then(|given| given.as_i64())
    {
        let now = given.clamp(0, RETRIES_MAX);
        let before = std::mem::replace(value, now.into());
        if now != given {
            changes.push(Change::Retries { given: before, now });
        }
    }
    if let Some(Value::Object(members)) = document.get_mut("custom_data") {
        for (key, value) in members.iter_mut().filter(|(_, value)| value.is_number() || value.is_boolean()) {
            *value = value.to_string().into();
            changes.push(Change::Text { key: key.clone() });
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Change, Document, DumpedHook, HookFlaw};
    use crate::kazoo::dump::Kind;

    const ID: &str = "0123456789abcdef0123456789abcdef";
    const ACCOUNT: &str = "fedcba9876543210fedcba9876543210";

    fn read(id: &str, members: Value) -> Result<DumpedHook, HookFlaw> {
        let members = members.as_object().unwrap().clone();
        DumpedHook::read(Document { id: id.into(), kind: Kind::Hook, members })
    }

    #[track_caller]
    fn check(given: Value, expected: Value, changes: &[Change]) {
        let mut members = json!({"pvt_account_id": ACCOUNT, "http_verb": "post"});
        members.as_object_mut().unwrap().extend(given.as_object().unwrap().clone());
        let mut hook = read(ID, members).unwrap();
        if expected.get("http_verb").is_none() {
            hook.document.shift_remove("http_verb");
        }
        assert_eq!(Value::Object(hook.document), expected);
        assert_eq!(hook.changes, changes);
    }

    #[test]
    fn old_ways_of_writing_become_the_present_one() {
        check(json!({"retries": "3"}), json!({"retries": 3}), &[]);
        check(json!({"retries": 2.0}), json!({"retries": 2}), &[]);
        check(json!({"retries": "7"}), json!({"retries": 4}), &[Change::Retries { given: json!("7"), now: 4 }]);
        check(json!({"retries": -1}), json!({"retries": 0}), &[Change::Retries { given: json!(-1), now: 0 }]);
        check(json!({"retries": "many"}), json!({"retries": "many"}), &[]);
        check(json!({"enabled": "False"}), json!({"enabled": false}), &[]);
        check(json!({"include_subaccounts": "true"}), json!({"include_subaccounts": true}), &[]);
        check(json!({"enabled": "perhaps"}), json!({"enabled": "perhaps"}), &[]);
        check(json!({"http_verb": "POST", "format": "JSON"}), json!({"http_verb": "post", "format": "json"}), &[]);
        check(json!({"http_verb": null}), json!({"http_verb": "get"}), &[]);
        check(
            json!({"custom_data": {"a": 1, "b": "x", "c": {}}}),
            json!({"custom_data": {"a": "1", "b": "x", "c": {}}}),
            &[Change::Text { key: "a".into() }],
        );
        check(json!({"hook": "callflow", "own": [1]}), json!({"hook": "callflow", "own": [1]}), &[]);
    }

    #[test]
    fn a_reason_counts_only_while_the_hook_is_disabled() {
        let reason = |members: Value| read(ID, members).unwrap().disable_reason;
        let account = json!(ACCOUNT);
        let both =
            json!({"pvt_account_id": account, "pvt_disabled_message": "a", "disable_reason": "b", "enabled": false});
        assert_eq!(reason(both).as_deref(), Some("a"));
        let public = json!({"pvt_account_id": account, "disable_reason": "b", "enabled": "false"});
        assert_eq!(reason(public).as_deref(), Some("b"));
        assert_eq!(reason(json!({"pvt_account_id": account, "pvt_disabled_message": "a"})), None);
    }

    #[test]
    fn the_account_may_be_known_by_its_database_alone() {
        let database = format!("account%2F{}%2F{}%2F{}", &ACCOUNT[..2], &ACCOUNT[2..4], &ACCOUNT[4..]);
        assert_eq!(read(ID, json!({"pvt_account_db": database})).unwrap().account.to_string(), ACCOUNT);
        assert_eq!(read(ID, json!({})).unwrap_err(), HookFlaw::NoAccount);
        assert!(matches!(read(ID, json!({"pvt_account_id": "x"})), Err(HookFlaw::Id(_))));
        assert!(matches!(read("x", json!({"pvt_account_id": ACCOUNT})), Err(HookFlaw::Id(_))));
    }
}
