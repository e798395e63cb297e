//! The clients: many websockets in a process of their own, which look at the heads of frames and at the moment of
//! publishing in each, and at nothing else, so that they are never what holds up a run.
//!
//! It talks to its parent over stdin and stdout: a line when all sockets are open, then `reset`, and `wait N` (until N
//! events have come, or nothing has for a while).

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;

use super::support::measure::{monotonic_ns, quantile};
use super::support::publisher::STAMP_DIGITS;
use super::support::receiver::find;

/// In front of the moment of publishing.
pub const STAMP: &[u8] = br#""msg_id":""#;

const OPENED_AT_ONCE: usize = 64;
/// Whoever got nothing for so long gets nothing any more.
const QUIET: Duration = Duration::from_secs(3);
const READ_BYTES: usize = 256 << 10;
/// Of those that read nothing, so that the server's own buffers fill soon.
const STALLED_RECEIVE_BYTES: usize = 4 << 10;
/// Masked, as all frames of clients.
const PONG: [u8; 6] = [0x8a, 0x80, 0, 0, 0, 0];

#[derive(Serialize, Deserialize)]
pub struct Settings {
    pub address: String,
    pub sockets: usize,
    /// Further ones, which read nothing once they are open.
    pub stalled: usize,
    /// Of the upgrade. `{}` is the number of the socket.
    pub path: String,
    /// What each says first, if it says anything. Either way it is greeted with one message. `{}` as above.
    pub subscribe: String,
}

/// What came since the last `reset`.
#[derive(Serialize, Deserialize)]
pub struct Came {
    pub frames: usize,
    /// Sockets that were closed, since they were opened.
    pub closed: usize,
    pub p50_ns: u64,
    pub p99_ns: u64,
    /// Of the monotonic clock.
    pub last_at_ns: u64,
    /// The text of some event.
    pub example: String,
}

#[derive(Default)]
struct Seen {
    delays_ns: RefCell<Vec<u64>>,
    last_at_ns: Cell<u64>,
    closed: Cell<usize>,
    example: RefCell<String>,
    /// Where the stamp stood in the last event: it seldom stands elsewhere in the next.
    stamp_at: Cell<usize>,
    awaited: Cell<usize>,
    all_came: Notify,
}

pub fn run(settings: &str) {
    let settings: Settings = serde_json::from_str(settings).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, serve(&settings));
}

async fn serve(settings: &Settings) {
    let seen = Rc::new(Seen::default());
    let scratch = Rc::new(RefCell::new(vec![0; READ_BYTES]));
    let open = |number: usize| open(settings, number, number >= settings.sockets);
    let sockets = stream::iter(0..settings.sockets + settings.stalled).map(open).buffered(OPENED_AT_ONCE);
    let mut sockets: Vec<TcpStream> = sockets.collect().await;
    let _stalled = sockets.split_off(settings.sockets);
    for socket in sockets {
        tokio::task::spawn_local(read(socket, Rc::clone(&seen), Rc::clone(&scratch)));
    }
    println!("open");
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await.unwrap() {
        match line.split_once(' ') {
            None => {
                seen.delays_ns.borrow_mut().clear();
                println!("reset");
            }
            Some((_, count)) => {
                seen.wait(count.parse().unwrap()).await;
                println!("{}", serde_json::to_string(&seen.came()).unwrap());
            }
        }
    }
}

async fn open(settings: &Settings, number: usize, stalled: bool) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    if stalled {
        socket.set_recv_buffer_size(STALLED_RECEIVE_BYTES as u32).unwrap();
    }
    let mut stream = socket.connect(settings.address.parse().unwrap()).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let of_this = |text: &str| text.replace("{}", &number.to_string());
    let request = format!(
        concat!(
            "GET {} HTTP/1.1\r\nhost: {}\r\nconnection: upgrade\r\nupgrade: websocket\r\n",
            "sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ),
        of_this(&settings.path),
        settings.address
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut buffer = Vec::new();
    let head = loop {
        if let Some(end) = find(&buffer, b"\r\n\r\n") {
            break buffer.drain(..end + 4).collect::<Vec<u8>>();
        }
        assert!(stream.read_buf(&mut buffer).await.unwrap() > 0, "closed before the upgrade");
    };
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    if !settings.subscribe.is_empty() {
        stream.write_all(&masked(&of_this(&settings.subscribe))).await.unwrap();
    }
    let greeting = loop {
        if let Some(frame) = Frame::first(&buffer) {
            break frame;
        }
        assert!(stream.read_buf(&mut buffer).await.unwrap() > 0, "closed before the greeting");
    };
    let text = String::from_utf8_lossy(greeting.payload);
    assert!(greeting.opcode == 1 && text.contains(r#""status":"success""#), "{text}");
    stream
}

/// By a mask of zeros.
fn masked(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    let mut frame = vec![0x81, 0x80 | 126];
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(text.as_bytes());
    frame
}

async fn read(stream: TcpStream, seen: Rc<Seen>, scratch: Rc<RefCell<Vec<u8>>>) {
    let mut left = Vec::new();
    while stream.readable().await.is_ok() && take(&stream, &seen, &mut scratch.borrow_mut(), &mut left) {}
    seen.closed.set(seen.closed.get() + 1);
}

/// What can be read now; `left` is the beginning of a frame that has not come to its end. `false`: it is closed.
fn take(stream: &TcpStream, seen: &Seen, scratch: &mut [u8], left: &mut Vec<u8>) -> bool {
    scratch[..left.len()].copy_from_slice(left);
    let end = match stream.try_read(&mut scratch[left.len()..]) {
        Ok(0) => return false,
        Ok(read) => left.len() + read,
        Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
    };
    let now = monotonic_ns();
    let mut rest = &scratch[..end];
    while let Some(frame) = Frame::first(rest) {
        match frame.opcode {
            1 => seen.note(frame.payload, now),
            // Six bytes find room behind nothing.
            9 => drop(stream.try_write(&PONG)),
            _ => {}
        }
        rest = &rest[frame.bytes..];
    }
    left.clear();
    left.extend_from_slice(rest);
    true
}

struct Frame<'a> {
    opcode: u8,
    payload: &'a [u8],
    /// With its head.
    bytes: usize,
}

impl<'a> Frame<'a> {
    /// The one that the bytes begin with, if all of it is there.
    fn first(bytes: &'a [u8]) -> Option<Self> {
        let (head, length) = match *bytes.get(1)? {
            126 => (4, usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
            127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
            length => (2, usize::from(length)),
        };
        let payload = bytes.get(head..head + length)?;
        Some(Self { opcode: bytes[0] & 0x0f, payload, bytes: head + length })
    }
}

impl Seen {
    fn note(&self, payload: &[u8], now: u64) {
        let Some(at) = self.stamp_in(payload) else { return };
        let sent = payload[at..].iter().take(STAMP_DIGITS).fold(0, |sent, digit| sent * 10 + u64::from(digit - b'0'));
        let mut delays = self.delays_ns.borrow_mut();
        delays.push(now.saturating_sub(sent));
        self.last_at_ns.set(now);
        if delays.len() == self.awaited.get() {
            self.all_came.notify_one();
        }
        if self.example.borrow().is_empty() {
            *self.example.borrow_mut() = String::from_utf8_lossy(payload).into_owned();
        }
    }

    fn stamp_in(&self, payload: &[u8]) -> Option<usize> {
        let known = self.stamp_at.get();
        if payload.get(known..).is_some_and(|rest| rest.starts_with(STAMP)) {
            return Some(known + STAMP.len());
        }
        let at = find(payload, STAMP)?;
        self.stamp_at.set(at);
        Some(at + STAMP.len())
    }

    async fn wait(&self, count: usize) {
        self.awaited.set(count);
        let seen = || self.delays_ns.borrow().len();
        while seen() < count {
            let before = seen();
            // It may be of an earlier wait.
            let told = tokio::time::timeout(QUIET, self.all_came.notified()).await.is_ok();
            if !told && seen() == before {
                return;
            }
        }
    }

    fn came(&self) -> Came {
        let mut delays = self.delays_ns.borrow().clone();
        delays.sort_unstable();
        let delay = |q| if delays.is_empty() { 0 } else { quantile(&delays, q) };
        Came {
            frames: delays.len(),
            closed: self.closed.get(),
            p50_ns: delay(0.5),
            p99_ns: delay(0.99),
            last_at_ns: self.last_at_ns.get(),
            example: self.example.borrow().clone(),
        }
    }
}
