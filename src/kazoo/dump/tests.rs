use std::ops::ControlFlow;

use proptest::prelude::{Strategy, any, prop, prop_oneof, proptest};
use serde_json::{Value, json};

use super::account::DumpedAccount;
use super::hook::DumpedHook;
use super::{Document, Entry, Flaw, Kind, read};

fn entries(text: &str) -> Result<Vec<Entry>, serde_json::Error> {
    entries_within(4096, text)
}

fn entries_within(bytes_max: usize, text: &str) -> Result<Vec<Entry>, serde_json::Error> {
    let mut found = Vec::new();
    read(text.as_bytes(), bytes_max, |entry| {
        found.push(entry);
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// The kinds, ids and flaws of what was found.
#[track_caller]
fn check(text: &str, expected: &[(Kind, &str, Option<Flaw>)]) {
    let found = entries(text).unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|entry| match entry {
            Entry::Document(Document { id, kind, .. }) => (*kind, id.as_str(), None),
            Entry::Unusable { kind, id, flaw } => (*kind, id.as_str(), Some(flaw.clone())),
        })
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn every_form_of_a_dump_is_read() {
    let document = |id: &str| json!({"_id": id, "pvt_type": "account"}).to_string();
    let row =
        |id: &str| format!(r#"{{"id": "{id}", "key": "{id}", "value": {{"rev": "1-a"}}, "doc": {}}}"#, document(id));
    let (a, b) = ((Kind::Account, "a", None), (Kind::Account, "b", None));
    let both = [a.clone(), b.clone()];
    let dump = |rows: &[String]| format!(r#"{{"total_rows": 2, "offset": 0, "rows": [{}]}}"#, rows.join(",\r\n"));
    check(&dump(&[]), &[]);
    check(&dump(&[row("a"), row("b")]), &both);
    check(&(dump(&[row("a")]) + "\n" + &dump(&[row("b")])), &both);
    check(&format!(r#"{{"docs": [{}, {}], "new_edits": false}}"#, document("a"), document("b")), &both);
    check(&format!("[{}, {}]", document("a"), row("b")), &both);
    check(&format!("[{}]\n[{}]", document("a"), document("b")), &both);
    check(&format!("{}\n{}\n", document("a"), row("b")), &both);
    check(&format!("{}{}", document("a"), document("b")), &both);
    check("[]", &[]);
}

#[test]
fn documents_are_told_apart() {
    for (document, kind) in [
        (json!({"_id": "x", "pvt_type": "account"}), Kind::Account),
        (json!({"_id": "x", "pvt_type": "webhook"}), Kind::Hook),
        (json!({"_id": "x", "pvt_type": "limits", "realm": "a"}), Kind::Other),
        (json!({"_id": "x", "realm": "a"}), Kind::Account),
        (json!({"_id": "x", "pvt_tree": []}), Kind::Account),
        (json!({"_id": "x", "hook": "all", "uri": "u", "realm": "a"}), Kind::Hook),
        (json!({"_id": "x", "hook": "all"}), Kind::Other),
        (json!({"_id": "x", "rows": [{"_id": "y"}], "docs": 7}), Kind::Other),
    ] {
        check(&document.to_string(), &[(kind, "x", None)]);
    }
    check(
        r#"{"_id": "_design/accounts", "views": {}, "pvt_deleted": true}"#,
        &[(Kind::Design, "_design/accounts", None)],
    );
}

#[test]
fn an_entry_without_a_use_is_named_and_the_next_one_read() {
    let large = json!({"_id": "x", "hook": "all", "uri": "u".repeat(5000), "more": [1, {"a": 2}]}).to_string();
    let deep = format!(r#"{{"_id": "x", "pvt_type": "webhook", "deep": {}1{}}}"#, "[".repeat(5000), "]".repeat(5000));
    for (entry, kind, id, flaw) in [
        (large.as_str(), Kind::Hook, "x", Flaw::TooLarge { bytes_max: 4096 }),
        (deep.as_str(), Kind::Hook, "x", Flaw::TooDeep),
        (r#"{"id": "x", "key": "x", "value": {"rev": "1-a"}}"#, Kind::Other, "x", Flaw::NoDocument),
        (
            r#"{"id": "x", "key": "x", "value": {"rev": "1-a", "deleted": true}, "doc": null}"#,
            Kind::Other,
            "x",
            Flaw::Deleted,
        ),
        (r#"{"key": "x", "error": "not_found"}"#, Kind::Other, "number 1", Flaw::NoDocument),
        (r#"{"_id": "x", "pvt_type": "webhook", "pvt_deleted": "true"}"#, Kind::Hook, "x", Flaw::Deleted),
        (r#"{"_id": "x", "_deleted": true}"#, Kind::Other, "x", Flaw::Deleted),
        (r#"{"_id": 7, "pvt_type": "account"}"#, Kind::Account, "number 1", Flaw::NotADocument),
        (r#"{"id": "x", "doc": {"name": "a"}}"#, Kind::Other, "x", Flaw::NotADocument),
        ("{}", Kind::Other, "number 1", Flaw::NotADocument),
        ("null", Kind::Other, "number 1", Flaw::NotADocument),
        ("1e300", Kind::Other, "number 1", Flaw::NotADocument),
    ] {
        check(&format!(r#"[{entry}, {{"_id": "y"}}]"#), &[(kind, id, Some(flaw)), (Kind::Other, "y", None)]);
    }
}

#[track_caller]
fn check_error(text: &str, expected: &str) {
    let error = entries(text).unwrap_err().to_string();
    assert!(error.contains(expected), "{text}: {error}");
}

#[test]
fn what_is_no_dump_is_an_error_with_its_place() {
    check_error("", "EOF while parsing a value at line 1 column 0");
    check_error("total_rows 7", "at line 1 column 2");
    check_error("{\"rows\": [\n{\"_id\": \"x\"},\n{\"_id\": ", "EOF while parsing a value at line 3 column 8");
    check_error("7", "expected rows or documents of CouchDB at line 1 column 1");
    check_error("\n{\"name\": \"a package\"}", "an object with neither rows nor an _id at line 2 column 21");
    check_error(r#"{"rows": 7}"#, "expected a list of rows or documents at line 1 column 11");
    check_error(r#"{"error": "unauthorized", "reason": "no"}"#, r#"says "unauthorized", "no" at line 1"#);
    check_error("[] [] x", "at line 1 column 7");
}

#[test]
fn reading_ends_when_nobody_takes_any_more() {
    let mut taken = 0;
    let take = |_| {
        taken += 1;
        ControlFlow::Break(())
    };
    read(&br#"[{"_id": "x"}, {"_id": "y"}, and then no JSON at all"#[..], 4096, take).unwrap();
    assert_eq!(taken, 1);
}

fn json_value() -> impl Strategy<Value = Value> {
    let key = || {
        prop_oneof![
            "_id|id|doc|rows|docs|key|value|error|pvt_(type|deleted|tree|created|enabled|account_(id|db)|disabled_message)|hook|uri|realm|retries|enabled|custom_data",
            ".{0,3}"
        ]
    };
    let scalar = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "account|webhook|true|_design/x|.{0,8}".prop_map(Value::from),
        proptest::strategy::Just(Value::Null),
    ];
    scalar.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(key(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn odd_json_never_panics(value in json_value(), bytes_max in 0_usize..256) {
        let _ = read(value.to_string().as_bytes(), bytes_max, |_| ControlFlow::Continue(()));
    }

    #[test]
    fn odd_documents_never_panic(value in json_value()) {
        if let Value::Object(members) = value {
            let id = "0123456789abcdef0123456789abcdef";
            let document = |kind| Document { id: id.into(), kind, members: members.clone() };
            let _ = DumpedAccount::read(document(Kind::Account));
            let _ = DumpedHook::read(document(Kind::Hook));
        }
    }

    #[test]
    fn odd_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = read(&bytes[..], 64, |_| ControlFlow::Continue(()));
    }

    #[test]
    fn a_document_within_its_bounds_comes_out_as_it_went_in(value in json_value()) {
        let document = json!({"_id": "x", "value": value});
        let found = entries_within(1 << 20, &document.to_string()).unwrap();
        let members: Value = serde_json::from_str(&document.to_string()).unwrap();
        let expected = Document { id: "x".into(), kind: Kind::Other, members: members.as_object().unwrap().clone() };
        proptest::prop_assert_eq!(found, [Entry::Document(expected)]);
    }
}
