//! A session as a stream of Server-Sent Events: the body of the answer, in which what the session sends as frames of a
//! websocket goes out as events. The session itself knows of it only that nobody answers.
//!
//! `streams` opens them.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::Stream;

use super::protocol::sse::Script;

const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
/// 1000 and no code at all: nothing is wrong.
const NORMAL: [u16; 2] = [1000, 1005];

pub struct EventStream<S> {
    frames: S,
    script: Script,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Fresh,
    Open,
    /// The session has closed.
    Ended,
}

impl<S> EventStream<S> {
    pub fn new(frames: S, script: Script) -> Self {
        Self { frames, script, state: State::Fresh }
    }

    fn translate(&mut self, mut chunk: Bytes, out: &mut BytesMut) {
        while self.state == State::Open
            && let Some((opcode, payload)) = next_frame(&mut chunk)
        {
            match opcode {
                TEXT => match std::str::from_utf8(&payload) {
                    Ok(frame) => self.script.frame(frame, out),
                    Err(_) => self.state = State::Ended,
                },
                PING => self.script.ping(out),
                CLOSE => {
                    self.close(payload, out);
                    self.state = State::Ended;
                }
                _ => {}
            }
        }
    }

    fn close(&self, mut payload: Bytes, out: &mut BytesMut) {
        let code = payload.try_get_u16().unwrap_or(NORMAL[1]);
        if !NORMAL.contains(&code) {
            self.script.close(code, &String::from_utf8_lossy(&payload), out);
        }
    }
}

impl<S, E> Stream for EventStream<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    type Item = Result<Bytes, E>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut out = BytesMut::new();
        if self.state == State::Fresh {
            self.script.begin(&mut out);
            self.state = State::Open;
            return Poll::Ready(Some(Ok(out.freeze())));
        }
        while self.state == State::Open {
            match Pin::new(&mut self.frames).poll_next(context) {
                Poll::Ready(Some(Ok(chunk))) => self.translate(chunk, &mut out),
                Poll::Ready(None) => self.state = State::Ended,
                other => return other,
            }
            if !out.is_empty() {
                return Poll::Ready(Some(Ok(out.freeze())));
            }
        }
        Poll::Ready(None)
    }
}

/// Opcode and payload. A session writes whole frames, none in fragments or with a mask, and several into one chunk.
fn next_frame(chunk: &mut Bytes) -> Option<(u8, Bytes)> {
    let opcode = chunk.try_get_u8().ok()? & 0xf;
    let length = match chunk.try_get_u8().ok()? {
        126 => chunk.try_get_u16().ok()?.into(),
        127 => usize::try_from(chunk.try_get_u64().ok()?).ok()?,
        length => length.into(),
    };
    (chunk.len() >= length).then(|| (opcode, chunk.split_to(length)))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use bytes::{BufMut, Bytes, BytesMut};
    use futures_util::{StreamExt, stream};

    use super::EventStream;
    use crate::ids::AccountId;
    use crate::websocket::protocol::request::Resume;
    use crate::websocket::protocol::sse::Script;

    fn frame(first: u8, payload: &[u8]) -> Bytes {
        let mut bytes = BytesMut::new();
        bytes.put_u8(first);
        match payload.len() {
            0..=125 => bytes.put_u8(payload.len() as u8),
            126..=65_535 => {
                bytes.put_u8(126);
                bytes.put_u16(payload.len() as u16);
            }
            _ => {
                bytes.put_u8(127);
                bytes.put_u64(payload.len() as u64);
            }
        }
        bytes.put_slice(payload);
        bytes.freeze()
    }

    async fn text_of(chunks: Vec<Bytes>) -> String {
        let script = Script { account: AccountId::from_bytes([1; 16]), resume: Resume::Now, retry_ms: 1 };
        let frames = stream::iter(chunks.into_iter().map(Ok::<_, Infallible>));
        let out: Vec<Bytes> = EventStream::new(frames, script).map(Result::unwrap).collect().await;
        String::from_utf8(out.concat()).unwrap()
    }

    #[tokio::test]
    async fn frames_of_any_length_come_out_whole_and_in_order() {
        let texts: Vec<String> = [0, 1, 125, 126, 65_535, 65_536, 200_000].map(|length| "x".repeat(length)).into();
        let frames: Vec<Bytes> = texts.iter().map(|text| frame(0x81, text.as_bytes())).collect();
        let expected: String = texts.iter().map(|text| format!("data: {text}\n\n")).collect();
        let expected = format!("retry: 1\n\n{expected}");
        assert_eq!(text_of(vec![frames.concat().into()]).await, expected);
        assert_eq!(text_of(frames).await, expected);
    }

    #[tokio::test]
    async fn pings_are_comments_and_a_close_is_the_end() {
        let closed = |payload: &[u8]| vec![frame(0x89, b""), frame(0x88, payload), frame(0x81, b"late")];
        assert_eq!(text_of(closed(b"\x03\xe8")).await, "retry: 1\n\n:\n\n");
        assert_eq!(text_of(closed(b"")).await, "retry: 1\n\n:\n\n");
        let data = r#"{"action":"close","data":{"code":4003,"reason":"idle"}}"#;
        assert_eq!(text_of(closed(b"\x0f\xa3idle")).await, format!("retry: 1\n\n:\n\nevent: error\ndata: {data}\n\n"));
    }
}
