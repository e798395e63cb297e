//! All open sockets of the server: how many there may be, from where and of whom; and the look at each, from time to
//! time, whether its peer still takes what waits for it.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until};

use super::close::CloseCode;
use super::conversation::Refusal;
use super::line::{Ending, Line, Peer, Traffic};
use super::wire::Wire;
use crate::config::Websockets;
use crate::ids::AccountId;
use crate::metrics::Metrics;
use crate::supervise::beat::next_beat;

pub struct Sockets {
    pub config: Arc<Websockets>,
    metrics: Arc<Metrics>,
    lines: Mutex<Vec<Weak<Line>>>,
    counts: Mutex<Counts>,
    closing: AtomicBool,
}

#[derive(Default)]
struct Counts {
    open: usize,
    by_ip: HashMap<IpAddr, usize>,
    by_account: HashMap<AccountId, usize>,
}

/// A place that is taken for as long as this lives.
pub struct Seat {
    sockets: Arc<Sockets>,
    at: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Socket(IpAddr),
    Account(AccountId),
}

impl Sockets {
    /// To be called on a runtime: it looks after the sockets until the last handle is dropped.
    pub fn new(config: Websockets, metrics: Arc<Metrics>) -> Arc<Self> {
        let write_timeout = Duration::from_millis(config.write_timeout_ms);
        let sockets = Arc::new(Self {
            config: Arc::new(config),
            metrics,
            lines: Mutex::default(),
            counts: Mutex::default(),
            closing: AtomicBool::new(false),
        });
        tokio::spawn(look_after(Arc::downgrade(&sockets), write_timeout));
        sockets
    }

    /// A place for a socket from this address.
    pub fn admit(self: &Arc<Self>, ip: IpAddr) -> Result<Seat, Refusal> {
        if self.closing.load(Ordering::Relaxed) {
            return Err(Refusal::ShuttingDown);
        }
        let ip = neighbourhood(ip);
        let mut counts = self.counts();
        let full = counts.open >= self.config.connections_max;
        if full || !take(&mut counts.by_ip, ip, self.config.max_connections_per_ip) {
            return Err(Refusal::TooMany);
        }
        counts.open += 1;
        self.metrics.websockets.set(counts.open as i64);
        Ok(Seat { sockets: Arc::clone(self), at: Place::Socket(ip) })
    }

    /// A place for a socket of this account; `None` when there is none.
    pub fn seat_of(self: &Arc<Self>, account: AccountId) -> Option<Seat> {
        let mut counts = self.counts();
        if !take(&mut counts.by_account, account, self.config.max_connections_per_account) {
            return None;
        }
        let held = counts.by_account.get(&account).copied().unwrap_or_default();
        self.metrics.websocket_accounts.changed(held - 1, held);
        Some(Seat { sockets: Arc::clone(self), at: Place::Account(account) })
    }

    /// How many are open.
    pub fn open(&self) -> usize {
        self.counts().open
    }

    pub(super) fn enter(&self, wire: Arc<Wire>, peer: Peer) -> Arc<Line> {
        let line = Arc::new(Line::new(wire, peer));
        self.lines().push(Arc::downgrade(&line));
        line
    }

    /// The session's last word.
    pub(super) fn left(&self, line: &Line) {
        // The kernel counts the write timeout as well, and may have been first.
        let half = Duration::from_millis(self.config.write_timeout_ms) / 2;
        let found = line.look(Instant::now(), half);
        line.end(if found.is_stalled { Ending::Stalled } else { Ending::Lost });
        self.report(found.sent);
        if let Some(ending) = line.ending() {
            self.metrics.websocket_ended(ending.label());
        }
    }

    pub(super) fn refused(&self, refusal: Refusal) {
        self.metrics.websocket_refused(refusal.label());
    }

    /// Takes no more sockets, and closes those that are open with 1001, evenly over this time, so that their clients do
    /// not all come back at once; then cuts those that are left. Ends as soon as none is open.
    pub async fn close_all(&self, over: Duration, close_timeout: Duration) {
        self.closing.store(true, Ordering::Relaxed);
        let lines: Vec<Arc<Line>> = self.lines().iter().filter_map(Weak::upgrade).collect();
        let (started, count) = (Instant::now(), lines.len().max(1) as u32);
        for (at, line) in (0..).zip(&lines) {
            sleep_until(started + over * at / count).await;
            line.hang_up(CloseCode::GoingAway);
        }
        let deadline = Instant::now() + close_timeout;
        while self.open() > 0 && Instant::now() < deadline {
            sleep(Duration::from_millis(10)).await;
        }
        for line in lines {
            line.cut(Ending::Closed(CloseCode::GoingAway));
        }
    }

    fn look(&self, now: Instant, write_timeout: Duration) {
        let mut lines = self.lines();
        lines.retain(|line| match line.upgrade() {
            Some(line) => {
                let found = line.look(now, write_timeout);
                self.report(found.sent);
                if found.is_stalled {
                    line.cut(Ending::Stalled);
                } else if line.is_deserted() {
                    line.end(Ending::ByPeer);
                    line.hang_up(CloseCode::Normal);
                }
                true
            }
            None => false,
        });
        if lines.len() < lines.capacity() / 4 {
            lines.shrink_to_fit();
        }
    }

    fn report(&self, sent: Traffic) {
        self.metrics.websocket_frames.inc_by(sent.frames);
        self.metrics.websocket_bytes.inc_by(sent.bytes);
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Weak<Line>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    pub fn is_of(&self, account: AccountId) -> bool {
        self.at == Place::Account(account)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut counts = self.sockets.counts();
        match self.at {
            Place::Socket(ip) => {
                free(&mut counts.by_ip, ip);
                counts.open -= 1;
                self.sockets.metrics.websockets.set(counts.open as i64);
            }
            Place::Account(account) => {
                let left = free(&mut counts.by_account, account);
                self.sockets.metrics.websocket_accounts.changed(left + 1, left);
            }
        }
    }
}

/// 0 is no limit.
fn take<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K, max: usize) -> bool {
    let count = counts.entry(key).or_default();
    let room = max == 0 || *count < max;
    *count += usize::from(room);
    room
}

/// One that was taken; answers how many are left.
fn free<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K) -> usize {
    let Some(count) = counts.get_mut(&key) else { return 0 };
    *count -= 1;
    let left = *count;
    if left == 0 {
        counts.remove(&key);
    }
    left
}

/// The addresses that are one party's for sure: of IPv6 a network of 64 bits, which is what one customer gets.
fn neighbourhood(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64)),
        ip => ip,
    }
}

async fn look_after(sockets: Weak<Sockets>, write_timeout: Duration) {
    let every = (write_timeout / 8).clamp(Duration::from_millis(10), Duration::from_secs(1));
    loop {
        sleep_until(next_beat(every)).await;
        match sockets.upgrade() {
            Some(sockets) => sockets.look(Instant::now(), write_timeout),
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Sockets;
    use crate::config::Websockets;
    use crate::websocket::conversation::Refusal;

    fn sockets(config: Websockets) -> Arc<Sockets> {
        Sockets::new(config, Arc::default())
    }

    #[tokio::test]
    async fn places_are_counted_by_address_and_given_back() {
        let sockets = sockets(Websockets { max_connections_per_ip: 2, ..Websockets::default() });
        let admit = |ip: &str| sockets.admit(ip.parse().unwrap());
        let one = admit("192.0.2.1").unwrap();
        let _two = admit("::ffff:192.0.2.1").unwrap();
        assert_eq!(admit("192.0.2.1").err(), Some(Refusal::TooMany));
        let _other = admit("192.0.2.2").unwrap();
        drop(one);
        assert_eq!(sockets.open(), 2);
        assert!(admit("192.0.2.1").is_ok());
        // One network of 64 bits is one party.
        let _six = [admit("2001:db8::1").unwrap(), admit("2001:db8::2").unwrap()];
        assert_eq!(admit("2001:db8::3").err(), Some(Refusal::TooMany));
        assert!(admit("2001:db8:0:1::1").is_ok());
    }

    #[tokio::test]
    async fn places_are_counted_in_all_and_by_account() {
        let config = Websockets { connections_max: 1, max_connections_per_account: 1, ..Websockets::default() };
        let sockets = sockets(config);
        let ip = "192.0.2.1".parse().unwrap();
        let seat = sockets.admit(ip).unwrap();
        assert_eq!(sockets.admit(ip).err(), Some(Refusal::TooMany));
        drop(seat);
        assert!(sockets.admit(ip).is_ok());

        let account = "0123456789abcdef0123456789abcdef".parse().unwrap();
        let seat = sockets.seat_of(account).unwrap();
        assert!(seat.is_of(account) && sockets.seat_of(account).is_none());
        let counted = |line: &str| sockets.metrics.to_text().contains(line);
        assert!(counted("hookswitch_websocket_accounts{sockets=\"1\"} 1"));
        drop(seat);
        assert!(counted("hookswitch_websocket_accounts{sockets=\"1\"} 0"));
        assert!(sockets.seat_of(account).is_some());
        assert!(sockets.counts().by_account.is_empty() && sockets.counts().by_ip.is_empty());
    }

    #[tokio::test]
    async fn nobody_is_let_in_once_all_are_closed() {
        let sockets = sockets(Websockets::default());
        sockets.close_all(Default::default(), Default::default()).await;
        assert_eq!(sockets.admit("192.0.2.1".parse().unwrap()).err(), Some(Refusal::ShuttingDown));
    }
}
