//! Brings one group to disk, in the order on which `mark` and `journal` rest.
//!
//! Owned by the store's thread. After an error it must not be used again: what is on disk is then known only by reading
//! it, which opening the store anew does.

use std::path::Path;

use log::{debug, warn};
use sled::{Batch, Db};

use crate::store::durable::DurableFile;
use crate::store::error::StoreError;
use crate::store::journal::{self, Journal, Limits, NewJournal};
use crate::store::keys;
use crate::store::mark::{Mark, MarkFile};
use crate::store::meta::{Meta, Sum, Touches};
use crate::store::scan::journaled_records;

pub(super) struct Files {
    pub(super) db_file: DurableFile,
    pub(super) journal: Journal,
    pub(super) mark: MarkFile,
    /// As on disk.
    pub(super) meta: Meta,
    pub(super) mark_is_synced: bool,
}

impl Files {
    /// One group, of which everybody can be answered when it returns. `sum` is what it adds to the sum, `deliveries`
    /// the number of pending ones after it.
    pub(super) fn commit(
        &mut self,
        db: &Db,
        mut batch: Batch,
        journal: &journal::Changes,
        sum: Sum,
        deliveries: u64,
    ) -> Result<(), StoreError> {
        let touches = if journal.is_empty() { Touches::OtherRecords } else { Touches::JournaledRecords };
        let meta = self.meta.next(sum, touches);
        batch.insert(keys::meta(), meta.to_disk());
        db.apply_batch(batch).and_then(|()| db.flush()).map_err(StoreError::write)?;
        self.db_file.sync().map_err(StoreError::write)?;
        // Behind the store: a journal with more than the store is how a store that lost something shows.
        if touches == Touches::JournaledRecords {
            self.journal
                .append(meta.sequence, journal)
                .map_err(|error| StoreError::write(format!("its journal: {error}")))?;
        }
        self.meta = meta;
        self.write_mark(deliveries)
    }

    pub(super) fn write_mark(&mut self, deliveries: u64) -> Result<(), StoreError> {
        let mark = Mark {
            sequence: self.meta.sequence,
            journaled: self.meta.journaled,
            deliveries,
            hooks: self.journal.contents().hooks(),
            accounts: self.journal.contents().accounts(),
        };
        self.mark.write(mark).map_err(mark_error)?;
        self.mark_is_synced = false;
        Ok(())
    }

    /// For the time after the answers, and before the next group.
    pub(super) fn sync_mark(&mut self) -> Result<(), StoreError> {
        if !self.mark_is_synced {
            self.mark.sync().map_err(mark_error)?;
            self.mark_is_synced = true;
        }
        Ok(())
    }

    /// Writes the journal anew when it has outgrown its limits. No room for that is no failure: it grows on.
    pub(super) fn tend_journal(&mut self, db: &Db, path: &Path, limits: Limits) -> Result<(), StoreError> {
        if !self.journal.has_outgrown(limits) {
            return Ok(());
        }
        let generation = self.journal.generation() + 1;
        match NewJournal::write(path, generation, self.journal.sequence(), journaled_records(db)) {
            Ok(new) => {
                self.journal = new.put_in_place()?;
                debug!("the journal of the store was written anew as generation {generation}");
            }
            Err(error) => {
                warn!("the journal of the store cannot be written anew and grows on: {error}");
                self.journal.put_off();
            }
        }
        Ok(())
    }
}

fn mark_error(error: std::io::Error) -> StoreError {
    StoreError::write(format!("its mark: {error}"))
}
