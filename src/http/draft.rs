//! Reads the events of one POST: `{"exchange"?, "routing_key"?, "payload": {…}}`, or a list of them. Pure.
//!
//! Every faulty one is named by its place in the list. Those that are well made come back as events even so, since
//! whether the publisher may publish them is asked first.

use bytes::Bytes;
use serde_json::{Map, Value};

use crate::config::Http;
use crate::event::Event;
use crate::ids::AccountId;
use crate::kazoo::head::Head;
use crate::kazoo::routing::routing;
use crate::validation::Faults;

/// An AMQP short string holds no more.
const SHORT_STRING_BYTES_MAX: usize = 255;

#[derive(Debug)]
pub struct Limits {
    pub count_max: usize,
    pub bytes_max: usize,
}

impl Limits {
    pub fn new(http: &Http) -> Self {
        // More than may be under way at all could never be taken.
        Self { count_max: http.events_per_post_max.min(http.events_in_flight_max), bytes_max: http.event_bytes_max }
    }
}

#[derive(Debug)]
pub struct Drafts {
    /// In the order of the request.
    pub events: Vec<Event>,
    pub faults: Faults,
}

/// `publisher` is the account that they were posted under.
pub fn read(posted: Value, publisher: AccountId, limits: &Limits) -> Drafts {
    let mut reader = Reader { publisher, limits, faults: Faults::new() };
    let events = match posted {
        Value::Null => {
            reader.faults.required("data");
            Vec::new()
        }
        Value::Array(items) => reader.list(items),
        Value::Object(item) => reader.event(String::new(), item).into_iter().collect(),
        other => {
            reader.faults.wrong_type("data", "object, array", &other);
            Vec::new()
        }
    };
    Drafts { events, faults: reader.faults }
}

struct Reader<'a> {
    publisher: AccountId,
    limits: &'a Limits,
    faults: Faults,
}

impl Reader<'_> {
    fn list(&mut self, items: Vec<Value>) -> Vec<Event> {
        let (count, max) = (items.len(), self.limits.count_max);
        if count == 0 {
            self.faults.add("data", "minItems", "Array must have at least 1 items", Some(0.into()), Some(1.into()));
            return Vec::new();
        }
        if count > max {
            let message = format!("Array must not have more than {max} items");
            self.faults.add("data", "maxItems", &message, Some(count.into()), Some(max.into()));
            return Vec::new();
        }
        let events = items.into_iter().enumerate().filter_map(|(index, item)| match item {
            Value::Object(item) => self.event(format!("data[{index}]."), item),
            other => {
                self.faults.wrong_type(&format!("data[{index}]"), "object", &other);
                None
            }
        });
        events.collect()
    }

    /// `place` goes before the names of its fields.
    fn event(&mut self, place: String, mut item: Map<String, Value>) -> Option<Event> {
        let exchange = self.short_string(&place, "exchange", item.shift_remove("exchange"));
        let routing_key = self.short_string(&place, "routing_key", item.shift_remove("routing_key"));
        let payload = self.payload(&place, item.shift_remove("payload"))?;
        let names = (self.name(&place, &payload, "Event-Category"), self.name(&place, &payload, "Event-Name"));
        let text = Value::from(payload).to_string();
        if text.len() > self.limits.bytes_max {
            let max = self.limits.bytes_max;
            let message = format!("Value must not be more than {max} bytes of JSON");
            self.faults.add(
                &format!("{place}payload"),
                "maxLength",
                &message,
                Some(text.len().into()),
                Some(max.into()),
            );
            return None;
        }
        let (Ok(exchange), Ok(routing_key), (Some(category), Some(name))) = (exchange, routing_key, names) else {
            return None;
        };
        let (exchange, routing_key) = address(exchange, routing_key, &text, &format!("{category}.{name}"));
        match Event::parse(&exchange, &routing_key, Bytes::from(text), Some(self.publisher)) {
            Ok(event) => Some(event),
            Err(error) => {
                self.faults.add(&format!("{place}payload"), "format", &error.to_string(), None, None);
                None
            }
        }
    }

    fn payload(&mut self, place: &str, given: Option<Value>) -> Option<Map<String, Value>> {
        match given {
            Some(Value::Object(payload)) => return Some(payload),
            None | Some(Value::Null) => self.faults.required(&format!("{place}payload")),
            Some(other) => self.faults.wrong_type(&format!("{place}payload"), "object", &other),
        }
        None
    }

    fn name(&mut self, place: &str, payload: &Map<String, Value>, key: &str) -> Option<String> {
        let field = format!("{place}payload.{key}");
        match payload.get(key) {
            Some(Value::String(name)) if !name.is_empty() => return Some(name.clone()),
            None | Some(Value::Null) => self.faults.required(&field),
            Some(Value::String(_)) => {
                self.faults.add(
                    &field,
                    "minLength",
                    "String must be at least 1 characters",
                    Some("".into()),
                    Some(1.into()),
                );
            }
            Some(other) => self.faults.wrong_type(&field, "string", other),
        }
        None
    }

    /// `Err` when there is a faulty one.
    fn short_string(&mut self, place: &str, key: &str, given: Option<Value>) -> Result<Option<String>, ()> {
        let field = format!("{place}{key}");
        match given {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) if text.len() <= SHORT_STRING_BYTES_MAX => return Ok(Some(text)),
            Some(Value::String(_)) => {
                let message = format!("String must not be more than {SHORT_STRING_BYTES_MAX} bytes");
                self.faults.add(&field, "maxLength", &message, None, Some(SHORT_STRING_BYTES_MAX.into()));
            }
            Some(other) => self.faults.wrong_type(&field, "string", &other),
        }
        Err(())
    }
}

/// Where Kazoo would have published it, as far as the publisher does not say.
fn address(exchange: Option<String>, routing_key: Option<String>, payload: &str, names: &str) -> (String, String) {
    if let (Some(exchange), Some(routing_key)) = (&exchange, &routing_key) {
        return (exchange.clone(), routing_key.clone());
    }
    let known = Head::parse(payload).ok().and_then(|head| routing(&head));
    let (known_exchange, known_key) =
        known.map_or_else(|| (String::new(), names.to_lowercase()), |(exchange, key)| (exchange.into(), key));
    (exchange.unwrap_or(known_exchange), routing_key.unwrap_or(known_key))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{AccountId, Limits, read};

    const LIMITS: Limits = Limits { count_max: 3, bytes_max: 200 };

    fn call() -> Value {
        json!({ "Event-Category": "call_event", "Event-Name": "CHANNEL_CREATE", "Call-ID": "a.b" })
    }

    #[track_caller]
    fn check(posted: Value, exchange: &str, routing_key: &str) {
        let drafts = read(posted, AccountId::random(), &LIMITS);
        assert!(drafts.faults.is_empty(), "{:?}", drafts.faults);
        let event = &drafts.events[0];
        assert_eq!((&*event.exchange, &*event.routing_key), (exchange, routing_key));
    }

    #[track_caller]
    fn check_fault(posted: Value, events: usize, field: &str, rule: &str) {
        let drafts = read(posted, AccountId::random(), &LIMITS);
        assert_eq!(drafts.events.len(), events);
        let faults = drafts.faults.into_value();
        assert!(faults[field][rule]["message"].is_string(), "{faults}");
    }

    #[test]
    fn missing_address_is_kazoos() {
        check(json!({ "payload": call() }), "callevt", "call.CHANNEL_CREATE.a%2Eb");
        check(json!({ "payload": call(), "exchange": "mine" }), "mine", "call.CHANNEL_CREATE.a%2Eb");
        check(json!({ "payload": call(), "routing_key": "k" }), "callevt", "k");
        check(json!({ "payload": call(), "exchange": "", "routing_key": "" }), "", "");
        check(json!({ "payload": { "Event-Category": "Door", "Event-Name": "Opened" } }), "", "door.opened");
    }

    #[test]
    fn faults_are_named_by_place_and_the_rest_is_read() {
        check_fault(Value::Null, 0, "data", "required");
        check_fault(json!("x"), 0, "data", "type");
        check_fault(json!([]), 0, "data", "minItems");
        check_fault(json!([{}, {}, {}, {}]), 0, "data", "maxItems");
        check_fault(json!({}), 0, "payload", "required");
        check_fault(json!({ "payload": [] }), 0, "payload", "type");
        check_fault(json!({ "payload": { "Event-Name": "x" } }), 0, "payload.Event-Category", "required");
        check_fault(json!([{ "payload": call() }, 7]), 1, "data[1]", "type");
        check_fault(
            json!([{ "payload": call() }, { "payload": call() }, { "payload": { "Event-Category": "x" } }]),
            2,
            "data[2].payload.Event-Name",
            "required",
        );
        check_fault(json!([{ "payload": call(), "exchange": 1 }]), 0, "data[0].exchange", "type");
        check_fault(json!({ "payload": call(), "routing_key": "x".repeat(256) }), 0, "routing_key", "maxLength");
        let mut long = call();
        long["Extra"] = "x".repeat(200).into();
        check_fault(json!([{ "payload": long }]), 0, "data[0].payload", "maxLength");
        check_fault(
            json!({ "payload": { "Event-Category": "", "Event-Name": 1 } }),
            0,
            "payload.Event-Category",
            "minLength",
        );
    }
}
