//! The members of an event or a payload, in order. For a few dozen of them a list is cheaper than a map, and most of
//! their names are known to the program.

use std::borrow::Cow;

use serde_json::Value;

use crate::kazoo::Object;

/// A name stands in it at most once.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Fields(Vec<(Cow<'static, str>, Value)>);

impl Fields {
    pub fn with_capacity(fields: usize) -> Self {
        Self(Vec::with_capacity(fields))
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    /// Takes a field out; the order of the others may change.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        let place = self.0.iter().position(|(own, _)| own == name)?;
        Some(self.0.swap_remove(place).1)
    }

    /// In the place of the field of that name, or behind all others.
    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: Value) {
        let name = name.into();
        match self.0.iter_mut().find(|(own, _)| *own == name) {
            Some((_, present)) => *present = value,
            None => self.0.push((name, value)),
        }
    }

    /// A field that is not there yet. Absent and null values leave none behind.
    pub fn put(mut self, name: &'static str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value.map(Into::into).filter(|value: &Value| !value.is_null()) {
            self.0.push((name.into(), value));
        }
        self
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }
}

impl From<Object> for Fields {
    fn from(object: Object) -> Self {
        Self(object.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

impl From<Fields> for Object {
    fn from(fields: Fields) -> Self {
        fields.0.into_iter().map(|(name, value)| (name.into_owned(), value)).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Fields;

    #[test]
    fn a_name_stands_once_and_keeps_its_place() {
        let mut fields = Fields::default().put("a", Some(1)).put("b", None::<i32>).put("c", Some("x"));
        fields.set("a", json!(2));
        fields.set("d", json!(true));
        let expected = [("a", json!(2)), ("c", json!("x")), ("d", json!(true))];
        assert!(fields.iter().eq(expected.iter().map(|(name, value)| (*name, value))));
        assert_eq!(fields.take("c"), Some(json!("x")));
        assert_eq!((fields.take("c"), fields.get("d")), (None, Some(&json!(true))));
    }
}
