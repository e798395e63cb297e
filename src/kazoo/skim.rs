//! Skimming JSON: walks through a value of any type, keeps at most one scalar of it, and validates all the rest.
//!
//! Called by [`crate::kazoo::head`]. What is not kept is not allocated, but is held to everything that a full parse
//! would hold it to.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::kazoo::coerce::is_true_text;

/// What is kept of a value, whatever type it turns out to have. Whatever is not kept is walked through.
pub trait Keeper: Sized {
    type Kept: Default;

    fn text(self, _: &str) -> Self::Kept {
        Self::Kept::default()
    }

    fn truth(self, _: bool) -> Self::Kept {
        Self::Kept::default()
    }

    fn object<'de, A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Kept, A::Error> {
        while map.next_entry::<Skip, Skip>()?.is_some() {}
        Ok(Self::Kept::default())
    }
}

struct Nothing;

impl Keeper for Nothing {
    type Kept = ();
}

/// A text that is not empty.
pub struct Text;

impl Keeper for Text {
    type Kept = Option<Box<str>>;

    fn text(self, text: &str) -> Option<Box<str>> {
        (!text.is_empty()).then(|| text.into())
    }
}

/// `true`, or the text of it.
pub struct Truth;

impl Keeper for Truth {
    type Kept = bool;

    fn text(self, text: &str) -> bool {
        is_true_text(text)
    }

    fn truth(self, truth: bool) -> bool {
        truth
    }
}

/// One text member of an object.
pub struct Member(pub &'static str);

impl Keeper for Member {
    type Kept = Option<Box<str>>;

    fn object<'de, A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Kept, A::Error> {
        let mut kept = None;
        while let Some(found) = map.next_key_seed(Keep(Named(self.0)))? {
            if found {
                kept = map.next_value_seed(Keep(Text))?;
            } else {
                map.next_value::<Skip>()?;
            }
        }
        Ok(kept)
    }
}

/// Whether a key has this name.
struct Named(&'static str);

impl Keeper for Named {
    type Kept = bool;

    fn text(self, text: &str) -> bool {
        text == self.0
    }
}

/// A value of any type, validated and forgotten.
///
/// Not `IgnoredAny`: serde_json skips for it without looking at nesting depth, surrogates or the range of numbers.
pub struct Skip;

impl<'de> Deserialize<'de> for Skip {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Keep(Nothing).deserialize(deserializer)?;
        Ok(Self)
    }
}

/// Reads any value as its keeper says.
pub struct Keep<K>(pub K);

impl<'de, K: Keeper> DeserializeSeed<'de> for Keep<K> {
    type Value = K::Kept;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<K::Kept, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, K: Keeper> Visitor<'de> for Keep<K> {
    type Value = K::Kept;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_str<E>(self, text: &str) -> Result<K::Kept, E> {
        Ok(self.0.text(text))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<K::Kept, E> {
        Ok(self.0.truth(truth))
    }

    fn visit_i64<E>(self, _: i64) -> Result<K::Kept, E> {
        Ok(K::Kept::default())
    }

    fn visit_u64<E>(self, _: u64) -> Result<K::Kept, E> {
        Ok(K::Kept::default())
    }

    fn visit_f64<E>(self, _: f64) -> Result<K::Kept, E> {
        Ok(K::Kept::default())
    }

    fn visit_unit<E>(self) -> Result<K::Kept, E> {
        Ok(K::Kept::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<K::Kept, A::Error> {
        while items.next_element::<Skip>()?.is_some() {}
        Ok(K::Kept::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<K::Kept, A::Error> {
        self.0.object(map)
    }
}
