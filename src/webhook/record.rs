//! The form of a hook on disk: its document, and beside it what clients do not set.
//!
//! Written and read by the store's users. A record is read whatever the rules for new hooks have become since.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ids::{AccountId, HookId};
use crate::validation::Faults;
use crate::webhook::fields;
use crate::webhook::hook::{Hook, Origin};
use crate::webhook::uri::HookUri;

/// A record that holds no hook.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    #[error("the record of a hook is not readable: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the record of hook {id} holds an invalid document: {faults}")]
    Document { id: HookId, faults: Value },
}

#[derive(Serialize, Deserialize)]
struct Record {
    id: HookId,
    account: AccountId,
    created_ms: u64,
    modified_ms: u64,
    revision: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disable_reason: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    disabled_at_ms: Option<u64>,
    document: Map<String, Value>,
}

impl Hook {
    pub fn to_record(&self) -> Vec<u8> {
        let record = Record {
            id: self.id,
            account: self.account,
            created_ms: self.created_ms,
            modified_ms: self.modified_ms,
            revision: self.revision,
            disable_reason: self.disable_reason.clone(),
            disabled_at_ms: self.disabled_at_ms,
            document: self.document(),
        };
        serde_json::to_vec(&record).expect("ids, numbers, strings and JSON values have a JSON form")
    }

    pub fn from_record(bytes: &[u8]) -> Result<Self, RecordError> {
        let record: Record = serde_json::from_slice(bytes)?;
        let fields = fields::read(&record.document, HookUri::parse_unguarded, Faults::new())
            .map_err(|faults| RecordError::Document { id: record.id, faults: faults.into_value() })?;
        let origin = Origin {
            id: record.id,
            account: record.account,
            disable_reason: record.disable_reason,
            disabled_at_ms: record.disabled_at_ms,
            created_ms: record.created_ms,
            modified_ms: record.modified_ms,
            revision: record.revision,
        };
        Ok(Self::assemble(origin, record.document, fields))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::RecordError;
    use crate::ids::AccountId;
    use crate::webhook::hook::Hook;

    fn hook() -> Hook {
        let document = json!({
            "uri": "https://Bücher.example/x#y", "http_verb": "put", "retries": 4, "custom_data": {"a": "b"},
            "modifiers": {"c": ["d", 1]}, "success_codes": "2xx", "own": [null, {"k": 1.5}],
        });
        Hook::one_off(AccountId::random(), document.as_object().unwrap()).unwrap()
    }

    #[test]
    fn a_hook_comes_back_from_its_record_as_it_was() {
        for hook in [hook(), hook().disabled("too many failed attempts", 7), hook().enabled(9)] {
            assert_eq!(Hook::from_record(&hook.to_record()).unwrap(), hook);
        }
    }

    #[test]
    fn a_record_without_a_hook_is_an_error_that_says_why() {
        assert!(matches!(Hook::from_record(b"{}"), Err(RecordError::Json(_))));
        let mut record: Value = serde_json::from_slice(&hook().to_record()).unwrap();
        record["document"]["http_verb"] = json!("patch");
        let error = Hook::from_record(record.to_string().as_bytes()).unwrap_err().to_string();
        assert!(error.contains("http_verb") && error.contains("invalid document"), "{error}");
    }
}
