//! One connection of a [`HookServer`](super::HookServer): requests in, answers out, until either side has had enough.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use super::answer::{Answer, Manner};
use super::{Received, Shared};

const HEAD_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 64;
static CHUNK: [u8; 64 << 10] = [b'x'; 64 << 10];

/// Whether the connection is good for another request.
#[derive(PartialEq, Eq)]
enum Next {
    Request,
    End,
}

/// Serves until the peer closes, or the manner of an answer ends it. Errors are the peer's business: tests look at what
/// was received.
pub(super) async fn serve(mut stream: TcpStream, number: u64, shared: Arc<Shared>) {
    let _open = shared.open.enter();
    let mut buffer = Vec::new();
    while let Ok(Some(received)) = read_request(&mut stream, &mut buffer, number).await {
        let _active = shared.active.enter();
        let wants_close = received.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        let answer = shared.receive(received);
        sleep(answer.delay).await;
        match write_answer(&mut stream, &answer).await {
            Ok(Next::Request) if !wants_close => (),
            _ => return,
        }
    }
}

/// `None` when the peer closed between two requests.
async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>, connection: u64) -> io::Result<Option<Received>> {
    let mut received = loop {
        if let Some((received, head_bytes)) = parse_head(buffer, connection)? {
            buffer.drain(..head_bytes);
            break received;
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    // Clients here know the length of what they send; a body in chunks would be taken for further requests, and show.
    let length = received.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    received.body = buffer.drain(..length).collect();
    received.at = Instant::now();
    Ok(Some(received))
}

/// The request so far and the length of its head, once that is complete.
fn parse_head(buffer: &[u8], connection: u64) -> io::Result<Option<(Received, usize)>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(buffer).map_err(io::Error::other)? {
        httparse::Status::Partial if buffer.len() > HEAD_BYTES_MAX => Err(io::Error::other("the head is too long")),
        httparse::Status::Partial => Ok(None),
        httparse::Status::Complete(length) => {
            let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
            let received = Received {
                method: request.method.unwrap_or_default().to_owned(),
                target: request.path.unwrap_or_default().to_owned(),
                headers: request.headers.iter().map(|h| (h.name.to_ascii_lowercase(), text(h.value))).collect(),
                body: Vec::new(),
                at: Instant::now(),
                connection,
            };
            Ok(Some((received, length)))
        }
    }
}

async fn write_answer(stream: &mut TcpStream, answer: &Answer) -> io::Result<Next> {
    let head = answer.head();
    match answer.manner {
        Manner::Proper | Manner::CloseAfter => {
            stream.write_all(&[head.as_bytes(), &answer.body].concat()).await?;
            return Ok(if answer.manner == Manner::Proper { Next::Request } else { Next::End });
        }
        Manner::Hang => wait_for_close(stream).await?,
        Manner::DripHead(interval) => drip(stream, head.as_bytes(), interval).await?,
        Manner::DripBody(interval) => {
            stream.write_all(head.as_bytes()).await?;
            drip(stream, &answer.body, interval).await?;
        }
        Manner::GibibyteDeclared => {
            stream.write_all(head.as_bytes()).await?;
            for _ in 0..(1 << 30) / CHUNK.len() {
                stream.write_all(&CHUNK).await?;
            }
        }
        Manner::GibibyteChunked => {
            stream.write_all(head.as_bytes()).await?;
            let size = format!("{:x}\r\n", CHUNK.len());
            for _ in 0..(1 << 30) / CHUNK.len() {
                stream.write_all(&[size.as_bytes(), &CHUNK, b"\r\n"].concat()).await?;
            }
            stream.write_all(b"0\r\n\r\n").await?;
        }
        Manner::Close => (),
        Manner::Reset => stream.set_zero_linger()?,
    }
    Ok(Next::End)
}

async fn drip(stream: &mut TcpStream, bytes: &[u8], interval: Duration) -> io::Result<()> {
    stream.set_nodelay(true)?;
    for byte in bytes {
        stream.write_all(&[*byte]).await?;
        sleep(interval).await;
    }
    Ok(())
}

async fn wait_for_close(stream: &mut TcpStream) -> io::Result<()> {
    let mut ignored = [0; 1024];
    while stream.read(&mut ignored).await? > 0 {}
    Ok(())
}
