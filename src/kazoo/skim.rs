//! Skimming JSON: walks through a value of any type, keeps at most one scalar of it, and validates all the rest.
//!
//! Called by [`crate::kazoo::head`]. What is not kept is not allocated, but is held to everything that a full parse
//! would hold it to.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::kazoo::coerce::is_true_text;

/// What is kept of a value, whatever type it turns out to have. Whatever is not kept is walked through.
pub trait Keeper<'de>: Sized {
    type Kept: Default;

    fn text(self, _: &str) -> Self::Kept {
        Self::Kept::default()
    }

    /// A text that is written without escapes.
    fn borrowed_text(self, text: &'de str) -> Self::Kept {
        self.text(text)
    }

    fn truth(self, _: bool) -> Self::Kept {
        Self::Kept::default()
    }

    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Kept, A::Error> {
        while map.next_entry::<Skip, Skip>()?.is_some() {}
        Ok(Self::Kept::default())
    }
}

struct Nothing;

impl Keeper<'_> for Nothing {
    type Kept = ();
}

/// A text that is not empty.
struct Text;

impl Keeper<'_> for Text {
    type Kept = Option<Box<str>>;

    fn text(self, text: &str) -> Option<Box<str>> {
        (!text.is_empty()).then(|| text.into())
    }
}

/// A scalar that somebody may want, as far as it is none of the numbers.
pub struct Look;

#[derive(Default)]
pub enum Glance<'de> {
    Text(Cow<'de, str>),
    Truth(bool),
    #[default]
    Other,
}

impl<'de> Keeper<'de> for Look {
    type Kept = Glance<'de>;

    fn text(self, text: &str) -> Glance<'de> {
        Glance::Text(Cow::Owned(text.to_owned()))
    }

    fn borrowed_text(self, text: &'de str) -> Glance<'de> {
        Glance::Text(Cow::Borrowed(text))
    }

    fn truth(self, truth: bool) -> Glance<'de> {
        Glance::Truth(truth)
    }
}

impl<'de> Glance<'de> {
    /// A text that is not empty.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) if !text.is_empty() => Some(text),
            _ => None,
        }
    }

    /// A text that is written without escapes.
    pub fn borrowed(&self) -> Option<&'de str> {
        match self {
            Self::Text(Cow::Borrowed(text)) => Some(text),
            _ => None,
        }
    }

    /// `true`, or the text of it.
    pub fn is_true(&self) -> bool {
        match self {
            Self::Text(text) => is_true_text(text),
            Self::Truth(truth) => *truth,
            Self::Other => false,
        }
    }
}

/// One text member of an object.
pub struct TextOf(pub &'static str);

impl<'de> Keeper<'de> for TextOf {
    type Kept = Option<Box<str>>;

    fn object<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Kept, A::Error> {
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

impl Keeper<'_> for Named {
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

impl<'de, K: Keeper<'de>> DeserializeSeed<'de> for Keep<K> {
    type Value = K::Kept;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<K::Kept, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, K: Keeper<'de>> Visitor<'de> for Keep<K> {
    type Value = K::Kept;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_str<E>(self, text: &str) -> Result<K::Kept, E> {
        Ok(self.0.text(text))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<K::Kept, E> {
        Ok(self.0.borrowed_text(text))
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
