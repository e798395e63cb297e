//! What a document of Kazoo's `accounts` database says about an account.
//!
//! Called by the importer. It judges no field: that is the account's own rules' business.

use serde_json::Value;

use super::{Document, is_private, unix_ms};
use crate::ids::{AccountId, BadId};
use crate::kazoo::Object;
use crate::kazoo::coerce::is_true;

/// Public members that Kazoo fills in for clients, from private ones, and finds in a document only because a client
/// sent them back. They prove nothing, and `api_key` is a secret.
const COPIES: [&str; 5] = ["id", "parent", "created", "superduper_admin", "api_key"];

#[derive(Debug, Clone, PartialEq)]
pub struct DumpedAccount {
    pub id: AccountId,
    /// The accounts above, the topmost first. `None` where the document does not say.
    pub tree: Option<Vec<String>>,
    pub api_key: Option<String>,
    /// Unix milliseconds.
    pub created_ms: Option<u64>,
    /// The public document, with `enabled` and `superduper_admin` as they hold in Kazoo.
    pub document: Object,
}

impl DumpedAccount {
    pub fn read(Document { id, members, .. }: Document) -> Result<Self, BadId> {
        let id = AccountId::parse(&id)?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let tree = members.get("pvt_tree").and_then(Value::as_array);
        let tree = tree.map(|tree| tree.iter().filter_map(text).collect());
        let api_key = members.get("pvt_api_key").and_then(text);
        let created_ms = unix_ms(&members, "pvt_created");
        // In Kazoo the private one decides; the public one is a copy.
        let is_enabled = members.get("pvt_enabled").or(members.get("enabled")).is_none_or(is_true);
        let is_administrator = members.get("pvt_superduper_admin").is_some_and(is_true);
        let mut document = members;
        document.retain(|key, value| !(is_private(key) || value.is_null() || COPIES.contains(&key.as_str())));
        document.insert("enabled".into(), is_enabled.into());
        document.insert("superduper_admin".into(), is_administrator.into());
        Ok(Self { id, tree, api_key, created_ms, document })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Document, DumpedAccount};
    use crate::kazoo::dump::Kind;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn read(members: Value) -> DumpedAccount {
        let members = members.as_object().unwrap().clone();
        DumpedAccount::read(Document { id: ID.into(), kind: Kind::Account, members }).unwrap()
    }

    #[test]
    fn private_members_decide_and_stay_private() {
        let account = read(json!({
            "_id": ID, "_rev": "3-a", "name": "Acme", "realm": "acme.example", "language": "de-DE", "gone": null,
            "pvt_tree": ["a", "b"], "pvt_api_key": "secret", "pvt_created": 63_500_000_000_u64, "pvt_enabled": "false",
            "enabled": true, "pvt_superduper_admin": true, "api_key": "secret", "id": ID,
        }));
        assert_eq!(account.tree, Some(vec!["a".to_owned(), "b".to_owned()]));
        assert_eq!(account.api_key.as_deref(), Some("secret"));
        assert_eq!(account.created_ms, Some(1_332_780_800_000));
        let expected = json!({
            "name": "Acme", "realm": "acme.example", "language": "de-DE", "enabled": false, "superduper_admin": true,
        });
        assert_eq!(Value::Object(account.document), expected);
    }

    #[test]
    fn nobody_is_an_administrator_for_saying_so_in_public() {
        let account = read(json!({"name": "Acme", "superduper_admin": true}));
        assert_eq!(account.document["superduper_admin"], false);
    }

    #[test]
    fn what_is_absent_or_odd_is_left_open() {
        let account = read(json!({"pvt_tree": "a", "pvt_created": "soon", "pvt_api_key": 7}));
        assert_eq!((account.tree, account.api_key, account.created_ms), (None, None, None));
        assert_eq!(account.document["enabled"], true);
        let account = read(json!({"pvt_created": "63500000000", "pvt_tree": [null, 7, "a"], "enabled": false}));
        assert_eq!((account.tree, account.created_ms), (Some(vec!["a".to_owned()]), Some(1_332_780_800_000)));
        assert_eq!(account.document["enabled"], false);
    }
}
