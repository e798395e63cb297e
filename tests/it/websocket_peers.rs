//! Peers that read slowly or not at all, say nothing, or vanish; bursts; the end of the server.

use std::time::Duration;

use bytestring::ByteString;
use hookswitch::websocket::outbox::Sent;

use crate::support::echo::EchoServer;
use crate::support::raw_socket::{PING, PONG, RawSocket};
use crate::support::ws_client::WsClient;

fn event(bytes: usize) -> ByteString {
    "x".repeat(bytes).into()
}

#[actix_web::test]
async fn burst_of_500_cuts_nobody_off_who_reads() {
    let server = EchoServer::with(|_| {});
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(RawSocket::open(server.address).await);
    }
    server.expect_open(20).await;
    let event = event(2_000);
    for _ in 0..500 {
        assert!(server.publish(None, &event).iter().all(|sent| *sent == Sent::Queued));
    }
    for client in &mut clients {
        for _ in 0..500 {
            assert_eq!(client.next().await.unwrap().1.len(), 2_000);
        }
    }
    server.expect_open(20).await;
}

#[actix_web::test]
async fn reader_that_stops_is_cut_off_and_the_others_lose_nothing() {
    let server = EchoServer::with(|config| config.write_timeout_ms = 500);
    let mut reader = WsClient::connect(server.address).await;
    let mut stalled = RawSocket::open(server.address).await;
    server.expect_open(2).await;
    let event = event(100_000);
    for _ in 0..20 {
        server.publish(Some(stalled.address), &event);
        server.publish(Some(reader.address), &"event".into());
    }
    for _ in 0..20 {
        assert_eq!(reader.next_text().await, "event");
    }
    server.expect_open(1).await;
    // Of what was sent it got what the kernel held, and no more.
    assert!(stalled.expect_end().await < 1_000_000);
}

#[actix_web::test]
async fn reader_that_stops_with_nothing_more_to_come_is_cut_off_too() {
    let server = EchoServer::with(|config| config.write_timeout_ms = 500);
    let _stalled = RawSocket::open(server.address).await;
    server.expect_open(1).await;
    server.publish(None, &event(1_000_000));
    server.expect_open(0).await;
}

#[actix_web::test]
async fn queue_is_bounded_in_frames_and_in_bytes() {
    for (frames_max, bytes_max, bytes) in [(16, 1 << 30, 100_000), (1_000_000, 1_000_000, 100_000)] {
        let server = EchoServer::with(|config| {
            (config.queue_frames_max, config.queue_bytes_max) = (frames_max, bytes_max);
        });
        let mut stalled = RawSocket::open(server.address).await;
        server.expect_open(1).await;
        let event = event(bytes);
        let taken = (0..1_000).take_while(|_| server.publish(None, &event) == [Sent::Queued]).count();
        // What is in the queue, a portion on its way, and what the kernel holds.
        assert!(taken < 100, "{taken}");
        server.expect_ended("queue_full", 1).await;
        server.expect_open(0).await;
        stalled.expect_end().await;
    }
}

#[actix_web::test]
async fn dripping_reader_of_a_busy_key_is_cut_off() {
    let server = EchoServer::with(|config| config.queue_bytes_max = 1_000_000);
    let mut dripping = RawSocket::open(server.address).await;
    server.expect_open(1).await;
    let event = event(10_000);
    let mut turns = 0;
    while server.publish(None, &event) == [Sent::Queued] {
        assert!(dripping.read_some(1_000).await);
        turns += 1;
        assert!(turns < 10_000);
    }
    server.expect_ended("queue_full", 1).await;
}

#[actix_web::test]
async fn silent_peer_is_pinged_and_kept_while_it_answers() {
    let server = EchoServer::with(|config| (config.ping_interval_ms, config.pong_timeout_ms) = (20, 5_000));
    let mut client = RawSocket::open(server.address).await;
    for _ in 0..5 {
        assert_eq!(client.next().await, Some((PING, Vec::new())));
        client.send(PONG, b"").await;
    }
    server.expect_open(1).await;
}

#[actix_web::test]
async fn peer_that_answers_no_ping_is_closed() {
    let server = EchoServer::with(|config| {
        (config.ping_interval_ms, config.pong_timeout_ms, config.close_timeout_ms) = (20, 50, 50);
    });
    let mut client = RawSocket::open(server.address).await;
    assert_eq!(client.expect_close().await, 4002);
    // Nor does it answer the close: it is cut off.
    client.expect_end().await;
    server.expect_ended("pong_missing", 1).await;
    server.expect_open(0).await;
}

#[actix_web::test]
async fn peer_that_never_logs_in_is_closed() {
    let server = EchoServer::with_login(|config| config.authenticate_timeout_ms = 100);
    let mut stranger = WsClient::connect(server.address).await;
    assert_eq!(stranger.expect_close().await, 4004);
    // A flood of fragments is no login.
    let mut flooding = RawSocket::open(server.address).await;
    flooding.send(0x01, b"").await;
    flooding.write_on(&crate::support::raw_socket::frame(0x00, b"")).await;
    server.expect_ended("not_authenticated", 2).await;
}

#[actix_web::test]
async fn idle_socket_is_closed() {
    let server = EchoServer::with(|config| config.idle_timeout_ms = 100);
    let mut client = WsClient::connect(server.address).await;
    assert_eq!(client.expect_close().await, 4003);
}

#[actix_web::test]
async fn vanished_peer_leaves_nothing_behind() {
    let server = EchoServer::with(|_| {});
    for _ in 0..10 {
        let mut client = RawSocket::open(server.address).await;
        client.write(&[0x81]).await;
        drop(client);
    }
    server.expect_ended("lost", 10).await;
    server.expect_open(0).await;
    assert_eq!(server.sockets.open(), 0);
}

#[actix_web::test]
async fn sockets_are_closed_with_1001_at_the_end_of_the_server() {
    let server = EchoServer::with(|_| {});
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(WsClient::connect(server.address).await);
    }
    let _deaf = RawSocket::open(server.address).await;
    server.expect_open(11).await;
    let reading = async {
        for client in &mut clients {
            assert_eq!(client.expect_close().await, 1001);
            client.expect_end().await;
        }
    };
    let closing = server.sockets.close_all(Duration::from_millis(100), Duration::from_millis(200));
    futures_util::join!(reading, closing);
    server.expect_open(0).await;
    server.expect_ended("going_away", 11).await;
    assert_eq!(WsClient::try_connect(server.address, "/", &[]).await.err(), Some(503));
}
