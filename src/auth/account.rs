//! One account: its fields, its document on the wire, its record in the store, and what makes a document valid.
//!
//! Called by the HTTP API, which validates before it writes, and at start, which reads the records. It changes no
//! directory; it only looks into one for what is taken.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::auth::directory::{Directory, Rank};
use crate::ids::AccountId;
use crate::validation::Faults;

const NAME_CHARS_MAX: usize = 128;
/// Kazoo's own bounds.
const REALM_BYTES: std::ops::RangeInclusive<usize> = 4..=253;
/// Gregorian seconds at the Unix epoch.
const GREGORIAN_EPOCH_S: u64 = 62_167_219_200;
/// Fields that this server owns or reads; all other keys of a document are kept as they are.
const KNOWN: [&str; 7] = ["id", "parent", "name", "realm", "enabled", "superduper_admin", "created"];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    pub id: AccountId,
    /// Only the root has none.
    pub parent: Option<AccountId>,
    pub name: String,
    /// As given; compared without case.
    pub realm: String,
    pub enabled: bool,
    /// Its tokens are a system administrator's.
    pub superduper_admin: bool,
    /// Unix milliseconds.
    pub created_ms: u64,
    /// The keys of the document that mean nothing to this server.
    pub document: Map<String, Value>,
}

/// A document that somebody wants an account to have.
pub struct Proposal<'a> {
    pub directory: &'a Directory,
    pub subject: Subject<'a>,
    /// Of whoever asks.
    pub rank: Rank,
    /// What follows the id in a realm made here.
    pub realm_suffix: &'a str,
}

#[derive(Clone, Copy)]
pub enum Subject<'a> {
    New { parent: AccountId, created_ms: u64 },
    Existing(&'a Account),
}

impl Account {
    /// The account that `document` describes, or every fault in it. For an existing account the document replaces the
    /// old one; the realm, and for ordinary callers `superduper_admin`, stay when left out.
    pub fn validate(document: Map<String, Value>, proposal: &Proposal<'_>) -> Result<Self, Faults> {
        let mut faults = Faults::new();
        let (id, parent, created_ms) = match proposal.subject {
            Subject::New { parent, created_ms } => (new_id(&document, proposal, &mut faults), Some(parent), created_ms),
            Subject::Existing(account) => {
                must_stay(&document, "id", &json!(account.id), &mut faults);
                (account.id, account.parent, account.created_ms)
            }
        };
        must_stay(&document, "parent", &json!(parent), &mut faults);
        let account = Self {
            id,
            parent,
            created_ms,
            name: name(&document, &mut faults),
            realm: realm(&document, id, proposal, &mut faults),
            enabled: enabled(&document, id, proposal, &mut faults),
            superduper_admin: superduper_admin(&document, proposal, &mut faults),
            document: document.into_iter().filter(|(key, _)| !KNOWN.contains(&key.as_str())).collect(),
        };
        faults.into_result().map(|()| account)
    }

    /// The document as clients see it.
    pub fn to_document(&self) -> Map<String, Value> {
        let mut document = Map::new();
        document.insert("id".into(), json!(self.id));
        document.insert("name".into(), json!(self.name));
        document.insert("realm".into(), json!(self.realm));
        document.insert("enabled".into(), json!(self.enabled));
        document.insert("superduper_admin".into(), json!(self.superduper_admin));
        if let Some(parent) = self.parent {
            document.insert("parent".into(), json!(parent));
        }
        document.insert("created".into(), json!(self.created_ms / 1000 + GREGORIAN_EPOCH_S));
        document.extend(self.document.clone());
        document
    }

    /// For the store.
    pub fn to_record(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts, numbers and JSON values are always JSON")
    }

    pub fn from_record(record: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(record)
    }
}

/// Fields that a client may send back as it got them.
fn must_stay(document: &Map<String, Value>, field: &str, current: &Value, faults: &mut Faults) {
    if let Some(given) = document.get(field).filter(|given| *given != current) {
        faults.add(field, "forbidden", "Value cannot be changed", Some(given.clone()), Some(current.clone()));
    }
}

fn new_id(document: &Map<String, Value>, proposal: &Proposal<'_>, faults: &mut Faults) -> AccountId {
    let Some(given) = document.get("id") else {
        return AccountId::random();
    };
    match given.as_str().map(AccountId::parse) {
        _ if proposal.rank == Rank::Ordinary => {
            faults.add("id", "forbidden", "Only a system administrator may give an id", Some(given.clone()), None);
        }
        None => faults.wrong_type("id", "string", given),
        Some(Err(_)) => {
            faults.add("id", "format", "Value is not 32 lower-case hex digits", Some(given.clone()), None);
        }
        Some(Ok(id)) if proposal.directory.get(id).is_some() => {
            faults.add("id", "unique", "Account id already in use", Some(given.clone()), None);
        }
        Some(Ok(id)) => return id,
    }
    AccountId::random()
}

fn name(document: &Map<String, Value>, faults: &mut Faults) -> String {
    match document.get("name") {
        None => faults.required("name"),
        Some(Value::String(name)) if name.is_empty() => {
            let message = "String must be at least 1 characters";
            faults.add("name", "minLength", message, Some(json!(name)), Some(json!(1)));
        }
        Some(Value::String(name)) if name.chars().count() > NAME_CHARS_MAX => {
            let message = format!("String must not be more than {NAME_CHARS_MAX} characters");
            faults.add("name", "maxLength", &message, Some(json!(name)), Some(json!(NAME_CHARS_MAX)));
        }
        Some(Value::String(name)) => return name.clone(),
        Some(other) => faults.wrong_type("name", "string", other),
    }
    String::new()
}

fn realm(document: &Map<String, Value>, id: AccountId, proposal: &Proposal<'_>, faults: &mut Faults) -> String {
    let directory = proposal.directory;
    match (document.get("realm"), proposal.subject) {
        (None, Subject::Existing(account)) => return account.realm.clone(),
        (None, Subject::New { .. }) => return new_realm(id, proposal),
        (Some(Value::String(realm)), _) if !is_realm(realm) => {
            let message = "Value is not 4 to 253 letters, digits, dots, hyphens and underscores";
            faults.add("realm", "format", message, Some(json!(realm)), None);
        }
        (Some(Value::String(realm)), _) if directory.by_realm(realm).is_some_and(|owner| owner.id != id) => {
            faults.add("realm", "unique", "Account realm already in use", Some(json!(realm)), None);
        }
        (Some(Value::String(realm)), _) => return realm.clone(),
        (Some(other), _) => faults.wrong_type("realm", "string", other),
    }
    String::new()
}

fn new_realm(id: AccountId, proposal: &Proposal<'_>) -> String {
    let id = id.to_string();
    let short = format!("{}.{}", &id[..8], proposal.realm_suffix);
    // Ids that administrators give may begin alike.
    if proposal.directory.by_realm(&short).is_none() { short } else { format!("{id}.{}", proposal.realm_suffix) }
}

/// What Kazoo takes for a realm, which is a little more than a host name: letters, digits, dots, hyphens, underscores.
fn is_realm(text: &str) -> bool {
    let is_realm_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    REALM_BYTES.contains(&text.len()) && text.bytes().all(is_realm_byte)
}

fn enabled(document: &Map<String, Value>, id: AccountId, proposal: &Proposal<'_>, faults: &mut Faults) -> bool {
    match document.get("enabled") {
        None => true,
        // Nobody would be left to enable it again.
        Some(given @ Value::Bool(false)) if id == proposal.directory.root() => {
            faults.add("enabled", "forbidden", "The system account cannot be disabled", Some(given.clone()), None);
            true
        }
        Some(Value::Bool(enabled)) => *enabled,
        Some(other) => {
            faults.wrong_type("enabled", "boolean", other);
            true
        }
    }
}

fn superduper_admin(document: &Map<String, Value>, proposal: &Proposal<'_>, faults: &mut Faults) -> bool {
    let current = match proposal.subject {
        Subject::New { .. } => false,
        Subject::Existing(account) => account.superduper_admin,
    };
    match (document.get("superduper_admin"), proposal.rank) {
        (None, Rank::Ordinary) => current,
        (None, Rank::Administrator) => false,
        (Some(Value::Bool(given)), Rank::Administrator) => *given,
        (Some(Value::Bool(given)), Rank::Ordinary) if *given == current => current,
        (Some(given @ Value::Bool(_)), Rank::Ordinary) => {
            let message = "Only a system administrator may change it";
            faults.add("superduper_admin", "forbidden", message, Some(given.clone()), None);
            current
        }
        (Some(other), _) => {
            faults.wrong_type("superduper_admin", "boolean", other);
            current
        }
    }
}

#[cfg(test)]
mod tests;
