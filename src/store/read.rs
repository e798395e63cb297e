//! What is read while the server runs: due deliveries, dead letters, attempts.
//!
//! Plain blocking functions over sled, run on tokio's blocking threads by the handle in `mod.rs`. Each is bounded by
//! the caller's limit. They see what the store's thread has applied.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use sled::{Db, IVec};

use crate::ids::HookId;
use crate::store::codec::BadRecord;
use crate::store::error::StoreError;
use crate::store::keys::{self, DeadLetterKey, DeliveryKey, Position, Table};
use crate::store::parts;
use crate::store::record::{DeadLetter, StoredDelivery, failures_from_disk};

/// What a hook has to do now, and when there is more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// In order of their due time.
    pub ready: Vec<(DeliveryKey, StoredDelivery)>,
    /// The due time of the first delivery beyond `ready` that was not to be skipped. It is in the past when the
    /// limit was reached.
    pub next_due_ms: Option<u64>,
}

/// One attempt, as its owner encoded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub hook: HookId,
    pub position: Position,
    pub record: Vec<u8>,
}

/// Which way a listing of attempts runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    NewestFirst,
    OldestFirst,
}

/// Which attempts to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttemptsQuery {
    pub order: Order,
    /// Both bounds are included, in Unix milliseconds.
    pub from_ms: u64,
    pub to_ms: u64,
    /// Where the page begins, itself included: the position of the first attempt of the next page.
    pub start: Option<Position>,
    pub limit: usize,
}

pub(super) fn due(
    db: &Db,
    hook: HookId,
    now_ms: u64,
    limit: usize,
    skip: &HashSet<DeliveryKey>,
) -> Result<Due, StoreError> {
    let mut ready = Vec::new();
    for record in db.scan_prefix(keys::of_hook(Table::Delivery, &hook)) {
        let (disk_key, head) = record.map_err(read_error)?;
        let key = DeliveryKey::from_disk(&disk_key).map_err(|cause| bad_record(&disk_key, cause))?;
        if skip.contains(&key) {
            continue;
        }
        if key.due_ms > now_ms || ready.len() >= limit {
            return Ok(Due { ready, next_due_ms: Some(key.due_ms) });
        }
        let Some(value) = parts::join(db, &disk_key, head)? else {
            continue;
        };
        let delivery = StoredDelivery::from_disk(&value).map_err(|cause| bad_record(&disk_key, cause))?;
        ready.push((key, delivery));
    }
    Ok(Due { ready, next_due_ms: None })
}

pub(super) fn failures(db: &Db, hook: HookId) -> Result<Vec<u64>, StoreError> {
    let key = keys::of_hook(Table::Failures, &hook);
    let Some(head) = db.get(&key).map_err(read_error)? else { return Ok(Vec::new()) };
    let times = parts::join(db, &key, head)?.unwrap_or_default();
    failures_from_disk(&times).map_err(|cause| bad_record(&key, cause))
}

/// Newest first, from before `before` on, none that died before `since_ms`.
pub(super) fn dead_letters(
    db: &Db,
    hook: HookId,
    limit: usize,
    before: Option<DeadLetterKey>,
    since_ms: u64,
) -> Result<Vec<DeadLetter>, StoreError> {
    let start = keys::of_hook_at(Table::DeadLetter, &hook, since_ms);
    let end = match before {
        Some(key) => DeadLetterKey { hook, ..key }.to_disk(),
        None => keys::after(&keys::of_hook(Table::DeadLetter, &hook)),
    };
    if start >= end {
        return Ok(Vec::new());
    }
    db.range(start..end)
        .rev()
        .take(limit)
        .filter_map(|record| record.map_err(read_error).and_then(|(key, head)| join_letter(db, &key, head)).transpose())
        .collect()
}

pub(super) fn dead_letter(db: &Db, key: DeadLetterKey) -> Result<Option<DeadLetter>, StoreError> {
    let disk_key = key.to_disk();
    match db.get(&disk_key).map_err(read_error)? {
        Some(head) => join_letter(db, &disk_key, head),
        None => Ok(None),
    }
}

fn join_letter(db: &Db, key: &[u8], head: IVec) -> Result<Option<DeadLetter>, StoreError> {
    let Some(value) = parts::join(db, key, head)? else {
        return Ok(None);
    };
    DeadLetter::from_disk(key, &value).map(Some).map_err(|cause| bad_record(key, cause))
}

/// The attempts of several hooks merged by time, none from before `since_ms`. Memory is bounded by the query's limit,
/// however many hooks there are.
pub(super) fn attempts(
    db: &Db,
    hooks: &[HookId],
    query: AttemptsQuery,
    since_ms: u64,
) -> Result<Vec<Attempt>, StoreError> {
    match query.order {
        Order::NewestFirst => merge(db, hooks, query, since_ms, |position| position),
        Order::OldestFirst => merge(db, hooks, query, since_ms, Reverse),
    }
}

/// `rank` is greater for what comes earlier in the listing.
fn merge<R: Ord + Copy>(
    db: &Db,
    hooks: &[HookId],
    query: AttemptsQuery,
    since_ms: u64,
    rank: impl Fn(Position) -> R,
) -> Result<Vec<Attempt>, StoreError> {
    let mut first = Position { at_ms: query.from_ms.max(since_ms), number: 0 };
    let mut last = Position { at_ms: query.to_ms, number: u64::MAX };
    match (query.order, query.start) {
        (_, None) => (),
        (Order::NewestFirst, Some(start)) => last = last.min(start),
        (Order::OldestFirst, Some(start)) => first = first.max(start),
    }
    if first > last {
        return Ok(Vec::new());
    }
    // The heap holds the page's candidates, the one that would be listed last on top.
    let mut page: BinaryHeap<Candidate<R>> = BinaryHeap::new();
    for hook in hooks {
        let mut records = db.range(first.to_disk(hook)..=last.to_disk(hook));
        while let Some(record) = match query.order {
            Order::NewestFirst => records.next_back(),
            Order::OldestFirst => records.next(),
        } {
            let (key, head) = record.map_err(read_error)?;
            let (hook, position) = Position::from_disk(&key).map_err(|cause| bad_record(&key, cause))?;
            let candidate = Candidate { rank: Reverse(rank(position)), hook, position, head };
            if page.len() < query.limit {
                page.push(candidate);
            } else if let Some(mut last) = page.peek_mut().filter(|last| candidate < **last) {
                *last = candidate;
            } else {
                // This hook's further attempts are later in the listing still.
                break;
            }
        }
    }
    let mut attempts = Vec::with_capacity(page.len());
    for Candidate { hook, position, head, .. } in page.into_sorted_vec() {
        if let Some(record) = parts::join(db, &position.to_disk(&hook), head)? {
            attempts.push(Attempt { hook, position, record });
        }
    }
    Ok(attempts)
}

/// Ordered as listed. The position is unique, so the fields after it never decide.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Candidate<R> {
    rank: Reverse<R>,
    hook: HookId,
    position: Position,
    head: IVec,
}

pub(super) fn read_error(error: sled::Error) -> StoreError {
    StoreError::Read(error.to_string())
}

pub(super) fn bad_record(key: &[u8], cause: BadRecord) -> StoreError {
    StoreError::Record { key: hex::encode(key), cause }
}
