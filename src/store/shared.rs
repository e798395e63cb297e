//! What the handles and the store's thread have in common: the requests between them, and the open store.

use std::sync::{PoisonError, RwLock};

use sled::Db;
use tokio::sync::oneshot;

use crate::store::error::StoreError;
use crate::store::stats::Cells;
use crate::store::write::{Committed, Write};

pub(super) type Answer = oneshot::Sender<Result<Committed, StoreError>>;

pub(super) enum Request {
    Write { writes: Vec<Write>, answer: Option<Answer> },
    Close { answer: oneshot::Sender<Result<(), StoreError>> },
}

/// What the thread shares with the handles.
pub(super) struct Shared {
    /// `None` once closed, and while a store that failed has not been opened again.
    pub(super) db: RwLock<Option<Db>>,
    pub(super) stats: Cells,
    /// Why the last group failed.
    pub(super) fault: RwLock<Option<StoreError>>,
}

impl Shared {
    pub(super) fn fault(&self) -> Option<StoreError> {
        self.fault.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_fault(&self, fault: Option<StoreError>) {
        *self.fault.write().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    pub(super) fn set_db(&self, db: Option<Db>) {
        *self.db.write().unwrap_or_else(PoisonError::into_inner) = db;
    }
}
