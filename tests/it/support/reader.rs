//! `Reader`: a client that reads as fast as it can, on a thread of its own, so that nothing else in a test makes it slow.

use std::io::{BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};

use serde_json::json;

use super::PATIENCE;
use super::raw_socket::{CLOSE, PING, PONG, TEXT, frame};

/// In front of the call's id in an event.
const CALL_ID: &[u8] = br#""call_id":""#;

pub struct Reader {
    thread: JoinHandle<Vec<String>>,
}

impl Reader {
    /// Returns when the binding holds.
    pub fn subscribe(server: SocketAddr, token: &str, account: &str, binding: &str, count: usize) -> Self {
        let mut stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "GET / HTTP/1.1\r\nHost: {server}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        .unwrap();
        let data = json!({ "account_id": account, "binding": binding });
        let request = json!({ "action": "subscribe", "auth_token": token, "data": data });
        stream.write_all(&frame(TEXT, request.to_string().as_bytes())).unwrap();
        let mut input = BufReader::with_capacity(1 << 20, stream.try_clone().unwrap());
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(take(&mut input, 1)[0]);
        }
        assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
        let (_, reply) = next(&mut input);
        assert!(find(&reply, br#""status":"success""#).is_some(), "{}", String::from_utf8_lossy(&reply));
        Self { thread: thread::spawn(move || read(stream, input, count)) }
    }

    /// The ids of the calls whose events came, in that order.
    pub fn call_ids(self) -> Vec<String> {
        self.thread.join().unwrap()
    }
}

fn read(mut stream: TcpStream, mut input: impl Read, count: usize) -> Vec<String> {
    let mut call_ids = Vec::with_capacity(count);
    while call_ids.len() < count {
        match next(&mut input) {
            (TEXT, event) => {
                let rest = &event[find(&event, CALL_ID).unwrap() + CALL_ID.len()..];
                let end = rest.iter().position(|byte| *byte == b'"').unwrap();
                call_ids.push(String::from_utf8_lossy(&rest[..end]).into_owned());
            }
            (PING, payload) => stream.write_all(&frame(PONG, &payload)).unwrap(),
            (CLOSE, payload) => panic!("closed after {} events: {payload:?}", call_ids.len()),
            (other, _) => panic!("a frame that begins with {other}"),
        }
    }
    call_ids
}

fn next(input: &mut impl Read) -> (u8, Vec<u8>) {
    let head = take(input, 2);
    let length = match head[1] {
        126 => u16::from_be_bytes(take(input, 2).try_into().unwrap()).into(),
        127 => u64::from_be_bytes(take(input, 8).try_into().unwrap()) as usize,
        length => length.into(),
    };
    (head[0], take(input, length))
}

fn take(input: &mut impl Read, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    input.read_exact(&mut bytes).expect("bytes, not the end");
    bytes
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
