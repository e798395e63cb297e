//! A naive twin of the store: what it has to hold after these writes.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::ids::{AccountId, EventId, HookId};
use crate::store::tests::delivery;
use crate::store::{DeliveryKey, Loaded, Store, StoredDelivery, Write};

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Model {
    pub(super) durable: Durable,
    pub(super) pending: BTreeMap<DeliveryKey, StoredDelivery>,
}

/// What must never go missing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Durable {
    accounts: BTreeMap<AccountId, Vec<u8>>,
    api_keys: BTreeMap<AccountId, Vec<u8>>,
    configs: BTreeMap<AccountId, Vec<u8>>,
    hooks: BTreeMap<HookId, Vec<u8>>,
}

impl Durable {
    pub(super) fn of(loaded: &Loaded) -> Self {
        Self {
            accounts: loaded.accounts.iter().cloned().collect(),
            api_keys: loaded.api_keys.iter().cloned().collect(),
            configs: loaded.configs.iter().cloned().collect(),
            hooks: loaded.hooks.iter().cloned().collect(),
        }
    }
}

impl Model {
    pub(super) fn apply(&mut self, unit: &[Write]) {
        for write in unit {
            self.apply_one(write.clone());
        }
    }

    fn apply_one(&mut self, write: Write) {
        let durable = &mut self.durable;
        match write {
            Write::PutAccount { id, record } => drop(durable.accounts.insert(id, record)),
            Write::DeleteAccount(id) => drop(durable.accounts.remove(&id)),
            Write::PutApiKey { account, record } => drop(durable.api_keys.insert(account, record)),
            Write::DeleteApiKey(account) => drop(durable.api_keys.remove(&account)),
            Write::PutConfig { account, record } => drop(durable.configs.insert(account, record)),
            Write::DeleteConfig(account) => drop(durable.configs.remove(&account)),
            Write::PutHook { id, record } => drop(durable.hooks.insert(id, record)),
            Write::DeleteHook(hook) => {
                durable.hooks.remove(&hook);
                self.pending.retain(|key, _| key.hook != hook);
            }
            Write::PutDelivery { key, delivery } => drop(self.pending.insert(key, delivery)),
            Write::DeleteDelivery(key) => drop(self.pending.remove(&key)),
            Write::PutFailures { .. } | Write::LogAttempt { .. } => (),
            other => panic!("no test writes {other:?}"),
        }
    }

    /// What the store holds, every delivery read whole.
    pub(super) async fn read(store: &Store, loaded: &Loaded) -> Self {
        let mut pending = BTreeMap::new();
        for hook in loaded.pending.keys() {
            let due = store.due(*hook, u64::MAX, usize::MAX, vec![]).await.unwrap();
            pending.extend(due.ready);
        }
        Self { durable: Durable::of(loaded), pending }
    }
}

/// The unit number `n` of a server's life: deliveries come and go, at times a hook or an account changes.
pub(super) fn unit(n: u64) -> Vec<Write> {
    let hook = |n: u64| HookId::from_bytes([u8::try_from(n % 23).unwrap(); 16]);
    let account = AccountId::from_bytes([u8::try_from(n % 11).unwrap(); 16]);
    let key = |n: u64| DeliveryKey {
        hook: hook(n),
        due_ms: 1_000 + n,
        event: EventId::from_bytes(u128::from(n).to_be_bytes()),
    };
    // Some take several pieces.
    let length = if n.is_multiple_of(19) { 9_000 } else { 200 + usize::try_from(n * 37 % 900).unwrap() };
    let put = Write::PutDelivery {
        key: key(n),
        delivery: StoredDelivery { body: Bytes::from(format!("{n:0length$}")), ..delivery(1, n) },
    };
    let times = vec![n];
    let mut unit = vec![put, Write::PutFailures { hook: counter(), times }];
    if n.is_multiple_of(2) && n > 40 {
        unit.push(Write::DeleteDelivery(key(n - 40)));
        unit.push(Write::DeleteDelivery(key(n - 39)));
    }
    let record = |name: &str| format!("{name} {n:0width$}", width = length / 2).into_bytes();
    match n % 9 {
        0 | 3 => unit.push(Write::PutHook { id: hook(n / 3), record: record("hook") }),
        1 => unit.push(Write::PutAccount { id: account, record: record("account") }),
        2 => unit.push(Write::PutApiKey { account, record: record("key") }),
        4 if n.is_multiple_of(2) => unit.push(Write::PutConfig { account, record: record("config") }),
        5 if n.is_multiple_of(4) => unit.push(Write::DeleteHook(hook(n * 7))),
        6 if n.is_multiple_of(5) => {
            unit.push(Write::DeleteApiKey(account));
            unit.push(Write::DeleteAccount(account));
        }
        7 => unit.push(Write::LogAttempt { hook: hook(n), at_ms: n, record: record("attempt") }),
        8 if n.is_multiple_of(3) => unit.push(Write::DeleteConfig(account)),
        _ => (),
    }
    unit
}

/// The hook whose only failure tells the last unit.
pub(super) fn counter() -> HookId {
    HookId::from_bytes([255; 16])
}
