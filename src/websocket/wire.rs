//! A connection, as it can be cut from outside of what serves it.
//!
//! An actor whose socket takes nothing any more is not polled, and so can neither be told to end nor end by itself.
//! Cutting needs the descriptor only, and no second one: a duplicate would keep a connection open whose owner is gone.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::net::{RecvFlags, Shutdown, recv, shutdown, sockopt};

use crate::config::Websockets;

#[derive(Debug)]
pub struct Wire {
    /// `None` once the connection is gone.
    descriptor: Mutex<Option<RawFd>>,
    /// The kernel's number for this very socket, never given twice.
    cookie: u64,
}

/// Is to be dropped before the socket is closed: from then on the descriptor may be somebody else's.
#[derive(Debug)]
pub struct WireEnd(Arc<Wire>);

impl Wire {
    pub fn new(socket: &(impl AsFd + AsRawFd)) -> io::Result<(Arc<Self>, WireEnd)> {
        let cookie = sockopt::socket_cookie(socket)?;
        let wire = Arc::new(Self { descriptor: Mutex::new(Some(socket.as_raw_fd())), cookie });
        Ok((Arc::clone(&wire), WireEnd(wire)))
    }

    /// Ends the connection in both directions, at once. Nothing happens to one that is gone.
    pub fn cut(&self) {
        // It fails on one that the peer has closed already.
        let _ = self.with_socket(|socket| shutdown(socket, Shutdown::Both));
    }

    /// Bounds what the kernel keeps for a peer that does not read, and has it end the connection of one that takes
    /// nothing for the write timeout, or is gone without a word.
    pub fn bound(&self, config: &Websockets) -> io::Result<()> {
        let write_timeout = u32::try_from(config.write_timeout_ms).unwrap_or(u32::MAX);
        self.with_socket(|socket| {
            sockopt::set_socket_send_buffer_size(socket, config.send_buffer_bytes)?;
            sockopt::set_tcp_user_timeout(socket, write_timeout)
        })
    }

    /// Whether the peer has ended its side, as one does that is gone. Only where nothing is expected from it any more does
    /// that mean the end.
    pub fn is_left_by_peer(&self) -> bool {
        let mut left = false;
        let looked = self.with_socket(|socket| {
            let (received, _) = recv(socket, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT)?;
            left = received == 0;
            Ok(())
        });
        left || looked.is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock)
    }

    fn with_socket(&self, act: impl FnOnce(BorrowedFd<'_>) -> rustix::io::Result<()>) -> io::Result<()> {
        let descriptor = self.descriptor();
        let Some(raw) = *descriptor else {
            return Ok(());
        };
        // SAFETY: the descriptor is open while it stands here: `WireEnd` takes it out, under the same lock, before the
        // socket closes. Should that order ever be broken, the cookie tells another socket.
        let socket = unsafe { BorrowedFd::borrow_raw(raw) };
        if sockopt::socket_cookie(socket)? == self.cookie {
            act(socket)?;
        }
        Ok(())
    }

    fn descriptor(&self) -> MutexGuard<'_, Option<RawFd>> {
        self.descriptor.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WireEnd {
    pub fn wire(&self) -> &Arc<Wire> {
        &self.0
    }
}

impl Drop for WireEnd {
    fn drop(&mut self) {
        self.0.descriptor().take();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::Wire;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    }

    #[test]
    fn a_cut_is_seen_by_the_peer_though_the_socket_is_still_open() {
        let (mut client, server) = pair();
        let (wire, _end) = Wire::new(&server).unwrap();
        wire.cut();
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
        wire.cut();
    }

    #[test]
    fn a_peer_that_has_left_is_noticed() {
        let (mut client, server) = pair();
        let (wire, end) = Wire::new(&server).unwrap();
        assert!(!wire.is_left_by_peer());
        client.write_all(b"x").unwrap();
        assert!(!wire.is_left_by_peer());
        let (client, server) = pair();
        drop(end);
        assert!(!wire.is_left_by_peer());
        let (wire, _end) = Wire::new(&server).unwrap();
        drop(client);
        let left = (0..1_000).any(|_| {
            std::thread::yield_now();
            wire.is_left_by_peer()
        });
        assert!(left);
    }

    #[test]
    fn a_wire_whose_end_is_gone_cuts_nobody() {
        let (mut client, server) = pair();
        let (wire, end) = Wire::new(&server).unwrap();
        drop(end);
        wire.cut();
        client.set_nonblocking(true).unwrap();
        assert_eq!(client.read(&mut [0; 1]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }

    #[test]
    fn another_socket_under_the_same_number_is_left_alone() {
        let (mut client, server) = pair();
        let (other, _) = pair();
        let (wire, _end) = Wire::new(&server).unwrap();
        let (foreign, _foreign_end) = Wire::new(&other).unwrap();
        *foreign.descriptor() = *wire.descriptor();
        foreign.cut();
        client.set_nonblocking(true).unwrap();
        assert_eq!(client.read(&mut [0; 1]).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
}
