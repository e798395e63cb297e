//! Receivers that behave as badly as a test wants, and the senders that call them.

use std::cell::Cell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix::spawn;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::ids::{AccountId, EventId};
use crate::kazoo::fields::Fields;
use crate::webhook::allow::AllowList;
use crate::webhook::client::{Answer, HttpSender, SendRequest, SenderSettings};
use crate::webhook::connect::Reach;
use crate::webhook::hook::Hook;
use crate::webhook::outcome::{Outcome, SuccessCodes};
use crate::webhook::request::{Verb, render};
use crate::webhook::resolve::Resolver;
use crate::webhook::tls::client_config;

pub const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX-Seen: Yes\r\n\r\nok";

pub fn settings(allow: &[&str]) -> SenderSettings {
    let allow: Vec<String> = allow.iter().map(|entry| (*entry).to_owned()).collect();
    SenderSettings {
        reach: Arc::new(Reach { allow: AllowList::parse(&allow).unwrap(), resolver: Resolver::System }),
        tls: client_config(None).unwrap(),
        connect_timeout_ms: 10_000,
        request_timeout_ms: 10_000,
        response_bytes_max: 100,
        response_head_bytes_max: 200,
        url_bytes_max: 500,
        connections_max: 10,
        connections_first: 8,
        idle: Duration::from_secs(30),
    }
}

pub fn sender() -> HttpSender {
    HttpSender::new(&Arc::new(settings(&["127.0.0.0/8"])))
}

/// One that waits for an answer no longer than this.
pub fn hurried_sender(request_timeout_ms: u64) -> HttpSender {
    let patient = settings(&["127.0.0.0/8"]);
    HttpSender::new(&Arc::new(SenderSettings { request_timeout_ms, ..patient }))
}

pub fn request(verb: Verb, uri: &str, payload: Value) -> SendRequest {
    let document = json!({ "uri": uri, "http_verb": verb.as_str(), "format": "json" });
    let hook = Hook::one_off(AccountId::random(), document.as_object().unwrap()).unwrap();
    let payload = Fields::from(payload.as_object().unwrap().clone());
    SendRequest {
        rendered: Arc::new(render(hook.verb, hook.format, payload.iter())),
        hook: Arc::new(hook),
        event: EventId::random(),
        only_failures: false,
    }
}

pub async fn send(sender: &HttpSender, verb: Verb, uri: &str) -> Answer {
    sender.send(request(verb, uri, json!({"a": "b c"}))).await
}

pub fn outcome(answer: &Answer) -> Outcome {
    answer.outcome(Verb::Post, &SuccessCodes::default(), SystemTime::now())
}

/// A listener whose connections are each given to `serve`, with their number from 0.
pub struct Listener {
    pub address: SocketAddr,
    pub connections: Rc<Cell<usize>>,
}

impl Listener {
    pub async fn new<F: Future<Output = ()> + 'static>(serve: impl Fn(usize, TcpStream) -> F + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Rc::new(Cell::new(0));
        let count = Rc::clone(&connections);
        spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                spawn(serve(count.replace(count.get() + 1), stream));
            }
        });
        Self { address, connections }
    }

    /// Answers every request of every connection with the same text.
    pub async fn answering(answer: &'static str) -> Self {
        Self::new(move |_, mut stream| async move {
            while read_request(&mut stream).await.is_some() {
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        })
        .await
    }

    pub fn uri(&self) -> String {
        format!("http://{}/hook", self.address)
    }
}

/// One request as text; `None` when the connection has ended.
pub async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut text = Vec::new();
    loop {
        let received = String::from_utf8_lossy(&text).into_owned();
        if let Some((head, body)) = received.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
            if body.len() >= length.parse::<usize>().unwrap() {
                return Some(received);
            }
        }
        let mut buffer = [0; 4096];
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(bytes) => text.extend_from_slice(&buffer[..bytes]),
        }
    }
}
