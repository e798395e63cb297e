//! `RawSocket`: a client of a socket that keeps to no rule: it writes any bytes, reads when it likes, or never.

use std::net::SocketAddr;

use rustix::net::sockopt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::PATIENCE;

pub const TEXT: u8 = 0x81;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8a;
pub const CLOSE: u8 = 0x88;

const MASK: [u8; 4] = [7, 77, 177, 237];

pub struct RawSocket {
    stream: TcpStream,
    pub address: SocketAddr,
}

impl RawSocket {
    /// Shakes hands.
    pub async fn open(server: SocketAddr) -> Self {
        let mut socket = Self::connect(server).await;
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {server}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        socket.write(request.as_bytes()).await;
        let head = socket.read_head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        socket
    }

    /// With a small buffer for what it has not read.
    pub async fn connect(server: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        sockopt::set_socket_recv_buffer_size(&socket, 4_096).unwrap();
        let stream = socket.connect(server).await.unwrap();
        let address = stream.local_addr().unwrap();
        Self { stream, address }
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Writes until the server is gone.
    pub async fn write_on(&mut self, bytes: &[u8]) {
        let writing = async { while self.stream.write_all(bytes).await.is_ok() {} };
        timeout(PATIENCE, writing).await.expect("the server was to end the connection");
    }

    pub async fn send(&mut self, first: u8, payload: &[u8]) {
        let frame = frame(first, payload);
        self.write(&frame).await;
    }

    pub async fn read_head(&mut self) -> String {
        self.read_to(b"\r\n\r\n").await
    }

    /// All up to the end of those bytes.
    pub async fn read_to(&mut self, end: &[u8]) -> String {
        let mut read = Vec::new();
        while !read.ends_with(end) {
            read.push(self.read_exact(1).await.expect("more, up to what was waited for")[0]);
        }
        String::from_utf8(read).unwrap()
    }

    /// The first byte of the next frame, and its payload; `None` at the end of the connection.
    pub async fn next(&mut self) -> Option<(u8, Vec<u8>)> {
        let head = self.read_exact(2).await?;
        let length = match head[1] {
            126 => u16::from_be_bytes(self.read_exact(2).await?.try_into().unwrap()).into(),
            127 => u64::from_be_bytes(self.read_exact(8).await?.try_into().unwrap()) as usize,
            length => length.into(),
        };
        Some((head[0], self.read_exact(length).await?))
    }

    /// Reads up to the server's close, and returns its code.
    pub async fn expect_close(&mut self) -> u16 {
        loop {
            match self.next().await.expect("a close") {
                (CLOSE, payload) => return u16::from_be_bytes([payload[0], payload[1]]),
                _ => continue,
            }
        }
    }

    /// Reads to the end of the connection, however it comes, and returns how many bytes there were.
    pub async fn expect_end(&mut self) -> usize {
        let (mut buffer, mut total) = (vec![0; 64 << 10], 0);
        loop {
            match timeout(PATIENCE, self.stream.read(&mut buffer)).await.expect("the end of the connection") {
                Ok(0) | Err(_) => return total,
                Ok(read) => total += read,
            }
        }
    }

    /// Up to so many bytes; `false` at the end of the connection.
    pub async fn read_some(&mut self, max: usize) -> bool {
        let mut buffer = vec![0; max];
        matches!(timeout(PATIENCE, self.stream.read(&mut buffer)).await, Ok(Ok(1..)))
    }

    async fn read_exact(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        timeout(PATIENCE, self.stream.read_exact(&mut bytes)).await.expect("bytes, or the end").ok()?;
        Some(bytes)
    }
}

/// A masked frame.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = head(first, payload.len() as u64);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// The head of one that declares this length.
pub fn head(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..=125 => bytes.push(0x80 | length as u8),
        126..=65_535 => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes
}
