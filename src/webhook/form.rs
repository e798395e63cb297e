//! Payloads as `application/x-www-form-urlencoded` text, the way Kazoo writes them: `a[b]=v`, `a[]=v`, `a[0][b]=v`.
//!
//! Called by `request`; it never sees a URI or a verb.

use std::fmt::Write;

use percent_encoding::percent_encode_byte;
use serde_json::Value;

use crate::kazoo::fields::Seen;

/// Which bytes stay as they are.
type Plain = [bool; 256];

const VALUE: Plain = plain(b"-._~");

/// Key names stay readable; encoded is what would end the name, the pair or the request line.
const KEY: Plain = plain(b"-._~[]*!:@$");

/// A payload of a call has about this many bytes.
const USUAL_BYTES: usize = 1_024;

/// Of the name of a pair.
const USUAL_NAME_BYTES: usize = 64;

/// Pairs joined with `&`, in the order of the payload. Nulls, empty objects and empty lists are left out.
pub fn encode<'a>(payload: impl Iterator<Item = (&'a str, Seen<'a>)>) -> String {
    let mut form = Form { out: String::with_capacity(USUAL_BYTES), name: String::with_capacity(USUAL_NAME_BYTES) };
    for (key, value) in payload {
        if let Seen::Text(text) = value {
            // Most are such: their names need no place of their own.
            form.begin_pair();
            push_escaped(&mut form.out, key, &KEY);
            form.end_pair(text);
            continue;
        }
        form.name.clear();
        push_escaped(&mut form.name, key, &KEY);
        form.append(value);
    }
    form.out
}

struct Form {
    out: String,
    /// Of the pair to come; encoded already.
    name: String,
}

impl Form {
    fn append(&mut self, value: Seen<'_>) {
        match value {
            Seen::Null => (),
            Seen::Truth(value) => self.pair(if value { "true" } else { "false" }),
            Seen::Number(value) => self.pair(&value.to_string()),
            Seen::Text(value) => self.pair(value),
            Seen::Members(members) => members.iter().for_each(|(key, value)| self.member(key, value)),
            Seen::Object(members) => members.iter().for_each(|(key, value)| self.member(key, value.into())),
            Seen::List(items) => items.iter().enumerate().for_each(|(index, item)| self.item(index, item)),
        }
    }

    fn member(&mut self, key: &str, value: Seen<'_>) {
        let outer = self.name.len();
        self.name.push('[');
        push_escaped(&mut self.name, key, &KEY);
        self.name.push(']');
        self.append(value);
        self.name.truncate(outer);
    }

    fn item(&mut self, index: usize, item: &Value) {
        let outer = self.name.len();
        match item {
            // What has parts needs its index, or the parts of two items could not be told apart.
            Value::Object(_) | Value::Array(_) => {
                write!(self.name, "[{index}]").expect("a String takes everything");
            }
            _ => self.name.push_str("[]"),
        }
        self.append(item.into());
        self.name.truncate(outer);
    }

    fn pair(&mut self, value: &str) {
        self.begin_pair();
        self.out.push_str(&self.name);
        self.end_pair(value);
    }

    fn begin_pair(&mut self) {
        if !self.out.is_empty() {
            self.out.push('&');
        }
    }

    fn end_pair(&mut self, value: &str) {
        self.out.push('=');
        push_escaped(&mut self.out, value, &VALUE);
    }
}

/// Most texts are copied in one piece.
fn push_escaped(out: &mut String, text: &str, plain: &Plain) {
    let mut rest = text;
    loop {
        let run = rest.bytes().position(|byte| !plain[usize::from(byte)]).unwrap_or(rest.len());
        // Whatever is plain is ASCII, so that the run ends between characters.
        let (copied, further) = rest.split_at(run);
        out.push_str(copied);
        let Some(special) = further.chars().next() else { return };
        if special == ' ' {
            out.push('+');
        } else {
            special.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| out.push_str(percent_encode_byte(byte)));
        }
        rest = &further[special.len_utf8()..];
        if rest.is_empty() {
            return;
        }
    }
}

const fn plain(marks: &[u8]) -> Plain {
    let mut plain = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        plain[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut place = 0;
    while place < marks.len() {
        plain[marks[place] as usize] = true;
        place += 1;
    }
    plain
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
