//! The files beside the store: an older format taken over, refusals and the way out of them, a journal that stays small.

use std::fs;

use tempfile::TempDir;

use crate::store::keys;
use crate::store::tests::damage::copy;
use crate::store::tests::model::{Model, unit};
use crate::store::tests::{hook, open, put, settings};
use crate::store::{OpenError, Store, Write};

async fn filled(dir: &TempDir) -> Model {
    let (store, _) = open(dir);
    let mut model = Model::default();
    for n in 1..120 {
        model.apply(&unit(n));
        store.write(unit(n));
    }
    store.close().await.unwrap();
    model
}

fn scribble(dir: &TempDir, file: &str) {
    fs::write(dir.path().join(file), "scribbled over").unwrap();
}

fn remove(dir: &TempDir, file: &str) {
    fs::remove_file(dir.path().join(file)).unwrap();
}

/// What the next process finds: the one that was refused keeps the lock on its files.
#[track_caller]
fn check_refused(dir: &TempDir, expected: [&str; 2]) -> TempDir {
    let error = Store::open(dir.path(), settings()).unwrap_err();
    for expected in expected {
        assert!(error.to_string().contains(expected), "{error}");
    }
    let next = TempDir::new().unwrap();
    copy(dir.path(), next.path());
    next
}

#[tokio::test]
async fn a_store_of_format_1_is_taken_over() {
    let dir = TempDir::new().unwrap();
    let model = filled(&dir).await;
    let sled = sled::open(dir.path().join("store")).unwrap();
    sled.insert(keys::format(), &1u32.to_be_bytes()).unwrap();
    sled.remove(keys::meta()).unwrap();
    drop(sled);
    remove(&dir, "store.journal");
    remove(&dir, "store.mark");
    for _ in 0..2 {
        let (store, loaded) = open(&dir);
        assert_eq!(loaded.recovery, None);
        assert_eq!(Model::read(&store, &loaded).await, model);
        store.close().await.unwrap();
    }
    scribble(&dir, "store/db");
    let (_store, loaded) = open(&dir);
    let recovery = loaded.recovery.unwrap();
    assert_eq!(recovery.lost_deliveries, Some(model.pending.len() as u64));
}

#[tokio::test]
async fn a_store_as_it_was_before_it_was_taken_over_is_damaged() {
    let dir = TempDir::new().unwrap();
    let model = filled(&dir).await;
    let sled = sled::open(dir.path().join("store")).unwrap();
    sled.insert(keys::format(), &1u32.to_be_bytes()).unwrap();
    sled.remove(keys::meta()).unwrap();
    drop(sled);
    let (store, loaded) = open(&dir);
    assert!(loaded.recovery.is_some());
    assert_eq!(Model::read(&store, &loaded).await.durable, model.durable);
}

#[tokio::test]
async fn a_missing_store_is_rebuilt_and_the_line_says_what_was_lost() {
    let dir = TempDir::new().unwrap();
    let model = filled(&dir).await;
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    assert!(Store::exists(dir.path()));
    let (store, loaded) = open(&dir);
    assert_eq!(Model::read(&store, &loaded).await.durable, model.durable);
    let line = loaded.recovery.unwrap().to_string();
    let expected = [
        "it is missing".to_owned(),
        format!("{} hooks, {} accounts", loaded.hooks.len(), loaded.accounts.len()),
        format!("{} pending deliveries were lost", model.pending.len()),
    ];
    for expected in expected {
        assert!(line.contains(&expected), "{line}");
    }
    assert!(!line.contains('\n'));
    store.commit(vec![put(1, 1, 1)]).await.unwrap();
    store.close().await.unwrap();
    let (_store, loaded) = open(&dir);
    assert_eq!((loaded.recovery, loaded.pending[&hook(1)].count), (None, 1));
}

#[tokio::test]
async fn a_good_store_makes_up_for_a_journal_or_a_mark() {
    let dir = TempDir::new().unwrap();
    let model = filled(&dir).await;
    for spoil in [scribble, remove] {
        for file in ["store.journal", "store.mark"] {
            spoil(&dir, file);
            let (store, loaded) = open(&dir);
            assert_eq!(loaded.recovery, None);
            assert_eq!(Model::read(&store, &loaded).await, model);
            store.close().await.unwrap();
        }
    }
}

#[tokio::test]
async fn without_store_and_journal_nothing_is_rebuilt_and_nothing_is_moved() {
    let dir = TempDir::new().unwrap();
    filled(&dir).await;
    scribble(&dir, "store/db");
    scribble(&dir, "store.journal");
    let dir = check_refused(&dir, ["its journal is damaged too", "to begin without hooks"]);
    assert!(dir.path().join("store/db").exists());
    remove(&dir, "store.journal");
    remove(&dir, "store.mark");
    fs::rename(dir.path().join("store"), dir.path().join("away")).unwrap();
    let (_store, loaded) = open(&dir);
    assert!(loaded.recovery.is_none() && loaded.hooks.is_empty());
}

#[tokio::test]
async fn without_a_mark_the_journal_rebuilds_when_told_to() {
    let dir = TempDir::new().unwrap();
    let model = filled(&dir).await;
    scribble(&dir, "store/db");
    scribble(&dir, "store.mark");
    let dir = check_refused(&dir, ["its mark is missing or not whole", "store.mark away"]);
    remove(&dir, "store.mark");
    let (store, loaded) = open(&dir);
    assert_eq!(Model::read(&store, &loaded).await.durable, model.durable);
    let recovery = loaded.recovery.unwrap();
    assert!(recovery.to_string().contains("nothing tells how many"), "{recovery}");
}

#[tokio::test]
async fn a_store_that_nothing_proves_is_taken_when_told_to() {
    let dir = TempDir::new().unwrap();
    let model = filled(&dir).await;
    scribble(&dir, "store.journal");
    scribble(&dir, "store.mark");
    let dir = check_refused(&dir, ["nothing proves", "to take the store as it is"]);
    remove(&dir, "store.journal");
    remove(&dir, "store.mark");
    let (store, loaded) = open(&dir);
    assert_eq!(Model::read(&store, &loaded).await, model);
}

#[tokio::test]
async fn a_store_without_files_beside_it_that_is_damaged_is_refused() {
    let dir = TempDir::new().unwrap();
    filled(&dir).await;
    scribble(&dir, "store/db");
    remove(&dir, "store.journal");
    remove(&dir, "store.mark");
    let error = Store::open(dir.path(), settings()).unwrap_err();
    assert!(matches!(error, OpenError::BeyondRepair { .. }), "{error}");
}

#[tokio::test]
async fn an_empty_store_that_another_server_is_filling_is_left_alone() {
    let dir = TempDir::new().unwrap();
    filled(&dir).await;
    let db = fs::File::create(dir.path().join("store/db")).unwrap();
    db.lock().unwrap();
    let error = Store::open(dir.path(), settings()).unwrap_err();
    assert!(matches!(error, OpenError::InUse { .. }), "{error}");
    drop(db);
    let (_store, loaded) = open(&dir);
    assert!(loaded.recovery.is_some());
}

#[tokio::test]
async fn the_journal_stays_as_small_as_what_it_holds() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open(&dir);
    let record = |n: u64| format!("{n:0500}").into_bytes();
    for n in 0..300 {
        store.commit(vec![Write::PutHook { id: hook((n % 3) as u8), record: record(n) }]).await.unwrap();
        let length = fs::metadata(dir.path().join("store.journal")).unwrap().len();
        assert!(length < settings().journal_bytes_min + 2_000, "{length}");
    }
    store.close().await.unwrap();
    fs::remove_dir_all(dir.path().join("store")).unwrap();
    let (_store, loaded) = open(&dir);
    let records: Vec<_> = loaded.hooks.into_iter().map(|(_, record)| record).collect();
    assert_eq!(records, [record(297), record(298), record(299)]);
}
