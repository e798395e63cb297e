//! Reads frames off a connection: RFC 6455, the server's side, without extensions. Pure but for the stream around it.
//!
//! It stands in place of the decoder of actix, which keeps a whole frame before it looks at its length: here a message
//! that is declared too large is refused before any of it is kept, text is checked as it comes in, and memory is taken
//! for bytes that are here, never for a length that somebody wrote down. The session reads from [`Frames`].

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use bytestring::ByteString;
use futures_util::Stream;

use super::close::{CloseCode, may_be_sent};
use super::head::{Head, HeadReader, Opcode};

/// The longest payload of a control frame.
const CONTROL_BYTES_MAX: u64 = 125;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    Text(ByteString),
    Binary(Bytes),
    Ping(Bytes),
    Pong,
    /// With the number that the peer gave, if it gave one.
    Close(Option<u16>),
}

/// What ended the reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    #[error("a frame without a mask")]
    Unmasked,
    #[error("reserved bits are set")]
    ReservedBits,
    #[error("an unknown opcode")]
    UnknownOpcode,
    #[error("a control frame that is fragmented or too long")]
    BadControl,
    #[error("a continuation of nothing, or a new message within another")]
    OutOfSequence,
    #[error("a message that is too large")]
    TooLarge,
    #[error("text that is not UTF-8")]
    NotUtf8,
    #[error("a close frame with half a code, or a code that must not be sent")]
    BadClose,
}

impl Violation {
    pub fn code(self) -> CloseCode {
        match self {
            Self::TooLarge => CloseCode::TooLarge,
            Self::NotUtf8 => CloseCode::NotUtf8,
            _ => CloseCode::Protocol,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
}

/// Where the payload of the present frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Into {
    Message,
    Control(Opcode),
    /// After a violation: nowhere. `true`: it is a close frame.
    Nowhere {
        close: bool,
    },
}

#[derive(Debug)]
struct Frame {
    into: Into,
    fin: bool,
    mask: [u8; 4],
    remaining: u64,
}

/// The decoder. After a violation it reports nothing but a close frame, so that the closing handshake can end.
#[derive(Debug, Default)]
pub struct Decoder {
    head: HeadReader,
    frame: Option<Frame>,
    control: Vec<u8>,
    kind: Option<Kind>,
    message: BytesMut,
    /// How much of a text is known to be UTF-8.
    valid: usize,
    broken: bool,
}

impl Decoder {
    /// Takes bytes off the front of `input` until a message is complete or nothing is left. `max` is for the bytes of a
    /// message, fragments together.
    pub fn decode(&mut self, input: &mut Bytes, max: usize) -> Result<Option<Incoming>, Violation> {
        let result = self.advance(input, max);
        if result.is_err() {
            self.break_off();
        }
        result
    }

    fn advance(&mut self, input: &mut Bytes, max: usize) -> Result<Option<Incoming>, Violation> {
        loop {
            if self.frame.is_none() {
                let Some(head) = self.head.read(input) else {
                    return Ok(None);
                };
                // Set first: what is refused must still be skipped.
                let broken = Into::Nowhere { close: head.opcode == Some(Opcode::Close) };
                self.frame = Some(Frame { into: broken, fin: head.fin, mask: head.mask, remaining: head.length });
                if !self.broken {
                    let into = self.admit(&head, max)?;
                    self.frame = Some(Frame { into, fin: head.fin, mask: head.mask, remaining: head.length });
                }
            }
            if !self.take_payload(input)? {
                return Ok(None);
            }
            if let Some(frame) = self.frame.take()
                && let Some(incoming) = self.finish(&frame)?
            {
                return Ok(Some(incoming));
            }
        }
    }

    /// Whether a frame may come now, by what its head declares.
    fn admit(&mut self, head: &Head, max: usize) -> Result<Into, Violation> {
        if head.reserved {
            return Err(Violation::ReservedBits);
        }
        let opcode = head.opcode.ok_or(Violation::UnknownOpcode)?;
        if !head.masked {
            return Err(Violation::Unmasked);
        }
        if opcode.is_control() {
            let fits = head.fin && head.length <= CONTROL_BYTES_MAX;
            return if fits { Ok(Into::Control(opcode)) } else { Err(Violation::BadControl) };
        }
        match (opcode, self.kind) {
            (Opcode::Continuation, Some(_)) => {}
            (Opcode::Text, None) => self.kind = Some(Kind::Text),
            (Opcode::Binary, None) => self.kind = Some(Kind::Binary),
            _ => return Err(Violation::OutOfSequence),
        }
        let room = max.saturating_sub(self.message.len()) as u64;
        if head.length > room { Err(Violation::TooLarge) } else { Ok(Into::Message) }
    }

    /// Whether the frame's payload is complete.
    fn take_payload(&mut self, input: &mut Bytes) -> Result<bool, Violation> {
        let Some(frame) = &mut self.frame else {
            return Ok(true);
        };
        let taken = usize::try_from(frame.remaining).unwrap_or(usize::MAX).min(input.len());
        match frame.into {
            Into::Message => {
                let start = self.message.len();
                self.message.extend_from_slice(&input[..taken]);
                unmask(&mut self.message[start..], frame.mask);
            }
            Into::Control(_) => {
                let start = self.control.len();
                self.control.extend_from_slice(&input[..taken]);
                unmask(&mut self.control[start..], frame.mask);
            }
            Into::Nowhere { .. } => {}
        }
        input.advance(taken);
        frame.remaining -= taken as u64;
        frame.mask.rotate_left(taken % 4);
        let (into, complete) = (frame.into, frame.remaining == 0);
        if into == Into::Message && self.kind == Some(Kind::Text) {
            self.check_text()?;
        }
        Ok(complete)
    }

    /// A character may still be cut at the end.
    fn check_text(&mut self) -> Result<(), Violation> {
        match std::str::from_utf8(&self.message[self.valid..]) {
            Ok(text) => self.valid += text.len(),
            Err(error) if error.error_len().is_none() => self.valid += error.valid_up_to(),
            Err(_) => return Err(Violation::NotUtf8),
        }
        Ok(())
    }

    fn finish(&mut self, frame: &Frame) -> Result<Option<Incoming>, Violation> {
        match frame.into {
            Into::Nowhere { close } => Ok(close.then_some(Incoming::Close(None))),
            Into::Control(opcode) => {
                let payload = std::mem::take(&mut self.control);
                Ok(Some(match opcode {
                    Opcode::Ping => Incoming::Ping(payload.into()),
                    Opcode::Pong => Incoming::Pong,
                    _ => Incoming::Close(close_number(&payload)?),
                }))
            }
            Into::Message if frame.fin => self.finish_message().map(Some),
            Into::Message => Ok(None),
        }
    }

    fn finish_message(&mut self) -> Result<Incoming, Violation> {
        let bytes = std::mem::take(&mut self.message).freeze();
        self.valid = 0;
        match self.kind.take() {
            // It fails where the last character is cut short; all before was checked.
            Some(Kind::Text) => ByteString::try_from(bytes).map(Incoming::Text).map_err(|_| Violation::NotUtf8),
            _ => Ok(Incoming::Binary(bytes)),
        }
    }

    /// What was kept is let go of, and nothing is kept any more.
    fn break_off(&mut self) {
        self.broken = true;
        (self.control, self.message, self.kind) = (Vec::new(), BytesMut::new(), None);
        if let Some(frame) = &mut self.frame
            && !matches!(frame.into, Into::Nowhere { .. })
        {
            frame.into = Into::Nowhere { close: false };
        }
    }
}

fn close_number(payload: &[u8]) -> Result<Option<u16>, Violation> {
    match payload {
        [] => Ok(None),
        [high, low, reason @ ..] => {
            let number = u16::from_be_bytes([*high, *low]);
            if !may_be_sent(number) {
                return Err(Violation::BadClose);
            }
            std::str::from_utf8(reason).map_err(|_| Violation::NotUtf8)?;
            Ok(Some(number))
        }
        [_] => Err(Violation::BadClose),
    }
}

/// `mask` begins with the byte for the first one. Eight at a time: a client may send megabytes.
fn unmask(bytes: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = bytes.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// What the session sets for the reading of its own frames.
pub struct Intake {
    bytes_max: Cell<usize>,
    paused: Cell<bool>,
    waker: Cell<Option<Waker>>,
}

impl Intake {
    pub fn new(bytes_max: usize) -> Rc<Self> {
        Rc::new(Self { bytes_max: Cell::new(bytes_max), paused: Cell::new(false), waker: Cell::default() })
    }

    pub fn set_bytes_max(&self, bytes_max: usize) {
        self.bytes_max.set(bytes_max);
    }

    /// Nothing is read until [`Self::resume`]; the peer then finds its way blocked.
    pub fn pause(&self) {
        self.paused.set(true);
    }

    pub fn resume(&self) {
        if self.paused.replace(false)
            && let Some(waker) = self.waker.take()
        {
            waker.wake();
        }
    }
}

/// The frames on a stream of bytes. It ends when that does, well or badly.
pub struct Frames<S> {
    stream: S,
    chunk: Bytes,
    decoder: Decoder,
    intake: Rc<Intake>,
}

impl<S> Frames<S> {
    pub fn new(stream: S, intake: Rc<Intake>) -> Self {
        Self { stream, chunk: Bytes::new(), decoder: Decoder::default(), intake }
    }
}

impl<S, E> Stream for Frames<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    type Item = Result<Incoming, Violation>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            if this.intake.paused.get() {
                this.intake.waker.set(Some(context.waker().clone()));
                return Poll::Pending;
            }
            if let Some(item) = this.decoder.decode(&mut this.chunk, this.intake.bytes_max.get()).transpose() {
                return Poll::Ready(Some(item));
            }
            // An empty one still holds the buffer that the connection reads into.
            this.chunk = Bytes::new();
            match ready!(Pin::new(&mut this.stream).poll_next(context)) {
                Some(Ok(chunk)) => this.chunk = chunk,
                Some(Err(_)) | None => return Poll::Ready(None),
            }
        }
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod naive;
#[cfg(test)]
mod tests;
