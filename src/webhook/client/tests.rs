//! Requests against real listeners, most of them badly behaved.

mod reach;
pub mod receiver;

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::sleep;

use crate::webhook::client::tests::receiver::{
    Listener, OK, hurried_sender, outcome, read_request, request, send, sender,
};
use crate::webhook::client::{SendError, SendRequest};
use crate::webhook::outcome::{Outcome, Reason};
use crate::webhook::request::{RequestError, Verb};

/// Answers well, and tells what it got.
async fn recording_listener() -> (Listener, UnboundedReceiver<String>) {
    let (sent, received) = unbounded_channel();
    let listener = Listener::new(move |_, mut stream| {
        let sent = sent.clone();
        async move {
            while let Some(request) = read_request(&mut stream).await {
                sent.send(request).unwrap();
                stream.write_all(OK.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    (listener, received)
}

#[actix::test]
async fn a_request_carries_payload_and_headers_and_the_answer_is_kept() {
    let (listener, mut received) = recording_listener().await;
    let sender = sender();
    let sent = request(Verb::Post, &listener.uri(), json!({"a": "b c"}));
    let answer = sender.send(sent.clone()).await;
    assert_eq!((answer.status, answer.body.as_str(), &answer.error), (Some(200), "ok", &None));
    assert_eq!(answer.headers.iter().find(|(name, _)| name == "x-seen").unwrap().1, "Yes");
    assert_eq!(outcome(&answer), Outcome::Delivered);

    let text = received.recv().await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, r#"{"a":"b c"}"#);
    let mut lines: Vec<&str> = head.lines().filter(|line| !line.starts_with("date: ")).collect();
    lines.sort_unstable();
    let host = format!("host: {}", listener.address);
    let agent = format!("user-agent: hookswitch/{}", env!("CARGO_PKG_VERSION"));
    let ids = [
        format!("x-account-id: {}", sent.hook.account),
        format!("x-event-id: {}", sent.event),
        format!("x-hook-id: {}", sent.hook.id),
    ];
    let expected = [
        "POST /hook HTTP/1.1",
        "accept-encoding: identity",
        "content-length: 11",
        "content-type: application/json",
        &host,
        &agent,
        &ids[0],
        &ids[1],
        &ids[2],
    ];
    assert_eq!(lines, expected);
    let logged: Vec<&str> = answer.request_headers.iter().map(|(name, _)| name.as_str()).collect();
    let names = ["host", "user-agent", "accept-encoding", "content-type", "x-hook-id", "x-account-id", "x-event-id"];
    assert_eq!(logged, names);

    let answer = send(&sender, Verb::Get, &format!("{}?q=1", listener.uri())).await;
    assert_eq!(answer.status, Some(200));
    let text = received.recv().await.unwrap();
    assert!(text.starts_with("GET /hook?q=1&a=b+c HTTP/1.1\r\n") && !text.contains("content-"), "{text}");
    assert_eq!(listener.connections.get(), 1, "the connection is kept alive");
}

#[actix::test]
async fn requests_of_one_connection_share_nothing_that_is_not_common_to_them() {
    let (listener, mut received) = recording_listener().await;
    let sender = sender();
    let of_hook = |verb, path: &str, n: u32| request(verb, &format!("{}{path}", listener.uri()), json!({ "n": n }));
    let (one, other) = (of_hook(Verb::Post, "/one", 1), of_hook(Verb::Put, "/other", 2));
    let (queries, changed) = (of_hook(Verb::Get, "/get", 3), of_hook(Verb::Post, "/changed", 4));
    let again = |request: &SendRequest, n: u32| SendRequest {
        hook: Arc::clone(&request.hook),
        ..of_hook(request.hook.verb, "", n)
    };
    let requests =
        [&one, &again(&one, 5), &other, &again(&one, 6), &queries, &again(&queries, 7), &again(&one, 8), &changed];
    for sent in requests {
        let answer = sender.send(sent.clone()).await;
        assert_eq!(answer.status, Some(200));
        let text = received.recv().await.unwrap();
        let url = sent.rendered.url(&sent.hook.uri, 500).unwrap();
        let target = url.split_once(&listener.address.to_string()).unwrap().1;
        assert!(
            text.starts_with(&format!("{} {target} HTTP/1.1\r\n", sent.hook.verb.as_str().to_uppercase())),
            "{text}"
        );
        for (name, value) in answer.request_headers {
            assert_eq!(text.matches(&format!("\r\n{name}: {value}\r\n")).count(), 1, "{text}");
        }
        assert!(text.contains(&format!("\r\nx-event-id: {}\r\n", sent.event)), "{text}");
        assert!(text.contains(&format!("\r\nx-hook-id: {}\r\n", sent.hook.id)), "{text}");
        assert_eq!(text.contains("content-type"), sent.hook.verb != Verb::Get, "{text}");
    }
    assert_eq!(listener.connections.get(), 1);
}

#[actix::test]
async fn a_kept_alive_connection_lost_before_the_answer_is_replaced_at_once() {
    let listener = Listener::new(|_, mut stream| async move {
        read_request(&mut stream).await.unwrap();
        stream.write_all(OK.as_bytes()).await.unwrap();
        // Closed with the second request unread, which resets the connection.
        let _ = stream.readable().await;
    })
    .await;
    let sender = sender();
    for round in 1..=4 {
        let answer = send(&sender, Verb::Post, &listener.uri()).await;
        assert_eq!((answer.status, &answer.error), (Some(200), &None), "round {round}");
        assert_eq!(listener.connections.get(), round);
    }
}

#[actix::test]
async fn a_fresh_connection_that_is_lost_is_not_replaced() {
    let listener = Listener::new(|_, mut stream| async move {
        read_request(&mut stream).await;
    })
    .await;
    let answer = send(&sender(), Verb::Post, &listener.uri()).await;
    assert_eq!((answer.status, answer.error.clone()), (None, Some(SendError::Closed)));
    assert_eq!(listener.connections.get(), 1);
    let reason = Reason::Client("the connection was closed before an answer".to_owned());
    assert_eq!(outcome(&answer), Outcome::Retry { after: None, reason });
}

#[actix::test]
async fn an_answer_that_breaks_off_in_its_head_is_not_asked_for_again() {
    let listener = Listener::new(|_, mut stream| async move {
        read_request(&mut stream).await.unwrap();
        stream.write_all(OK.as_bytes()).await.unwrap();
        read_request(&mut stream).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nconte").await.unwrap();
    })
    .await;
    let sender = sender();
    assert_eq!(send(&sender, Verb::Post, &listener.uri()).await.error, None);
    let answer = send(&sender, Verb::Post, &listener.uri()).await;
    assert!(matches!(answer.error, Some(SendError::Lost(_))), "{answer:?}");
    assert_eq!(listener.connections.get(), 1);
}

#[actix::test]
async fn a_head_that_drips_past_the_deadline_fails() {
    let listener = Listener::new(|_, mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await.unwrap();
        while stream.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let answer = send(&hurried_sender(400), Verb::Post, &listener.uri()).await;
    assert_eq!((answer.status, &answer.error), (None, &Some(SendError::Timeout(400))));
    assert!((400..2_000).contains(&answer.duration.as_millis()), "{answer:?}");
    assert!(matches!(outcome(&answer), Outcome::Retry { .. }));
}

#[actix::test]
async fn a_body_that_drips_past_the_deadline_fails_although_its_status_is_known() {
    let listener = Listener::new(|_, mut stream| async move {
        read_request(&mut stream).await;
        let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head).await.unwrap();
        while stream.write_all(b"1\r\nx\r\n").await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    })
    .await;
    let answer = send(&hurried_sender(400), Verb::Post, &listener.uri()).await;
    assert_eq!((answer.status, &answer.error), (Some(200), &Some(SendError::Timeout(400))));
    assert!(answer.body.starts_with("xxx"), "what came is kept: {answer:?}");
    assert!(matches!(outcome(&answer), Outcome::Retry { .. }));
}

#[actix::test]
async fn an_oversized_body_is_cut_and_the_status_decides() {
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10000\r\n",
    ] {
        let listener = Listener::new(move |_, mut stream| async move {
            read_request(&mut stream).await;
            stream.write_all(head.as_bytes()).await.unwrap();
            while stream.write_all(&[b'x'; 65_536]).await.is_ok() {}
        })
        .await;
        let answer = send(&sender(), Verb::Post, &listener.uri()).await;
        assert_eq!((answer.status, &answer.error, answer.body.len()), (Some(200), &None, 100));
        assert_eq!(outcome(&answer), Outcome::Delivered);
    }
}

#[actix::test]
async fn a_body_that_ends_early_is_a_failure() {
    let listener = Listener::new(|_, mut stream| async move {
        read_request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc").await.unwrap();
    })
    .await;
    let answer = send(&sender(), Verb::Post, &listener.uri()).await;
    assert_eq!(answer.error, Some(SendError::Short { bytes: 3, expected: 9 }));
}

#[actix::test]
async fn answers_without_a_body_are_not_waited_for() {
    for (text, status) in [
        ("HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("HTTP/1.1 304 Not Modified\r\ncontent-length: 50\r\n\r\n", 304),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200),
    ] {
        let listener = Listener::answering(text).await;
        let answer = send(&sender(), Verb::Put, &listener.uri()).await;
        assert_eq!((answer.status, &answer.error), (Some(status), &None));
    }
}

#[actix::test]
async fn bodies_that_are_no_text_are_made_text_and_long_heads_are_cut() {
    let long = "HTTP/1.1 500 Oh\r\ncontent-length: 3\r\na: 1\r\nb: ".to_owned() + &"x".repeat(300) + "\r\n\r\n\u{fffd}";
    let listener = Listener::answering(long.leak()).await;
    let answer = send(&sender(), Verb::Post, &listener.uri()).await;
    assert_eq!(answer.body, "\u{fffd}");
    assert!(answer.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= 200);
    assert_eq!(outcome(&answer), Outcome::Retry { after: None, reason: Reason::BadStatus(500) });
}

#[actix::test]
async fn redirects_are_not_followed() {
    let target = Listener::answering(OK).await;
    let answer = format!("HTTP/1.1 302 Found\r\nlocation: {}\r\ncontent-length: 0\r\n\r\n", target.uri());
    let listener = Listener::answering(answer.leak()).await;
    let answer = send(&sender(), Verb::Get, &listener.uri()).await;
    assert_eq!((answer.status, target.connections.get()), (Some(302), 0));
    assert_eq!(outcome(&answer), Outcome::Retry { after: None, reason: Reason::BadStatus(302) });
}

#[actix::test]
async fn retry_after_reaches_the_outcome() {
    let listener = Listener::answering("HTTP/1.1 429 Slow\r\nRetry-After: 7\r\ncontent-length: 0\r\n\r\n").await;
    let answer = send(&sender(), Verb::Post, &listener.uri()).await;
    let after = Some(Duration::from_secs(7));
    assert_eq!(outcome(&answer), Outcome::Retry { after, reason: Reason::BadStatus(429) });
}

#[actix::test]
async fn an_answer_that_is_no_http_is_a_failure() {
    let listener = Listener::answering("220 mail.example ESMTP\r\n\r\n").await;
    let answer = send(&sender(), Verb::Post, &listener.uri()).await;
    assert!(matches!(answer.error, Some(SendError::Unreadable(_))), "{answer:?}");
}

#[actix::test]
async fn nobody_listening_is_a_failure_worth_a_retry() {
    let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let answer = send(&sender(), Verb::Post, &format!("http://127.0.0.1:{port}/")).await;
    assert!(matches!(answer.error, Some(SendError::Connect(_))), "{answer:?}");
    assert!(matches!(outcome(&answer), Outcome::Retry { .. }));
}

#[actix::test]
async fn a_url_that_is_too_long_is_final() {
    let request = request(Verb::Get, "http://127.0.0.1:1/", json!({"a": "x".repeat(600)}));
    let answer = sender().send(request).await;
    assert!(matches!(answer.error, Some(SendError::Request(RequestError::UrlTooLong { bytes_max: 500, .. }))));
    assert!(matches!(outcome(&answer), Outcome::Refused { .. }));
}
