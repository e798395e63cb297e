//! Rebuilds a damaged store from its journal, or says why that cannot be done.
//!
//! The new store is made beside the damaged one, which is then moved aside and never deleted: a rebuild that fails
//! halfway, on a full disk say, has changed nothing. What is not in the journal is lost: deliveries, dead letters,
//! attempts, the times of failures, and the bindings, which the broker keeps until a hook of theirs is deleted.

use std::fmt;
use std::fs::{File, remove_dir_all, rename};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use log::info;
use sled::{Batch, Db};

use crate::store::disk::{Location, wait_until_free};
use crate::store::durable::{DurableFile, sync_parent};
use crate::store::error::{Damage, Obstacle, OpenError, StoreError};
use crate::store::journal::{Changes, FoundJournal, ReplayError, replay};
use crate::store::judge::{MarkIs, can_rebuild};
use crate::store::keys::Table;
use crate::store::mark::{FoundMark, Mark, MarkFile};
use crate::store::meta::{Meta, Sum, hash};
use crate::store::open::stamp;
use crate::store::parts;

/// Records that go to the new store together. It counts as a store only after the last.
const BATCH_RECORDS: usize = 1_000;

/// A store was damaged and has been rebuilt. `Display` is one line for whoever runs the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    pub data_dir: PathBuf,
    pub damage: Damage,
    /// Where the damaged store is now; `None` where there was none.
    pub moved_to: Option<PathBuf>,
    pub hooks: u64,
    pub accounts: u64,
    pub api_keys: u64,
    pub configs: u64,
    /// Pending deliveries; `None` where nothing was left to tell.
    pub lost_deliveries: Option<u64>,
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store in {} was damaged: {}", self.data_dir.display(), self.damage)?;
        write!(
            f,
            "; rebuilt from its journal: {} hooks, {} accounts, {} API keys, {} configurations",
            self.hooks, self.accounts, self.api_keys, self.configs
        )?;
        match self.lost_deliveries {
            Some(lost) => write!(f, "; {lost} pending deliveries were lost")?,
            None => write!(f, "; all pending deliveries were lost, and nothing tells how many there were")?,
        }
        match &self.moved_to {
            Some(path) => write!(f, "; the damaged store is now {}", path.display()),
            None => Ok(()),
        }
    }
}

/// A damaged store, and what there is beside it.
pub(super) struct Case {
    pub(super) damage: Damage,
    pub(super) mark: FoundMark,
    pub(super) journal: FoundJournal,
}

/// Afterwards the store opens as any other. `None` where nothing had ever been written.
pub(super) fn repair(location: &Location, case: Case) -> Result<Option<Recovery>, OpenError> {
    let Case { damage, mark, journal } = case;
    if let Err(obstacle) = can_rebuild(mark.is(), &journal.is(None)) {
        return Err(beyond_repair(location, damage, obstacle));
    }
    let FoundJournal::Read(file, end, contents) = journal else {
        return Err(beyond_repair(location, damage, Obstacle::NoJournal));
    };
    let records = records_of(&file).map_err(|error| location.disk(error))?;
    let marked = match mark.is() {
        MarkIs::Read(mark) | MarkIs::Half(mark) => mark,
        // The new store has to have a mark older than itself, or it would not be taken for the newest.
        MarkIs::Missing | MarkIs::Unreadable => {
            let mark = Mark {
                sequence: end.sequence,
                journaled: end.sequence,
                hooks: contents.hooks(),
                accounts: contents.accounts(),
                deliveries: 0,
            };
            MarkFile::create(&location.mark(), mark).map_err(|error| location.disk(error))?;
            mark
        }
    };
    let sequence = marked.sequence.max(end.sequence) + 1;
    build(location, &records, sequence)?;
    let moved_to = move_aside(location)?;
    rename(location.rebuilt(), location.store())
        .and_then(|()| sync_parent(&location.store()))
        .map_err(|error| location.disk(error))?;
    if marked.is_blank() && contents.is_empty() {
        info!("the first start in {} had been cut short", location.data_dir.display());
        return Ok(None);
    }
    let count = |table: Table| records.keys().filter(|key| key[0] == table as u8).count() as u64;
    Ok(Some(Recovery {
        data_dir: location.data_dir.clone(),
        damage,
        moved_to,
        hooks: count(Table::Hook),
        accounts: count(Table::Account),
        api_keys: count(Table::ApiKey),
        configs: count(Table::Config),
        lost_deliveries: matches!(mark, FoundMark::Read(..)).then_some(marked.deliveries),
    }))
}

/// Gives the store's directory another name, if there is one. Where it is now.
pub(super) fn move_aside(location: &Location) -> Result<Option<PathBuf>, OpenError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let name = location.data_dir.join(format!("store.damaged-{}", now.as_secs()));
    let mut aside = name.clone();
    let mut number = 1;
    while aside.exists() {
        number += 1;
        aside = name.with_added_extension(number.to_string());
    }
    match rename(location.store(), &aside) {
        Ok(()) => Ok(Some(aside)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(location.disk(error)),
    }
}

fn records_of(journal: &File) -> Result<Changes, String> {
    let mut records = Changes::new();
    let replayed = replay(journal, &mut |key, record| {
        match record {
            Some(record) => records.insert(key, Some(record.to_vec())),
            None => records.remove(&key),
        };
    });
    match replayed {
        Ok(_) => Ok(records),
        Err(ReplayError::Damaged(damage)) => Err(format!("its journal: {damage}")),
        Err(ReplayError::Version(version)) => Err(format!("its journal has format {version}")),
        Err(ReplayError::Read(error)) => Err(format!("its journal: {error}")),
    }
}

/// Makes a store of these records that is on disk and closed.
fn build(location: &Location, records: &Changes, sequence: u64) -> Result<(), OpenError> {
    let dir = location.rebuilt();
    match remove_dir_all(&dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(location.disk(error)),
        _ => (),
    }
    let db = location.open_sled(&dir).map_err(|error| location.open_error(error))?;
    fill(&db, records, sequence).map_err(|error| location.disk(error))?;
    DurableFile::open(&dir).and_then(|file| file.sync()).map_err(|error| location.disk(error))?;
    drop(db);
    wait_until_free(&dir);
    Ok(())
}

fn fill(db: &Db, records: &Changes, sequence: u64) -> Result<(), StoreError> {
    let mut sum = Sum::default();
    let (mut batch, mut size) = (Batch::default(), 0);
    let present = records.iter().filter_map(|(key, record)| record.as_ref().map(|record| (key, record)));
    for (key, piece) in present.flat_map(|(key, record)| parts::split(key, record)) {
        sum.add(hash(&key, &piece));
        batch.insert(key, piece);
        size += 1;
        if size == BATCH_RECORDS {
            db.apply_batch(std::mem::take(&mut batch)).map_err(StoreError::write)?;
            size = 0;
        }
    }
    db.apply_batch(batch).map_err(StoreError::write)?;
    // Last: without it the records are no store.
    let meta = Meta { sequence, journaled: sequence, sum };
    stamp(db, meta).map(|_| ())
}

fn beyond_repair(location: &Location, damage: Damage, obstacle: Obstacle) -> OpenError {
    let (store, journal, mark) = paths(location);
    let restore = format!("Restore {} from a backup", location.data_dir.display());
    let advice = match &obstacle {
        Obstacle::NoJournal | Obstacle::Journal(_) => {
            format!("{restore}, or move {store}, {journal} and {mark} away to begin without hooks and accounts")
        }
        Obstacle::JournalEnds { .. } | Obstacle::NoMark => {
            format!("{restore}, or move {mark} away to have the hooks and accounts that {journal} holds")
        }
    };
    OpenError::BeyondRepair { path: location.data_dir.clone(), damage, obstacle, advice }
}

/// The refusal of a store that may be older than what was answered.
pub(super) fn unproven(location: &Location, obstacle: Obstacle) -> OpenError {
    let (_, journal, mark) = paths(location);
    OpenError::Unproven {
        path: location.data_dir.clone(),
        obstacle,
        advice: format!(
            "Restore {} from a backup, or move {journal} and {mark} away to take the store as it is",
            location.data_dir.display()
        ),
    }
}

fn paths(location: &Location) -> (String, String, String) {
    let text = |path: &Path| path.display().to_string();
    (text(&location.store()), text(&location.journal()), text(&location.mark()))
}
