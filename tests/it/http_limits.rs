//! Bodies that are too large, too slow, or no JSON; requests from other origins.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use actix_web::http::Method;
use tokio::task::spawn_blocking;

use crate::support::app::TestApp;

/// actix measures its deadlines with a clock that is up to half a second old: shorter ones would end at once.
const CLOCK_MS: u64 = 1_000;

const PATIENCE: Duration = Duration::from_secs(20);

/// Sends the text and reads until the server closes the connection.
async fn exchange(app: &TestApp, request: String) -> String {
    let mut stream = TcpStream::connect(app.address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let reading = spawn_blocking(move || {
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    reading.await.unwrap()
}

fn head(app: &TestApp, length: &str) -> String {
    format!("PUT /v2/api_auth HTTP/1.1\r\nHost: {}\r\n{length}\r\n\r\n", app.address)
}

#[actix_web::test]
async fn body_of_100_mib_is_refused_unread() {
    let app = TestApp::spawn().await;
    let head = head(&app, "Content-Length: 104857600");
    let started = Instant::now();
    let mut stream = TcpStream::connect(app.address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    spawn_blocking(move || {
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 413");
    })
    .await
    .unwrap();
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[actix_web::test]
async fn endless_body_is_answered_and_cut_off() {
    let app = TestApp::spawn().await;
    for (length, chunk) in [
        ("Content-Length: 1000000000000", vec![b'x'; 1 << 16]),
        ("Transfer-Encoding: chunked", [&b"10000\r\n"[..], &vec![b'x'; 1 << 16], b"\r\n"].concat()),
    ] {
        let mut reading = TcpStream::connect(app.address).unwrap();
        reading.set_read_timeout(Some(PATIENCE)).unwrap();
        reading.write_all(head(&app, length).as_bytes()).unwrap();
        let mut writing = reading.try_clone().unwrap();
        // Ends only when the server cuts the connection.
        let sender = std::thread::spawn(move || while writing.write_all(&chunk).is_ok() {});
        let answer = spawn_blocking(move || {
            let mut answer = [0; 12];
            reading.read_exact(&mut answer).unwrap();
            answer
        });
        assert_eq!(&answer.await.unwrap(), b"HTTP/1.1 413", "{length}");
        spawn_blocking(move || sender.join().unwrap()).await.unwrap();
    }
    assert_eq!(app.get("/healthz").await.status, 200);
}

#[actix_web::test]
async fn slow_body_and_slow_head_end_at_their_deadlines() {
    let app = TestApp::with(|config| {
        config.http.body_timeout_ms = 300;
        config.http.head_timeout_ms = CLOCK_MS;
    })
    .await;
    for (request, expected) in [
        (head(&app, "Content-Length: 10") + "{", "HTTP/1.1 408"),
        (format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n", app.address), "HTTP/1.1 408"),
    ] {
        let answer = exchange(&app, request).await;
        assert!(answer.starts_with(expected), "{answer}");
    }
}

#[actix_web::test]
async fn later_head_in_drips_is_cut_off_too() {
    let app = TestApp::with(|config| {
        config.http.head_timeout_ms = CLOCK_MS;
        config.http.keep_alive_ms = CLOCK_MS;
    })
    .await;
    let first = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", app.address);
    let mut dripping = TcpStream::connect(app.address).unwrap();
    dripping.write_all(first.as_bytes()).unwrap();
    let cut = spawn_blocking(move || {
        let started = Instant::now();
        while dripping.write_all(b"G").is_ok() {
            assert!(started.elapsed() < PATIENCE);
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    cut.await.unwrap();
    // One that begins and goes silent ends as well.
    let answer = exchange(&app, first + "GET /healthz HTTP/1.1\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[actix_web::test]
async fn connection_in_use_is_kept() {
    let app = TestApp::with(|config| {
        config.http.head_timeout_ms = CLOCK_MS;
        config.http.keep_alive_ms = CLOCK_MS;
    })
    .await;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\n\r\n", app.address);
    let mut stream = TcpStream::connect(app.address).unwrap();
    let answered = spawn_blocking(move || {
        for _ in 0..16 {
            stream.write_all(request.as_bytes()).unwrap();
            let read = stream.read(&mut [0; 4096]).unwrap();
            assert!(read > 0);
            std::thread::sleep(Duration::from_millis(150));
        }
    });
    answered.await.unwrap();
}

#[actix_web::test]
async fn what_is_no_json_is_a_parse_error_that_says_why() {
    let app = TestApp::spawn().await;
    let deep = format!("{{\"data\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000)).into_bytes();
    for (body, word) in [
        (&b"{\"data\":"[..], "EOF"),
        (b"{\"data\":1} x", "trailing"),
        (b"{\"data\":\"\xff\"}", "unicode"),
        (b"{\"data\":1,\"data\":2}", "twice"),
        (b"[1]", "object"),
        (&deep, "recursion"),
    ] {
        let answer = app.send(Method::PUT, "/v2/api_auth", "", body.to_vec()).await;
        assert_eq!((answer.status, &answer.body["message"]), (400, &"parse_error".into()));
        let message = answer.data("message").as_str().unwrap();
        assert!(message.contains(word), "{message}");
    }
}

#[actix_web::test]
async fn preflight_from_any_origin_is_let_through() {
    let app = TestApp::spawn().await;
    let path = format!("/v2/accounts/{}/webhooks", app.system_account);
    let headers = [
        ("Origin", "https://monster.example.com"),
        ("Access-Control-Request-Method", "PATCH"),
        (
            "Access-Control-Request-Headers",
            "x-auth-token,content-type,authorization,if-none-match,x-pretty-print,last-event-id,cache-control",
        ),
    ];
    let answer = app.send_with(Method::OPTIONS, &path, &headers, "").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("access-control-allow-origin"), "*");
    assert!(answer.header("access-control-allow-methods").contains("PATCH"));
    assert!(!answer.header("access-control-max-age").is_empty());

    // Errors are readable from there, too.
    let answer = app.send_with(Method::GET, &path, &headers[..1], "").await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (401, "*"));
}

#[actix_web::test]
async fn only_configured_origins_are_let_through() {
    let app = TestApp::with(|config| config.http.cors_origins = vec!["https://monster.example.com/".into()]).await;
    for (origin, allowed) in [("https://monster.example.com", true), ("https://evil.example.com", false)] {
        let answer = app.send_with(Method::GET, "/v2/webhooks", &[("Origin", origin)], "").await;
        assert_eq!(answer.status, 200);
        assert_eq!(!answer.header("access-control-allow-origin").is_empty(), allowed, "{origin}");
    }
}
