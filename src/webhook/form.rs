//! Payloads as `application/x-www-form-urlencoded` text, the way Kazoo writes them: `a[b]=v`, `a[]=v`, `a[0][b]=v`.
//!
//! Called by `request`; it never sees a URI or a verb.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Key names stay readable; encoded is what would end the name, the pair or the request line.
const KEY: &AsciiSet =
    &VALUE.remove(b'[').remove(b']').remove(b'*').remove(b'!').remove(b':').remove(b'@').remove(b'$');

/// A payload of a call has about this many bytes.
const USUAL_BYTES: usize = 1_024;

/// Pairs joined with `&`, in the order of the payload. Nulls, empty objects and empty lists are left out.
pub fn encode<'a>(payload: impl Iterator<Item = (&'a str, &'a Value)>) -> String {
    let mut out = String::with_capacity(USUAL_BYTES);
    for (key, value) in payload {
        append(&mut out, &escaped_key(key), value);
    }
    out
}

/// `name` is encoded already.
fn append(out: &mut String, name: &str, value: &Value) {
    match value {
        Value::Null => (),
        Value::Bool(value) => pair(out, name, if *value { "true" } else { "false" }),
        Value::Number(value) => pair(out, name, &value.to_string()),
        Value::String(value) => pair(out, name, value),
        Value::Object(members) => {
            for (key, value) in members {
                append(out, &format!("{name}[{}]", escaped_key(key)), value);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                match item {
                    // What has parts needs its index, or the parts of two items could not be told apart.
                    Value::Object(_) | Value::Array(_) => append(out, &format!("{name}[{index}]"), item),
                    _ => append(out, &format!("{name}[]"), item),
                }
            }
        }
    }
}

fn pair(out: &mut String, name: &str, value: &str) {
    if !out.is_empty() {
        out.push('&');
    }
    out.push_str(name);
    out.push('=');
    push_escaped(out, value, VALUE);
}

/// Hardly any key has anything to escape.
fn escaped_key(key: &str) -> Cow<'_, str> {
    match Cow::from(utf8_percent_encode(key, KEY)) {
        Cow::Borrowed(plain) => Cow::Borrowed(plain),
        Cow::Owned(_) => {
            let mut out = String::with_capacity(key.len());
            push_escaped(&mut out, key, KEY);
            Cow::Owned(out)
        }
    }
}

fn push_escaped(out: &mut String, text: &str, set: &'static AsciiSet) {
    for part in utf8_percent_encode(text, set) {
        // Escapes come one by one, and no run between them has a `%`: this can only be a blank.
        out.push_str(if part == "%20" { "+" } else { part });
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, proptest};
    use serde_json::{Map, Value, json};

    use super::encode;
    use crate::kazoo::fields::Fields;

    #[track_caller]
    fn check(payload: Value, expected: &str) {
        assert_eq!(encode(Fields::from(payload.as_object().unwrap().clone()).iter()), expected);
    }

    #[test]
    fn scalars_are_written_as_json_writes_them() {
        check(json!({"a": "x", "b": 1, "c": -2.5, "d": true, "e": false, "f": ""}), "a=x&b=1&c=-2.5&d=true&e=false&f=");
        check(json!({"big": 18_446_744_073_709_551_615_u64, "exp": 1e300}), "big=18446744073709551615&exp=1e%2B300");
    }

    #[test]
    fn nested_values_are_named_by_their_path() {
        check(json!({"a": {"b": "v"}}), "a[b]=v");
        check(json!({"a": {"b": {"c": "v", "d": 2}}, "e": 1}), "a[b][c]=v&a[b][d]=2&e=1");
        check(json!({"a": ["v1", "v2", 3, true]}), "a[]=v1&a[]=v2&a[]=3&a[]=true");
        check(json!({"a": [{"b": 1}, {"b": 2}]}), "a[0][b]=1&a[1][b]=2");
        check(json!({"a": ["x", {"b": 2}, [3, [4]]]}), "a[]=x&a[1][b]=2&a[2][]=3&a[2][1][]=4");
        check(json!({"a": {"b": ["x", "y"]}}), "a[b][]=x&a[b][]=y");
    }

    #[test]
    fn nothing_stands_for_nulls_and_empty_containers() {
        check(json!({}), "");
        check(json!({"a": null, "b": {}, "c": [], "d": {"e": {}, "f": [[], null]}, "g": 1}), "g=1");
    }

    #[test]
    fn values_are_percent_encoded_with_plus_for_a_blank() {
        check(
            json!({"from": "+1 (555) 0100@a.b", "to": "sip:x;y=z&q", "u": "ü€", "keep": "-._~", "nl": "a\r\n\u{0}b"}),
            "from=%2B1+%28555%29+0100%40a.b&to=sip%3Ax%3By%3Dz%26q&u=%C3%BC%E2%82%AC&keep=-._~&nl=a%0D%0A%00b",
        );
    }

    #[test]
    fn keys_are_raw_except_for_what_would_break_the_encoding() {
        check(json!({"Account-ID": 1, "a.b_c~[x]": 2}), "Account-ID=1&a.b_c~[x]=2");
        check(json!({"a&b=c#d%e f+g": {"h\ni": "v"}, "ü": 1}), "a%26b%3Dc%23d%25e+f%2Bg[h%0Ai]=v&%C3%BC=1");
    }

    proptest! {
        #[test]
        fn any_decoder_reads_flat_payloads_back(pairs in vec((any::<String>(), any::<String>()), 0..8)) {
            let payload: Map<String, Value> = pairs.into_iter().map(|(key, value)| (key, Value::from(value))).collect();
            let text = encode(Fields::from(payload.clone()).iter());
            assert!(text.bytes().all(|b| b.is_ascii_graphic()), "{text}");
            let read: Map<String, Value> =
                url::form_urlencoded::parse(text.as_bytes()).map(|(key, value)| (key.into_owned(), Value::from(value.into_owned()))).collect();
            assert_eq!(read, payload);
        }
    }
}
