//! What is known of one open socket outside of its session: how much waits for it, whether that gets less, how it
//! ended; and the two ways of ending it from there, by asking and by cutting.
//!
//! The session and those who send to it share it; `sockets` looks at it from time to time.

use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use actix::WeakRecipient;
use tokio::time::Instant;

use super::close::CloseCode;
use super::outbox::Hangup;
use super::wire::Wire;

/// How a socket ended; the first reason counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// We closed it.
    Closed(CloseCode),
    /// The peer closed it.
    ByPeer,
    /// The connection broke.
    Lost,
    /// More waited for the peer than may.
    QueueFull,
    /// The peer took nothing of what waited for it for too long.
    Stalled,
}

impl Ending {
    /// As the label of a metric.
    pub fn label(self) -> &'static str {
        match self {
            Self::Closed(code) => code.label(),
            Self::ByPeer => "by_peer",
            Self::Lost => "lost",
            Self::QueueFull => "queue_full",
            Self::Stalled => "stalled",
        }
    }
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    pub frames: u64,
    pub bytes: u64,
}

/// What is found by a look at a line.
#[derive(Debug)]
pub(super) struct Found {
    /// Sent since the look before.
    pub sent: Traffic,
    /// Something waits, and nothing was taken for so long, as far as the looks can tell.
    pub is_stalled: bool,
}

/// As of the last look.
#[derive(Debug)]
struct Progress {
    traffic: Traffic,
    /// Since when nothing is taken of what waits.
    since: Instant,
}

/// What the other end does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    Converses,
    /// Nothing is read from it.
    Listens,
}

#[derive(Debug)]
pub struct Line {
    wire: Arc<Wire>,
    peer: Peer,
    queued_bytes: AtomicUsize,
    queued_frames: AtomicU32,
    /// Written by the session alone.
    frames: AtomicU64,
    bytes: AtomicU64,
    ending: OnceLock<Ending>,
    /// Weak, which takes a tenth of the memory: it is there for every socket, and hardly ever used.
    hangup: OnceLock<WeakRecipient<Hangup>>,
    progress: Mutex<Progress>,
}

impl Line {
    pub fn new(wire: Arc<Wire>, peer: Peer) -> Self {
        let progress = Progress { traffic: Traffic::default(), since: Instant::now() };
        Self {
            wire,
            peer,
            queued_bytes: AtomicUsize::new(0),
            queued_frames: AtomicU32::new(0),
            frames: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            ending: OnceLock::new(),
            hangup: OnceLock::new(),
            progress: Mutex::new(progress),
        }
    }

    /// Makes room for a frame; `false` when there is none. One always fits into an empty queue.
    pub(super) fn reserve(&self, bytes: usize, max: usize) -> bool {
        self.queued_frames.fetch_add(1, Ordering::Relaxed);
        let before = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        before == 0 || before + bytes <= max
    }

    /// The session has taken a frame out of its mailbox.
    pub(super) fn drained(&self, bytes: usize) {
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.queued_frames.fetch_sub(1, Ordering::Relaxed);
        self.sent(bytes);
    }

    /// The session has sent a frame, whoever it came from. Only it may call this: a plain store is enough.
    pub(super) fn sent(&self, bytes: usize) {
        self.frames.store(self.frames.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        self.bytes.store(self.bytes.load(Ordering::Relaxed) + bytes as u64, Ordering::Relaxed);
    }

    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes.load(Ordering::Relaxed)
    }

    /// Frames in its mailbox.
    pub fn queued_frames(&self) -> u32 {
        self.queued_frames.load(Ordering::Relaxed)
    }

    pub fn traffic(&self) -> Traffic {
        Traffic { frames: self.frames.load(Ordering::Relaxed), bytes: self.bytes.load(Ordering::Relaxed) }
    }

    pub(super) fn look(&self, now: Instant, write_timeout: Duration) -> Found {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let traffic = self.traffic();
        let before = std::mem::replace(&mut progress.traffic, traffic);
        let sent = Traffic { frames: traffic.frames - before.frames, bytes: traffic.bytes - before.bytes };
        if self.queued_bytes() == 0 || sent.frames > 0 {
            progress.since = now;
            return Found { sent, is_stalled: false };
        }
        Found { sent, is_stalled: now.saturating_duration_since(progress.since) >= write_timeout }
    }

    /// Whether nobody is at the other end any more, where the session itself cannot know.
    pub(super) fn is_deserted(&self) -> bool {
        self.peer == Peer::Listens && self.wire.is_left_by_peer()
    }

    /// Notes how it ends, unless that is known.
    pub(super) fn end(&self, ending: Ending) {
        let _ = self.ending.set(ending);
    }

    pub fn ending(&self) -> Option<Ending> {
        self.ending.get().copied()
    }

    /// Ends the connection at once; the session follows within the millisecond.
    pub fn cut(&self, ending: Ending) {
        self.end(ending);
        self.wire.cut();
    }

    pub(super) fn can_be_asked(&self, hangup: WeakRecipient<Hangup>) {
        let _ = self.hangup.set(hangup);
    }

    /// Asks the session to close. One whose peer reads nothing hears it only when that goes on.
    pub fn hang_up(&self, code: CloseCode) {
        if let Some(hangup) = self.hangup.get().and_then(WeakRecipient::upgrade) {
            hangup.do_send(Hangup(code));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Ending, Line, Peer, Traffic};
    use crate::websocket::close::CloseCode;
    use crate::websocket::wire::Wire;

    fn line() -> Line {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        Line::new(Wire::new(&socket).unwrap().0, Peer::Converses)
    }

    #[test]
    fn a_stall_is_something_that_waits_while_nothing_is_taken() {
        const TIMEOUT: Duration = Duration::from_secs(10);
        let (line, start) = (line(), Instant::now());
        let stalled = |seconds| line.look(start + Duration::from_secs(seconds), TIMEOUT).is_stalled;
        // With nothing waiting, silence is no stall.
        assert!(!stalled(0) && !stalled(100));
        assert!(line.reserve(10, 100));
        assert!(!stalled(105));
        assert!(stalled(110));
        // Whoever takes something is not stalled, however slow.
        assert!(line.reserve(10, 100));
        line.drained(10);
        assert!(!stalled(111) && !stalled(120) && stalled(121));
        line.drained(10);
        assert!(!stalled(200));
    }

    #[test]
    fn room_is_bounded_but_one_frame_always_fits() {
        let line = line();
        assert!(line.reserve(1_000, 100));
        assert!(!line.reserve(1, 100));
        line.drained(1_000);
        line.drained(1);
        assert!(line.reserve(60, 100) && line.reserve(40, 100) && !line.reserve(1, 100));
        assert_eq!(line.queued_frames(), 3);
    }

    #[test]
    fn the_first_ending_counts_and_traffic_is_reported_once() {
        let line = line();
        line.end(Ending::Closed(CloseCode::Idle));
        line.end(Ending::Lost);
        assert_eq!(line.ending(), Some(Ending::Closed(CloseCode::Idle)));
        line.sent(5);
        line.sent(6);
        let sent = || line.look(Instant::now(), Duration::ZERO).sent;
        assert_eq!(sent(), Traffic { frames: 2, bytes: 11 });
        assert_eq!(sent(), Traffic::default());
    }
}
