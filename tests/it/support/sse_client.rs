//! `SseClient`: a client of a stream of Server-Sent Events, which reads it as a browser does.

use std::net::SocketAddr;

use actix_web::http::header::HeaderMap;
use awc::error::PayloadError;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::LocalBoxStream;
use serde_json::Value;
use tokio::time::timeout;

use super::PATIENCE;

pub struct SseClient {
    pub headers: HeaderMap,
    body: LocalBoxStream<'static, Result<Bytes, PayloadError>>,
    received: Vec<u8>,
    /// Comments that came.
    pub comments: usize,
    /// As a browser gives it back: the last one that came.
    pub last_event_id: String,
    pub retry_ms: Option<u64>,
}

/// One event.
#[derive(Debug, Clone, PartialEq)]
pub struct Sse {
    /// `message` when none was named.
    pub name: String,
    pub id: Option<String>,
    pub text: String,
}

impl Sse {
    pub fn data(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("no JSON: {}", self.text))
    }
}

impl SseClient {
    /// The error is the status code of the answer, and its text.
    pub async fn try_open(server: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Self, (u16, String)> {
        let client = awc::Client::builder().timeout(PATIENCE).disable_redirects().finish();
        let mut request = client.get(format!("http://{server}{path}")).no_decompress();
        for header in headers {
            request = request.insert_header(*header);
        }
        // The same as EventSource's.
        let mut response = request.insert_header(("Accept", "text/event-stream")).send().await.unwrap();
        if response.status() != 200 {
            let text = response.body().await.unwrap();
            return Err((response.status().as_u16(), String::from_utf8(text.to_vec()).unwrap()));
        }
        Ok(Self {
            headers: response.headers().clone(),
            body: response.timeout(PATIENCE * 10).boxed_local(),
            received: Vec::new(),
            comments: 0,
            last_event_id: String::new(),
            retry_ms: None,
        })
    }

    /// The next event; `None` at the end of the stream.
    pub async fn try_next(&mut self) -> Option<Sse> {
        loop {
            let block = self.next_block().await?;
            let mut event = Sse { name: "message".into(), id: None, text: String::new() };
            for line in block.lines() {
                match line.split_once(": ") {
                    Some(("data", text)) => event.text.push_str(text),
                    Some(("event", name)) => event.name = name.into(),
                    Some(("id", id)) => event.id = Some(id.into()),
                    Some(("retry", ms)) => self.retry_ms = Some(ms.parse().unwrap()),
                    _ if line.starts_with(':') => self.comments += 1,
                    _ => panic!("no line of an event: {line}"),
                }
            }
            if let Some(id) = &event.id {
                self.last_event_id.clone_from(id);
            }
            if !event.text.is_empty() {
                return Some(event);
            }
        }
    }

    pub async fn next(&mut self) -> Sse {
        self.try_next().await.expect("an event, and not the end of the stream")
    }

    /// The next event, which must have that name.
    pub async fn expect(&mut self, name: &str) -> Sse {
        let event = self.next().await;
        assert_eq!(event.name, name, "{event:?}");
        event
    }

    /// The stream ends here, with an error of that code.
    pub async fn expect_close(&mut self, code: u64) {
        let error = self.expect("error").await.data();
        assert_eq!((&error["action"], &error["data"]["code"]), (&"close".into(), &code.into()), "{error}");
        assert_eq!(self.try_next().await, None);
    }

    /// Waits for the next comment.
    pub async fn expect_comment(&mut self) {
        assert_eq!(self.next_block().await.as_deref(), Some(":"));
    }

    /// What stands before an empty line.
    async fn next_block(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.received.windows(2).position(|window| window == b"\n\n") {
                let block: Vec<u8> = self.received.drain(..end + 2).collect();
                return Some(String::from_utf8(block[..end].to_vec()).unwrap());
            }
            match timeout(PATIENCE, self.body.next()).await.expect("something, or the end of the stream") {
                Some(Ok(chunk)) => self.received.extend_from_slice(&chunk),
                Some(Err(_)) | None => return None,
            }
        }
    }
}
