//! Reads dumps of Kazoo's databases `accounts` and `webhooks`, one document after the other: a dump may be far larger
//! than memory.
//!
//! A dump is what CouchDB answers to `_all_docs?include_docs=true`. Lists of documents are taken too, and so are single
//! documents, each on a line or not, and any number of all these behind each other. [`account`] and [`hook`] say what a
//! document means; what becomes of it is up to the importer.

pub mod account;
pub mod hook;
mod value;

use std::fmt;
use std::io::Read;
use std::ops::ControlFlow;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use self::value::{Budget, Member, Whole};
use crate::kazoo::Object;
use crate::kazoo::coerce::{integer, is_true};

/// The members of an object that hold a list of rows or of documents.
const LISTS: [&str; 2] = ["rows", "docs"];
/// Objects and lists within each other. The readers of JSON that come after this one stop at twice as many.
const DEPTH_MAX: usize = 64;

/// What stands in a dump, in its order.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    Document(Document),
    Unusable { kind: Kind, id: String, flaw: Flaw },
}

#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    pub id: String,
    pub kind: Kind,
    pub members: Object,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Account,
    Hook,
    /// CouchDB's own.
    Design,
    Other,
}

/// Why there is nothing to take from an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    #[error("it is larger than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    #[error("it is more than {DEPTH_MAX} levels deep")]
    TooDeep,
    #[error("no document came with it (a dump is made with include_docs=true)")]
    NoDocument,
    #[error("it is no document")]
    NotADocument,
    #[error("it is deleted")]
    Deleted,
}

/// Hands every entry to `take` until that breaks. An error names line and column; the entries before were handed out.
/// An entry of more than about `bytes_max` bytes is not kept, and reported as such.
pub fn read(
    from: impl Read,
    bytes_max: usize,
    mut take: impl FnMut(Entry) -> ControlFlow<()>,
) -> Result<(), serde_json::Error> {
    let mut json = serde_json::Deserializer::from_reader(from);
    let mut reading = Reading { bytes_max, take: &mut take, entries: 0, stopped: false };
    loop {
        match Part(&mut reading).deserialize(&mut json) {
            Ok(()) => (),
            Err(_) if reading.stopped => return Ok(()),
            Err(error) => return Err(error),
        }
        match json.end() {
            Ok(()) => return Ok(()),
            Err(error) if error.is_io() => return Err(error),
            // There is more.
            Err(_) => (),
        }
    }
}

struct Reading<'a, T> {
    bytes_max: usize,
    take: &'a mut T,
    entries: u64,
    stopped: bool,
}

impl<T: FnMut(Entry) -> ControlFlow<()>> Reading<'_, T> {
    fn budget(&self) -> Budget {
        Budget::new(self.bytes_max)
    }

    fn give<E: Error>(&mut self, value: Value, budget: Budget) -> Result<(), E> {
        self.entries += 1;
        let entry = entry(value, budget, self.entries);
        if (self.take)(entry).is_break() {
            self.stopped = true;
            return Err(E::custom("nobody takes what follows"));
        }
        Ok(())
    }
}

/// One JSON value of the file.
struct Part<'r, 'a, T>(&'r mut Reading<'a, T>);

impl<'de, T: FnMut(Entry) -> ControlFlow<()>> DeserializeSeed<'de> for Part<'_, '_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de, T: FnMut(Entry) -> ControlFlow<()>> Visitor<'de> for Part<'_, '_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("rows or documents of CouchDB")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<(), A::Error> {
        List(self.0).visit_seq(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut budget = self.0.budget();
        let mut members = Object::new();
        let mut is_listing = false;
        while let Some(key) = map.next_key::<String>()? {
            // A document says first who it is: its own member of that name is no list of documents.
            if LISTS.contains(&key.as_str()) && !members.contains_key("_id") {
                map.next_value_seed(List(self.0))?;
                is_listing = true;
            } else {
                Member { key, members: &mut members, budget: &mut budget, depth: 1 }.read(&mut map)?;
            }
        }
        if is_listing {
            return Ok(());
        }
        let is_entry = members.contains_key("_id") || members.contains_key("id") || members.contains_key("doc");
        if !is_entry {
            return Err(A::Error::custom(what_else(&members)));
        }
        self.0.give(Value::Object(members), budget)
    }
}

/// A list of rows or documents.
struct List<'r, 'a, T>(&'r mut Reading<'a, T>);

impl<'de, T: FnMut(Entry) -> ControlFlow<()>> DeserializeSeed<'de> for List<'_, '_, T> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de, T: FnMut(Entry) -> ControlFlow<()>> Visitor<'de> for List<'_, '_, T> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of rows or documents")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        loop {
            let mut budget = self.0.budget();
            match list.next_element_seed(Whole(&mut budget))? {
                Some(value) => self.0.give(value, budget)?,
                None => return Ok(()),
            }
        }
    }
}

/// CouchDB explains itself where it refuses.
fn what_else(members: &Object) -> String {
    let text = |key: &str| members.get(key).and_then(Value::as_str);
    match (text("error"), text("reason")) {
        (Some(error), Some(reason)) => format!("no dump but an answer that says {error:?}, {reason:?}"),
        _ => "an object with neither rows nor an _id".to_owned(),
    }
}

/// `number` names an entry that has no id.
fn entry(value: Value, budget: Budget, number: u64) -> Entry {
    let nameless = || format!("number {number}");
    let Value::Object(mut row) = value else {
        let flaw = budget.into_flaw().unwrap_or(Flaw::NotADocument);
        return Entry::Unusable { kind: Kind::Other, id: nameless(), flaw };
    };
    if row.contains_key("_id") {
        return document(row, budget, nameless);
    }
    match row.shift_remove("doc") {
        Some(Value::Object(members)) => document(members, budget, || id(&row, "id").unwrap_or_else(nameless)),
        _ => {
            let is_row = row.contains_key("id") || row.contains_key("key");
            let is_deleted = row.get("value").and_then(|value| value.get("deleted")).is_some_and(is_true);
            let flaw = match budget.into_flaw() {
                Some(flaw) => flaw,
                None if is_deleted => Flaw::Deleted,
                None if is_row => Flaw::NoDocument,
                None => Flaw::NotADocument,
            };
            Entry::Unusable { kind: Kind::Other, id: id(&row, "id").unwrap_or_else(nameless), flaw }
        }
    }
}

fn document(members: Object, budget: Budget, other_id: impl FnOnce() -> String) -> Entry {
    let own_id = id(&members, "_id");
    let flaw = match budget.into_flaw() {
        Some(flaw) => Some(flaw),
        None if own_id.is_none() => Some(Flaw::NotADocument),
        None => None,
    };
    let id = own_id.unwrap_or_else(other_id);
    let kind = kind(&id, &members);
    let is_deleted = ["_deleted", "pvt_deleted"].iter().any(|key| members.get(*key).is_some_and(is_true));
    match flaw {
        Some(flaw) => Entry::Unusable { kind, id, flaw },
        None if is_deleted && kind != Kind::Design => Entry::Unusable { kind, id, flaw: Flaw::Deleted },
        None => Entry::Document(Document { id, kind, members }),
    }
}

fn id(members: &Object, key: &str) -> Option<String> {
    members.get(key).and_then(Value::as_str).map(str::to_owned)
}

/// Documents of old carry no type; what they hold tells them apart.
fn kind(id: &str, members: &Object) -> Kind {
    let has = |key: &str| members.contains_key(key);
    match members.get("pvt_type").and_then(Value::as_str) {
        _ if id.starts_with("_design/") || id.starts_with("_local/") => Kind::Design,
        Some("account") => Kind::Account,
        Some("webhook") => Kind::Hook,
        Some(_) => Kind::Other,
        None if has("hook") && has("uri") => Kind::Hook,
        None if has("pvt_tree") || has("realm") => Kind::Account,
        None => Kind::Other,
    }
}

/// Gregorian seconds at the Unix epoch.
const GREGORIAN_EPOCH_S: u64 = 62_167_219_200;

/// The Unix milliseconds of a member that holds Gregorian seconds.
fn unix_ms(members: &Object, key: &str) -> Option<u64> {
    let gregorian_s = integer(members.get(key)?)?.as_u64()?;
    gregorian_s.checked_sub(GREGORIAN_EPOCH_S)?.checked_mul(1_000)
}

/// Whether a member is private to Kazoo or CouchDB.
fn is_private(key: &str) -> bool {
    key.starts_with("pvt_") || key.starts_with('_')
}

#[cfg(test)]
mod tests;
