//! What can go wrong with the store. No type of sled's shows.

use std::path::PathBuf;

use crate::store::codec::BadRecord;

/// The store cannot be opened: the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("data directory {} is in use by another server", path.display())]
    InUse { path: PathBuf },
    #[error("the store in {} has format {found}, this version knows up to {known}", path.display())]
    NewerFormat { path: PathBuf, found: u32, known: u32 },
    #[error("the store in {} holds records but does not say in which format", path.display())]
    NoFormat { path: PathBuf },
    #[error("cannot open the store in {}: {cause}", path.display())]
    Unreadable { path: PathBuf, cause: StoreError },
    #[error("cannot open the store in {}: {cause}", path.display())]
    Disk { path: PathBuf, cause: String },
    #[error("cannot start the thread of the store in {}: {cause}", path.display())]
    Thread { path: PathBuf, cause: std::io::Error },
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
