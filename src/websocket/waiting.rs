//! The requests of a socket that wait while an answer is out, in their order.

use std::collections::VecDeque;

use bytestring::ByteString;

use crate::config::Websockets;

#[derive(Debug, Default)]
pub struct Waiting {
    requests: VecDeque<ByteString>,
    bytes: usize,
}

impl Waiting {
    pub fn push(&mut self, request: ByteString) {
        self.bytes += request.len();
        self.requests.push_back(request);
    }

    pub fn pop(&mut self) -> Option<ByteString> {
        let request = self.requests.pop_front()?;
        self.bytes -= request.len();
        Some(request)
    }

    /// Whether no more is to be read until some are answered.
    pub fn is_full(&self, config: &Websockets) -> bool {
        self.requests.len() >= config.requests_waiting_max || self.bytes >= config.frame_bytes_max
    }
}
