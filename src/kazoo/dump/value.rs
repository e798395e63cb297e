//! Reads a JSON value as long as it keeps within its bounds, and reads over the rest of one that does not: one
//! monstrous document costs neither the memory nor the documents after it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

use super::{DEPTH_MAX, Flaw};
use crate::kazoo::Object;

/// Roughly what a value costs besides its text: quotes, colon, comma.
const VALUE_BYTES: usize = 4;

/// What one entry may still use. Once it is exceeded, values are read over.
pub(super) struct Budget {
    bytes_max: usize,
    used: usize,
    flaw: Option<Flaw>,
}

impl Budget {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, used: 0, flaw: None }
    }

    pub(super) fn into_flaw(self) -> Option<Flaw> {
        self.flaw
    }

    /// Whether there is room for it.
    fn spend(&mut self, text_bytes: usize) -> bool {
        self.used = self.used.saturating_add(text_bytes + VALUE_BYTES);
        if self.used > self.bytes_max && self.flaw.is_none() {
            self.flaw = Some(Flaw::TooLarge { bytes_max: self.bytes_max });
        }
        self.flaw.is_none()
    }
}

/// One entry.
pub(super) struct Whole<'a>(pub(super) &'a mut Budget);

impl<'de> DeserializeSeed<'de> for Whole<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        Bounded { budget: self.0, depth: 0 }.deserialize(json)
    }
}

/// One member of an object.
pub(super) struct Member<'a> {
    pub(super) key: String,
    pub(super) members: &'a mut Object,
    pub(super) budget: &'a mut Budget,
    /// How many objects and lists it is in.
    pub(super) depth: usize,
}

impl Member<'_> {
    /// Reads the value of the key that `map` has just given.
    pub(super) fn read<'de, A: MapAccess<'de>>(self, map: &mut A) -> Result<(), A::Error> {
        let is_kept = self.budget.spend(self.key.len());
        let value = map.next_value_seed(Bounded { budget: self.budget, depth: self.depth })?;
        if is_kept {
            self.members.insert(self.key, value);
        }
        Ok(())
    }
}

struct Bounded<'a> {
    budget: &'a mut Budget,
    depth: usize,
}

impl Bounded<'_> {
    fn deeper(&mut self) -> Bounded<'_> {
        Bounded { budget: self.budget, depth: self.depth + 1 }
    }

    fn enter(&mut self) {
        if self.depth >= DEPTH_MAX && self.budget.flaw.is_none() {
            self.budget.flaw = Some(Flaw::TooDeep);
        }
    }

    fn scalar(self, value: impl Into<Value>) -> Value {
        self.budget.spend(VALUE_BYTES);
        value.into()
    }
}

impl<'de> DeserializeSeed<'de> for Bounded<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        if self.budget.flaw.is_some() {
            return json.deserialize_ignored_any(IgnoredAny).map(|_| Value::Null);
        }
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Bounded<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(self.scalar(Value::Null))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(self.scalar(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(self.scalar(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(self.scalar(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(self.scalar(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(if self.budget.spend(text.len()) { text.into() } else { Value::Null })
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<Value, A::Error> {
        self.enter();
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self.deeper())? {
            if self.budget.flaw.is_none() {
                items.push(item);
            }
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Value, A::Error> {
        self.enter();
        let mut members = Object::new();
        while let Some(key) = map.next_key::<String>()? {
            Member { key, members: &mut members, budget: self.budget, depth: self.depth + 1 }.read(&mut map)?;
        }
        Ok(Value::Object(members))
    }
}
