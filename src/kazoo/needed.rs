//! Some members of an object: the rest is read over without being kept.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};

use crate::kazoo::fields::{Field, Fields};
use crate::kazoo::skim::Skip;

/// The members of these names. A text that is no object has none.
pub fn selected_fields<'a>(names: &'static [&'static str], body: &'a str) -> Fields<'a> {
    let mut deserializer = serde_json::Deserializer::from_str(body);
    Selection(names).deserialize(&mut deserializer).unwrap_or_default()
}

struct Selection(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Selection {
    type Value = Fields<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Fields<'de>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Selection {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut selected = Fields::with_capacity(self.0.len());
        while let Some(name) = map.next_key_seed(Wanted(self.0))? {
            match name {
                Some(name) => {
                    selected.set(name, map.next_value::<Field<'de>>()?);
                }
                None => {
                    map.next_value::<Skip>()?;
                }
            }
        }
        Ok(selected)
    }
}

/// Recognises a key without keeping it.
struct Wanted(&'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Wanted {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Wanted {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().copied().find(|name| *name == key))
    }
}
