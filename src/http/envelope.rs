//! The response envelope that every answer of the API comes in.
//!
//! `front` renders and responds once per request, for successes and errors alike. Nothing here decides anything.

use actix_web::HttpResponse;
use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use super::answer::{Answer, Content};
use super::body::Reply;
use super::clock::iso8601;
use super::error::ApiError;
use super::page::Page;
use super::query::Query;
use crate::event::now_ms;

/// A request id of our own making is as long; a client's may be twice that.
const REQUEST_ID_CHARS_MAX: usize = 64;

/// Kazoo's word for the revision of what is no document.
const AUTOMATIC: &str = "automatic";

#[derive(Debug, Serialize)]
struct Envelope<'a> {
    data: Value,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    page_size: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_start_key: Option<String>,
    request_id: &'a str,
    timestamp: String,
    node: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_token: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Compact,
    Indented,
}

/// A response but for the request's payload.
pub struct Rendered {
    code: StatusCode,
    content_type: &'static str,
    text: Bytes,
    header: Option<(HeaderName, String)>,
}

/// Writes one response. Made before the checks begin, so that their errors come in the envelope too.
#[derive(Debug, Clone)]
pub struct Writer {
    request_id: String,
    style: Style,
    auth_token: Option<String>,
}

impl Writer {
    pub fn new(headers: &HeaderMap, query: &Query) -> Self {
        let indented = query.is_true("pretty_print")
            || headers.get("X-Pretty-Print").is_some_and(|value| value.as_bytes() == b"true");
        Self {
            request_id: request_id(headers),
            style: if indented { Style::Indented } else { Style::Compact },
            auth_token: None,
        }
    }

    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// The response repeats the request's token once that was found valid, and never one that it knows nothing about.
    pub fn authenticated(&mut self, token: String) {
        self.auth_token = Some(token);
    }

    /// Everything but the payload, which cannot leave the worker.
    pub fn render(&self, node: &str, result: Result<Answer, ApiError>) -> Rendered {
        match result {
            Ok(Answer { success, content: Content::Text { content_type, text }, .. }) => {
                Rendered { code: success.code(), content_type, text: text.into(), header: None }
            }
            Ok(Answer { success, content: Content::Page(page), .. }) => {
                self.json(success.code(), &self.of_page(node, page))
            }
            Ok(Answer { success, content: Content::Value(value), revision, auth_token }) => {
                let mut envelope = self.of_value(node, value);
                envelope.revision = Some(revision.map_or_else(|| AUTOMATIC.into(), |revision| revision.to_string()));
                if auth_token.is_some() {
                    envelope.auth_token = auth_token;
                }
                self.json(success.code(), &envelope)
            }
            Err(error) => {
                let (code, header) = (error.code(), error.header());
                let envelope = Envelope {
                    status: error.status(),
                    error: Some(code.as_u16().to_string()),
                    message: Some(error.message()),
                    ..self.of_value(node, error.into_data())
                };
                Rendered { header, ..self.json(code, &envelope) }
            }
        }
    }

    pub fn respond(&self, rendered: Rendered, payload: Payload) -> HttpResponse<Reply> {
        let mut response = HttpResponse::with_body(rendered.code, Reply::new(rendered.text, payload));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(rendered.content_type));
        // Answers hold tokens and what belongs to one account.
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some((name, value)) = rendered.header
            && let Ok(value) = HeaderValue::from_str(&value)
        {
            headers.insert(name, value);
        }
        self.mark(response)
    }

    /// What any response has.
    pub fn mark<B>(&self, mut response: HttpResponse<B>) -> HttpResponse<B> {
        let headers = response.headers_mut();
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            headers.insert(HeaderName::from_static("x-request-id"), id);
        }
        response
    }

    fn of_page<'a>(&'a self, node: &'a str, page: Page) -> Envelope<'a> {
        Envelope {
            page_size: Some(page.items.len()),
            start_key: page.start_key,
            next_start_key: page.next_start_key,
            revision: Some(AUTOMATIC.into()),
            ..self.of_value(node, page.items.into())
        }
    }

    fn of_value<'a>(&'a self, node: &'a str, data: Value) -> Envelope<'a> {
        Envelope {
            data,
            status: "success",
            error: None,
            message: None,
            page_size: None,
            start_key: None,
            next_start_key: None,
            request_id: &self.request_id,
            timestamp: iso8601(now_ms()),
            node,
            // What runs here is told to nobody who has not shown a token.
            version: self.auth_token.is_some().then_some(env!("CARGO_PKG_VERSION")),
            revision: None,
            auth_token: self.auth_token.clone(),
        }
    }

    fn json(&self, code: StatusCode, envelope: &Envelope<'_>) -> Rendered {
        let text = match self.style {
            Style::Compact => serde_json::to_vec(envelope),
            Style::Indented => serde_json::to_vec_pretty(envelope),
        };
        // Keys are strings and the values came from JSON, so there is nothing that could not be written.
        Rendered { code, content_type: "application/json", text: text.unwrap_or_default().into(), header: None }
    }
}

/// The client's own id where it is harmless in logs and headers, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let given = headers.get("X-Request-ID").and_then(|value| value.to_str().ok());
    match given {
        Some(id) if is_harmless(id) => id.into(),
        _ => hex::encode(rand::random::<[u8; 16]>()),
    }
}

fn is_harmless(id: &str) -> bool {
    (1..=REQUEST_ID_CHARS_MAX).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':'))
}

#[cfg(test)]
mod tests {
    use actix_web::body::to_bytes;
    use actix_web::dev::Payload;
    use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
    use serde_json::{Value, json};

    use super::{Answer, ApiError, Page, Query, Writer};

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter();
        pairs.map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    async fn text(writer: Writer, result: Result<Answer, ApiError>) -> String {
        let body = writer.respond(writer.render("node", result), Payload::None).into_body();
        String::from_utf8(to_bytes(body).await.unwrap().to_vec()).unwrap()
    }

    async fn body(writer: Writer, result: Result<Answer, ApiError>) -> Value {
        serde_json::from_str(&text(writer, result).await).unwrap()
    }

    fn writer() -> Writer {
        Writer::new(&headers(&[("x-request-id", "r-1")]), &Query::default())
    }

    fn without_timestamp(mut envelope: Value) -> Value {
        let timestamp = envelope.as_object_mut().unwrap().shift_remove("timestamp").unwrap();
        assert!(timestamp.as_str().unwrap().ends_with('Z'));
        envelope
    }

    #[actix_web::test]
    async fn success_without_a_token_tells_neither_version_nor_token() {
        let envelope = without_timestamp(body(writer(), Ok(Answer::ok(json!([1])))).await);
        let expected =
            json!({ "data": [1], "status": "success", "request_id": "r-1", "node": "node", "revision": "automatic" });
        assert_eq!(envelope, expected);
    }

    #[actix_web::test]
    async fn success_with_a_token_repeats_it() {
        let mut writer = writer();
        writer.authenticated("t".into());
        let envelope = body(writer, Ok(Answer::ok(json!({})).with_revision(3))).await;
        assert_eq!(envelope["auth_token"], "t");
        assert_eq!(envelope["version"], env!("CARGO_PKG_VERSION"));
        assert_eq!(envelope["revision"], "3");
    }

    #[actix_web::test]
    async fn page_tells_where_it_stands() {
        let page = Page { items: vec![json!(1)], start_key: Some("a".into()), next_start_key: None };
        let envelope = body(writer(), Ok(Answer::page(page))).await;
        assert_eq!(envelope["page_size"], 1);
        assert_eq!(envelope["start_key"], "a");
        assert!(envelope.get("next_start_key").is_none());
    }

    #[actix_web::test]
    async fn error_comes_in_the_envelope() {
        let envelope = without_timestamp(body(writer(), Err(ApiError::BadIdentifier("x".into()))).await);
        let expected = json!({
            "data": { "cause": "x" }, "status": "error", "error": "404", "message": "bad_identifier",
            "request_id": "r-1", "node": "node",
        });
        assert_eq!(envelope, expected);
    }

    #[actix_web::test]
    async fn text_goes_out_as_it_is() {
        assert_eq!(text(writer(), Ok(Answer::text("text/plain", "x 1\n".into()))).await, "x 1\n");
    }

    #[actix_web::test]
    async fn pretty_print_by_header_or_query() {
        for (headers, query, pretty) in [
            (headers(&[]), "", false),
            (headers(&[("x-pretty-print", "true")]), "", true),
            (headers(&[("x-pretty-print", "false")]), "", false),
            (headers(&[]), "pretty_print=true", true),
        ] {
            let writer = Writer::new(&headers, &Query::parse(query));
            assert_eq!(text(writer, Ok(Answer::ok(json!({ "a": 1 })))).await.contains("\n  \"data\""), pretty);
        }
    }

    #[test]
    fn hostile_request_ids_are_replaced() {
        let long: &'static str = "x".repeat(65).leak();
        for id in ["", "a b", "<script>", "a\tb", long] {
            let made = Writer::new(&headers(&[("x-request-id", id)]), &Query::default()).request_id;
            assert!(made != id && made.len() == 32, "{id:?}");
        }
    }
}
