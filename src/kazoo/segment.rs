//! Ids inside routing keys: every segment is percent-encoded, so that an id never adds or hides a dot.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// All but `[A-Za-z0-9_~-]`. The space is encoded too, and becomes `+` afterwards.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'~').remove(b'-');

/// The segment of a routing key that stands for `id`.
///
/// A whole `*` or `#` stays as it is, since Kazoo writes bindings by the same rule.
pub fn encode_segment(id: &str) -> Cow<'_, str> {
    if matches!(id, "*" | "#") {
        return Cow::Borrowed(id);
    }
    match Cow::from(utf8_percent_encode(id, ENCODED)) {
        // A literal `+` or `%20` of the id is `%2B` or `%2520` by now: only encoded spaces are left.
        Cow::Owned(encoded) if encoded.contains("%20") => Cow::Owned(encoded.replace("%20", "+")),
        encoded => encoded,
    }
}

/// The id that a segment stands for. Bytes that are not UTF-8 become U+FFFD.
pub fn decode_segment(segment: &str) -> Cow<'_, str> {
    if segment.contains('+') {
        let spaced = segment.replace('+', " ");
        return Cow::Owned(percent_decode_str(&spaced).decode_utf8_lossy().into_owned());
    }
    percent_decode_str(segment).decode_utf8_lossy()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop_assert, prop_assert_eq, proptest};

    use super::{decode_segment, encode_segment};

    #[track_caller]
    fn check(id: &str, segment: &str) {
        assert_eq!(encode_segment(id), segment);
        assert_eq!(decode_segment(segment), id);
    }

    #[test]
    fn segments_are_encoded_as_kazoo_does() {
        check("", "");
        check("aZ09_-~", "aZ09_-~");
        check("a b", "a+b");
        check("a+b", "a%2Bb");
        check("a%20b", "a%2520b");
        check("12.34@10.0.0.1", "12%2E34%4010%2E0%2E0%2E1");
        check("account/aa/bb/cc", "account%2Faa%2Fbb%2Fcc");
        check("é", "%C3%A9");
        check("*", "*");
        check("#", "#");
        check("**", "%2A%2A");
        check("a#", "a%23");
    }

    #[test]
    fn lower_case_hex_is_decoded_too() {
        assert_eq!(decode_segment("a%2fb"), "a/b");
        assert_eq!(decode_segment("100%"), "100%");
    }

    proptest! {
        #[test]
        fn decode_undoes_encode(id in ".*") {
            let segment = encode_segment(&id);
            prop_assert!(!segment.contains('.') && !segment.contains(' '));
            prop_assert_eq!(decode_segment(&segment), id.as_str());
        }
    }
}
