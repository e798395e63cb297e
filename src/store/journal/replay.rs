//! Reads the journal from its beginning to the last whole frame.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};

use crate::store::codec::{BadRecord, Reader};
use crate::store::journal::format::{BadHeader, FRAME_HEAD_BYTES, FrameHead, HEADER_BYTES, Header, read_entry};
use crate::store::keys::SingleKey;

/// Why the journal tells nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalDamage {
    #[error("its header is unreadable")]
    Header,
    /// With the group of which it was written.
    #[error("its first part, as of group {0}, is not whole")]
    Short(u64),
    #[error("one of its entries is unreadable: {0}")]
    Entry(BadRecord),
}

pub(in crate::store) enum ReplayError {
    Damaged(JournalDamage),
    /// Written by a later version.
    Version(u32),
    Read(io::Error),
}

/// Where reading ended.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct End {
    pub(in crate::store) generation: u64,
    /// The group of the last whole frame.
    pub(in crate::store) sequence: u64,
    /// Up to the end of the last whole frame.
    pub(in crate::store) bytes: u64,
    pub(super) chain: u128,
    pub(in crate::store) tail: Tail,
}

impl End {
    pub(super) fn of_header(header: &Header) -> Self {
        Self {
            generation: header.generation,
            sequence: header.sequence,
            bytes: HEADER_BYTES as u64,
            chain: header.chain(),
            tail: Tail::Clean,
        }
    }
}

/// What stands behind the last whole frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Tail {
    Clean,
    /// The rest of an append that a crash cut off, or damage; `sequence` against the mark tells which.
    Torn,
}

/// Shows every change to `visit`, in order: the record, `None` for a deletion.
pub(in crate::store) fn replay(
    file: &File,
    visit: &mut dyn FnMut(SingleKey, Option<&[u8]>),
) -> Result<End, ReplayError> {
    let mut start = file;
    start.rewind().map_err(ReplayError::Read)?;
    let size = file.metadata().map_err(ReplayError::Read)?.len();
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let mut bytes = [0; HEADER_BYTES];
    if !fill(&mut reader, &mut bytes)? {
        return Err(ReplayError::Damaged(JournalDamage::Header));
    }
    let header = Header::from_disk(&bytes).map_err(|bad| match bad {
        BadHeader::Unreadable => ReplayError::Damaged(JournalDamage::Header),
        BadHeader::Version(version) => ReplayError::Version(version),
    })?;
    let mut end = End::of_header(&header);
    let mut frames = 0;
    while let Some(entries) = next_frame(&mut reader, size, &mut end)? {
        visit_entries(&entries, visit).map_err(|cause| ReplayError::Damaged(JournalDamage::Entry(cause)))?;
        frames += 1;
    }
    if frames < header.first_frames {
        return Err(ReplayError::Damaged(JournalDamage::Short(header.sequence)));
    }
    if end.bytes < size {
        end.tail = Tail::Torn;
    }
    Ok(end)
}

/// The entries of the frame behind `end`, which moves beyond it. `None` where there is no whole one.
fn next_frame(reader: &mut impl Read, size: u64, end: &mut End) -> Result<Option<Vec<u8>>, ReplayError> {
    let mut bytes = [0; FRAME_HEAD_BYTES];
    if !fill(reader, &mut bytes)? {
        return Ok(None);
    }
    let Ok(head) = FrameHead::from_disk(&bytes) else {
        return Ok(None);
    };
    let entries_at = end.bytes + FRAME_HEAD_BYTES as u64;
    // Checked before there is memory for it: the length may be anything.
    let Some(length) = usize::try_from(head.bytes).ok().filter(|_| head.bytes <= size.saturating_sub(entries_at))
    else {
        return Ok(None);
    };
    let mut entries = vec![0; length];
    if !fill(reader, &mut entries)? || head.checksum_over(&entries, end.chain) != head.checksum {
        return Ok(None);
    }
    end.bytes = entries_at + head.bytes;
    end.chain = head.checksum;
    end.sequence = head.sequence;
    Ok(Some(entries))
}

fn visit_entries(entries: &[u8], visit: &mut dyn FnMut(SingleKey, Option<&[u8]>)) -> Result<(), BadRecord> {
    let mut reader = Reader::new(entries);
    while !reader.is_empty() {
        let (key, record) = read_entry(&mut reader)?;
        visit(key, record);
    }
    Ok(())
}

/// Whether there were enough bytes.
fn fill(reader: &mut impl Read, bytes: &mut [u8]) -> Result<bool, ReplayError> {
    match reader.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(ReplayError::Read(error)),
    }
}
