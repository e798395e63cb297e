//! The way to a session for those who send it events. The Registry holds one for each.

use std::sync::Arc;

use actix::dev::SendError;
use actix::{Message, Recipient};
use bytestring::ByteString;

use super::close::CloseCode;
use super::line::{Ending, Line};
use super::worker::Worker;

/// A text message, encoded once and shared by all sessions that get it.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Frame(pub ByteString);

/// Asks a session to close.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Hangup(pub CloseCode);

/// Brings a session a message of its conversation.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Tell<M: Send>(pub M);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    Queued,
    /// More waited than may. The peer is cut off, since a frame left out would never be missed.
    Shed,
    /// The session has ended.
    Gone,
}

/// It is not to be cloned: each sender of an actor adds a place to its mailbox.
pub struct Outbox {
    frames: Recipient<Frame>,
    line: Arc<Line>,
    bytes_max: usize,
    worker: Option<Worker>,
}

impl Outbox {
    /// To be called on the thread of the session.
    pub fn new(frames: Recipient<Frame>, line: Arc<Line>, bytes_max: usize) -> Self {
        Self { frames, line, bytes_max, worker: Worker::current() }
    }

    /// Never waits. The queue is wide enough for a burst; a peer that does not keep up fills it, and is cut off.
    pub fn try_send(&self, text: &ByteString) -> Sent {
        if self.line.ending().is_some() {
            return Sent::Gone;
        }
        if !self.line.reserve(text.len(), self.bytes_max) {
            self.line.cut(Ending::QueueFull);
            return Sent::Shed;
        }
        match self.frames.try_send(Frame(text.clone())) {
            Ok(()) => Sent::Queued,
            Err(SendError::Full(_)) => {
                self.line.cut(Ending::QueueFull);
                Sent::Shed
            }
            Err(SendError::Closed(_)) => Sent::Gone,
        }
    }

    pub fn line(&self) -> &Arc<Line> {
        &self.line
    }

    /// The session's thread.
    pub fn worker(&self) -> Option<&Worker> {
        self.worker.as_ref()
    }
}
