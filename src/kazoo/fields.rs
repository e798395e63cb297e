//! The members of an event or a payload, in order. For a few dozen of them a list is cheaper than a map, most of their
//! names are known to the program, and most of their values are texts that lie in the event as they are.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::{Number, Value};

use crate::kazoo::Object;
use crate::kazoo::normalise::is_null_within;

/// An object of more members is kept as a map, since a list is searched from its beginning.
const LISTED_MAX: usize = 32;

/// An event has about this many channel variables.
const USUAL_MEMBERS: usize = 12;

/// A name stands in it at most once.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Fields<'a>(Vec<(Cow<'a, str>, Field<'a>)>);

#[derive(Debug, Clone, PartialEq)]
pub enum Field<'a> {
    Null,
    Truth(bool),
    Number(Number),
    Text(Cow<'a, str>),
    Members(Fields<'a>),
    /// What is rare: a list, or an object of many members.
    Other(Box<Value>),
}

/// A value to look at, wherever it is kept.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Seen<'a> {
    Null,
    Truth(bool),
    Number(&'a Number),
    Text(&'a str),
    Members(&'a Fields<'a>),
    List(&'a [Value]),
    Object(&'a Object),
}

impl<'a> Fields<'a> {
    pub fn with_capacity(fields: usize) -> Self {
        Self(Vec::with_capacity(fields))
    }

    pub fn get(&self, name: &str) -> Option<&Field<'a>> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// In the place of the field of that name, or behind all others.
    pub fn set(&mut self, name: impl Into<Cow<'a, str>>, value: Field<'a>) {
        let name = name.into();
        match self.0.iter_mut().find(|(own, _)| *own == name) {
            Some((_, present)) => *present = value,
            None => self.0.push((name, value)),
        }
    }

    /// A field that is not there yet. Absent and null values leave none behind.
    pub fn put(&mut self, name: &'static str, value: Option<Field<'a>>) {
        if let Some(value) = value.filter(|value| !matches!(value, Field::Null)) {
            self.0.push((Cow::Borrowed(name), value));
        }
    }

    /// A copy of the fields with these names.
    pub fn filtered(&self, keeps: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(name, _)| keeps(name)).cloned().collect())
    }

    /// All through objects and lists.
    pub fn drop_nulls(&mut self) {
        self.0.retain_mut(|(_, value)| !value.is_null_within());
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, Seen<'_>)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.seen()))
    }

    /// Borrowing nothing.
    pub fn into_owned(self) -> Fields<'static> {
        Object::from(self).into()
    }
}

impl<'a> Field<'a> {
    pub fn seen(&self) -> Seen<'_> {
        match self {
            Self::Null => Seen::Null,
            Self::Truth(truth) => Seen::Truth(*truth),
            Self::Number(number) => Seen::Number(number),
            Self::Text(text) => Seen::Text(text),
            Self::Members(members) => Seen::Members(members),
            Self::Other(value) => Seen::from(&**value),
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The members of an object, however many they are.
    pub fn into_members(self) -> Option<Fields<'a>> {
        match self {
            Self::Members(members) => Some(members),
            Self::Other(value) => match *value {
                Value::Object(object) => Some(object.into()),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the value itself is null; those within it are dropped.
    fn is_null_within(&mut self) -> bool {
        match self {
            Self::Members(members) => members.drop_nulls(),
            Self::Other(value) => return is_null_within(value),
            _ => (),
        }
        matches!(self, Self::Null)
    }
}

impl<'a> Seen<'a> {
    /// A member of an object.
    pub fn member(self, name: &str) -> Option<Self> {
        match self {
            Self::Members(members) => members.get(name).map(Field::seen),
            Self::Object(object) => object.get(name).map(Self::from),
            _ => None,
        }
    }
}

impl From<bool> for Field<'_> {
    fn from(truth: bool) -> Self {
        Self::Truth(truth)
    }
}

impl From<Number> for Field<'_> {
    fn from(number: Number) -> Self {
        Self::Number(number)
    }
}

impl<'a> From<&'a str> for Field<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Field<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<Value> for Field<'_> {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Truth(truth),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::Text(Cow::Owned(text)),
            other => Self::Other(Box::new(other)),
        }
    }
}

impl From<Field<'_>> for Value {
    fn from(field: Field<'_>) -> Self {
        match field {
            Field::Null => Self::Null,
            Field::Truth(truth) => Self::Bool(truth),
            Field::Number(number) => Self::Number(number),
            Field::Text(text) => Self::String(text.into_owned()),
            Field::Members(members) => Self::Object(members.into()),
            Field::Other(value) => *value,
        }
    }
}

impl From<Object> for Fields<'_> {
    fn from(object: Object) -> Self {
        Self(object.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

impl From<Fields<'_>> for Object {
    fn from(fields: Fields<'_>) -> Self {
        fields.0.into_iter().map(|(name, value)| (name.into_owned(), value.into())).collect()
    }
}

impl<'a> From<&'a Value> for Seen<'a> {
    fn from(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Truth(*truth),
            Value::Number(number) => Self::Number(number),
            Value::String(text) => Self::Text(text),
            Value::Array(items) => Self::List(items),
            Value::Object(object) => Self::Object(object),
        }
    }
}

impl Serialize for Seen<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Truth(truth) => serializer.serialize_bool(*truth),
            Self::Number(number) => number.serialize(serializer),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Members(members) => serializer.collect_map(members.iter()),
            Self::List(items) => items.serialize(serializer),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

/// Any JSON value, borrowing the texts that are written without escapes.
impl<'de: 'a, 'a> Deserialize<'de> for Field<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FieldVisitor)
    }
}

struct FieldVisitor;

impl<'de> Visitor<'de> for FieldVisitor {
    type Value = Field<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Field<'de>, E> {
        Ok(text.into())
    }

    fn visit_str<E>(self, text: &str) -> Result<Field<'de>, E> {
        Ok(text.to_owned().into())
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Field<'de>, E> {
        Ok(truth.into())
    }

    fn visit_i64<E>(self, number: i64) -> Result<Field<'de>, E> {
        Ok(Field::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Field<'de>, E> {
        Ok(Field::Number(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Field<'de>, E> {
        Ok(Number::from_f64(number).map_or(Field::Null, Field::Number))
    }

    fn visit_unit<E>(self) -> Result<Field<'de>, E> {
        Ok(Field::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Field<'de>, A::Error> {
        Value::deserialize(SeqAccessDeserializer::new(items)).map(Field::from)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Field<'de>, A::Error> {
        let mut members = Fields::with_capacity(USUAL_MEMBERS);
        while let Some((Name(name), value)) = map.next_entry::<Name<'de>, Field<'de>>()? {
            members.set(name, value);
            if members.0.len() > LISTED_MAX {
                let mut object = Object::from(members);
                let rest = Object::deserialize(MapAccessDeserializer::new(map))?;
                object.extend(rest);
                return Ok(Field::Other(Box::new(Value::Object(object))));
            }
        }
        Ok(Field::Members(members))
    }
}

/// A key, borrowed where it can be.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{BoxedStrategy, Just, Strategy, any, prop_assert_eq, prop_oneof, proptest};
    use serde_json::{Value, json};

    use super::{Field, Fields, LISTED_MAX, Seen};
    use crate::kazoo::Object;
    use crate::kazoo::normalise::drop_nulls;

    #[test]
    fn a_name_stands_once_and_keeps_its_place() {
        let mut fields = Fields::default();
        fields.put("a", Some(Field::from(true)));
        fields.put("b", None);
        fields.put("c", Some("x".into()));
        fields.put("d", Some(Field::Null));
        fields.set("a", json!(2).into());
        fields.set("d", json!(true).into());
        let expected = [("a", json!(2)), ("c", json!("x")), ("d", json!(true))];
        assert!(fields.iter().eq(expected.iter().map(|(name, value)| (*name, value.into()))));
        assert_eq!((fields.get("e"), fields.get("d")), (None, Some(&json!(true).into())));
        assert!(fields.filtered(|name| name == "c").iter().eq([("c", Seen::Text("x"))]));
    }

    #[test]
    fn texts_are_borrowed_where_they_stand_as_they_are() {
        let read = |text: &'static str| serde_json::from_str::<Field<'static>>(text).unwrap();
        let Field::Members(members) = read(r#"{"a":"x","\u0062":"\n"}"#) else { panic!("an object") };
        assert!(matches!(
            &members.0[0],
            (std::borrow::Cow::Borrowed("a"), Field::Text(std::borrow::Cow::Borrowed("x")))
        ));
        assert_eq!(members.get("b").and_then(Field::as_str), Some("\n"));
    }

    #[track_caller]
    fn check_reads_as_a_value_does(text: &str) {
        let (whole, read): (Value, Field<'_>) =
            (serde_json::from_str(text).unwrap(), serde_json::from_str(text).unwrap());
        assert_eq!(serde_json::to_string(&read.seen()).unwrap(), whole.to_string());
        assert_eq!(Value::from(read), whole);
    }

    #[test]
    fn of_a_repeated_key_the_last_value_counts_at_the_first_place() {
        for members in [3, LISTED_MAX, LISTED_MAX + 1, LISTED_MAX + 2, 200] {
            let members: Vec<_> = (0..members).chain([1, 0]).map(|key| format!("\"{key}\":[{key},null]")).collect();
            check_reads_as_a_value_does(&format!("{{{}}}", members.join(",")));
        }
    }

    /// JSON text, with escapes and repeated keys.
    fn json_text() -> BoxedStrategy<String> {
        const SCALARS: [&str; 9] =
            ["null", "true", "-1", "1.50", "-0", "1e300", "18446744073709551616", "\"\\u00e9\\n\"", "\"a b\""];
        let scalar =
            prop_oneof![proptest::sample::select(&SCALARS[..]).prop_map(str::to_owned), Just("\"x\"".to_owned())];
        scalar
            .prop_recursive(4, 60, 6, |inner| {
                let key = proptest::sample::select(&["a", "b", "\\u0061", "c d", ""][..]);
                let member = (key, inner.clone()).prop_map(|(key, value)| format!("\"{key}\":{value}"));
                prop_oneof![
                    vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
                    vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(" ,"))),
                ]
            })
            .boxed()
    }

    proptest! {
        #[test]
        fn any_text_reads_as_a_value_does(text in json_text()) {
            check_reads_as_a_value_does(&text);
        }

        #[test]
        fn nulls_are_dropped_as_from_a_map(members in vec((any::<bool>(), json_text()), 0..4)) {
            let members: Vec<_> = members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
            let text = format!("{{{}}}", members.join(","));
            let mut expected: Object = serde_json::from_str(&text).unwrap();
            drop_nulls(&mut expected);
            let mut found = serde_json::from_str::<Field<'_>>(&text).unwrap().into_members().unwrap();
            found.drop_nulls();
            prop_assert_eq!(Object::from(found), expected);
        }
    }

    #[test]
    fn many_members_are_members_too() {
        let text = format!("{{{}}}", (0..100).map(|key| format!("\"{key}\":1")).collect::<Vec<_>>().join(","));
        let members = serde_json::from_str::<Field<'_>>(&text).unwrap().into_members().unwrap();
        assert_eq!((members.iter().count(), members.get("99").map(Field::seen)), (100, Some(Seen::Number(&1.into()))));
        assert_eq!(serde_json::from_str::<Field<'_>>("[1]").unwrap().into_members(), None);
    }
}
