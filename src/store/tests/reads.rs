//! Due deliveries, attempts and dead letters as they are listed.

use std::fs;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;

use crate::ids::EventId;
use crate::store::tests::{attempt, attempt_times, delivery, everything, hook, key, letter, now_ms, open, put};
use crate::store::{AttemptsQuery, DeadLetterKey, DeliveryKey, Order, StoredDelivery, Write};

const HOUR_MS: u64 = 3_600_000;

#[tokio::test]
async fn due_deliveries_come_in_order_without_the_skipped_and_name_the_next() {
    let dir = TempDir::new().unwrap();
    let (store, _) = open(&dir);
    store.commit(vec![put(1, 300, 1), put(1, 100, 2), put(1, 200, 3), put(2, 50, 4), put(1, 900, 5)]).await.unwrap();
    let check = async |now_ms, limit, skip: Vec<DeliveryKey>, expected: &[u64], next| {
        let due = store.due(hook(1), now_ms, limit, skip).await.unwrap();
        let times: Vec<u64> = due.ready.iter().map(|(key, _)| key.due_ms).collect();
        assert_eq!((times.as_slice(), due.next_due_ms), (expected, next));
    };
    check(400, 10, vec![], &[100, 200, 300], Some(900)).await;
    check(400, 2, vec![], &[100, 200], Some(300)).await;
    check(400, 2, vec![key(1, 100, 2)], &[200, 300], Some(900)).await;
    check(99, 10, vec![], &[], Some(100)).await;
    check(99, 10, vec![key(1, 100, 2)], &[], Some(200)).await;
    check(900, 10, vec![], &[100, 200, 300, 900], None).await;
    check(900, 0, vec![], &[], Some(100)).await;
}

#[tokio::test]
async fn expired_records_are_hidden_at_once_and_swept_later() {
    let dir = TempDir::new().unwrap();
    let now = now_ms();
    let old = now - 25 * HOUR_MS;
    let (store, _) = open(&dir);
    let expired = DeadLetterKey { hook: hook(1), died_ms: old, event: EventId::from_bytes([1; 16]) };
    // The first sweep comes right after the start; these must not be there yet.
    store.flush_now().await.unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    store.commit(vec![attempt(1, old), attempt(1, now), letter(1, old, 1), letter(1, now, 2)]).await.unwrap();
    assert_eq!(store.stats().attempts, 2);
    assert_eq!(attempt_times(&store, &[1], everything()).await, [now]);
    assert_eq!(store.dead_letters(hook(1), 10, None).await.unwrap().len(), 1);
    assert_eq!(store.dead_letters(hook(1), 10, Some(expired)).await.unwrap(), []);
    assert_eq!(store.dead_letter(expired).await.unwrap(), None);
    store.close().await.unwrap();

    let (store, _) = open(&dir);
    store.flush_now().await.unwrap();
    for _ in 0..500 {
        if (store.stats().attempts, store.stats().dead_letters) == (1, 1) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    panic!("not swept: {:?}", store.stats());
}

#[tokio::test]
async fn attempts_of_many_hooks_are_one_list_in_pages() {
    let dir = TempDir::new().unwrap();
    let now = now_ms();
    let (store, _) = open(&dir);
    // Three hooks, two of them at the same moments.
    let times = [(1, 0), (2, 0), (3, 1), (1, 2), (2, 2), (3, 3), (1, 4)];
    store.commit(times.iter().map(|(n, at)| attempt(*n, now + at)).collect()).await.unwrap();
    let listed = attempt_times(&store, &[1, 2, 3], everything()).await;
    assert_eq!(listed, [4, 3, 2, 2, 1, 0, 0].map(|at| now + at));
    let bounded = AttemptsQuery { order: Order::OldestFirst, from_ms: now + 1, to_ms: now + 3, ..everything() };
    assert_eq!(attempt_times(&store, &[1, 2, 3], bounded).await, [1, 2, 2, 3].map(|at| now + at));
    assert_eq!(attempt_times(&store, &[1, 3], AttemptsQuery { limit: 2, ..everything() }).await, [now + 4, now + 3]);
    assert!(attempt_times(&store, &[1], AttemptsQuery { limit: 0, ..everything() }).await.is_empty());

    for order in [Order::NewestFirst, Order::OldestFirst] {
        let all =
            store.attempts(vec![hook(1), hook(2), hook(3)], AttemptsQuery { order, ..everything() }).await.unwrap();
        let mut paged = Vec::new();
        let mut start = None;
        loop {
            let query = AttemptsQuery { order, start, limit: 3, ..everything() };
            let mut page = store.attempts(vec![hook(1), hook(2), hook(3)], query).await.unwrap();
            start = page.get(2).map(|next| next.position);
            page.truncate(2);
            paged.extend(page);
            if start.is_none() {
                break;
            }
        }
        assert_eq!(paged, all);
    }
}

#[tokio::test]
async fn long_values_come_back_whole_and_leave_nothing_behind() {
    let dir = TempDir::new().unwrap();
    let now = now_ms();
    let (store, _) = open(&dir);
    for length in [0, 1, 4_000, 4_096, 4_097, 100_000, 3 << 20] {
        let body: Vec<u8> = (0..length).map(|n: u32| (n % 251) as u8).collect();
        let long = StoredDelivery { body: Bytes::from(body.clone()), ..delivery(1, 7) };
        store
            .commit(vec![
                Write::PutHook { id: hook(1), record: body.clone() },
                Write::PutDelivery { key: key(1, 10, 1), delivery: long.clone() },
                Write::DeadLetter { hook: hook(1), delivery: long.clone(), died_ms: now, reason: "r".repeat(5_000) },
                Write::LogAttempt { hook: hook(1), at_ms: now, record: body.clone() },
            ])
            .await
            .unwrap();
        assert_eq!(store.due(hook(1), 10, 1, vec![]).await.unwrap().ready, [(key(1, 10, 1), long.clone())]);
        assert_eq!(store.pending(hook(1)).await.unwrap(), 1);
        assert_eq!(store.dead_letters(hook(1), 1, None).await.unwrap()[0].delivery, long);
        assert_eq!(store.attempts(vec![hook(1)], everything()).await.unwrap()[0].record, body);
    }
    store.write(vec![Write::DeleteHook(hook(1))]);
    store.close().await.unwrap();
    assert_eq!(fs::read_dir(dir.path().join("store/blobs")).unwrap().count(), 0);
    let sled = sled::open(dir.path().join("store")).unwrap();
    assert_eq!(sled.len(), 2, "only the format and what proves it are left");
}
