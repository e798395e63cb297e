//! The parts of a hook's document that routing and delivery read, each of its right type and form.
//!
//! Read whenever a hook comes into being: from a client, from the store, from an event. It knows no limits and no
//! catalogue, so that a stored hook is read whatever has changed about those.

use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value, json};

use crate::validation::Faults;
use crate::webhook::guard::Refused;
use crate::webhook::modifiers::Modifiers;
use crate::webhook::outcome::SuccessCodes;
use crate::webhook::request::{Format, Verb};
use crate::webhook::uri::HookUri;

const RETRIES_MAX: u64 = 4;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fields {
    pub uri: HookUri,
    pub hook: Box<str>,
    pub verb: Verb,
    pub format: Format,
    pub retries: u8,
    pub enabled: bool,
    pub include_subaccounts: bool,
    pub include_internal_legs: bool,
    pub custom_data: Arc<Map<String, Value>>,
    pub modifiers: Modifiers,
    pub success: SuccessCodes,
}

/// Reads a completed document. `faults` holds what was found before; all of it comes back in the error.
pub(super) fn read(
    document: &Map<String, Value>,
    parse_uri: impl Fn(&str) -> Result<HookUri, Refused>,
    faults: Faults,
) -> Result<Fields, Faults> {
    let mut reader = Reader { document, faults };
    let uri = reader.uri(parse_uri);
    let hook = reader.required_text("hook").map(Into::into);
    let verb = reader.choice("http_verb", Verb::NAMES, Verb::parse);
    let format = reader.choice("format", Format::NAMES, Format::parse);
    let retries = reader.retries();
    let enabled = reader.flag("enabled");
    let include_subaccounts = reader.flag("include_subaccounts");
    let include_internal_legs = reader.flag("include_internal_legs");
    let custom_data = reader.custom_data();
    let modifiers = reader.modifiers();
    let success = reader.success();
    match (reader.faults.into_result(), uri, hook, verb, format, retries) {
        (Ok(()), Some(uri), Some(hook), Some(verb), Some(format), Some(retries)) => Ok(Fields {
            uri,
            hook,
            verb,
            format,
            retries,
            enabled,
            include_subaccounts,
            include_internal_legs,
            custom_data,
            modifiers,
            success,
        }),
        (Err(faults), ..) => Err(faults),
        // Whatever comes back as nothing has left its fault behind.
        (Ok(()), ..) => Err(Faults::new()),
    }
}

struct Reader<'a> {
    document: &'a Map<String, Value>,
    faults: Faults,
}

impl<'a> Reader<'a> {
    fn required_text(&mut self, field: &str) -> Option<&'a str> {
        match self.document.get(field) {
            Some(Value::String(text)) => Some(text),
            Some(other) => {
                self.faults.wrong_type(field, "string", other);
                None
            }
            None => {
                self.faults.required(field);
                None
            }
        }
    }

    fn uri(&mut self, parse: impl Fn(&str) -> Result<HookUri, Refused>) -> Option<HookUri> {
        let text = self.required_text("uri")?;
        match parse(text) {
            Ok(uri) => return Some(uri),
            Err(refused) => {
                self.faults.add("uri", "format", &refused.to_string(), Some(text.into()), Some("uri".into()))
            }
        }
        None
    }

    fn choice<T>(&mut self, field: &str, names: &[&str], parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.required_text(field)?;
        let choice = parse(text);
        if choice.is_none() {
            self.faults.not_in(field, names, &text.into());
        }
        choice
    }

    fn retries(&mut self) -> Option<u8> {
        let (given, number) = match self.document.get("retries") {
            Some(given @ Value::Number(number)) => (given, number),
            Some(other) => {
                self.faults.wrong_type("retries", "integer", other);
                return None;
            }
            None => {
                self.faults.required("retries");
                return None;
            }
        };
        match (number.as_u64(), number.as_i64()) {
            (Some(retries @ 0..=RETRIES_MAX), _) => return u8::try_from(retries).ok(),
            (Some(_), _) => {
                let message = format!("Value must not be more than {RETRIES_MAX}");
                self.faults.add("retries", "maximum", &message, Some(given.clone()), Some(RETRIES_MAX.into()));
            }
            (None, Some(_)) => {
                self.faults.add("retries", "minimum", "Value must be at least 0", Some(given.clone()), Some(json!(0)));
            }
            (None, None) => self.faults.wrong_type("retries", "integer", given),
        }
        None
    }

    fn flag(&mut self, field: &str) -> bool {
        match self.document.get(field) {
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                self.faults.wrong_type(field, "boolean", other);
                false
            }
            None => {
                self.faults.required(field);
                false
            }
        }
    }

    fn object(&mut self, field: &str) -> Option<&'a Map<String, Value>> {
        match self.document.get(field)? {
            Value::Object(members) => Some(members),
            other => {
                self.faults.wrong_type(field, "object", other);
                None
            }
        }
    }

    /// Without spare room, and for the many hooks that have none one and the same.
    fn custom_data(&mut self) -> Arc<Map<String, Value>> {
        static NONE: LazyLock<Arc<Map<String, Value>>> = LazyLock::new(Arc::default);
        let Some(members) = self.object("custom_data").filter(|members| !members.is_empty()) else {
            return Arc::clone(&NONE);
        };
        for (key, value) in members.iter().filter(|(_, value)| !value.is_string()) {
            self.faults.wrong_type(&format!("custom_data.{key}"), "string", value);
        }
        let own = members.iter().map(|(key, value)| (key.clone(), value.clone()));
        let mut exact = Map::with_capacity(members.len());
        exact.extend(own);
        Arc::new(exact)
    }

    fn modifiers(&mut self) -> Modifiers {
        self.object("modifiers").map_or_else(Modifiers::default, |members| Modifiers::read(members, &mut self.faults))
    }

    fn success(&mut self) -> SuccessCodes {
        let parsed = match self.document.get("success_codes") {
            None => return SuccessCodes::default(),
            Some(Value::String(text)) => SuccessCodes::parse(text).map_err(|error| (text, error)),
            Some(other) => {
                self.faults.wrong_type("success_codes", "string", other);
                return SuccessCodes::default();
            }
        };
        parsed.unwrap_or_else(|(text, error)| {
            self.faults.add("success_codes", "format", &error.to_string(), Some(text.as_str().into()), None);
            SuccessCodes::default()
        })
    }
}
