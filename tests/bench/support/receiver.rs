//! The receiver: answers 200 to everything, and keeps how long each event was on its way.
//!
//! It talks to its parent over stdin and stdout: `reset`, `wait N` (until N requests have come), both answered by a line.

use std::cell::RefCell;
use std::rc::Rc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::measure::{monotonic_ns, quantile};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

#[derive(Default)]
struct Received {
    delays_ns: RefCell<Vec<u64>>,
    body_example: RefCell<Vec<u8>>,
    came: Notify,
}

pub fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, serve());
}

async fn serve() {
    let received = Rc::new(Received::default());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("{}", listener.local_addr().unwrap());
    tokio::task::spawn_local(obey(Rc::clone(&received)));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        tokio::task::spawn_local(answer(stream, Rc::clone(&received)));
    }
}

async fn obey(received: Rc<Received>) {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        match line.split_once(' ') {
            None => {
                received.delays_ns.borrow_mut().clear();
                println!("reset");
            }
            Some((_, count)) => {
                let count: usize = count.parse().unwrap();
                while received.delays_ns.borrow().len() < count {
                    received.came.notified().await;
                }
                let mut delays = received.delays_ns.borrow().clone();
                delays.sort_unstable();
                let example = String::from_utf8(received.body_example.borrow().clone()).unwrap();
                println!("{} {} {} {example}", delays.len(), quantile(&delays, 0.5), quantile(&delays, 0.99));
            }
        }
    }
    std::process::exit(0);
}

async fn answer(mut stream: TcpStream, received: Rc<Received>) {
    let mut buffer = Vec::with_capacity(8 << 10);
    loop {
        while let Some(length) = request_length(&buffer) {
            note(&buffer[..length], &received);
            buffer.drain(..length);
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
        if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
            return;
        }
    }
}

/// `None` until all of it has come.
/// Of the request that the buffer begins with, once all of it is there.
pub fn request_length(buffer: &[u8]) -> Option<usize> {
    let head = find(buffer, b"\r\n\r\n")? + 4;
    let name = b"content-length: ";
    let body = match find(&buffer[..head], name) {
        Some(at) => {
            let digits = &buffer[at + name.len()..head];
            let end = find(digits, b"\r\n")?;
            std::str::from_utf8(&digits[..end]).ok()?.parse().ok()?
        }
        None => 0,
    };
    (buffer.len() >= head + body).then_some(head + body)
}

/// The Call-ID begins with the moment of publishing.
fn note(request: &[u8], received: &Received) {
    let now = monotonic_ns();
    let Some(at) = find(request, b"call_id=") else { return };
    let digits = request[at + 8..].iter().take_while(|byte| byte.is_ascii_digit());
    let sent = digits.fold(0, |sent, digit| sent * 10 + u64::from(digit - b'0'));
    received.delays_ns.borrow_mut().push(now.saturating_sub(sent));
    if received.body_example.borrow().is_empty() {
        let body = find(request, b"\r\n\r\n").map_or(0, |head| head + 4);
        received.body_example.borrow_mut().extend_from_slice(&request[body..]);
    }
    received.came.notify_one();
}

pub fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
