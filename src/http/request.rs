//! The request envelope: `{"data": …, "auth_token": …, "verb": …}`.
//!
//! Called by `front` once the whole body is there. The content type is not looked at: Kazoo's clients are careless
//! about it. An empty body is an empty envelope.

use serde_json::Value;

use super::error::ApiError;
use super::json;

#[derive(Debug, Default, PartialEq)]
pub struct Envelope {
    /// `Null` when absent.
    pub data: Value,
    pub auth_token: Option<String>,
    pub verb: Option<String>,
    /// Beside `data`, for those who write it there.
    pub action: Option<Value>,
}

impl Envelope {
    pub fn parse(body: &[u8]) -> Result<Self, ApiError> {
        if body.iter().all(u8::is_ascii_whitespace) {
            return Ok(Self::default());
        }
        match json::parse(body) {
            Ok(Value::Object(mut fields)) => Ok(Self {
                data: fields.shift_remove("data").unwrap_or_default(),
                auth_token: text(fields.shift_remove("auth_token")),
                verb: text(fields.shift_remove("verb")),
                action: fields.shift_remove("action").filter(|action| !action.is_null()),
            }),
            Ok(_) => Err(ApiError::Parse("the body is not a JSON object".into())),
            Err(error) => Err(ApiError::Parse(error.to_string())),
        }
    }
}

fn text(value: Option<Value>) -> Option<String> {
    match value {
        Some(Value::String(text)) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{ApiError, Envelope};

    #[track_caller]
    fn check(body: &str, data: Value, auth_token: Option<&str>, verb: Option<&str>) {
        let (auth_token, verb) = (auth_token.map(String::from), verb.map(String::from));
        let expected = Envelope { data, auth_token, verb, action: None };
        assert_eq!(Envelope::parse(body.as_bytes()), Ok(expected), "{body}");
    }

    #[test]
    fn fields_are_taken_and_others_ignored() {
        check("", Value::Null, None, None);
        check(" \r\n", Value::Null, None, None);
        check("{}", Value::Null, None, None);
        check(r#"{"data":{"a":1},"x":2}"#, json!({ "a": 1 }), None, None);
        check(r#"{"data":[1],"auth_token":"t","verb":"PUT"}"#, json!([1]), Some("t"), Some("PUT"));
        check(r#"{"auth_token":7,"verb":null,"action":null}"#, Value::Null, None, None);
        let beside = Envelope::parse(br#"{"data":{},"action":"metaflow"}"#).unwrap();
        assert_eq!(beside.action, Some(json!("metaflow")));
    }

    #[test]
    fn anything_but_a_json_object_is_a_parse_error() {
        for body in
            [&b"[]"[..], b"1", b"null", b"{", b"{}x", b"data=1", b"{\"data\":\"\xff\"}", br#"{"data":1,"data":2}"#]
        {
            let result = Envelope::parse(body);
            assert!(matches!(result, Err(ApiError::Parse(_))), "{}", String::from_utf8_lossy(body));
        }
    }
}
