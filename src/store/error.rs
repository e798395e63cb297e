//! What can go wrong with the store. No type of sled's shows.

use std::path::PathBuf;

use crate::store::codec::BadRecord;
use crate::store::journal::JournalDamage;

/// The store cannot be opened: the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("data directory {} is in use by another server", path.display())]
    InUse { path: PathBuf },
    #[error("the store in {} has format {found}, this version knows up to {known}", path.display())]
    NewerFormat { path: PathBuf, found: u32, known: u32 },
    #[error("the journal {} has format {found}, this version knows up to {known}", path.display())]
    NewerJournal { path: PathBuf, found: u32, known: u32 },
    #[error("cannot open the store in {}: {cause}", path.display())]
    Disk { path: PathBuf, cause: String },
    #[error("cannot start the thread of the store in {}: {cause}", path.display())]
    Thread { path: PathBuf, cause: std::io::Error },
    /// While the server runs, a damaged store is not replaced under it.
    #[error("the store in {} is damaged ({damage}); the next start rebuilds it", path.display())]
    Damaged { path: PathBuf, damage: Damage },
    #[error("the store in {} is damaged ({damage}) and cannot be rebuilt: {obstacle}. {advice}", path.display())]
    BeyondRepair { path: PathBuf, damage: Damage, obstacle: Obstacle, advice: String },
    #[error("the store in {} is whole, but nothing proves that it is the newest: {obstacle}. {advice}", path.display())]
    Unproven { path: PathBuf, obstacle: Obstacle, advice: String },
}

/// How it shows that a store is damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("it is missing")]
    Missing,
    #[error("its file is empty")]
    Empty,
    #[error("it cannot be opened: {0}")]
    Open(String),
    #[error("reading it fails: {0}")]
    Panic(String),
    #[error("nothing in its file can be read")]
    NotRecovered,
    #[error("it does not say in which format it is")]
    NoFormat,
    #[error("it is as it was before it was taken over from an older version")]
    Outdated,
    #[error("it does not say what it has to hold")]
    NoMeta,
    #[error("{0}")]
    Record(StoreError),
    #[error("it holds {found} records where there were {expected}")]
    Count { found: u64, expected: u64 },
    #[error("its {0} records are not what they were")]
    Content(u64),
    #[error("it ends with group {found}, and group {expected} was written")]
    Stale { found: u64, expected: u64 },
    #[error("it lacks changes of group {expected} that its journal has; its own last ones are of group {found}")]
    BehindJournal { found: u64, expected: u64 },
    #[error("{0} of its accounts, API keys, configurations and hooks are not those of its journal")]
    Differs(u64),
}

/// Why the journal cannot make up for the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    #[error("its journal is missing")]
    NoJournal,
    #[error("its journal is damaged too ({0})")]
    Journal(JournalDamage),
    #[error("its journal ends with group {found}, and changes of group {expected} were answered")]
    JournalEnds { found: u64, expected: u64 },
    #[error("its mark is missing or not whole, which says how far the journal has to go")]
    NoMark,
}

/// A read or a write did not happen. All waiters of one group get the same error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("cannot write to the store: {0}")]
    Write(String),
    #[error("cannot read from the store: {0}")]
    Read(String),
    #[error("cannot read record {key} of the store: {cause}")]
    Record { key: String, cause: BadRecord },
    /// After a failed write the store could not be opened again yet; the next write tries once more.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    pub(super) fn write(cause: impl ToString) -> Self {
        Self::Write(cause.to_string())
    }
}
