//! Opens the store and tells whether it is whole, by its own records alone.
//!
//! On a thread of its own: over damaged files sled panics as often as it errs. A handle to a damaged store is forgotten,
//! not dropped, since dropping it reads and writes on; it keeps the lock until the process ends. Even so sled has written
//! to the files as it opened them: a damaged store is not left quite as it was found. Whether a whole store is also the newest is `judge`'s business.

use std::any::Any;
use std::fs::{File, TryLockError};
use std::mem::ManuallyDrop;
use std::path::Path;
use std::thread;

use sled::Db;

use crate::store::codec::Reader;
use crate::store::disk::{Location, SledError, is_panic_of_machine};
use crate::store::error::{Damage, OpenError, StoreError};
use crate::store::keys;
use crate::store::meta::Meta;
use crate::store::read::{bad_record, read_error};
use crate::store::scan::Scan;

/// The layout of keys and values, counted up when an older version could not read it. From format 2 on every batch
/// carries a `Meta`, and there are a mark and a journal.
pub(super) const FORMAT: u32 = 2;
pub(super) const WITHOUT_META: u32 = 1;

/// Enough for a store of a hundred thousand hooks: crossbeam frees up to 512 objects at each 128th access.
const LET_GO_READS: usize = 1 << 15;

/// What was found in place of the store.
pub(super) enum Found {
    /// There is none.
    Absent,
    Whole(Db, Box<Scan>, Meta),
    /// From before there was anything to prove it with.
    Older(Db, Box<Scan>),
    Damaged(Damage),
}

pub(super) fn inspect(location: &Location) -> Result<Found, OpenError> {
    let path = location.store().join("db");
    match path.metadata() {
        Ok(file) if file.len() == 0 => return examine_empty(location, &path),
        Ok(_) => (),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Found::Absent),
        Err(error) => return Err(location.disk(error)),
    }
    let of_thread = location.clone();
    let opener = thread::Builder::new()
        .name("store-open".to_owned())
        .spawn(move || open(&of_thread))
        .map_err(|cause| OpenError::Thread { path: location.data_dir.clone(), cause })?;
    opener.join().unwrap_or_else(|panic| {
        let message = panic_message(panic.as_ref());
        if is_panic_of_machine(&message) {
            return Err(location.disk(message));
        }
        Ok(Found::Damaged(Damage::Panic(message)))
    })
}

/// sled fills a new file a moment after it has locked it: another server may be at its first start.
fn examine_empty(location: &Location, path: &Path) -> Result<Found, OpenError> {
    match File::open(path).map_err(|error| location.disk(error))?.try_lock() {
        Ok(()) => Ok(Found::Damaged(Damage::Empty)),
        Err(TryLockError::WouldBlock) => Err(location.open_error(SledError::Locked)),
        Err(TryLockError::Error(error)) => Err(location.disk(error)),
    }
}

fn open(location: &Location) -> Result<Found, OpenError> {
    let db = match location.open_sled(&location.store()) {
        Ok(db) => ManuallyDrop::new(db),
        Err(SledError::Damaged(cause)) => return Ok(Found::Damaged(Damage::Open(cause))),
        Err(error) => return Err(location.open_error(error)),
    };
    match examine(&db) {
        Ok((scan, Kind::Whole(meta))) => Ok(Found::Whole(ManuallyDrop::into_inner(db), Box::new(scan), meta)),
        Ok((scan, Kind::Older)) => Ok(Found::Older(ManuallyDrop::into_inner(db), Box::new(scan))),
        Err(Unusable::Newer(found)) => {
            drop(ManuallyDrop::into_inner(db));
            Err(OpenError::NewerFormat { path: location.data_dir.clone(), found, known: FORMAT })
        }
        Err(Unusable::Damaged(damage)) => Ok(Found::Damaged(damage)),
    }
}

enum Kind {
    Whole(Meta),
    Older,
}

enum Unusable {
    Newer(u32),
    Damaged(Damage),
}

impl From<StoreError> for Unusable {
    fn from(error: StoreError) -> Self {
        Self::Damaged(Damage::Record(error))
    }
}

fn examine(db: &Db) -> Result<(Scan, Kind), Unusable> {
    if !db.was_recovered() {
        return Err(Unusable::Damaged(Damage::NotRecovered));
    }
    let Some(format) = number(db, &keys::format())? else {
        return Err(Unusable::Damaged(Damage::NoFormat));
    };
    if format > FORMAT {
        return Err(Unusable::Newer(format));
    }
    let scan = Scan::of(db)?;
    let_go(db)?;
    if format == WITHOUT_META {
        return Ok((scan, Kind::Older));
    }
    let key = keys::meta();
    let Some(meta) = db.get(&key).map_err(read_error)? else {
        return Err(Unusable::Damaged(Damage::NoMeta));
    };
    let meta = Meta::from_disk(&meta).map_err(|cause| bad_record(&key, cause))?;
    if scan.sum == meta.sum {
        return Ok((scan, Kind::Whole(meta)));
    }
    let (found, expected) = (scan.sum.count, meta.sum.count);
    Err(Unusable::Damaged(if found == expected {
        Damage::Content(expected)
    } else {
        Damage::Count { found, expected }
    }))
}

/// What sled has thrown out of its cache it lets go of bit by bit, as it is used: after the scan that is most of the
/// store, and an idle server would keep it for ever. A few milliseconds.
fn let_go(db: &Db) -> Result<(), StoreError> {
    for _ in 0..LET_GO_READS {
        db.get(keys::format()).map_err(read_error)?;
    }
    Ok(())
}

fn number(db: &Db, key: &[u8]) -> Result<Option<u32>, StoreError> {
    let Some(value) = db.get(key).map_err(read_error)? else {
        return Ok(None);
    };
    Reader::new(&value).u32().map(Some).map_err(|cause| bad_record(key, cause))
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    // One line, as it becomes part of one.
    text.unwrap_or("sled panicked").lines().collect::<Vec<_>>().join(" ")
}
