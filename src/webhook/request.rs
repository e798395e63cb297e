//! What a hook's request looks like: verb, format, and a payload rendered into a body or a query string.
//!
//! Called once per attempt by the hook's actor. It knows nothing of headers of ours, retries or connections.

use bytes::Bytes;
use serde::Serializer;

use crate::kazoo::fields::Seen;
use crate::webhook::form;
use crate::webhook::uri::HookUri;

/// The HTTP method, as hook documents name it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Verb {
    Get,
    #[default]
    Post,
    Put,
}

/// A payload of a call has about this many bytes.
const USUAL_BYTES: usize = 1_024;

/// The encoding of the body; with `get` the payload is a query string whatever the format.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Format {
    #[default]
    FormData,
    Json,
}

/// A payload, ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rendered {
    Query(String),
    Body { content_type: &'static str, body: Bytes },
}

/// A payload that no attempt can send.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    #[error("the URL with its query string has {bytes} bytes, more than {bytes_max}")]
    UrlTooLong { bytes: usize, bytes_max: usize },
}

impl Verb {
    pub const NAMES: &[&str] = &["get", "post", "put"];

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "get" => Some(Self::Get),
            "post" => Some(Self::Post),
            "put" => Some(Self::Put),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
        }
    }
}

impl Format {
    pub const NAMES: &[&str] = &["form-data", "json"];

    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "form-data" => Some(Self::FormData),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::FormData => "form-data",
            Self::Json => "json",
        }
    }
}

/// The payload as a hook with this verb and format sends it.
pub fn render<'a>(verb: Verb, format: Format, payload: impl Iterator<Item = (&'a str, Seen<'a>)>) -> Rendered {
    match (verb, format) {
        (Verb::Get, _) => Rendered::Query(form::encode(payload)),
        (_, Format::FormData) => Rendered::Body {
            content_type: "application/x-www-form-urlencoded",
            body: Bytes::from(form::encode(payload)),
        },
        (_, Format::Json) => {
            let mut body = Vec::with_capacity(USUAL_BYTES);
            let written = serde_json::Serializer::new(&mut body).collect_map(payload);
            written.expect("keys are strings, and JSON values have a JSON form");
            Rendered::Body { content_type: "application/json", body: Bytes::from(body) }
        }
    }
}

impl Rendered {
    /// The URL to request: the hook's, with a query string appended to the one it may have.
    pub fn url(&self, uri: &HookUri, bytes_max: usize) -> Result<String, RequestError> {
        let target = uri.target();
        let url = match self {
            Self::Query(query) if !query.is_empty() => format!("{target}{}{query}", separator(target)),
            _ => target.to_owned(),
        };
        if url.len() > bytes_max {
            return Err(RequestError::UrlTooLong { bytes: url.len(), bytes_max });
        }
        Ok(url)
    }

    /// The payload as text, for the log of attempts.
    pub fn as_text(&self) -> &str {
        match self {
            Self::Query(query) => query,
            Self::Body { body, .. } => std::str::from_utf8(body).unwrap_or_default(),
        }
    }
}

fn separator(target: &str) -> &'static str {
    if !target.contains('?') {
        "?"
    } else if target.ends_with(['?', '&']) {
        ""
    } else {
        "&"
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Format, Rendered, RequestError, Verb, render};
    use crate::kazoo::fields::Fields;
    use crate::webhook::allow::AllowList;
    use crate::webhook::uri::HookUri;

    fn rendered(verb: Verb, format: Format) -> Rendered {
        let payload = Fields::from(json!({"a": {"b": "x y"}, "n": 1}).as_object().unwrap().clone());
        render(verb, format, payload.iter())
    }

    #[track_caller]
    fn check_url(uri: &str, rendered: &Rendered, expected: &str) {
        let uri = HookUri::parse(uri, &AllowList::none()).unwrap();
        assert_eq!(rendered.url(&uri, 1000).unwrap(), expected);
    }

    #[test]
    fn post_and_put_carry_a_body_in_the_hooks_format() {
        for verb in [Verb::Post, Verb::Put] {
            let form = rendered(verb, Format::FormData);
            let json = rendered(verb, Format::Json);
            assert_eq!((form.as_text(), json.as_text()), ("a[b]=x+y&n=1", r#"{"a":{"b":"x y"},"n":1}"#));
            assert!(matches!(form, Rendered::Body { content_type: "application/x-www-form-urlencoded", .. }));
            assert!(matches!(json, Rendered::Body { content_type: "application/json", .. }));
            check_url("http://h.example/p?q=1#f", &json, "http://h.example/p?q=1");
        }
    }

    #[test]
    fn get_appends_to_the_query_that_is_there() {
        for format in [Format::FormData, Format::Json] {
            let query = rendered(Verb::Get, format);
            check_url("http://h.example", &query, "http://h.example/?a[b]=x+y&n=1");
            check_url("http://h.example/p#f", &query, "http://h.example/p?a[b]=x+y&n=1");
            check_url("http://h.example/p?q=1#f", &query, "http://h.example/p?q=1&a[b]=x+y&n=1");
            check_url("http://h.example/p?", &query, "http://h.example/p?a[b]=x+y&n=1");
            check_url("http://h.example/p?q=1&", &query, "http://h.example/p?q=1&a[b]=x+y&n=1");
        }
        let empty = render(Verb::Get, Format::Json, Fields::default().iter());
        check_url("http://h.example/p", &empty, "http://h.example/p");
    }

    #[test]
    fn a_url_over_the_limit_is_a_named_error() {
        let uri = HookUri::parse("http://h.example/", &AllowList::none()).unwrap();
        let query = rendered(Verb::Get, Format::Json);
        assert_eq!(query.url(&uri, 30), Ok("http://h.example/?a[b]=x+y&n=1".to_owned()));
        assert_eq!(query.url(&uri, 29), Err(RequestError::UrlTooLong { bytes: 30, bytes_max: 29 }));
    }

    #[test]
    fn names_read_back() {
        assert!(Verb::NAMES.iter().all(|name| Verb::parse(name).unwrap().as_str() == *name));
        assert!(Format::NAMES.iter().all(|name| Format::parse(name).unwrap().as_str() == *name));
        assert_eq!((Verb::parse("POST"), Format::parse("xml")), (None, None));
    }
}
