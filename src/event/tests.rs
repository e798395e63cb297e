use std::sync::mpsc;

use bytes::Bytes;

use super::{Event, ParseEventError, Receipt, Settled};

fn parse(routing_key: &str, body: &str) -> Event {
    Event::parse("callevt", routing_key, Bytes::copy_from_slice(body.as_bytes()), None).unwrap()
}

fn receipt() -> (Receipt, mpsc::Receiver<Settled>) {
    let (sender, settled) = mpsc::channel();
    (Receipt::new(move |outcome| sender.send(outcome).unwrap()), settled)
}

#[test]
fn receipt_is_done_only_when_every_share_is() {
    let (first, settled) = receipt();
    let second = first.share();
    first.done();
    assert!(settled.try_recv().is_err());
    second.done();
    assert_eq!(settled.try_recv(), Ok(Settled::Done));
}

#[test]
fn one_dropped_share_hands_the_event_back() {
    let (first, settled) = receipt();
    let second = first.share();
    drop(first);
    second.done();
    assert_eq!(settled.try_recv(), Ok(Settled::Undone));
}

/// How a receipt ends when a panic comes in a handler that does this with it first.
#[track_caller]
fn check_panic(handle: impl FnOnce(&Receipt) + Send + 'static, expected: Settled) {
    let (held, settled) = receipt();
    let result = std::thread::spawn(move || {
        handle(&held);
        panic!("on purpose");
    });
    assert!(result.join().is_err());
    assert_eq!(settled.recv(), Ok(expected));
}

#[test]
fn only_an_event_in_hand_is_blamed_for_a_panic() {
    check_panic(|_| (), Settled::Undone);
    check_panic(|receipt| drop(receipt.in_hand()), Settled::Undone);
    check_panic(
        |receipt| {
            let _in_hand = receipt.in_hand();
            panic!("on purpose");
        },
        Settled::Panicked,
    );
}

#[test]
fn an_event_is_blamed_wherever_its_receipt_has_gone() {
    let (first, settled) = receipt();
    let (elsewhere, kept) = mpsc::channel();
    let result = std::thread::spawn(move || {
        let _in_hand = first.in_hand();
        elsewhere.send(first).unwrap();
        panic!("on purpose");
    });
    assert!(result.join().is_err());
    assert!(settled.try_recv().is_err());
    drop(kept);
    assert_eq!(settled.recv(), Ok(Settled::Panicked));
}

#[test]
fn what_is_done_stays_done_whoever_panics() {
    let (first, settled) = receipt();
    let suspect = first.suspect();
    let in_hand = first.in_hand();
    first.done();
    assert_eq!(settled.try_recv(), Ok(Settled::Done), "being in hand is no share");
    drop(in_hand);
    assert!(!suspect.blame());
}

#[test]
fn event_id_survives_redelivery_and_tells_reused_msg_ids_apart() {
    let body = r#"{"Event-Category":"call_event","Event-Name":"CHANNEL_CREATE","Msg-ID":"m1","Call-ID":"c1"}"#;
    assert_eq!(parse("call.CHANNEL_CREATE.c1", body).id, parse("call.CHANNEL_CREATE.c1", body).id);
    assert_ne!(parse("call.CHANNEL_CREATE.c1", body).id, parse("call.CHANNEL_CREATE.c2", body).id);
    let renamed = body.replace("CHANNEL_CREATE", "CHANNEL_ANSWER");
    assert_ne!(parse("call.CHANNEL_CREATE.c1", body).id, parse("call.CHANNEL_CREATE.c1", &renamed).id);
    assert_ne!(parse("k", r#"{"a":1}"#).id, parse("k", r#"{"a":2}"#).id);
}

#[test]
fn bytes_that_are_no_json_object_are_refused() {
    let not_utf8 = Event::parse("x", "y", Bytes::from_static(b"{\"a\":\"\xff\"}"), None);
    assert!(matches!(not_utf8, Err(ParseEventError::NotUtf8(_))));
    for text in ["", "[]", "1", "{\"a\":", "{\"a\":1}x", &format!("{{\"a\":{}", "[".repeat(100_000))] {
        let result = Event::parse("x", "y", Bytes::copy_from_slice(text.as_bytes()), None);
        assert!(matches!(result, Err(ParseEventError::NotJson(_))), "{}", text.len());
    }
}
