//! The file `store.mark` beside the store: how far the store has come, written after every group.
//!
//! A store that comes up older than its mark has lost groups, and one that cannot be read has lost what the mark counts.
//!
//! The order of one group is: sled's file synced, the journal synced, the mark written, waiters answered, the mark
//! synced. So the mark is never ahead of the store: it is written after the store is safe. When the process dies it is
//! behind by the group under way, which nobody was answered; when the power fails, by that and the group before it,
//! whose sync may not have come to its end. Syncing only after the answer keeps the disk's second wait out of every
//! answer, and costs no more: the next group waits for it.
//!
//! Two slots are written in turn, each in a page of its own with its own checksum, so that a write that was torn leaves
//! the one before it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use crate::store::codec::{BadRecord, Reader};
use crate::store::durable::Draft;

const MAGIC: [u8; 8] = *b"hsmark\x00\x01";
/// A page of its own for each: neither file systems nor disks tear two at once.
const SLOT_BYTES: u64 = 4096;
const BODY_BYTES: usize = 48;
const WRITTEN_BYTES: usize = BODY_BYTES + 16;

/// How far the store has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Mark {
    /// The last group on disk.
    pub(super) sequence: u64,
    /// The last group on disk that changed a journaled record.
    pub(super) journaled: u64,
    /// Pending deliveries.
    pub(super) deliveries: u64,
    pub(super) hooks: u64,
    pub(super) accounts: u64,
}

impl Mark {
    /// Whether anything was ever answered.
    pub(super) fn is_blank(&self) -> bool {
        *self == Self::default()
    }

    fn to_disk(self) -> [u8; WRITTEN_BYTES] {
        let mut bytes = [0; WRITTEN_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        let numbers = [self.sequence, self.journaled, self.deliveries, self.hooks, self.accounts];
        for (place, number) in bytes[8..BODY_BYTES].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        let checksum = xxh3_128(&bytes[..BODY_BYTES]);
        bytes[BODY_BYTES..].copy_from_slice(&checksum.to_be_bytes());
        bytes
    }

    /// `None` for what was not written whole.
    fn from_disk(bytes: &[u8; WRITTEN_BYTES]) -> Option<Self> {
        let (body, checksum) = bytes.split_at(BODY_BYTES);
        if checksum != xxh3_128(body).to_be_bytes() {
            return None;
        }
        Self::from_body(body).ok()
    }

    fn from_body(body: &[u8]) -> Result<Self, BadRecord> {
        let mut reader = Reader::new(body);
        match reader.array()? {
            MAGIC => (),
            [.., version] => return Err(BadRecord::Version(version)),
        }
        Ok(Self {
            sequence: reader.u64()?,
            journaled: reader.u64()?,
            deliveries: reader.u64()?,
            hooks: reader.u64()?,
            accounts: reader.u64()?,
        })
    }
}

/// The open file.
pub(super) struct MarkFile {
    file: File,
    /// Not the one that holds the newest mark.
    next_slot: u64,
    /// The other slot was unreadable: the newest mark may have been there.
    half: bool,
}

/// What was found in place of the file.
pub(super) enum FoundMark {
    Missing,
    Unreadable,
    Read(MarkFile, Mark),
}

impl MarkFile {
    /// Puts a new file in place, whole or not at all.
    pub(super) fn create(path: &Path, mark: Mark) -> io::Result<Self> {
        let draft = Draft::of(path)?;
        draft.file.set_len(2 * SLOT_BYTES)?;
        for slot in 0..2 {
            draft.file.write_all_at(&mark.to_disk(), slot * SLOT_BYTES)?;
        }
        Ok(Self { file: draft.put_in_place()?, next_slot: 0, half: false })
    }

    pub(super) fn find(path: &Path) -> io::Result<FoundMark> {
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(FoundMark::Missing),
            Err(error) => return Err(error),
        };
        let slots = [read_slot(&file, 0)?, read_slot(&file, 1)?];
        let half = slots.contains(&None);
        let newest = slots
            .into_iter()
            .zip([1, 0])
            .filter_map(|(mark, other_slot)| mark.map(|mark| (mark, other_slot)))
            .max_by_key(|(mark, _)| mark.sequence);
        Ok(match newest {
            Some((mark, next_slot)) => FoundMark::Read(Self { file, next_slot, half }, mark),
            None => FoundMark::Unreadable,
        })
    }

    /// Whether a later mark may have been lost, as it was found.
    pub(super) fn is_half(&self) -> bool {
        self.half
    }

    /// Without waiting for the disk.
    pub(super) fn write(&mut self, mark: Mark) -> io::Result<()> {
        self.file.write_all_at(&mark.to_disk(), self.next_slot * SLOT_BYTES)?;
        self.next_slot = 1 - self.next_slot;
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn read_slot(file: &File, slot: u64) -> io::Result<Option<Mark>> {
    let mut bytes = [0; WRITTEN_BYTES];
    match file.read_exact_at(&mut bytes, slot * SLOT_BYTES) {
        Ok(()) => Ok(Mark::from_disk(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use tempfile::TempDir;

    use crate::store::mark::{FoundMark, Mark, MarkFile};

    fn mark(sequence: u64) -> Mark {
        Mark { sequence, deliveries: sequence * 2, ..Mark::default() }
    }

    #[track_caller]
    fn check(path: &Path, expected: Option<u64>) {
        match MarkFile::find(path).unwrap() {
            FoundMark::Read(_, found) => assert_eq!(Some(found), expected.map(mark)),
            FoundMark::Unreadable => assert_eq!(None, expected),
            FoundMark::Missing => panic!("it is gone"),
        }
    }

    #[test]
    fn the_newest_whole_slot_counts() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("mark");
        assert!(matches!(MarkFile::find(&path).unwrap(), FoundMark::Missing));
        let mut file = MarkFile::create(&path, Mark::default()).unwrap();
        check(&path, Some(0));
        for sequence in 1..6 {
            file.write(mark(sequence)).unwrap();
            check(&path, Some(sequence));
        }
        let whole = fs::read(&path).unwrap();
        // Marks 5 and 4 lie in the first and the second slot.
        for (torn, expected) in [(vec![20], Some(4)), (vec![4096 + 63], Some(5)), (vec![0, 4096], None)] {
            let mut bytes = whole.clone();
            torn.into_iter().for_each(|at: usize| bytes[at] ^= 1);
            fs::write(&path, bytes).unwrap();
            check(&path, expected);
        }
        fs::write(&path, &whole[..100]).unwrap();
        check(&path, Some(5));
        fs::write(&path, b"").unwrap();
        check(&path, None);
    }

    #[test]
    fn a_torn_slot_is_the_next_to_be_written() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("mark");
        let mut file = MarkFile::create(&path, Mark::default()).unwrap();
        file.write(mark(1)).unwrap();
        file.write(mark(2)).unwrap();
        let mut bytes = fs::read(&path).unwrap();
        bytes[4096 + 10] ^= 1;
        fs::write(&path, bytes).unwrap();
        let FoundMark::Read(mut file, found) = MarkFile::find(&path).unwrap() else { panic!("unreadable") };
        assert_eq!((found, file.is_half()), (mark(1), true));
        file.write(mark(2)).unwrap();
        check(&path, Some(2));
    }
}
