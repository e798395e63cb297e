//! Which documents make an account, and what each fault is called.

use serde_json::{Map, Value, json};

use crate::auth::account::{Account, Proposal, Subject};
use crate::auth::directory::{Directory, Rank};
use crate::ids::AccountId;

fn id(n: u8) -> AccountId {
    AccountId::from_bytes([n; 16])
}

fn account(n: u8, parent: Option<u8>) -> Account {
    Account {
        id: id(n),
        parent: parent.map(id),
        name: format!("account {n}"),
        realm: format!("Realm{n}.example"),
        enabled: true,
        superduper_admin: false,
        created_ms: 1_000,
        document: Map::new(),
    }
}

fn directory() -> Directory {
    Directory::load(id(1), [account(1, None), account(2, Some(1))]).unwrap()
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("{other} is not an object"),
    }
}

fn validate(document: Value, rank: Rank, subject: Subject<'_>) -> Result<Account, Value> {
    let proposal = Proposal { directory: &directory(), subject, rank, realm_suffix: "sip.example" };
    Account::validate(object(document), &proposal).map_err(|faults| faults.into_value())
}

fn new() -> Subject<'static> {
    Subject::New { parent: id(2), created_ms: 5_000 }
}

#[test]
fn a_new_account_gets_what_its_document_leaves_out() {
    let account = validate(json!({"name": "Sub", "timezone": "UTC"}), Rank::Ordinary, new()).unwrap();
    assert_eq!((account.parent, account.created_ms, account.enabled), (Some(id(2)), 5_000, true));
    assert_eq!(account.realm, format!("{}.sip.example", &account.id.to_string()[..8]));
    assert_eq!(Value::Object(account.document), json!({"timezone": "UTC"}));

    let given = json!({"name": "Sub", "id": id(7), "parent": id(2), "superduper_admin": true, "enabled": false});
    let account = validate(given, Rank::Administrator, new()).unwrap();
    assert_eq!((account.id, account.superduper_admin, account.enabled), (id(7), true, false));
}

#[track_caller]
fn check_faults(document: Value, rank: Rank, subject: Subject<'_>, expected: &[(&str, &str)]) {
    let faults = validate(document, rank, subject).unwrap_err();
    let mut found: Vec<(&str, &str)> = Vec::new();
    for (field, rules) in faults.as_object().unwrap() {
        found.extend(rules.as_object().unwrap().keys().map(|rule| (field.as_str(), rule.as_str())));
    }
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn every_faulty_field_is_reported_at_once() {
    let all_wrong = json!({"name": 7, "realm": 7, "enabled": "yes", "superduper_admin": "no", "parent": id(1)});
    let expected = [
        ("enabled", "type"),
        ("name", "type"),
        ("parent", "forbidden"),
        ("realm", "type"),
        ("superduper_admin", "type"),
    ];
    check_faults(all_wrong, Rank::Ordinary, new(), &expected);
}

#[test]
fn each_rule_has_its_fault() {
    let ordinary = |document, expected| check_faults(document, Rank::Ordinary, new(), &[expected]);
    ordinary(json!({}), ("name", "required"));
    ordinary(json!({"name": ""}), ("name", "minLength"));
    ordinary(json!({"name": "ö".repeat(129)}), ("name", "maxLength"));
    ordinary(json!({"name": "a", "id": id(7)}), ("id", "forbidden"));
    ordinary(json!({"name": "a", "superduper_admin": true}), ("superduper_admin", "forbidden"));
    ordinary(json!({"name": "a", "realm": "REALM2.EXAMPLE"}), ("realm", "unique"));
    for realm in ["", "a.b", "a b.example", "a/b.example", "ä.example", "a.example\n", &"a".repeat(254)] {
        ordinary(json!({"name": "a", "realm": realm}), ("realm", "format"));
    }
    let administrator = |document, expected| check_faults(document, Rank::Administrator, new(), &[expected]);
    administrator(json!({"name": "a", "id": id(2)}), ("id", "unique"));
    administrator(json!({"name": "a", "id": "ABC"}), ("id", "format"));
    administrator(json!({"name": "a", "id": 7}), ("id", "type"));
    validate(json!({"name": "ö".repeat(128), "realm": "a-b_c.Example"}), Rank::Ordinary, new()).unwrap();

    let root = account(1, None);
    let disabled = json!({"name": "a", "enabled": false});
    check_faults(disabled, Rank::Administrator, Subject::Existing(&root), &[("enabled", "forbidden")]);
}

#[test]
fn a_document_can_be_sent_back_as_it_came() {
    let mut current = account(2, Some(1));
    current.superduper_admin = true;
    current.document = object(json!({"timezone": "UTC", "nested": {"kept": [1]}}));
    let document = Value::Object(current.to_document());
    assert_eq!(document["created"], json!(62_167_219_201u64));
    for rank in [Rank::Ordinary, Rank::Administrator] {
        assert_eq!(validate(document.clone(), rank, Subject::Existing(&current)).unwrap(), current);
    }
}

#[test]
fn replacing_keeps_what_cannot_be_lost_by_leaving_it_out() {
    let mut current = account(2, Some(1));
    current.superduper_admin = true;
    let replaced = |rank| validate(json!({"name": "new"}), rank, Subject::Existing(&current)).unwrap();
    let ordinary = replaced(Rank::Ordinary);
    assert_eq!((ordinary.realm.as_str(), ordinary.superduper_admin), ("Realm2.example", true));
    assert!(!replaced(Rank::Administrator).superduper_admin);
    let subject = Subject::Existing(&current);
    check_faults(json!({"name": "a", "id": id(9)}), Rank::Administrator, subject, &[("id", "forbidden")]);
    check_faults(json!({"name": "a", "parent": null}), Rank::Administrator, subject, &[("parent", "forbidden")]);
    let demoted = json!({"name": "a", "superduper_admin": false});
    check_faults(demoted, Rank::Ordinary, subject, &[("superduper_admin", "forbidden")]);
}

#[test]
fn records_come_back_as_they_went() {
    let mut account = account(2, Some(1));
    account.document = object(json!({"b": 1, "a": {"c": null}}));
    assert_eq!(Account::from_record(&account.to_record()).unwrap(), account);
    assert!(Account::from_record(b"{}").is_err());
}
