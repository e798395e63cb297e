//! The hooks' endpoints. The path says how one answers.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::counts::{Counts, add};
use super::support::receiver::request_length;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const FAILED: &[u8] = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\noops";
const GONE: &[u8] = b"HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n";
/// Longer than receipts are held in memory.
const SLOW: Duration = Duration::from_millis(1_500);
/// One request in so many fails at a flaky endpoint.
const FLAKY: u64 = 3;

#[derive(Clone, Copy)]
pub struct Endpoint(SocketAddr);

impl Endpoint {
    pub async fn start(counts: Rc<Counts>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        actix::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                actix::spawn(serve(stream, Rc::clone(&counts)));
            }
        });
        Self(address)
    }

    pub fn url(self, path: &str) -> String {
        format!("http://{}{path}", self.0)
    }
}

async fn serve(mut stream: TcpStream, counts: Rc<Counts>) {
    let mut buffer = Vec::with_capacity(8 << 10);
    loop {
        while let Some(length) = request_length(&buffer) {
            let answer = answer(&buffer[..length], &counts).await;
            buffer.drain(..length);
            add(&counts.requests, 1);
            add(&counts.refusals, usize::from(answer != OK));
            if stream.write_all(answer).await.is_err() {
                return;
            }
        }
        if !matches!(stream.read_buf(&mut buffer).await, Ok(1..)) {
            return;
        }
    }
}

async fn answer(request: &[u8], counts: &Counts) -> &'static [u8] {
    let target = request.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
    match target {
        b"/fail" => FAILED,
        b"/gone" => GONE,
        b"/flaky" if counts.requests.get().is_multiple_of(FLAKY) => FAILED,
        b"/slow" => {
            tokio::time::sleep(SLOW).await;
            OK
        }
        _ => OK,
    }
}
