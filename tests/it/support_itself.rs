//! Whether the test support does what the other tests believe.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use lapin::options::{QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::eventually;
use crate::support::hook_server::{Answer, HookServer, Manner};
use crate::support::process::{ServerProcess, run};
use crate::support::publisher::{Message, PublishError, Publisher};
use crate::support::rabbit::{Rabbit, shared_broker_uri};

/// A queue of ours that takes the events of one call.
async fn bind_queue(publisher: &Publisher, queue: &str, routing_key: &str) {
    let channel = publisher.open_channel().await;
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap();
    let (exchange, options) = ("callevt".into(), QueueBindOptions::default());
    channel.queue_bind(queue.into(), exchange, routing_key.into(), options, FieldTable::default()).await.unwrap();
}

async fn connect(server: &HookServer) -> TcpStream {
    let url = server.url("");
    TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap()
}

/// Posts over the connection and reads until there is an end of a head, or of the stream.
async fn post(stream: &mut TcpStream, body: &str) -> std::io::Result<String> {
    let head =
        format!("POST /calls?a=1&b=x+y HTTP/1.1\r\nHost: h\r\nX-Hook-ID: 7\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") && stream.read_buf(&mut answer).await? > 0 {}
    Ok(String::from_utf8(answer).unwrap())
}

#[tokio::test]
async fn requests_are_recorded_as_they_came() {
    let server = HookServer::start();
    let mut stream = connect(&server).await;
    let answer = post(&mut stream, r#"{"a":1}"#).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    post(&mut stream, "a[b]=1&c=x+y").await.unwrap();

    let first = server.expect_delivery().await;
    assert_eq!((first.method.as_str(), first.target.as_str()), ("POST", "/calls?a=1&b=x+y"));
    assert_eq!(first.header("x-hook-id"), Some("7"));
    assert_eq!(first.json(), json!({"a": 1}));
    assert_eq!(first.query()[1], ("b".to_owned(), "x y".to_owned()));
    let second = server.expect_delivery().await;
    assert_eq!(second.form(), [("a[b]".to_owned(), "1".to_owned()), ("c".to_owned(), "x y".to_owned())]);
    assert_eq!(first.connection, second.connection);
    assert!(second.at > first.at);

    assert_eq!(server.take().len(), 2);
    assert!(server.received().is_empty());
    post(&mut stream, "again").await.unwrap();
    assert_eq!(server.expect_delivery().await.body, b"again");
}

#[tokio::test]
async fn answers_are_given_as_programmed() {
    let server = HookServer::start();
    let mut stream = connect(&server).await;
    server.answer_with(500);
    server.answer_in_turn([Answer::status(429).header("retry-after", "3"), Answer::status(302)]);
    for expected in ["429", "302", "500", "500"] {
        let answer = post(&mut stream, "").await.unwrap();
        assert_eq!(&answer[9..12], expected);
        assert_eq!(answer.contains("retry-after: 3\r\n"), expected == "429");
    }
    server.answer_by(|received| Answer::from(if received.body == b"bad" { 400 } else { 201 }));
    assert!(post(&mut stream, "bad").await.unwrap().contains(" 400 "));
    assert!(post(&mut stream, "good").await.unwrap().contains(" 201 "));

    server.answer_with(Answer::status(200).delayed(Duration::from_millis(300)));
    let begun = Instant::now();
    let mut other = connect(&server).await;
    let (first, second) = tokio::join!(post(&mut stream, ""), post(&mut other, ""));
    assert!(first.is_ok() && second.is_ok() && begun.elapsed() >= Duration::from_millis(300));
    assert_eq!((server.concurrent_requests_peak(), server.open_connections_peak()), (2, 2));
    drop((stream, other));
    eventually("no connection", async || server.open_connections() == 0).await;
    assert_eq!(server.received().len(), 8);
}

#[tokio::test]
async fn misbehaviour_is_as_bad_as_it_says() {
    let server = HookServer::start();
    let moment = Duration::from_millis(300);

    server.answer_with(Answer::manner(Manner::Hang));
    timeout(moment, post(&mut connect(&server).await, "")).await.unwrap_err();

    server.answer_with(Answer::manner(Manner::DripHead(Duration::from_millis(100))));
    timeout(moment, post(&mut connect(&server).await, "")).await.unwrap_err();

    server.answer_with(Answer::manner(Manner::DripBody(Duration::from_millis(20))).body("0123456789"));
    let mut stream = connect(&server).await;
    let begun = Instant::now();
    assert!(!post(&mut stream, "").await.unwrap().ends_with('9'));
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with('9') && begun.elapsed() > Duration::from_millis(150));

    server.answer_with(Answer::manner(Manner::Close));
    assert_eq!(post(&mut connect(&server).await, "").await.unwrap(), "");

    server.answer_with(Answer::manner(Manner::Reset));
    assert_eq!(post(&mut connect(&server).await, "").await.unwrap_err().kind(), ErrorKind::ConnectionReset);

    server.answer_with(Answer::manner(Manner::CloseAfter).body("end"));
    let mut stream = connect(&server).await;
    let answer = post(&mut stream, "").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("end"), "{answer}");
    assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_gibibyte_is_a_gibibyte() {
    let server = HookServer::start();
    for (manner, bytes_least) in [(Manner::GibibyteDeclared, 1 << 30), (Manner::GibibyteChunked, (1 << 30) + 10_000)] {
        server.answer_with(Answer::manner(manner));
        let mut stream = connect(&server).await;
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut bytes = 0;
        let mut buffer = vec![0; 1 << 20];
        while let count @ 1.. = stream.read(&mut buffer).await.unwrap() {
            bytes += count;
        }
        assert!((bytes_least..bytes_least + (1 << 20)).contains(&bytes), "{manner:?}: {bytes}");
    }
}

#[tokio::test]
async fn a_server_that_is_down_refuses_and_comes_back() {
    let server = HookServer::start();
    let mut stream = connect(&server).await;
    post(&mut stream, "").await.unwrap();
    server.go_down().await;
    assert!(post(&mut stream, "").await.map_or(true, |answer| answer.is_empty()));
    let address = server.url("").strip_prefix("http://").unwrap().to_owned();
    assert_eq!(TcpStream::connect(&address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    server.come_back().await;
    post(&mut connect(&server).await, "back").await.unwrap();
    assert_eq!(server.eventually_received(2).await[1].body, b"back");
}

#[tokio::test]
async fn what_no_queue_got_is_told() {
    let mut publisher = Publisher::connect(&shared_broker_uri().await).await;
    publisher.declare_exchanges().await;
    let queue = "what_no_queue_got_is_told";
    bind_queue(&publisher, queue, "call.CHANNEL_CREATE.told").await;
    publisher.await_queue(queue).await;

    publisher.publish("callevt", "call.CHANNEL_CREATE.told", &json!({"Call-ID": "told"})).await;
    // The broker is shared: only a key that no hook can ask for is nobody's for certain.
    let nowhere = Message::json("callevt", "call.NOTHING.nowhere", &json!({}));
    assert!(matches!(publisher.try_publish(&nowhere).await, Err(PublishError::Unrouted)));

    let somewhere = Message::raw("callevt", "call.CHANNEL_CREATE.told", b"\xff").encoding("gzip");
    let batch: Vec<Message> =
        (0..300).map(|index| if index % 100 == 7 { nowhere.clone() } else { somewhere.clone() }).collect();
    assert_eq!(publisher.publish_all(&batch).await.unwrap(), [7, 107, 207]);
    eventually("a full queue", async || publisher.queue_depth(queue).await == Some(298)).await;

    publisher.purge_queue(queue).await;
    assert_eq!(publisher.queue_depth(queue).await, Some(0));
    publisher.delete_queue(queue).await;
    assert_eq!(publisher.queue_depth(queue).await, None);
}

#[tokio::test]
async fn a_private_broker_keeps_what_is_durable() {
    let rabbit = Rabbit::start().await;
    let mut publisher = Publisher::connect(rabbit.uri()).await;
    publisher.declare_exchanges().await;
    bind_queue(&publisher, "kept", "call.#").await;
    let mut durable = Message::json("callevt", "call.CHANNEL_CREATE.kept", &json!({}));
    durable.properties = durable.properties.with_delivery_mode(2);
    publisher.try_publish(&durable).await.unwrap();

    rabbit.restart().await;
    assert!(matches!(publisher.try_publish(&durable).await, Err(PublishError::Broker(_))));
    let mut publisher = Publisher::connect(rabbit.uri()).await;
    assert_eq!(publisher.queue_depth("kept").await, Some(1));

    rabbit.pause().await;
    timeout(Duration::from_secs(1), publisher.try_publish(&durable)).await.unwrap_err();
    rabbit.resume().await;
    eventually("the message of before the pause", async || publisher.queue_depth("kept").await.is_some()).await;

    rabbit.kill().await;
    assert!(Publisher::try_connect(rabbit.uri()).await.is_err());
    rabbit.start_again().await;
    let publisher = Publisher::connect(rabbit.uri()).await;
    assert!(publisher.queue_depth("kept").await.is_some_and(|depth| depth >= 1));
}

#[tokio::test]
async fn the_binary_is_started_watched_and_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start(dir.path(), &[("node.name", "it@localhost")]).await;
    let url = server.url("/healthz").await;
    TcpStream::connect(url.strip_prefix("http://").unwrap().strip_suffix("/healthz").unwrap()).await.unwrap();
    assert!(server.log().ends_with("ready"));
    server.sigterm();
    server.wait().await;

    let mut server = ServerProcess::spawn(dir.path(), &[]);
    server.expect_log("listening").await;
    server.sigkill();
    assert!(!server.wait().await.success());

    let output = run(dir.path(), &[], &["token"]).await;
    assert!(output.status.success() && !output.stdout.is_empty());
}
