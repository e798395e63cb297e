//! Normalising the text of an object in one pass, without building the object: most events go out to sockets whole.
//!
//! The result is that of [`normalise`]. What one pass cannot do, an object with two keys that become the same, or one so
//! large that looking for such keys takes long, is left to it.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::kazoo::Object;
use crate::kazoo::normalise::normalise;

/// Looking for a key that came before is a search, which pays as long as it is short.
const KEYS_MAX: usize = 128;

/// Whether a key is left out, with its value.
type LeftOut = fn(&str) -> bool;

/// The normalised text of the object in `body`, without the top-level keys that are `left_out`. A body that is no object
/// gives `{}`: `Head::parse` has refused it.
pub fn normalised_text(body: &str, left_out: LeftOut) -> String {
    in_one_pass(body, left_out).unwrap_or_else(|| in_two(body, left_out))
}

fn in_one_pass(body: &str, left_out: LeftOut) -> Option<String> {
    let mut sink = Sink { text: Vec::with_capacity(body.len()), keys: Vec::with_capacity(KEYS_MAX) };
    let mut deserializer = serde_json::Deserializer::from_str(body);
    let wrote = Element { sink: &mut sink, left_out }.deserialize(&mut deserializer).ok()?;
    let whole = wrote && sink.text.starts_with(b"{") && deserializer.end().is_ok();
    String::from_utf8(sink.text).ok().filter(|_| whole)
}

fn in_two(body: &str, left_out: LeftOut) -> String {
    let mut object: Object = serde_json::from_str(body).unwrap_or_default();
    object.retain(|key, _| !left_out(key));
    serde_json::to_string(&normalise(object)).expect("JSON values are always JSON")
}

struct Sink {
    text: Vec<u8>,
    /// Where the keys of the objects that are open now stand in the text.
    keys: Vec<(usize, usize)>,
}

impl Sink {
    fn push(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    fn push_quoted(&mut self, text: &str) {
        self.push(&serde_json::to_string(text).expect("texts are always JSON"));
    }

    /// A text that was written without escapes needs none here.
    fn push_plain(&mut self, text: &str) {
        self.text.reserve(text.len() + 2);
        self.text.push(b'"');
        self.push(text);
        self.text.push(b'"');
    }

    /// The key that stands from `start` on is a new one. `false`: the object, whose keys are those from `first_key` on,
    /// has it already.
    fn take_key(&mut self, start: usize, first_key: usize) -> bool {
        // Escapes have neither capitals nor hyphens.
        for byte in &mut self.text[start..] {
            *byte = if *byte == b'-' { b'_' } else { byte.to_ascii_lowercase() };
        }
        let end = self.text.len();
        let (before, new) = self.text.split_at(start);
        let mut others = self.keys[first_key..].iter();
        let known = others.any(|(from, to)| to - from == end - start && &before[*from..*to] == new);
        self.keys.push((start, end));
        !known
    }
}

/// A value of any type. Answers whether it left anything: a null does not.
struct Element<'s> {
    sink: &'s mut Sink,
    left_out: LeftOut,
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Element<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_bool<E>(self, value: bool) -> Result<bool, E> {
        self.sink.push(if value { "true" } else { "false" });
        Ok(true)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<bool, E> {
        self.number(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<bool, E> {
        self.number(value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<bool, E> {
        self.number(value)
    }

    fn visit_str<E>(self, value: &str) -> Result<bool, E> {
        self.sink.push_quoted(value);
        Ok(true)
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<bool, E> {
        self.sink.push_plain(value);
        Ok(true)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<bool, A::Error> {
        self.sink.text.push(b'[');
        let mut end = self.sink.text.len();
        while let Some(wrote) = items.next_element_seed(Element { sink: &mut *self.sink, left_out: none })? {
            if wrote {
                self.sink.text.push(b',');
                end = self.sink.text.len();
            }
        }
        self.close(end, b']');
        Ok(true)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<bool, A::Error> {
        self.sink.text.push(b'{');
        let first_key = self.sink.keys.len();
        let mut end = self.sink.text.len();
        loop {
            let key = Key { sink: &mut *self.sink, left_out: self.left_out, first_key };
            let Some(kept) = members.next_key_seed(key)? else { break };
            self.sink.text.push(b':');
            let wrote = members.next_value_seed(Element { sink: &mut *self.sink, left_out: none })?;
            if wrote && kept {
                self.sink.text.push(b',');
                end = self.sink.text.len();
            } else {
                self.sink.text.truncate(end);
                self.sink.keys.truncate(self.sink.keys.len() - usize::from(kept));
            }
        }
        self.sink.keys.truncate(first_key);
        self.close(end, b'}');
        Ok(true)
    }
}

impl Element<'_> {
    fn number<N: serde::Serialize, E: Error>(self, value: N) -> Result<bool, E> {
        self.sink.push(&serde_json::to_string(&value).map_err(E::custom)?);
        Ok(true)
    }

    /// The last comma, if there is one, becomes the bracket.
    fn close(self, end: usize, bracket: u8) {
        self.sink.text.truncate(end);
        if self.sink.text.ends_with(b",") {
            self.sink.text.pop();
        }
        self.sink.text.push(bracket);
    }
}

/// A key. Answers whether its member is kept.
struct Key<'s> {
    sink: &'s mut Sink,
    left_out: LeftOut,
    first_key: usize,
}

impl Key<'_> {
    fn take<E: Error>(self, key: &str, push: impl FnOnce(&mut Sink, &str)) -> Result<bool, E> {
        let Self { sink, left_out, first_key } = self;
        if left_out(key) {
            return Ok(false);
        }
        let start = sink.text.len();
        push(sink, key);
        if sink.keys.len() - first_key >= KEYS_MAX || !sink.take_key(start, first_key) {
            return Err(E::custom("not to be done in one pass"));
        }
        Ok(true)
    }
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<bool, E> {
        self.take(key, Sink::push_quoted)
    }

    fn visit_borrowed_str<E: Error>(self, key: &'de str) -> Result<bool, E> {
        self.take(key, Sink::push_plain)
    }
}

/// Of an object within the event.
fn none(_: &str) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::{in_one_pass, in_two, none, normalised_text};

    fn is_node(key: &str) -> bool {
        key == "Node"
    }

    #[track_caller]
    fn check(body: &str, expected: &str) {
        assert_eq!(normalised_text(body, is_node), expected, "{body}");
        assert_eq!(in_two(body, is_node), expected, "{body}");
    }

    #[test]
    fn text_is_normalised_at_every_depth() {
        check("{}", "{}");
        check(r#"{"Call-ID": "A-B", "X": null}"#, r#"{"call_id":"A-B"}"#);
        check(r#"{"X": null, "Node": {"A": [1]}, "B": {"Node": 1, "N": null}}"#, r#"{"b":{"node":1}}"#);
        check(
            r#"{"L": [{"A-B": [[{"C-D": null}]]}, null, [], [null], 1.5, -1, true]}"#,
            r#"{"l":[{"a_b":[[{}]]},[],[],1.5,-1,true]}"#,
        );
        check(r#"{"É-A": "\u00e9\n\"\\"}"#, r#"{"É_a":"é\n\"\\"}"#);
        check(r#"{"[": "[", "{": "{"}"#, r#"{"[":"[","{":"{"}"#);
    }

    #[test]
    fn what_one_pass_cannot_do_is_done_all_the_same() {
        for (body, expected) in [
            (r#"{"A-B": 1, "c": 2, "a_b": 3}"#, r#"{"a_b":3,"c":2}"#),
            (r#"{"A-B": 1, "a_b": null}"#, r#"{"a_b":1}"#),
            (r#"{"A": 1, "A": null}"#, "{}"),
        ] {
            assert_eq!(in_one_pass(body, none), None, "{body}");
            check(body, expected);
        }
        let many: Vec<String> = (0..1_000).map(|key| format!(r#""k{key}":{key}"#)).collect();
        let body = format!("{{{}}}", many.join(","));
        assert_eq!(in_one_pass(&body, none), None);
        check(&body, &body);
        for body in ["", "[]", "1", "{\"a\":1}x"] {
            assert_eq!(normalised_text(body, none), "{}", "{body}");
        }
    }

    #[test]
    fn deepest_body_that_parses_is_normalised() {
        let body = format!("{}1{}", "{\"A\":".repeat(127), "}".repeat(127));
        check(&body, &body.to_lowercase());
    }

    fn value() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,4}".prop_map(Value::from),
        ];
        scalar.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                vec(inner.clone(), 0..4).prop_map(Value::from),
                vec((key(), inner), 0..4).prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn key() -> impl Strategy<Value = String> {
        prop_oneof![3 => "[A-Ca-c_-]{0,3}", 1 => Just("Node".to_owned()), 1 => ".{0,3}", 1 => "[\"\\\\\x00-\x1fN-]{0,3}"]
    }

    proptest! {
        #[test]
        fn one_pass_says_what_two_say(members in vec((key(), value()), 0..6)) {
            let members = members.iter().map(|(key, value)| format!("{}:{value}", Value::from(key.as_str())));
            let body = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
            let parse = |text: String| serde_json::from_str::<Value>(&text).unwrap();
            let found = parse(normalised_text(&body, is_node));
            prop_assert_eq!(found, parse(in_two(&body, is_node)), "{}", body);
        }
    }
}
