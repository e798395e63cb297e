//! What comes in on a socket: frames that break the rules, messages too large, answers out of turn.

use serde_json::json;

use crate::support::echo::EchoServer;
use crate::support::raw_socket::{CLOSE, PING, PONG, RawSocket, TEXT, frame, head};
use crate::support::ws_client::WsClient;

/// The payload of a close frame.
fn code(number: u16) -> Vec<u8> {
    number.to_be_bytes().to_vec()
}

#[actix_web::test]
async fn text_is_answered_and_a_close_is_returned() {
    let server = EchoServer::with(|_| {});
    let mut client = WsClient::connect(server.address).await;
    let request = json!({ "action": "ping", "request_id": "Grüße" });
    assert_eq!(client.ask(&request).await, request);
    let echoed = client.subscribe("token", "account", "call.*.*").await;
    assert_eq!(echoed["data"], json!({ "account_id": "account", "binding": "call.*.*" }));
    client.close().await;
    server.expect_ended("by_peer", 1).await;
    server.expect_open(0).await;
}

#[actix_web::test]
async fn ping_is_answered_between_fragments() {
    let server = EchoServer::with(|_| {});
    let mut client = RawSocket::open(server.address).await;
    client.send(0x01, b"on").await;
    client.send(PING, b"?").await;
    client.send(0x80, b"e").await;
    assert_eq!(client.next().await, Some((PONG, b"?".to_vec())));
    assert_eq!(client.next().await, Some((TEXT, b"one".to_vec())));
    client.send(CLOSE, &code(4_321)).await;
    assert_eq!(client.next().await, Some((CLOSE, code(4_321))));
    assert_eq!(client.next().await, None);
}

#[actix_web::test]
async fn what_breaks_the_protocol_is_closed_with_its_code() {
    let server = EchoServer::with(|_| {});
    let mut unmasked = frame(TEXT, b"");
    unmasked[1] &= 0x7f;
    for (bytes, expected) in [
        (unmasked, 1002),
        (frame(0xc1, b"x"), 1002),
        (frame(0x83, b"x"), 1002),
        (frame(0x80, b"x"), 1002),
        (frame(PING, &[0; 126]), 1002),
        (frame(TEXT, b"\xc3\x28"), 1007),
        (head(TEXT, 65_537), 1009),
        (head(TEXT, 1 << 62), 1009),
    ] {
        let mut client = RawSocket::open(server.address).await;
        client.write(&bytes).await;
        assert_eq!(client.expect_close().await, expected, "{bytes:?}");
    }
    server.expect_ended("too_large", 2).await;
    server.expect_ended("not_utf8", 1).await;
    server.expect_ended("protocol_error", 5).await;
}

#[actix_web::test]
async fn message_too_large_is_refused_before_it_comes_and_the_code_arrives_while_it_is_sent() {
    let server = EchoServer::with(|config| config.close_timeout_ms = 200);
    let mut client = RawSocket::open(server.address).await;
    client.write(&head(TEXT, 100 << 20)).await;
    assert_eq!(client.expect_close().await, 1009);
    // It goes on regardless, and is cut off.
    client.write_on(&[0; 64 << 10]).await;
    server.expect_open(0).await;
}

#[actix_web::test]
async fn fragments_are_bounded_together() {
    let server = EchoServer::with(|config| config.frame_bytes_max = 10_000);
    let mut client = RawSocket::open(server.address).await;
    client.send(0x01, &[b'x'; 1_000]).await;
    for _ in 0..9 {
        client.send(0x00, &[b'x'; 1_000]).await;
    }
    client.send(PING, b"").await;
    assert_eq!(client.next().await, Some((PONG, Vec::new())));
    client.send(0x00, b"x").await;
    assert_eq!(client.expect_close().await, 1009);
}

#[actix_web::test]
async fn smaller_limit_holds_before_login() {
    let server = EchoServer::with_login(|config| config.frame_bytes_max_unauthenticated = 1_000);
    let mut client = WsClient::connect(server.address).await;
    client.send_text("!login").await;
    assert_eq!(client.next_text().await, "welcome");
    let long = "x".repeat(1_001);
    client.send_text(&long).await;
    assert_eq!(client.next_text().await, long);

    let mut stranger = WsClient::connect(server.address).await;
    stranger.send_text(&long).await;
    assert_eq!(stranger.expect_close().await, 1009);
}

#[actix_web::test]
async fn requests_are_answered_in_their_order_though_an_answer_takes_time() {
    let server = EchoServer::with(|config| config.requests_waiting_max = 2);
    let mut client = WsClient::connect(server.address).await;
    client.send_text("!later").await;
    assert_eq!(client.next_text().await, "wait");
    // More than may wait; the rest stays unread until the answer is there.
    for text in ["1", "2", "3", "4"] {
        client.send_text(text).await;
    }
    // Events do not wait for it.
    server.publish(None, &"event".into());
    assert_eq!(client.next_text().await, "event");
    server.tell(client.address, "0");
    for expected in ["0", "1", "2", "3", "4"] {
        assert_eq!(client.next_text().await, expected);
    }
}

#[actix_web::test]
async fn rate_deadline_and_places_of_an_account_hold() {
    let server = EchoServer::with(|config| {
        (config.requests_burst_max, config.requests_per_s) = (3, 1);
        config.max_connections_per_account = 1;
    });
    let mut client = WsClient::connect(server.address).await;
    let mut within = 0;
    for _ in 0..20 {
        client.send_text("!rate").await;
        within += usize::from(client.next_text().await == "true");
    }
    assert!((3..10).contains(&within), "{within}");
    client.send_text("!soon").await;
    assert_eq!(client.next_text().await, "now");

    client.send_text("!seat").await;
    assert_eq!(client.next_text().await, "seated");
    let mut other = WsClient::connect(server.address).await;
    other.send_text("!seat").await;
    assert_eq!(other.expect_close().await, 4006);
    client.close().await;
    server.expect_open(0).await;
    let mut other = WsClient::connect(server.address).await;
    other.send_text("!seat").await;
    assert_eq!(other.next_text().await, "seated");
}

#[actix_web::test]
async fn panic_closes_its_socket_and_no_other() {
    let server = EchoServer::with(|_| {});
    let mut bystander = WsClient::connect(server.address).await;
    let mut client = WsClient::connect(server.address).await;
    client.send_text("!panic").await;
    assert_eq!(client.expect_close().await, 1011);
    client.expect_end().await;
    server.expect_ended("panicked", 1).await;
    server.expect_open(1).await;
    bystander.send_text("still here").await;
    assert_eq!(bystander.next_text().await, "still here");
}
