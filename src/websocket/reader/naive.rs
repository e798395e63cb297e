//! What a stream of bytes says, by RFC 6455 and the reader's own rules, written as directly as possible and with all the
//! bytes at hand: what the reader is tested against.

use bytes::Bytes;

use super::{Incoming, Violation};

/// What is here of one frame.
struct Frame {
    first: u8,
    masked: bool,
    declared: u64,
    /// Without its mask.
    payload: Vec<u8>,
}

impl Frame {
    /// The first frame, and what comes after it; `None` when its head is cut short.
    fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&[first, second], rest) = bytes.split_first_chunk()?;
        let (declared, rest) = match second & 0x7f {
            126 => rest.split_first_chunk().map(|(length, rest)| (u16::from_be_bytes(*length).into(), rest))?,
            127 => rest.split_first_chunk().map(|(length, rest)| (u64::from_be_bytes(*length), rest))?,
            length => (length.into(), rest),
        };
        let masked = second >= 0x80;
        let (mask, rest) = if masked { rest.split_first_chunk()? } else { (&[0; 4], rest) };
        let (payload, rest) = rest.split_at(rest.len().min(usize::try_from(declared).unwrap_or(usize::MAX)));
        let payload = payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect();
        Some((Self { first, masked, declared, payload }, rest))
    }

    fn opcode(&self) -> u8 {
        self.first & 0x0f
    }

    fn is_last(&self) -> bool {
        self.first & 0x80 != 0
    }

    fn is_whole(&self) -> bool {
        self.payload.len() as u64 == self.declared
    }
}

pub fn decode(bytes: &[u8], max: usize) -> Vec<Result<Incoming, Violation>> {
    let (mut told, mut rest) = (Vec::new(), bytes);
    // Opcode and payload of the message that has begun.
    let mut message: Option<(u8, Vec<u8>)> = None;
    let mut broken = false;
    while let Some((frame, after)) = Frame::split(rest) {
        rest = after;
        let mut skipped = broken;
        if !broken {
            let refusal = refuse(&frame, message.as_ref(), max);
            skipped = refusal.is_some();
            match refusal.map_or_else(|| take(&frame, &mut message), Err) {
                Ok(incoming) => told.extend(incoming.map(Ok)),
                Err(violation) => {
                    told.push(Err(violation));
                    broken = true;
                }
            }
        }
        if skipped && frame.opcode() == 8 && frame.is_whole() {
            told.push(Ok(Incoming::Close(None)));
        }
    }
    told
}

/// By its head alone.
fn refuse(frame: &Frame, message: Option<&(u8, Vec<u8>)>, max: usize) -> Option<Violation> {
    let begun = message.map_or(0, |(_, payload)| payload.len());
    match frame.opcode() {
        _ if frame.first & 0x70 != 0 => Some(Violation::ReservedBits),
        3..=7 | 11.. => Some(Violation::UnknownOpcode),
        _ if !frame.masked => Some(Violation::Unmasked),
        8..=10 => (!frame.is_last() || frame.declared > 125).then_some(Violation::BadControl),
        opcode if (opcode == 0) != message.is_some() => Some(Violation::OutOfSequence),
        _ => (begun as u128 + u128::from(frame.declared) > max as u128).then_some(Violation::TooLarge),
    }
}

fn take(frame: &Frame, message: &mut Option<(u8, Vec<u8>)>) -> Result<Option<Incoming>, Violation> {
    match frame.opcode() {
        8..=10 if !frame.is_whole() => Ok(None),
        8 => close(&frame.payload).map(Incoming::Close).map(Some),
        9 => Ok(Some(Incoming::Ping(Bytes::copy_from_slice(&frame.payload)))),
        10 => Ok(Some(Incoming::Pong)),
        opcode => {
            let (kind, payload) = message.get_or_insert((opcode, Vec::new()));
            payload.extend(&frame.payload);
            let ends = frame.is_last() && frame.is_whole();
            if *kind == 1 {
                // A character may be cut short where more is to come.
                match std::str::from_utf8(payload) {
                    Err(error) if ends || error.error_len().is_some() => return Err(Violation::NotUtf8),
                    _ => {}
                }
            }
            if !ends {
                return Ok(None);
            }
            Ok(message.take().map(|(kind, payload)| match kind {
                1 => Incoming::Text(String::from_utf8(payload).unwrap().into()),
                _ => Incoming::Binary(payload.into()),
            }))
        }
    }
}

fn close(payload: &[u8]) -> Result<Option<u16>, Violation> {
    let Some((number, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() { Ok(None) } else { Err(Violation::BadClose) };
    };
    let number = u16::from_be_bytes(*number);
    let defined = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014];
    if !defined.contains(&number) && !(3000..5000).contains(&number) {
        return Err(Violation::BadClose);
    }
    std::str::from_utf8(reason).map(|_| Some(number)).map_err(|_| Violation::NotUtf8)
}
