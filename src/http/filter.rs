//! Narrows a listing: `filter_{key}={value}`, `created_from`, `created_to`.

use serde_json::Value;

use super::clock::{gregorian, unix_ms};
use super::query::Query;
use crate::validation::Faults;

/// All conditions must hold.
#[derive(Debug, Default, PartialEq)]
pub struct Filter {
    equal: Vec<(String, String)>,
    /// Gregorian seconds, both included.
    created_from: Option<u64>,
    created_to: Option<u64>,
}

impl Filter {
    pub fn parse(query: &Query, faults: &mut Faults) -> Self {
        Self {
            equal: query.with_prefix("filter_").map(|(key, value)| (key.into(), value.into())).collect(),
            created_from: number(query, "created_from", faults),
            created_to: number(query, "created_to", faults),
        }
    }

    pub fn is_within(&self, created_ms: u64) -> bool {
        let created = gregorian(created_ms);
        self.created_from.is_none_or(|from| created >= from) && self.created_to.is_none_or(|to| created <= to)
    }

    /// First and last millisecond of what is within, in Unix time.
    pub fn window_ms(&self) -> (u64, u64) {
        let last = |to| unix_ms(to).saturating_add(999);
        (self.created_from.map_or(0, unix_ms), self.created_to.map_or(u64::MAX, last))
    }

    /// Whether a document has to be looked at to decide.
    pub fn needs_document(&self) -> bool {
        !self.equal.is_empty()
    }

    pub fn matches(&self, document: &Value) -> bool {
        self.equal.iter().all(|(key, value)| find(document, key).is_some_and(|found| has_text(found, value)))
    }
}

/// A number of the query; a fault that names it when it is none.
pub fn number(query: &Query, name: &str, faults: &mut Faults) -> Option<u64> {
    let text = query.get(name)?;
    let number = text.parse().ok();
    if number.is_none() {
        faults.wrong_type(name, "integer", &text.into());
    }
    number
}

/// The value at a key, which may be a path with dots; a key that itself has dots comes first.
fn find<'a>(document: &'a Value, key: &str) -> Option<&'a Value> {
    let object = document.as_object()?;
    object.get(key).or_else(|| {
        let (first, rest) = key.split_once('.')?;
        find(object.get(first)?, rest)
    })
}

fn has_text(value: &Value, text: &str) -> bool {
    match value {
        Value::String(string) => string == text,
        Value::Bool(flag) => flag.to_string() == text,
        Value::Number(number) => number.to_string() == text,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Faults, Filter, Query};

    #[track_caller]
    fn check(query: &str, expected: bool) {
        let document = json!({
            "name": "New Calls", "enabled": true, "retries": 3, "nothing": null, "list": ["a"],
            "custom_data": { "type": "all", "deep": { "er": "x" } }, "dotted.key": "y",
        });
        let mut faults = Faults::new();
        let filter = Filter::parse(&Query::parse(query), &mut faults);
        assert!(faults.is_empty());
        assert_eq!(filter.matches(&document), expected, "{query}");
    }

    #[test]
    fn values_are_compared_as_text_and_all_must_hold() {
        check("", true);
        check("other=1", true);
        check("filter_name=New+Calls", true);
        check("filter_name=new+calls", false);
        check("filter_enabled=true", true);
        check("filter_retries=3", true);
        check("filter_retries=3.0", false);
        check("filter_missing=", false);
        check("filter_nothing=null", false);
        check("filter_list=a", false);
        check("filter_custom_data.type=all", true);
        check("filter_custom_data.deep.er=x", true);
        check("filter_custom_data.missing.er=x", false);
        check("filter_name.x=y", false);
        check("filter_dotted.key=y", true);
        check("filter_retries=3&filter_enabled=false", false);
    }

    #[test]
    fn window_includes_both_ends() {
        let mut faults = Faults::new();
        let query = Query::parse("created_from=62167219201&created_to=62167219202");
        let filter = Filter::parse(&query, &mut faults);
        let within: Vec<u64> = [0, 999, 1_000, 2_999, 3_000].into_iter().filter(|ms| filter.is_within(*ms)).collect();
        assert_eq!(within, [1_000, 2_999]);
        assert_eq!(filter.window_ms(), (1_000, 2_999));
    }

    #[test]
    fn bad_numbers_are_named() {
        let mut faults = Faults::new();
        Filter::parse(&Query::parse("created_from=yesterday&created_to=-1"), &mut faults);
        let faults = faults.into_value();
        assert_eq!(faults["created_from"]["type"]["cause"], "yesterday");
        assert_eq!(faults["created_to"]["type"]["cause"], "-1");
    }
}
