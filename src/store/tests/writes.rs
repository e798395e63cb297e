//! What is written, in which order, with how many flushes, and within which bounds.

use std::time::Duration;

use futures_util::future::join_all;
use tempfile::TempDir;

use crate::store::tests::{
    attempt, attempt_times, delivery, everything, hook, key, letter, now_ms, open, put, settings,
};
use crate::store::{Committed, Store, StoreSettings, Write};

#[tokio::test]
async fn one_flush_covers_many_commits() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open(&dir);
    let commits: Vec<_> = (0..200).map(|n| store.commit(vec![put(1, n, n as u8)])).collect();
    for committed in join_all(commits).await {
        committed.unwrap();
    }
    let stats = store.stats();
    assert_eq!((stats.writes, stats.deliveries, stats.queued), (200, 200, 0));
    assert!(stats.flushes < 100, "{stats:?}");
    assert!(stats.bytes_on_disk > 0);
}

#[tokio::test]
async fn a_write_without_an_answer_is_on_disk_soon_and_in_order() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open(&dir);
    store.write(vec![put(1, 10, 1)]);
    store.write(vec![Write::DeleteDelivery(key(1, 10, 1)), put(1, 20, 1)]);
    store.flush_now().await.unwrap();
    let due = store.due(hook(1), 100, 10, vec![]).await.unwrap();
    assert_eq!(due.ready, [(key(1, 20, 1), delivery(1, 20))]);

    store.write(vec![put(1, 30, 2)]);
    for _ in 0..500 {
        if store.stats().deliveries == 2 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("not flushed on its own: {:?}", store.stats());
}

#[tokio::test]
async fn deleting_a_hook_takes_all_of_its_records_and_nobody_elses() {
    let dir = TempDir::new().unwrap();
    let now = now_ms();
    let (store, _) = open(&dir);
    for n in [1, 2] {
        store.write(vec![
            Write::PutHook { id: hook(n), record: b"{}".to_vec() },
            Write::PutFailures { hook: hook(n), times: vec![1] },
            put(n, 10, 1),
            put(n, 20, 2),
            letter(n, now, 3),
            attempt(n, now),
        ]);
    }
    store.flush_now().await.unwrap();
    // A delivery of the same unit counts too.
    let committed = store.commit(vec![put(1, 30, 4), Write::DeleteHook(hook(1))]).await.unwrap();
    assert_eq!(committed, Committed { discarded: 3, growth: -2, pending: 0 });
    let stats = store.stats();
    assert_eq!((stats.deliveries, stats.dead_letters, stats.attempts), (2, 1, 1));
    assert_eq!(store.pending(hook(1)).await.unwrap(), 0);
    assert_eq!(store.dead_letters(hook(1), 10, None).await.unwrap(), []);
    assert!(attempt_times(&store, &[1], everything()).await.is_empty());
    assert_eq!(store.pending(hook(2)).await.unwrap(), 2);
    store.close().await.unwrap();

    let (store, loaded) = open(&dir);
    assert_eq!(loaded.hooks.len(), 1);
    assert_eq!(loaded.failures.keys().collect::<Vec<_>>(), [&hook(2)]);
    assert_eq!((store.stats().deliveries, store.stats().attempts), (2, 1));
}

#[tokio::test]
async fn a_unit_tells_by_how_much_the_backlog_really_grew() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open(&dir);
    let growth = async |writes| store.commit(writes).await.unwrap().growth;
    assert_eq!(growth(vec![put(1, 10, 1), put(1, 20, 2), letter(1, now_ms(), 3)]).await, 2);
    assert_eq!(
        growth(vec![put(1, 10, 1), Write::DeleteDelivery(key(1, 30, 3))]).await,
        0,
        "again, and one that is not"
    );
    assert_eq!(growth(vec![Write::DeleteDelivery(key(1, 10, 1)), put(1, 40, 1)]).await, 0);
    assert_eq!(growth(vec![Write::DeleteDelivery(key(1, 20, 2))]).await, -1);
}

#[tokio::test]
async fn deliveries_are_counted_at_one_point_in_the_order_of_all_writes() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open(&dir);
    // All of them are queued before any is answered.
    let before = store.commit(vec![put(1, 10, 1), put(1, 20, 2), put(2, 10, 1)]);
    store.write(vec![put(1, 30, 3)]);
    let counted = store.pending(hook(1));
    let after = store.commit(vec![put(1, 40, 4), Write::DeleteDelivery(key(1, 10, 1))]);
    let again = store.pending(hook(1));
    after.await.unwrap();
    before.await.unwrap();
    assert_eq!((counted.await.unwrap(), again.await.unwrap()), (3, 3));
    store.commit(vec![Write::DeleteDelivery(key(1, 20, 2))]).await.unwrap();
    assert_eq!(store.pending(hook(1)).await.unwrap(), 2);
    assert_eq!(store.pending(hook(9)).await.unwrap(), 0);
}

#[tokio::test]
async fn the_oldest_delivery_is_known_also_after_the_store_was_opened_again() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open(&dir);
    assert_eq!(store.stats().oldest_delivery_s, 0);
    store.commit(vec![put(1, 9_500, 1), put(2, 9_700, 2), put(1, 12_000, 3)]).await.unwrap();
    assert_eq!(store.stats().oldest_delivery_s, 9);
    store.commit(vec![Write::DeleteDelivery(key(1, 9_500, 1))]).await.unwrap();
    assert_eq!(store.stats().oldest_delivery_s, 9, "there is another one of that second");
    store.close().await.unwrap();
    let (store, _) = open(&dir);
    assert_eq!(store.stats().oldest_delivery_s, 9);
    // One that is put off was created when it was.
    let again = Write::PutDelivery { key: key(2, 99_000, 2), delivery: delivery(2, 9_700) };
    store.commit(vec![Write::DeleteDelivery(key(2, 9_700, 2)), again]).await.unwrap();
    assert_eq!(store.stats().oldest_delivery_s, 9);
    store.commit(vec![Write::DeleteHook(hook(2))]).await.unwrap();
    assert_eq!(store.stats().oldest_delivery_s, 12);
    store.commit(vec![put(1, 12_000, 3)]).await.unwrap();
    store.commit(vec![Write::DeleteDelivery(key(1, 12_000, 3))]).await.unwrap();
    assert_eq!(store.stats().oldest_delivery_s, 0);
}

#[tokio::test]
async fn pending_deliveries_expire_by_their_age() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open(&dir);
    store.commit(vec![put(1, 10, 1), put(1, 20, 2), put(1, 30, 3), put(2, 10, 1)]).await.unwrap();
    assert_eq!(store.take_pending(hook(1), 30).await.unwrap(), 2);
    assert_eq!(store.pending(hook(1)).await.unwrap(), 1);
    assert_eq!(store.take_pending(hook(1), u64::MAX).await.unwrap(), 1);
    assert_eq!(store.pending(hook(1)).await.unwrap(), 0);
    assert_eq!(store.stats().deliveries, 1);
}

#[tokio::test]
async fn attempts_and_dead_letters_are_bounded_per_hook_and_the_oldest_go() {
    let dir = TempDir::new().unwrap();
    let now = now_ms();
    let (store, _) = open(&dir);
    // In one group and over several.
    store.commit((0..4).map(|n| attempt(1, now + n)).collect()).await.unwrap();
    store.commit((4..8).map(|n| attempt(1, now + n)).chain([attempt(2, now)]).collect()).await.unwrap();
    assert_eq!(attempt_times(&store, &[1], everything()).await, [now + 7, now + 6, now + 5, now + 4, now + 3]);
    assert_eq!(store.stats().attempts, 6);

    store.commit((0..5).map(|n| letter(1, now + n, n as u8)).collect()).await.unwrap();
    let letters = store.dead_letters(hook(1), 10, None).await.unwrap();
    let died: Vec<u64> = letters.iter().map(|letter| letter.key.died_ms - now).collect();
    assert_eq!((died, store.stats().dropped_dead_letters), (vec![4, 3, 2], 2));
    assert_eq!(letters[0].reason, "bad response code");
    assert_eq!(store.dead_letters(hook(1), 1, Some(letters[0].key)).await.unwrap(), letters[1..2]);
    assert_eq!(store.dead_letter(letters[1].key).await.unwrap().as_ref(), Some(&letters[1]));
    store.commit(vec![Write::DeleteDeadLetter(letters[1].key)]).await.unwrap();
    assert_eq!(store.dead_letter(letters[1].key).await.unwrap(), None);
    store.close().await.unwrap();

    // Numbers and counts go on where they were.
    let (store, _) = open(&dir);
    store.commit(vec![attempt(1, now + 7)]).await.unwrap();
    assert_eq!(attempt_times(&store, &[1], everything()).await, [now + 7, now + 7, now + 6, now + 5, now + 4]);
}

#[tokio::test]
async fn logs_are_dropped_when_the_queue_is_full_and_nothing_else_is() {
    let dir = TempDir::new().unwrap();
    let none_queued = StoreSettings { queue_max: 0, ..settings() };
    let (store, _) = Store::open(dir.path(), none_queued).unwrap();
    store.write(vec![attempt(1, now_ms())]);
    store.write(vec![attempt(1, now_ms()), put(1, 1, 1)]);
    store.flush_now().await.unwrap();
    let stats = store.stats();
    assert_eq!((stats.dropped_logs, stats.attempts, stats.deliveries), (1, 1, 1));
}
