//! What the store promises, on a real directory.

mod beside;
mod damage;
mod kill;
mod model;
mod open;
mod reads;
mod writes;

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tempfile::TempDir;

use crate::ids::{AccountId, EventId, HookId};
use crate::store::{AttemptsQuery, DeliveryKey, Loaded, Order, Store, StoreSettings, StoredDelivery, Target, Write};

fn settings() -> StoreSettings {
    StoreSettings {
        cache_bytes: 8 << 20,
        group_max: 256,
        flush_idle_ms: 5,
        queue_max: 1_000,
        dead_max: 3,
        dead_hours: 24,
        attempts_max: 5,
        attempts_hours: 24,
        journal_bytes_min: 4_096,
        journal_growth: 2,
    }
}

fn open(dir: &TempDir) -> (Store, Loaded) {
    Store::open(dir.path(), settings()).unwrap()
}

fn hook(n: u8) -> HookId {
    HookId::from_bytes([n; 16])
}

fn key(n: u8, due_ms: u64, event: u8) -> DeliveryKey {
    DeliveryKey { hook: hook(n), due_ms, event: EventId::from_bytes([event; 16]) }
}

fn delivery(event: u8, created_ms: u64) -> StoredDelivery {
    StoredDelivery {
        event_id: EventId::from_bytes([event; 16]),
        account: AccountId::from_bytes([1; 16]),
        exchange: "callevt".to_owned(),
        routing_key: "call.CHANNEL_CREATE.x".to_owned(),
        body: Bytes::from_static(b"{\"Call-ID\":\"x\"}"),
        received_ms: created_ms,
        created_ms,
        attempts: 1,
        target: Target::RegisteredHook,
    }
}

fn put(n: u8, due_ms: u64, event: u8) -> Write {
    Write::PutDelivery { key: key(n, due_ms, event), delivery: delivery(event, due_ms) }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

fn attempt(n: u8, at_ms: u64) -> Write {
    Write::LogAttempt { hook: hook(n), at_ms, record: at_ms.to_string().into_bytes() }
}

fn letter(n: u8, died_ms: u64, event: u8) -> Write {
    let reason = "bad response code".to_owned();
    Write::DeadLetter { hook: hook(n), delivery: delivery(event, 1), died_ms, reason }
}

fn everything() -> AttemptsQuery {
    AttemptsQuery { order: Order::NewestFirst, from_ms: 0, to_ms: u64::MAX, start: None, limit: 100 }
}

async fn attempt_times(store: &Store, hooks: &[u8], query: AttemptsQuery) -> Vec<u64> {
    let hooks = hooks.iter().map(|n| hook(*n)).collect();
    store.attempts(hooks, query).await.unwrap().iter().map(|attempt| attempt.position.at_ms).collect()
}
