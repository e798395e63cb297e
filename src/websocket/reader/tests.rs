use bytes::Bytes;

use super::{Decoder, Incoming, Violation};

const MAX: usize = 1_000;
const MASK: [u8; 4] = [0x11, 0x22, 0x33, 0x44];

/// A masked frame: the first byte, then the payload with its length.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..=125 => bytes.push(0x80 | length as u8),
        length @ 126..=65_535 => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// Everything that comes of these chunks, in order.
fn decode(chunks: impl IntoIterator<Item = Vec<u8>>) -> Vec<Result<Incoming, Violation>> {
    let (mut decoder, mut items) = (Decoder::default(), Vec::new());
    for chunk in chunks {
        let mut chunk = Bytes::from(chunk);
        while let Some(item) = decoder.decode(&mut chunk, MAX).transpose() {
            items.push(item);
        }
    }
    items
}

fn text(text: &str) -> Result<Incoming, Violation> {
    Ok(Incoming::Text(text.into()))
}

#[track_caller]
fn check(frames: &[Vec<u8>], expected: &[Result<Incoming, Violation>]) {
    let bytes = frames.concat();
    assert_eq!(decode([bytes.clone()]), expected, "in one piece");
    assert_eq!(decode(bytes.iter().map(|byte| vec![*byte])), expected, "byte by byte");
}

#[test]
fn messages_come_out_as_they_were_sent() {
    let long = "ä".repeat(400);
    check(&[frame(0x81, b"hello")], &[text("hello")]);
    check(&[frame(0x81, b"")], &[text("")]);
    check(&[frame(0x81, long.as_bytes())], &[text(&long)]);
    check(&[frame(0x82, &[0, 255])], &[Ok(Incoming::Binary(Bytes::from_static(&[0, 255])))]);
    check(&[frame(0x89, b"x"), frame(0x8a, b"y")], &[Ok(Incoming::Ping("x".into())), Ok(Incoming::Pong)]);
    check(&[frame(0x88, b"")], &[Ok(Incoming::Close(None))]);
    check(&[frame(0x88, b"\x03\xe8bye")], &[Ok(Incoming::Close(Some(1000)))]);
}

#[test]
fn fragments_make_one_message_and_control_frames_may_come_between() {
    check(
        &[frame(0x01, b"on"), frame(0x89, b"?"), frame(0x00, b""), frame(0x80, b"e"), frame(0x81, b"two")],
        &[Ok(Incoming::Ping("?".into())), text("one"), text("two")],
    );
    // A character may be cut between them.
    check(&[frame(0x01, b"\xe2\x82"), frame(0x80, b"\xac")], &[text("€")]);
}

#[test]
fn what_breaks_the_protocol_is_named() {
    let mut unmasked = frame(0x81, b"");
    unmasked[1] = 0;
    unmasked.truncate(2);
    for (frames, violation) in [
        (vec![unmasked], Violation::Unmasked),
        (vec![frame(0xc1, b"x")], Violation::ReservedBits),
        (vec![frame(0x83, b"x")], Violation::UnknownOpcode),
        (vec![frame(0x8b, b"")], Violation::UnknownOpcode),
        (vec![frame(0x09, b"x")], Violation::BadControl),
        (vec![frame(0x89, &[b'x'; 126])], Violation::BadControl),
        (vec![frame(0x80, b"x")], Violation::OutOfSequence),
        (vec![frame(0x01, b"x"), frame(0x81, b"y")], Violation::OutOfSequence),
        (vec![frame(0x81, b"a\xffb")], Violation::NotUtf8),
        (vec![frame(0x81, b"\xe2\x82")], Violation::NotUtf8),
        (vec![frame(0x01, b"\xe2\x82"), frame(0x80, b"x")], Violation::NotUtf8),
        (vec![frame(0x88, b"\x03")], Violation::BadClose),
        (vec![frame(0x88, b"\x03\xec")], Violation::BadClose),
        (vec![frame(0x88, b"\x03\xe8\xff")], Violation::NotUtf8),
    ] {
        check(&frames, &[Err(violation)]);
    }
}

#[test]
fn a_message_too_large_is_refused_by_its_declared_length() {
    // Only the head is here.
    let head = |first: u8, length: u64| [&[first, 0x80 | 127][..], &length.to_be_bytes(), &MASK].concat();
    check(&[head(0x81, 1_001)], &[Err(Violation::TooLarge)]);
    check(&[head(0x82, u64::MAX)], &[Err(Violation::TooLarge)]);
    check(&[frame(0x01, &[b'x'; 600]), head(0x00, 401)], &[Err(Violation::TooLarge)]);
    check(&[frame(0x01, &[b'x'; 600]), frame(0x80, &[b'x'; 400])], &[text(&"x".repeat(1_000))]);
}

#[test]
fn text_fails_at_the_first_wrong_byte() {
    let mut bytes = frame(0x81, b"ab\xffcd");
    bytes.truncate(bytes.len() - 2);
    assert_eq!(decode([bytes]), [Err(Violation::NotUtf8)]);
}

#[test]
fn after_a_violation_only_the_close_is_told() {
    check(
        &[
            frame(0x81, &[b'x'; 1_001]),
            frame(0x81, b"more"),
            frame(0x89, b"?"),
            frame(0xff, b"y"),
            frame(0x88, b"\x03\xf1"),
        ],
        &[Err(Violation::TooLarge), Ok(Incoming::Close(None))],
    );
}
