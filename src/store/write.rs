//! What can be written. One `Vec<Write>` is one unit: it is on disk whole or not at all.

use crate::ids::{AccountId, HookId};
use crate::store::keys::{DeadLetterKey, DeliveryKey};
use crate::store::record::StoredDelivery;

/// One change. Records given as bytes are encoded and versioned by their owners.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    PutAccount {
        id: AccountId,
        record: Vec<u8>,
    },
    /// The account's own record; its API key, configuration and hooks have writes of their own.
    DeleteAccount(AccountId),
    PutApiKey {
        account: AccountId,
        record: Vec<u8>,
    },
    DeleteApiKey(AccountId),
    /// An account's own numbers for its webhooks.
    PutConfig {
        account: AccountId,
        record: Vec<u8>,
    },
    DeleteConfig(AccountId),
    PutHook {
        id: HookId,
        record: Vec<u8>,
    },
    /// Takes the hook's deliveries (counted as discarded), dead letters, attempts and failures along.
    DeleteHook(HookId),
    PutDelivery {
        key: DeliveryKey,
        delivery: StoredDelivery,
    },
    DeleteDelivery(DeliveryKey),
    /// Deletes the hook's deliveries that were created before this time (counted as discarded).
    DiscardDeliveries {
        hook: HookId,
        created_before_ms: u64,
    },
    /// Changes nothing, and answers how many deliveries the hook has at this point in the order of all writes.
    CountPending(HookId),
    /// The times of the hook's recent failures; none deletes the record.
    PutFailures {
        hook: HookId,
        times: Vec<u64>,
    },
    /// Keeps a delivery that was given up. The pending delivery is deleted by a `DeleteDelivery` in the same unit.
    DeadLetter {
        hook: HookId,
        delivery: StoredDelivery,
        died_ms: u64,
        reason: String,
    },
    DeleteDeadLetter(DeadLetterKey),
    LogAttempt {
        hook: HookId,
        at_ms: u64,
        record: Vec<u8>,
    },
    PutBinding {
        exchange: String,
        routing_key: String,
    },
    DeleteBinding {
        exchange: String,
        routing_key: String,
    },
}

impl Write {
    /// Whether losing it costs a line in a log and nothing else.
    pub(super) fn is_log(&self) -> bool {
        matches!(self, Self::LogAttempt { .. })
    }
}

/// A unit of writes is on disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Committed {
    /// Pending deliveries that `DeleteHook` and `DiscardDeliveries` of this unit deleted.
    pub discarded: u64,
    /// By how much the unit changed the number of pending deliveries: a write over another, or a deletion of what is
    /// not there, counts nothing.
    pub growth: i64,
    /// What `CountPending` counted.
    pub pending: u64,
}
