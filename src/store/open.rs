//! Opens the store: makes it at the first start, takes it over from an older version, brings its journal and mark up to
//! date, or hands it to `repair`.
//!
//! Called at start, and again after a failed write; then nothing is rebuilt, since the actors hold what a rebuilt store
//! would lack.

use std::fs::read_dir;
use std::mem::forget;

use log::{info, warn};
use sled::{Batch, Db};

use crate::store::counts::Counts;
use crate::store::disk::Location;
use crate::store::durable::DurableFile;
use crate::store::error::{Damage, OpenError, StoreError};
use crate::store::files::Files;
use crate::store::inspect::{FORMAT, Found, WITHOUT_META, inspect};
use crate::store::journal::{self, FoundJournal, Journal, NewJournal};
use crate::store::judge::{JournalIs, JournalStep, MarkIs, Verdict, judge};
use crate::store::keys::{self, Table};
use crate::store::mark::{FoundMark, Mark, MarkFile};
use crate::store::meta::{Meta, hash};
use crate::store::repair::{self, Case};
use crate::store::scan::{Loaded, Scan, journaled_records};

/// An open store. `db` comes last, so that it is dropped last.
pub(super) struct Opened {
    pub(super) files: Files,
    pub(super) loaded: Loaded,
    pub(super) counts: Counts,
    /// The number that the next attempt gets.
    pub(super) next_number: u64,
    pub(super) db: Db,
}

enum Attempt {
    Open(Box<Opened>),
    Damaged(Box<Case>),
}

/// A damaged store is rebuilt, or the error says why it cannot be.
pub(super) fn open(location: &Location) -> Result<Opened, OpenError> {
    let case = match attempt(location)? {
        Attempt::Open(opened) => return Ok(*opened),
        Attempt::Damaged(case) => case,
    };
    let recovery = repair::repair(location, *case)?;
    match attempt(location)? {
        Attempt::Open(mut opened) => {
            opened.loaded.recovery = recovery;
            Ok(*opened)
        }
        Attempt::Damaged(case) => Err(damaged(location, case.damage)),
    }
}

/// A damaged store stays as it is.
pub(super) fn reopen(location: &Location) -> Result<Opened, OpenError> {
    match attempt(location)? {
        Attempt::Open(opened) => Ok(*opened),
        Attempt::Damaged(case) => Err(damaged(location, case.damage)),
    }
}

fn damaged(location: &Location, damage: Damage) -> OpenError {
    OpenError::Damaged { path: location.data_dir.clone(), damage }
}

fn attempt(location: &Location) -> Result<Attempt, OpenError> {
    // First of all, as it takes the lock.
    let found = inspect(location)?;
    let mark = MarkFile::find(&location.mark()).map_err(|error| location.disk(error))?;
    let journal = Journal::find(&location.journal()).map_err(|error| location.disk(error))?;
    if let FoundJournal::Newer(found) = journal {
        return Err(OpenError::NewerJournal { path: location.journal(), found, known: journal::VERSION });
    }
    let damage = match found {
        Found::Whole(db, scan, meta) => return take(location, (db, scan, meta), mark, journal),
        Found::Older(db, scan) if is_unwritten(&mark, &journal) => return migrate(location, db, scan),
        Found::Older(db, _) => {
            forget(db);
            Damage::Outdated
        }
        Found::Absent if is_unwritten(&mark, &journal) => return create(location),
        Found::Absent => Damage::Missing,
        Found::Damaged(damage) => damage,
    };
    Ok(Attempt::Damaged(Box::new(Case { damage, mark, journal })))
}

/// Whether no group was ever written with this mark and this journal beside the store.
fn is_unwritten(mark: &FoundMark, journal: &FoundJournal) -> bool {
    let mark_is_new = match mark {
        FoundMark::Missing => true,
        FoundMark::Unreadable => false,
        FoundMark::Read(_, mark) => mark.sequence == 0,
    };
    let journal_is_new = match journal {
        FoundJournal::Missing => true,
        FoundJournal::Damaged(_) | FoundJournal::Newer(_) => false,
        FoundJournal::Read(_, end, _) => end.sequence == 0,
    };
    mark_is_new && journal_is_new
}

/// The journal and the mark come first, so that a store without them is never one whose making was cut short.
fn create(location: &Location) -> Result<Attempt, OpenError> {
    // Without its file nothing of sled's is of use, and it may be in the way. An empty directory may be a mount.
    if read_dir(location.store()).is_ok_and(|mut entries| entries.next().is_some()) {
        repair::move_aside(location)?;
    }
    let journal = new_journal(location, 1, 0, std::iter::empty()).map_err(|error| location.disk(error))?;
    let mark = MarkFile::create(&location.mark(), Mark::default()).map_err(|error| location.disk(error))?;
    let db = location.open_sled(&location.store()).map_err(|error| location.open_error(error))?;
    let meta = Meta { sequence: 1, ..Meta::default() };
    let meta = stamp(&db, meta).map_err(|error| location.disk(error))?;
    finish(location, (db, Box::default(), meta), mark, journal)
}

/// From format 1. Until the last step it stays one, and everything is done again.
fn migrate(location: &Location, db: Db, mut scan: Box<Scan>) -> Result<Attempt, OpenError> {
    let journal = new_journal(location, 1, 0, journaled_records(&db)).map_err(|error| location.disk(error))?;
    let mark = Mark {
        deliveries: scan.counts.total(Table::Delivery),
        hooks: journal.contents().hooks(),
        accounts: journal.contents().accounts(),
        ..Mark::default()
    };
    let mark = MarkFile::create(&location.mark(), mark).map_err(|error| location.disk(error))?;
    scan.sum.subtract(hash(&keys::format(), &WITHOUT_META.to_be_bytes()));
    let meta = Meta { sequence: 1, journaled: 0, sum: scan.sum };
    let meta = stamp(&db, meta).map_err(|error| location.disk(error))?;
    info!("the store in {} was taken over from format {WITHOUT_META}", location.data_dir.display());
    finish(location, (db, scan, meta), mark, journal)
}

fn take(
    location: &Location,
    whole: (Db, Box<Scan>, Meta),
    mark: FoundMark,
    journal: FoundJournal,
) -> Result<Attempt, OpenError> {
    let (db, scan, meta) = &whole;
    let verdict = judge(*meta, mark.is(), &journal.is(Some(&scan.loaded)));
    let step = match verdict {
        Verdict::Newest(step) => step,
        Verdict::Damaged(damage) => {
            forget(whole.0);
            return Ok(Attempt::Damaged(Box::new(Case { damage, mark, journal })));
        }
        Verdict::Unproven(obstacle) => return Err(repair::unproven(location, obstacle)),
    };
    let journal = match journal {
        FoundJournal::Read(file, end, contents) if step == JournalStep::Resume => Journal::resume(file, end, contents),
        journal => {
            if step == JournalStep::Replace {
                warn!(
                    "{} is missing, damaged or too old and is written anew from the store",
                    location.journal().display()
                );
            }
            new_journal(location, journal.generation() + 1, meta.journaled, journaled_records(db))
                .map_err(|error| location.disk(error))?
        }
    };
    let mark = match mark {
        FoundMark::Read(file, _) => file,
        FoundMark::Missing | FoundMark::Unreadable => {
            warn!(
                "{} is missing or unreadable, so that nothing tells whether deliveries are missing from the store",
                location.mark().display()
            );
            MarkFile::create(&location.mark(), Mark::default()).map_err(|error| location.disk(error))?
        }
    };
    finish(location, whole, mark, journal)
}

fn finish(
    location: &Location,
    (db, scan, meta): (Db, Box<Scan>, Meta),
    mark: MarkFile,
    journal: Journal,
) -> Result<Attempt, OpenError> {
    let db_file = DurableFile::open(&location.store()).map_err(|error| location.disk(error))?;
    // What is taken for the newest must also be on disk, before the mark says so.
    db_file.sync().map_err(|error| location.disk(error))?;
    let mut files = Files { db_file, journal, mark, meta, mark_is_synced: true };
    files
        .write_mark(scan.counts.total(Table::Delivery))
        .and_then(|()| files.sync_mark())
        .map_err(|error| location.disk(error))?;
    let scan = *scan;
    Ok(Attempt::Open(Box::new(Opened {
        files,
        loaded: scan.loaded,
        counts: scan.counts,
        next_number: scan.next_number,
        db,
    })))
}

fn new_journal(
    location: &Location,
    generation: u64,
    sequence: u64,
    records: impl Iterator<Item = Result<(keys::SingleKey, Vec<u8>), StoreError>>,
) -> Result<Journal, StoreError> {
    NewJournal::write(&location.journal(), generation, sequence, records)?.put_in_place()
}

/// Writes what makes the records in `db` a store of this format, whose sum `meta` has without the format's own record.
pub(super) fn stamp(db: &Db, mut meta: Meta) -> Result<Meta, StoreError> {
    let (key, format) = (keys::format(), FORMAT.to_be_bytes());
    meta.sum.add(hash(&key, &format));
    let mut batch = Batch::default();
    batch.insert(key, &format);
    batch.insert(keys::meta(), meta.to_disk());
    db.apply_batch(batch).and_then(|()| db.flush()).map_err(StoreError::write)?;
    Ok(meta)
}

impl FoundMark {
    pub(super) fn is(&self) -> MarkIs {
        match self {
            Self::Missing => MarkIs::Missing,
            Self::Unreadable => MarkIs::Unreadable,
            Self::Read(file, mark) if file.is_half() => MarkIs::Half(*mark),
            Self::Read(_, mark) => MarkIs::Read(*mark),
        }
    }
}

impl FoundJournal {
    /// `store` is what it has to agree with, where there is a store.
    pub(super) fn is(&self, store: Option<&Loaded>) -> JournalIs {
        match self {
            Self::Missing => JournalIs::Missing,
            Self::Damaged(damage) => JournalIs::Damaged(damage.clone()),
            // Refused before anybody asks.
            Self::Newer(_) => JournalIs::Missing,
            Self::Read(_, end, contents) => JournalIs::Read {
                sequence: end.sequence,
                tail: end.tail,
                differences: store.map_or(0, |store| contents.differences(store.journaled())),
            },
        }
    }

    fn generation(&self) -> u64 {
        match self {
            Self::Read(_, end, _) => end.generation,
            _ => 0,
        }
    }
}
