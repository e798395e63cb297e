//! The reader against its naive twin: any bytes, cut anywhere, and how much of them it keeps.

use bytes::Bytes;
use proptest::prelude::*;

use super::naive;
use super::{CONTROL_BYTES_MAX, Decoder, Incoming, Violation};
use crate::fuzz::{self, FRAMES};

const CORPUS: &str = include_str!("../../../tests/fuzz/corpus/frames.hex");

/// How a length is written.
#[derive(Debug, Clone, Copy)]
enum Width {
    Least,
    Two,
    Eight,
}

/// A frame as a client may put it together, with whatever in it.
#[derive(Debug, Clone)]
struct Draft {
    first: u8,
    mask: Option<[u8; 4]>,
    width: Width,
    /// More than there is, by so much.
    lie: u64,
    payload: Vec<u8>,
}

impl Draft {
    fn encode(&self) -> Vec<u8> {
        let masked = if self.mask.is_some() { 0x80 } else { 0 };
        let length = self.payload.len() as u64 + self.lie;
        let mut bytes = vec![self.first];
        match self.width {
            Width::Least if length < 126 => bytes.push(masked | length as u8),
            Width::Least | Width::Two if length <= u16::MAX.into() => {
                bytes.push(masked | 126);
                bytes.extend((length as u16).to_be_bytes());
            }
            _ => {
                bytes.push(masked | 127);
                bytes.extend(length.to_be_bytes());
            }
        }
        let mask = self.mask.unwrap_or_default();
        bytes.extend(self.mask.iter().flatten());
        bytes.extend(self.payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
        bytes
    }
}

/// Mostly what opens, goes on with or ends a message.
fn first_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        8 => prop::sample::select(vec![0x81u8, 0x82, 0x01, 0x02, 0x00, 0x00, 0x80, 0x80, 0x89, 0x8a]),
        1 => prop::sample::select(vec![0x88u8, 0x08, 0x09, 0xc1, 0xf8, 0x83]),
        1 => any::<u8>(),
    ]
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => ".{0,40}".prop_map(String::into_bytes),
        // A text that is cut within a character, as between two fragments, or not one at all.
        2 => ("[aé€😀]{1,9}", any::<prop::sample::Index>(), any::<bool>()).prop_map(|(text, at, front)| {
            let (before, after) = text.as_bytes().split_at(at.index(text.len()));
            if front { before.to_vec() } else { after.to_vec() }
        }),
        1 => prop::collection::vec(any::<u8>(), 0..200),
        1 => (prop::sample::select(vec![1000u16, 1001, 1005, 1006, 1011, 1015, 2999, 3000, 4001, 5000]), ".{0,9}")
            .prop_map(|(number, reason)| [&number.to_be_bytes(), reason.as_bytes()].concat()),
    ]
}

fn draft() -> impl Strategy<Value = Draft> {
    let mask = prop_oneof![19 => any::<[u8; 4]>().prop_map(Some), 1 => Just(None)];
    let width = prop_oneof![8 => Just(Width::Least), 1 => Just(Width::Two), 1 => Just(Width::Eight)];
    let lie = prop_oneof![20 => Just(0), 1 => 1..300u64, 1 => Just(u64::from(u32::MAX)), 1 => Just(u64::MAX - 4_096)];
    // Control frames of about as many bytes as they may have.
    let control = (prop::sample::select(vec![0x88u8, 0x89, 0x8a]), prop::collection::vec(Just(b'x'), 122..129));
    let what = prop_oneof![12 => (first_byte(), payload()), 1 => control];
    (what, mask, width, lie).prop_map(|((first, payload), mask, width, lie)| Draft { first, mask, width, lie, payload })
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece =
        prop_oneof![12 => draft().prop_map(|draft| draft.encode()), 1 => prop::collection::vec(any::<u8>(), 0..30)];
    (prop::collection::vec(piece, 0..14), any::<prop::sample::Index>(), any::<bool>()).prop_map(
        |(pieces, end, whole)| {
            let mut bytes = pieces.concat();
            bytes.truncate(if whole { bytes.len() } else { end.index(bytes.len() + 1) });
            bytes
        },
    )
}

fn cuts() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..40usize, 1..8).prop_filter("they must get on", |cuts| cuts.iter().any(|cut| *cut > 0))
}

/// What the reader tells when the bytes come in pieces of these sizes, over and over. Looks at every step how much it
/// keeps.
fn read(bytes: &[u8], cuts: &[usize], max: usize) -> Result<Vec<Result<Incoming, Violation>>, TestCaseError> {
    let (mut decoder, mut told) = (Decoder::default(), Vec::new());
    let (mut rest, mut seen) = (bytes, 0);
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(rest.len().min(*cuts.next().unwrap_or(&1)));
        rest = after;
        seen += piece.len();
        let mut piece = Bytes::copy_from_slice(piece);
        while let Some(item) = decoder.decode(&mut piece, max).transpose() {
            told.push(item);
            check_keeping(&decoder, seen, max)?;
        }
        prop_assert!(piece.is_empty(), "what was not read would be lost");
        check_keeping(&decoder, seen, max)?;
    }
    Ok(told)
}

/// Never more than may be, and nothing for bytes that somebody only wrote down.
fn check_keeping(decoder: &Decoder, seen: usize, max: usize) -> Result<(), TestCaseError> {
    let kept = (decoder.message.len(), decoder.control.len());
    prop_assert!(kept.0 <= max && kept.1 as u64 <= CONTROL_BYTES_MAX, "{:?} of {}", kept, max);
    let room = decoder.message.capacity() + decoder.control.capacity();
    prop_assert!(room <= 2 * seen + 64, "room for {} after {} bytes", room, seen);
    prop_assert!(!decoder.broken || (kept == (0, 0) && room == 0), "after a violation nothing is kept");
    Ok(())
}

fn check(bytes: &[u8], cuts: &[usize], max: usize) -> Result<(), TestCaseError> {
    let expected = naive::decode(bytes, max);
    prop_assert_eq!(read(bytes, &[usize::MAX], max)?, expected.clone(), "in one piece");
    prop_assert_eq!(read(bytes, cuts, max)?, expected.clone(), "in pieces of {:?}", cuts);
    prop_assert!(expected.iter().filter(|item| item.is_err()).count() <= 1);
    Ok(())
}

/// One thing that a good client says, and the reader tells.
#[derive(Debug, Clone)]
enum Said {
    /// In fragments of these sizes.
    Text(String, Vec<usize>),
    Binary(Vec<u8>, Vec<usize>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
}

fn said() -> impl Strategy<Value = Said> {
    let sizes = || prop::collection::vec(0..50usize, 0..6);
    prop_oneof![
        4 => (".{0,300}", sizes()).prop_map(|(text, sizes)| Said::Text(text, sizes)),
        2 => (prop::collection::vec(any::<u8>(), 0..600), sizes()).prop_map(|(bytes, sizes)| Said::Binary(bytes, sizes)),
        1 => prop::collection::vec(any::<u8>(), 0..=125).prop_map(Said::Ping),
        1 => prop::collection::vec(any::<u8>(), 0..=125).prop_map(Said::Pong),
    ]
}

/// The frames of a message; pings stand between its fragments.
fn fragments(opcode: u8, payload: &[u8], sizes: &[usize], mask: [u8; 4], between: &[u8], into: &mut Vec<u8>) -> usize {
    let draft = |first, payload: &[u8]| Draft {
        first,
        mask: Some(mask),
        width: Width::Least,
        lie: 0,
        payload: payload.to_vec(),
    };
    let mut rest = payload;
    for (at, size) in sizes.iter().enumerate() {
        let (fragment, after) = rest.split_at(rest.len().min(*size));
        rest = after;
        into.extend(draft(if at == 0 { opcode } else { 0 }, fragment).encode());
        into.extend(draft(0x89, between).encode());
    }
    into.extend(draft(0x80 | if sizes.is_empty() { opcode } else { 0 }, rest).encode());
    sizes.len()
}

proptest! {
    #![proptest_config(fuzz::replaying(FRAMES))]

    #[test]
    fn any_bytes_are_read_as_the_naive_twin_reads_them(bytes in stream(), cuts in cuts(), max in 0..700usize) {
        check(&bytes, &cuts, max)?;
    }

    #[test]
    fn what_is_well_said_is_told_as_it_was_said(
        words in prop::collection::vec((said(), any::<[u8; 4]>()), 0..8),
        cuts in cuts(),
        reason in prop::option::of((prop::sample::select(vec![1000u16, 1001, 3000, 4999]), "[a-zé]{0,60}")),
    ) {
        let (mut bytes, mut expected) = (Vec::new(), Vec::new());
        let between = || Ok(Incoming::Ping(Bytes::from_static(b"between")));
        for (word, mask) in &words {
            let mut say = |opcode, payload: &[u8], sizes: &[usize]| {
                let pings = fragments(opcode, payload, sizes, *mask, b"between", &mut bytes);
                expected.extend((0..pings).map(|_| between()));
            };
            match word {
                Said::Text(text, sizes) => say(1, text.as_bytes(), sizes),
                Said::Binary(payload, sizes) => say(2, payload, sizes),
                Said::Ping(payload) => say(9, payload, &[]),
                Said::Pong(payload) => say(10, payload, &[]),
            }
            expected.push(Ok(match word {
                Said::Text(text, _) => Incoming::Text(text.as_str().into()),
                Said::Binary(payload, _) => Incoming::Binary(Bytes::copy_from_slice(payload)),
                Said::Ping(payload) => Incoming::Ping(Bytes::copy_from_slice(payload)),
                Said::Pong(_) => Incoming::Pong,
            }));
        }
        let payload = reason.as_ref().map(|(number, text)| [&number.to_be_bytes(), text.as_bytes()].concat());
        fragments(8, &payload.unwrap_or_default(), &[], [1, 2, 3, 4], b"", &mut bytes);
        expected.push(Ok(Incoming::Close(reason.map(|(number, _)| number))));
        prop_assert_eq!(read(&bytes, &cuts, 2_000)?, expected);
        // And about where the longest is too long.
        let length = |word: &Said| match word {
            Said::Text(text, _) => text.len(),
            Said::Binary(payload, _) => payload.len(),
            Said::Ping(_) | Said::Pong(_) => 0,
        };
        let longest = words.iter().map(|(word, _)| length(word)).max().unwrap_or_default();
        for max in longest.saturating_sub(2)..longest + 2 {
            check(&bytes, &cuts, max)?;
        }
    }
}

#[test]
fn the_corpus_is_read_as_the_naive_twin_reads_it_wherever_it_is_cut() {
    let mut count = 0;
    for line in fuzz::lines(CORPUS) {
        let (name, digits) = line.split_once(':').unwrap_or_else(|| panic!("no name: {line}"));
        let bytes = hex::decode(digits.replace(' ', "")).unwrap_or_else(|error| panic!("{name}: {error}"));
        for max in [0, 1, 16, 126, 1_000] {
            // Every place of a short one, and two hundred of a long one.
            let step = 1 + bytes.len() / 200;
            for cut in (1..=bytes.len()).step_by(step) {
                check(&bytes, &[cut, usize::MAX], max)
                    .unwrap_or_else(|error| panic!("{name}, {cut} of {max}: {error}"));
            }
            // Whatever is cut short is as right as what is whole.
            for end in (0..bytes.len()).step_by(step) {
                check(&bytes[..end], &[1], max).unwrap_or_else(|error| panic!("{name}, to {end} of {max}: {error}"));
            }
        }
        count += 1;
    }
    assert!(count > 40, "{count}");
}
