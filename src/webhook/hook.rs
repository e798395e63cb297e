//! A registered hook: its public document as clients see it, and the parts of it that routing and delivery read.
//!
//! Made by the API and the importer from a document that keeps to the rules, by the store from a record, and by the event
//! that carries a one-off hook. A value is valid and never changes; what changes a hook makes a new value with a higher
//! revision.

use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::ids::{AccountId, HookId};
use crate::validation::Faults;
use crate::webhook::document::{self, HookRules};
use crate::webhook::fields::{self, Fields};
use crate::webhook::guard::Refused;
use crate::webhook::modifiers::Modifiers;
use crate::webhook::outcome::SuccessCodes;
use crate::webhook::request::{Format, Verb};
use crate::webhook::uri::HookUri;

/// Kept small, since a server holds many: strings have no spare room, and the document is text until asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Hook {
    pub id: HookId,
    pub account: AccountId,
    /// The public document as JSON, defaults filled in, without `id` and `disable_reason`.
    pub doc: Box<str>,
    pub uri: HookUri,
    /// The hook id as given; older ids are not translated here.
    pub hook: Box<str>,
    pub verb: Verb,
    pub format: Format,
    /// How many requests may follow the first of a delivery.
    pub retries: u8,
    pub enabled: bool,
    pub include_subaccounts: bool,
    pub include_internal_legs: bool,
    pub custom_data: Arc<Map<String, Value>>,
    pub modifiers: Modifiers,
    /// The hook's own, beside the system's.
    pub success: SuccessCodes,
    /// Why the hook was disabled, unless by hand.
    pub disable_reason: Option<Box<str>>,
    pub disabled_at_ms: Option<u64>,
    pub created_ms: u64,
    pub modified_ms: u64,
    /// Counts the writes of this hook, from 1.
    pub revision: u64,
}

/// What another system knew of a hook beside its document.
#[derive(Debug, Clone)]
pub struct Past {
    /// Why it was disabled, unless by hand.
    pub disable_reason: Option<String>,
    pub created_ms: u64,
    pub modified_ms: u64,
}

/// What a hook has beside its document.
pub(super) struct Origin {
    pub id: HookId,
    pub account: AccountId,
    pub disable_reason: Option<Box<str>>,
    pub disabled_at_ms: Option<u64>,
    pub created_ms: u64,
    pub modified_ms: u64,
    pub revision: u64,
}

impl Hook {
    /// A new hook from a client's document, or every fault of that document at once.
    pub fn validate(
        id: HookId,
        account: AccountId,
        document: Map<String, Value>,
        rules: &HookRules,
        now_ms: u64,
    ) -> Result<Self, Faults> {
        let document = document::complete(document);
        let mut faults = Faults::new();
        document::check(&document, rules, &mut faults);
        let fields = fields::read(&document, |text| HookUri::parse(text, rules.allow), faults)?;
        let disabled_at_ms = (!fields.enabled).then_some(now_ms);
        let origin = Origin {
            id,
            account,
            disable_reason: None,
            disabled_at_ms,
            created_ms: now_ms,
            modified_ms: now_ms,
            revision: 1,
        };
        Ok(Self::assemble(origin, document, fields))
    }

    /// A hook that another system had, by the rules of [`Self::validate`] but for one: where the guard refuses to go, the
    /// hook is disabled for that reason, until the guard is told better and the hook is enabled again. The second part of
    /// the result is that reason.
    pub fn adopt(
        id: HookId,
        account: AccountId,
        document: Map<String, Value>,
        past: Past,
        rules: &HookRules,
    ) -> Result<(Self, Option<Refused>), Faults> {
        let mut document = document::complete(document);
        let mut faults = Faults::new();
        document::check(&document, rules, &mut faults);
        let mut fields = fields::read(&document, HookUri::parse_unguarded, faults)?;
        let refused = HookUri::parse(fields.uri.as_given(), rules.allow).err().filter(|_| fields.enabled);
        let disable_reason = match &refused {
            Some(refused) => {
                fields.enabled = false;
                document.insert("enabled".into(), false.into());
                Some(refused.to_string())
            }
            None => past.disable_reason.filter(|_| !fields.enabled),
        };
        let origin = Origin {
            id,
            account,
            disable_reason: disable_reason.map(Into::into),
            disabled_at_ms: (!fields.enabled).then_some(past.modified_ms),
            created_ms: past.created_ms,
            modified_ms: past.modified_ms,
            revision: 1,
        };
        Ok((Self::assemble(origin, document, fields), refused))
    }

    /// The hook that an event carries for itself (Kazoo's callflow action). Equal hooks of one account have one
    /// identity, also after a restart; they have no times. Where it may go is left to the guard at delivery.
    pub fn one_off(account: AccountId, document: &Map<String, Value>) -> Result<Self, Faults> {
        let mut document = document::complete(document.clone());
        document.entry("hook").or_insert("callflow".into());
        let fields = fields::read(&document, HookUri::parse_unguarded, Faults::new())?;
        let id = identity(account, &document);
        let origin = Origin {
            id,
            account,
            disable_reason: None,
            disabled_at_ms: None,
            created_ms: 0,
            modified_ms: 0,
            revision: 1,
        };
        Ok(Self::assemble(origin, document, fields))
    }

    /// This hook as the next version of `previous`. One that stays disabled stays so for the reason it had.
    pub fn succeeding(mut self, previous: &Self) -> Self {
        self.created_ms = previous.created_ms;
        self.revision = previous.revision + 1;
        if !self.enabled && !previous.enabled {
            self.disable_reason = previous.disable_reason.clone();
            self.disabled_at_ms = previous.disabled_at_ms;
        }
        self
    }

    /// The next version, disabled for a reason that clients are shown.
    pub fn disabled(&self, reason: &str, now_ms: u64) -> Self {
        Self {
            enabled: false,
            doc: self.doc_with("enabled", false.into()),
            disable_reason: Some(reason.into()),
            disabled_at_ms: Some(now_ms),
            ..self.next_version(now_ms)
        }
    }

    /// The next version, enabled; why it was disabled is forgotten.
    pub fn enabled(&self, now_ms: u64) -> Self {
        Self {
            enabled: true,
            doc: self.doc_with("enabled", true.into()),
            disable_reason: None,
            disabled_at_ms: None,
            ..self.next_version(now_ms)
        }
    }

    /// The document as clients read it.
    pub fn to_document(&self) -> Map<String, Value> {
        let mut document = self.document();
        document.insert("id".into(), self.id.to_string().into());
        if let Some(reason) = &self.disable_reason {
            document.insert("disable_reason".into(), reason.as_ref().into());
        }
        document
    }

    /// What a listing shows of the hook; absent keys are absent.
    pub fn summary(&self) -> Map<String, Value> {
        let mut document = self.to_document();
        ["id", "hook", "name", "uri", "group", "enabled", "disable_reason"]
            .into_iter()
            .filter_map(|key| document.shift_remove_entry(key))
            .collect()
    }

    /// The stored document, without what the server adds for clients.
    pub(super) fn document(&self) -> Map<String, Value> {
        serde_json::from_str(&self.doc).expect("every way to make a hook writes its document as a JSON object")
    }

    pub(super) fn assemble(origin: Origin, document: Map<String, Value>, fields: Fields) -> Self {
        Self {
            id: origin.id,
            account: origin.account,
            doc: text(document),
            uri: fields.uri,
            hook: fields.hook,
            verb: fields.verb,
            format: fields.format,
            retries: fields.retries,
            enabled: fields.enabled,
            include_subaccounts: fields.include_subaccounts,
            include_internal_legs: fields.include_internal_legs,
            custom_data: fields.custom_data,
            modifiers: fields.modifiers,
            success: fields.success,
            disable_reason: origin.disable_reason,
            disabled_at_ms: origin.disabled_at_ms,
            created_ms: origin.created_ms,
            modified_ms: origin.modified_ms,
            revision: origin.revision,
        }
    }

    fn next_version(&self, now_ms: u64) -> Self {
        Self { modified_ms: now_ms, revision: self.revision + 1, ..self.clone() }
    }

    fn doc_with(&self, key: &str, value: Value) -> Box<str> {
        let mut document = self.document();
        document.insert(key.into(), value);
        text(document)
    }
}

fn text(document: Map<String, Value>) -> Box<str> {
    Value::from(document).to_string().into()
}

/// The keys in sorted order, so that the order in which a publisher writes them makes no difference.
fn identity(account: AccountId, document: &Map<String, Value>) -> HookId {
    let mut canonical = Value::from(document.clone());
    canonical.sort_all_objects();
    let hash = Sha256::new().chain_update(account.as_bytes()).chain_update(canonical.to_string()).finalize();
    let mut id = [0; 16];
    id.copy_from_slice(&hash[..16]);
    HookId::from_bytes(id)
}

#[cfg(test)]
mod tests;
