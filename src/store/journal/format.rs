//! The bytes of the journal: a header, then frames.
//!
//! A frame is what one group changed, and it counts whole or not at all. Its checksum covers the frame before it too, so
//! that older content of the same file, in the place of newer, breaks the chain.

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::store::codec::{BadRecord, Reader, put_bytes};
use crate::store::keys::SingleKey;

/// Counted up when an older version could not read the file.
pub(in crate::store) const VERSION: u32 = 1;
pub(super) const HEADER_BYTES: usize = 52;
pub(super) const FRAME_HEAD_BYTES: usize = 32;
/// Of one entry, beside the record itself.
pub(super) const ENTRY_BYTES: u64 = 22;

const MAGIC: [u8; 8] = *b"hsjrnl\x00\x00";
const PUT: u8 = 1;
const DELETE: u8 = 0;

/// What the file begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// Counts how often the file was written anew.
    pub(super) generation: u64,
    /// The last group that the first frames contain.
    pub(super) sequence: u64,
    /// The number of frames that were there from the start: without one of them the file is damaged, not torn.
    pub(super) first_frames: u64,
}

impl Header {
    pub(super) fn to_disk(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.generation.to_be_bytes());
        bytes[20..28].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[28..36].copy_from_slice(&self.first_frames.to_be_bytes());
        let checksum = xxh3_128(&bytes[..36]);
        bytes[36..].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    pub(super) fn from_disk(bytes: &[u8; HEADER_BYTES]) -> Result<Self, BadHeader> {
        let (body, checksum) = bytes.split_at(36);
        if checksum != xxh3_128(body).to_be_bytes() {
            return Err(BadHeader::Unreadable);
        }
        Self::from_body(&mut Reader::new(body)).map_err(|_| BadHeader::Unreadable)?
    }

    fn from_body(reader: &mut Reader<'_>) -> Result<Result<Self, BadHeader>, BadRecord> {
        if reader.array()? != MAGIC {
            return Ok(Err(BadHeader::Unreadable));
        }
        Ok(match reader.u32()? {
            VERSION => Ok(Self { generation: reader.u64()?, sequence: reader.u64()?, first_frames: reader.u64()? }),
            newer => Err(BadHeader::Version(newer)),
        })
    }

    /// What the first frame's checksum covers in place of a frame before it.
    pub(super) fn chain(&self) -> u128 {
        xxh3_128(&self.generation.to_be_bytes())
    }
}

pub(super) enum BadHeader {
    Unreadable,
    Version(u32),
}

/// What stands before a frame's entries.
pub(super) struct FrameHead {
    pub(super) bytes: u64,
    pub(super) sequence: u64,
    pub(super) checksum: u128,
}

impl FrameHead {
    pub(super) fn of(entries: &[u8], sequence: u64, chain: u128) -> Self {
        let mut head = Self { bytes: entries.len() as u64, sequence, checksum: 0 };
        head.checksum = head.checksum_over(entries, chain);
        head
    }

    pub(super) fn checksum_over(&self, entries: &[u8], chain: u128) -> u128 {
        let mut hasher = Xxh3::new();
        hasher.update(&chain.to_be_bytes());
        hasher.update(&self.bytes.to_be_bytes());
        hasher.update(&self.sequence.to_be_bytes());
        hasher.update(entries);
        hasher.digest128()
    }

    pub(super) fn to_disk(&self) -> [u8; FRAME_HEAD_BYTES] {
        let mut bytes = [0; FRAME_HEAD_BYTES];
        bytes[..8].copy_from_slice(&self.bytes.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.sequence.to_be_bytes());
        bytes[16..].copy_from_slice(&self.checksum.to_be_bytes());
        bytes
    }

    pub(super) fn from_disk(bytes: &[u8; FRAME_HEAD_BYTES]) -> Result<Self, BadRecord> {
        let mut reader = Reader::new(bytes);
        Ok(Self { bytes: reader.u64()?, sequence: reader.u64()?, checksum: u128::from_be_bytes(reader.array()?) })
    }
}

/// Adds one entry to a frame: what the record became, `None` when it was deleted.
pub(super) fn put_entry(entries: &mut Vec<u8>, key: &SingleKey, record: Option<&[u8]>) {
    match record {
        Some(record) => {
            entries.push(PUT);
            entries.extend_from_slice(key);
            put_bytes(entries, record);
        }
        None => {
            entries.push(DELETE);
            entries.extend_from_slice(key);
        }
    }
}

pub(super) fn read_entry<'a>(reader: &mut Reader<'a>) -> Result<(SingleKey, Option<&'a [u8]>), BadRecord> {
    match reader.u8()? {
        PUT => Ok((reader.array()?, Some(reader.bytes()?))),
        DELETE => Ok((reader.array()?, None)),
        other => Err(BadRecord::Kind(other)),
    }
}
