//! The store's figures: written by its thread and its handles, read by whoever reports metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Running totals since the store was opened; the last six are as of now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Groups brought to disk, each with one flush.
    pub flushes: u64,
    /// Writes in those groups.
    pub writes: u64,
    /// Groups that failed.
    pub failures: u64,
    /// Attempt logs dropped because too many writes were queued.
    pub dropped_logs: u64,
    /// Writes that nobody waited for and that could not be made up for after a failure.
    pub lost_writes: u64,
    /// Dead letters deleted because their hook had too many, or because of their age.
    pub dropped_dead_letters: u64,
    /// Writes handed in and not yet taken up.
    pub queued: u64,
    pub deliveries: u64,
    /// When the oldest of them was created, in Unix seconds; 0 when there is none.
    pub oldest_delivery_s: u64,
    pub dead_letters: u64,
    pub attempts: u64,
    pub bytes_on_disk: u64,
}

macro_rules! cells {
    ($($name:ident),*) => {
        #[derive(Debug, Default)]
        pub(super) struct Cells {
            $(pub(super) $name: Cell,)*
        }

        impl Cells {
            pub(super) fn read(&self) -> StoreStats {
                StoreStats { $($name: self.$name.get(),)* }
            }
        }
    };
}

cells!(
    flushes,
    writes,
    failures,
    dropped_logs,
    lost_writes,
    dropped_dead_letters,
    queued,
    deliveries,
    oldest_delivery_s,
    dead_letters,
    attempts,
    bytes_on_disk
);

/// A figure. No other memory depends on its order.
#[derive(Debug, Default)]
pub(super) struct Cell(AtomicU64);

impl Cell {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn add(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    pub(super) fn subtract(&self, value: u64) {
        self.0.fetch_sub(value, Ordering::Relaxed);
    }
}
