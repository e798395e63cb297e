//! What a [`HookServer`](super::HookServer) answers, and the many ways in which an endpoint can misbehave.

use std::time::Duration;

/// One answer to one request.
#[derive(Debug, Clone)]
pub struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) delay: Duration,
    pub(super) manner: Manner,
}

/// How an answer is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Whole and at once; the connection stays open for the next request.
    Proper,
    /// The same, but the connection is closed after it without notice.
    CloseAfter,
    /// Never a byte, while the connection stays open.
    Hang,
    /// The head one byte per interval.
    DripHead(Duration),
    /// The head at once, then the body one byte per interval.
    DripBody(Duration),
    /// A body of 1 GiB of declared length.
    GibibyteDeclared,
    /// A body of 1 GiB in chunks, its length not told before.
    GibibyteChunked,
    /// The connection is closed in place of an answer.
    Close,
    /// The connection is reset in place of an answer.
    Reset,
}

impl Answer {
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), delay: Duration::ZERO, manner: Manner::Proper }
    }

    /// Any answer with that manner; the status matters only where a head is sent.
    pub fn manner(manner: Manner) -> Self {
        Self { manner, ..Self::status(200) }
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Waits before the first byte of the answer.
    pub fn delayed(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Whether a webhook's delivery ends with it.
    pub fn is_success(&self) -> bool {
        self.status == 200 && self.manner == Manner::Proper
    }

    /// Status line and headers, up to the empty line.
    pub(super) fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {} Told\r\n", self.status);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        match self.manner {
            Manner::GibibyteChunked => head.push_str("transfer-encoding: chunked\r\n\r\n"),
            Manner::GibibyteDeclared => head.push_str(&format!("content-length: {}\r\n\r\n", 1 << 30)),
            _ => head.push_str(&format!("content-length: {}\r\n\r\n", self.body.len())),
        }
        head
    }
}

impl From<u16> for Answer {
    fn from(status: u16) -> Self {
        Self::status(status)
    }
}
