//! Who is let in.

use crate::support::echo::EchoServer;
use crate::support::eventually;
use crate::support::raw_socket::RawSocket;
use crate::support::ws_client::WsClient;

#[track_caller]
fn refused(result: Result<WsClient, u16>) -> u16 {
    match result {
        Ok(_) => panic!("the socket was opened"),
        Err(status) => status,
    }
}

#[actix_web::test]
async fn any_path_is_upgraded_and_sub_protocols_are_refused() {
    let server = EchoServer::with(|_| {});
    for path in ["/", "/socket?x=y", "/a/b/%ff", "/v2/websockets"] {
        let mut client = WsClient::try_connect(server.address, path, &[]).await.unwrap();
        client.send_text(path).await;
        assert_eq!(client.next_text().await, path);
    }
    let protocol = [("Sec-WebSocket-Protocol", "chat")];
    assert_eq!(refused(WsClient::try_connect(server.address, "/", &protocol).await), 400);
}

#[actix_web::test]
async fn bad_token_at_the_upgrade_is_refused() {
    let server = EchoServer::with(|_| {});
    let header = [("Authorization", "Bearer bad")];
    assert_eq!(refused(WsClient::try_connect(server.address, "/", &header).await), 403);
    assert_eq!(refused(WsClient::try_connect(server.address, "/?auth_token=bad", &[]).await), 403);
    assert!(WsClient::try_connect(server.address, "/?auth_token=good", &[]).await.is_ok());
}

#[actix_web::test]
async fn foreign_origin_is_refused() {
    let server = EchoServer::with(|config| config.origins = vec!["https://ui.example.com".into()]);
    let foreign = [("Origin", "https://evil.example.com")];
    assert_eq!(refused(WsClient::try_connect(server.address, "/", &foreign).await), 403);
    let own = [("Origin", "https://ui.example.com")];
    assert!(WsClient::try_connect(server.address, "/", &own).await.is_ok());
    assert!(WsClient::try_connect(server.address, "/", &[]).await.is_ok());
}

#[actix_web::test]
async fn sockets_of_one_address_and_of_all_are_limited() {
    let limits: [fn(&mut hookswitch::config::Websockets); 2] =
        [|config| config.max_connections_per_ip = 2, |config| config.connections_max = 2];
    for limit in limits {
        let server = EchoServer::with(limit);
        let first = WsClient::connect(server.address).await;
        let _second = WsClient::connect(server.address).await;
        assert_eq!(refused(WsClient::try_connect(server.address, "/", &[]).await), 429);
        first.close().await;
        eventually("a free place", async || server.sockets.open() == 1).await;
        let _third = WsClient::connect(server.address).await;
    }
}

#[actix_web::test]
async fn plain_requests_and_bad_handshakes_are_told_what_is_wanted() {
    let server = EchoServer::with(|_| {});
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_owned(), "HTTP/1.1 426 "),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc".to_owned(), "HTTP/1.1 426 "),
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n"), "HTTP/1.1 426 "),
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{upgrade}Sec-WebSocket-Version: 12\r\n\r\n"), "HTTP/1.1 426 "),
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{upgrade}Sec-WebSocket-Version: 13\r\n\r\n"), "HTTP/1.1 400 "),
    ] {
        let mut client = RawSocket::connect(server.address).await;
        client.write(request.as_bytes()).await;
        let head = client.read_head().await;
        assert!(head.starts_with(expected), "{request}{head}");
        client.expect_end().await;
    }
    assert_eq!(server.sockets.open(), 0);
}
