//! The file `store.journal` beside the store: a second copy of hooks, accounts, API keys and configurations.
//!
//! From it they are rebuilt when the store is damaged, so it is as current as what was answered: each group that changes
//! such a record appends a frame and syncs it, after the store's own sync and before anybody is answered. The store is
//! therefore never behind the journal unless it is damaged; the journal may be behind the store by the group that a
//! crash cut off, which nobody was answered.
//!
//! Deletions and replaced records stay in the file until it is written anew (`Limits`), which takes one pass over the
//! store's records and an atomic change of files.

mod contents;
mod format;
mod replay;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::store::durable::Draft;
use crate::store::error::StoreError;
use crate::store::journal::format::{FRAME_HEAD_BYTES, FrameHead, HEADER_BYTES, Header, put_entry};
use crate::store::keys::SingleKey;

pub(super) use crate::store::journal::contents::Contents;
pub(super) use crate::store::journal::format::VERSION;
pub use crate::store::journal::replay::JournalDamage;
pub(super) use crate::store::journal::replay::{End, ReplayError, Tail, replay};

/// Frames of a file written anew; larger only where a single record is.
const FRAME_BYTES: usize = 1 << 20;

/// What a group changes: the records, `None` for deleted ones.
pub(super) type Changes = BTreeMap<SingleKey, Option<Vec<u8>>>;

/// When the file is written anew.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// A smaller file never is.
    pub(super) bytes_min: u64,
    /// The size at which it is, in multiples of what the file would then hold.
    pub(super) growth: u64,
}

/// The open file.
pub(super) struct Journal {
    file: File,
    end: End,
    contents: Contents,
    /// After writing it anew failed: not before it has this size.
    not_below: u64,
}

/// What was found in place of the file.
pub(super) enum FoundJournal {
    Missing,
    Damaged(JournalDamage),
    /// Written by a later version.
    Newer(u32),
    Read(File, End, Contents),
}

impl Journal {
    pub(super) fn find(path: &Path) -> io::Result<FoundJournal> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(FoundJournal::Missing),
            Err(error) => return Err(error),
        };
        let mut contents = Contents::default();
        match replay(&file, &mut |key, record| contents.take(key, record)) {
            Ok(end) => Ok(FoundJournal::Read(file, end, contents)),
            Err(ReplayError::Damaged(damage)) => Ok(FoundJournal::Damaged(damage)),
            Err(ReplayError::Version(version)) => Ok(FoundJournal::Newer(version)),
            Err(ReplayError::Read(error)) => Err(error),
        }
    }

    /// Goes on behind the last whole frame.
    pub(super) fn resume(file: File, end: End, contents: Contents) -> Self {
        Self { file, end, contents, not_below: 0 }
    }

    pub(super) fn contents(&self) -> &Contents {
        &self.contents
    }

    /// The one to be written anew has the number after this.
    pub(super) fn generation(&self) -> u64 {
        self.end.generation
    }

    pub(super) fn sequence(&self) -> u64 {
        self.end.sequence
    }

    /// On disk when it returns. After an error the file has to be read again before anything else is appended.
    pub(super) fn append(&mut self, sequence: u64, changes: &Changes) -> io::Result<()> {
        let mut frame = vec![0; FRAME_HEAD_BYTES];
        for (key, record) in changes {
            put_entry(&mut frame, key, record.as_deref());
        }
        let head = FrameHead::of(&frame[FRAME_HEAD_BYTES..], sequence, self.end.chain);
        frame[..FRAME_HEAD_BYTES].copy_from_slice(&head.to_disk());
        self.file.write_all_at(&frame, self.end.bytes)?;
        self.file.sync_data()?;
        self.end.bytes += frame.len() as u64;
        self.end.chain = head.checksum;
        self.end.sequence = sequence;
        for (key, record) in changes {
            self.contents.take(*key, record.as_deref());
        }
        Ok(())
    }

    pub(super) fn has_outgrown(&self, limits: Limits) -> bool {
        let content = self.contents.bytes.saturating_add((HEADER_BYTES + FRAME_HEAD_BYTES) as u64);
        let smallest = limits.bytes_min.max(self.not_below);
        self.end.bytes > smallest.max(content.saturating_mul(limits.growth))
    }

    /// Writing it anew failed and will not succeed at once: it may grow to twice its size first.
    pub(super) fn put_off(&mut self) {
        self.not_below = self.end.bytes.saturating_mul(2);
    }
}

/// A journal written anew that is not yet in place.
pub(super) struct NewJournal {
    draft: Draft,
    end: End,
    frames: u64,
    contents: Contents,
}

impl NewJournal {
    /// Holds `records`, which are as the group `sequence` left them.
    pub(super) fn write(
        path: &Path,
        generation: u64,
        sequence: u64,
        records: impl Iterator<Item = Result<(SingleKey, Vec<u8>), StoreError>>,
    ) -> Result<Self, StoreError> {
        let header = Header { generation, sequence, first_frames: 0 };
        let mut new = Self {
            draft: Draft::of(path).map_err(write_error)?,
            end: End::of_header(&header),
            frames: 0,
            contents: Contents::default(),
        };
        let mut entries = Vec::new();
        for record in records {
            let (key, record) = record?;
            put_entry(&mut entries, &key, Some(&record));
            new.contents.take(key, Some(&record));
            if entries.len() >= FRAME_BYTES {
                new.write_frame(&entries).map_err(write_error)?;
                entries.clear();
            }
        }
        if !entries.is_empty() {
            new.write_frame(&entries).map_err(write_error)?;
        }
        // Last, as only now the number of frames is known.
        let header = Header { first_frames: new.frames, ..header };
        new.draft.file.write_all_at(&header.to_disk(), 0).map_err(write_error)?;
        Ok(new)
    }

    fn write_frame(&mut self, entries: &[u8]) -> io::Result<()> {
        let head = FrameHead::of(entries, self.end.sequence, self.end.chain);
        let file = &self.draft.file;
        file.write_all_at(&head.to_disk(), self.end.bytes)?;
        file.write_all_at(entries, self.end.bytes + FRAME_HEAD_BYTES as u64)?;
        self.end.bytes += (FRAME_HEAD_BYTES + entries.len()) as u64;
        self.end.chain = head.checksum;
        self.frames += 1;
        Ok(())
    }

    /// After an error nobody knows which file a crash would leave, so that neither may be appended to.
    pub(super) fn put_in_place(self) -> Result<Journal, StoreError> {
        let file = self.draft.put_in_place().map_err(write_error)?;
        Ok(Journal::resume(file, self.end, self.contents))
    }
}

fn write_error(error: io::Error) -> StoreError {
    StoreError::write(format!("its journal: {error}"))
}
