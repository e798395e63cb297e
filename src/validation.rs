//! What is wrong with a document, in the shape that Kazoo's clients read:
//! `{"field": {"rule": {"message": …, "cause": …, "target": …}}}`, every faulty field at once.

use std::fmt;

use serde_json::{Map, Value, json};

/// The faults found in one document. Nested fields are named with dots: `custom_data.type`.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct Faults(Map<String, Value>);

impl Faults {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// `cause` is the offending value, `target` the limit or the list of what is allowed.
    pub fn add(&mut self, field: &str, rule: &str, message: &str, cause: Option<Value>, target: Option<Value>) {
        let mut detail = Map::new();
        detail.insert("message".into(), message.into());
        if let Some(cause) = cause {
            detail.insert("cause".into(), cause);
        }
        if let Some(target) = target {
            detail.insert("target".into(), target);
        }
        let rules = self.0.entry(field).or_insert_with(|| json!({}));
        if let Some(rules) = rules.as_object_mut() {
            rules.insert(rule.into(), Value::Object(detail));
        }
    }

    pub fn required(&mut self, field: &str) {
        self.add(field, "required", "Field is required but missing", None, None);
    }

    pub fn wrong_type(&mut self, field: &str, expected: &str, cause: &Value) {
        let message = format!("Value did not match type(s): {expected}");
        self.add(field, "type", &message, Some(cause.clone()), Some(expected.into()));
    }

    pub fn not_in(&mut self, field: &str, allowed: &[&str], cause: &Value) {
        let message = format!("Value not found in enumerated list of values: {}", allowed.join(", "));
        self.add(field, "enum", &message, Some(cause.clone()), Some(json!(allowed)));
    }

    /// The names of the faulty fields.
    pub fn fields(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }

    /// `Ok` when nothing was found.
    pub fn into_result(self) -> Result<(), Faults> {
        if self.is_empty() { Ok(()) } else { Err(self) }
    }

    pub fn into_value(self) -> Value {
        Value::Object(self.0)
    }
}

/// For people, on one line. The offending values stay out of it: they may be secret, or long.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (field, rules)) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}: ", field.escape_debug())?;
            let details = rules.as_object().into_iter().flatten();
            let messages: Vec<&str> = details.filter_map(|(_, detail)| detail["message"].as_str()).collect();
            f.write_str(&messages.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Faults;

    #[test]
    fn faults_for_people_name_every_field_and_no_value() {
        let mut faults = Faults::new();
        faults.required("name");
        faults.wrong_type("uri", "string", &json!("secret"));
        let expected = "name: Field is required but missing; uri: Value did not match type(s): string";
        assert_eq!(faults.to_string(), expected);
        assert_eq!(faults.fields(), ["name", "uri"]);
    }
}
