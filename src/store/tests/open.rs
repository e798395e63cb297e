//! Opening, closing, reopening, and a disk that fails.

use std::fs;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use crate::ids::AccountId;
use crate::store::tests::{delivery, hook, key, open, put, settings};
use crate::store::{OpenError, Pending, Store, StoreError, StoredDelivery, Write};

#[tokio::test]
async fn what_was_committed_is_there_after_reopening() {
    let dir = TempDir::new().unwrap();
    let account = AccountId::from_bytes([9; 16]);
    let (store, loaded) = open(&dir);
    assert!(loaded.accounts.is_empty() && loaded.pending.is_empty());
    let binding = |routing_key: &str| Write::PutBinding { exchange: "callevt".into(), routing_key: routing_key.into() };
    let unit = vec![
        Write::PutAccount { id: account, record: b"account".to_vec() },
        Write::PutApiKey { account, record: b"key".to_vec() },
        Write::PutConfig { account, record: b"config".to_vec() },
        Write::PutHook { id: hook(1), record: b"hook".to_vec() },
        Write::PutFailures { hook: hook(1), times: vec![5, 6] },
        Write::PutFailures { hook: hook(2), times: vec![5] },
        binding("call.#"),
        binding("gone"),
        put(1, 20, 1),
        put(1, 10, 2),
        put(7, 30, 3),
    ];
    store.commit(unit).await.unwrap();
    store.write(vec![
        Write::PutFailures { hook: hook(2), times: vec![] },
        Write::DeleteBinding { exchange: "callevt".into(), routing_key: "gone".into() },
    ]);
    store.close().await.unwrap();

    let (_store, loaded) = open(&dir);
    assert_eq!(loaded.accounts, [(account, b"account".to_vec())]);
    assert_eq!(loaded.api_keys, [(account, b"key".to_vec())]);
    assert_eq!(loaded.configs, [(account, b"config".to_vec())]);
    assert_eq!(loaded.hooks, [(hook(1), b"hook".to_vec())]);
    assert_eq!(loaded.failures, [(hook(1), vec![5, 6])].into());
    assert_eq!(loaded.bindings, [("callevt".to_owned(), "call.#".to_owned())]);
    assert_eq!(loaded.pending[&hook(1)], Pending { count: 2, first_due_ms: 10 });
    assert_eq!(loaded.pending[&hook(7)], Pending { count: 1, first_due_ms: 30 });
}

#[tokio::test]
async fn a_second_store_on_the_directory_is_refused_by_name_until_the_first_is_closed() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open(&dir);
    let error = Store::open(dir.path(), settings()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    assert!(error.to_string().contains(dir.path().to_str().unwrap()), "{error}");
    let other = store.clone();
    store.close().await.unwrap();
    assert_eq!(other.commit(vec![put(1, 1, 1)]).await, Err(StoreError::Closed));
    assert_eq!(other.due(hook(1), 1, 1, vec![]).await, Err(StoreError::Closed));
    assert_eq!(other.fault(), Some(StoreError::Closed));
    open(&dir);
}

#[tokio::test]
async fn dropping_every_handle_brings_the_queue_to_disk() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open(&dir);
    for n in 0..50 {
        store.write(vec![put(1, n, n as u8)]);
    }
    drop(store);
    let (_store, loaded) = open(&dir);
    assert_eq!(loaded.pending[&hook(1)].count, 50);
}

#[test]
fn a_store_of_a_later_version_is_refused_by_name() {
    let dir = TempDir::new().unwrap();
    let sled = sled::open(dir.path().join("store")).unwrap();
    sled.insert([0], &3u32.to_be_bytes()).unwrap();
    drop(sled);
    let error = Store::open(dir.path(), settings()).unwrap_err();
    assert!(matches!(error, OpenError::NewerFormat { found: 3, known: 2, .. }), "{error}");
}

#[test]
fn a_record_that_cannot_be_read_is_named_when_the_store_is_rebuilt() {
    let dir = TempDir::new().unwrap();
    drop(open(&dir));
    let broken = key(1, 1, 1).to_disk();
    let sled = loop {
        // The store's thread gives the lock back a moment after the last handle is gone.
        if let Ok(sled) = sled::open(dir.path().join("store")) {
            break sled;
        }
    };
    sled.insert(&broken, &[99]).unwrap();
    drop(sled);
    let (_store, loaded) = open(&dir);
    let recovery = loaded.recovery.unwrap().to_string();
    assert!(recovery.contains(&hex::encode(&broken)), "{recovery}");
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error_with_its_path() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Store::open(&file, settings()).unwrap_err();
    assert!(error.to_string().contains(file.to_str().unwrap()), "{error}");
}

const FULL_DISK: &str = "HOOKSWITCH_TEST_FULL_DISK";

/// A limit on the size of files stands in for a full disk. It holds for a whole process, so this test runs itself
/// again in one of its own.
#[test]
fn a_failed_write_is_answered_and_the_store_works_again_once_the_disk_does() {
    if std::env::var_os(FULL_DISK).is_some() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        return runtime.block_on(on_a_full_disk());
    }
    let name = "store::tests::open::a_failed_write_is_answered_and_the_store_works_again_once_the_disk_does";
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -S -f 8192; exec \"$0\" --exact \"$1\""])
        .arg(std::env::current_exe().unwrap())
        .arg(name)
        .env(FULL_DISK, "1")
        .status()
        .unwrap();
    assert!(status.success());
}

async fn on_a_full_disk() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open(&dir);
    let put = |n: u64| {
        let delivery = StoredDelivery { body: Bytes::from(vec![b' '; 100_000]), ..delivery(n as u8, n) };
        Write::PutDelivery { key: key(1, n, n as u8), delivery }
    };
    let mut stored = 0;
    let error = loop {
        match store.commit(vec![put(stored)]).await {
            Ok(_) => stored += 1,
            Err(error) => break error,
        }
        assert!(stored < 200, "the limit does not hold");
    };
    assert!(stored > 5, "{error}");
    assert!(matches!(error, StoreError::Write(_)), "{error}");
    assert_eq!(store.fault(), Some(error));
    // Nobody waits for this one, so it is kept until it can be written.
    store.write(vec![Write::DeleteDelivery(key(1, 0, 0))]);

    let pid = std::process::id().to_string();
    assert!(Command::new("prlimit").args(["--fsize=unlimited", "--pid", &pid]).status().unwrap().success());
    let mut tries = 0;
    while let Err(error) = store.commit(vec![put(stored)]).await {
        tries += 1;
        assert!(tries < 100, "{error}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(store.fault(), None);
    let stats = store.stats();
    assert_eq!((stats.deliveries, stats.lost_writes), (stored, 0), "{stats:?}");
    store.close().await.unwrap();
    let (_store, loaded) = open(&dir);
    let pending = loaded.pending[&hook(1)];
    assert_eq!((pending.count, pending.first_due_ms), (stored, 1));
}
