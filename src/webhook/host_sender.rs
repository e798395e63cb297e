//! Which connection a hook's request goes through: hooks of one host share them, and their limit.
//!
//! Each connection has a client of its own, so that the one used last is taken first: with little to do few connections
//! are in use, whose memory is then in the processor's caches, and those that only a burst needed are closed. There are
//! few places for requests at first, and more are made while some wait for one, unless that would not help: where the
//! host is quick and the thread has enough to do.
//!
//! All of it lives on one thread, and as long as any hook there uses it; then the connections are closed.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep};

use super::client::{HttpSender, SenderSettings};
use super::uri::HookUri;

/// How often it is looked whether there should be more places, while somebody waits for one.
const LOOK: Duration = Duration::from_millis(10);
/// A request that takes less, its wait for the processor included, is quick.
const QUICK: Duration = Duration::from_millis(2);

pub struct HostSender {
    key: Key,
    settings: Arc<SenderSettings>,
    places: Arc<Semaphore>,
    places_made: Cell<usize>,
    waiting: Cell<usize>,
    /// Whether somebody looks after those who wait.
    watched: Cell<bool>,
    /// Requests that are over.
    ended: Cell<u32>,
    /// The clients of the places that are free; the one used last is at the end.
    idle: RefCell<VecDeque<Idle>>,
}

/// The settings, by their place in memory, and scheme, host and port.
type Key = (usize, Box<str>);

struct Idle {
    http: Rc<HttpSender>,
    since: Instant,
}

/// The right to have one request under way, and the client for it.
pub struct Place {
    pub sender: Rc<HostSender>,
    pub http: Rc<HttpSender>,
    _permit: OwnedSemaphorePermit,
}

thread_local! {
    static SHARED: RefCell<HashMap<Key, Weak<HostSender>>> = RefCell::default();
}

impl HostSender {
    pub fn of(uri: &HookUri, settings: &Arc<SenderSettings>) -> Rc<Self> {
        let key = (Arc::as_ptr(settings).addr(), uri.origin().into());
        SHARED.with_borrow_mut(|shared| {
            if let Some(known) = shared.get(&key).and_then(Weak::upgrade) {
                return known;
            }
            let places_made = first_places(settings);
            let sender = Rc::new(Self {
                key: key.clone(),
                settings: Arc::clone(settings),
                places: Arc::new(Semaphore::new(places_made)),
                places_made: Cell::new(places_made),
                waiting: Cell::new(0),
                watched: Cell::new(false),
                ended: Cell::new(0),
                idle: RefCell::default(),
            });
            shared.insert(key, Rc::downgrade(&sender));
            sender
        })
    }

    pub fn is_for(&self, uri: &HookUri) -> bool {
        *self.key.1 == *uri.origin()
    }

    /// `None` while all are taken, or others wait.
    pub fn try_place(self: &Rc<Self>) -> Option<Place> {
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(self.taken(permit))
    }

    /// Places are given in the order in which they were asked for.
    pub async fn place(self: Rc<Self>) -> Option<Place> {
        let waiting = self.queue_up();
        let permit = Arc::clone(&self.places).acquire_owned().await.ok()?;
        drop(waiting);
        Some(self.taken(permit))
    }

    fn taken(self: &Rc<Self>, permit: OwnedSemaphorePermit) -> Place {
        let idle = self.idle.borrow_mut().pop_back();
        let http = idle.map_or_else(|| Rc::new(HttpSender::new(&self.settings)), |idle| idle.http);
        Place { sender: Rc::clone(self), http, _permit: permit }
    }

    fn give_back(&self, http: Rc<HttpSender>) {
        let now = Instant::now();
        let mut idle = self.idle.borrow_mut();
        if idle.pop_front_if(|oldest| now - oldest.since > self.settings.idle).is_some() {
            // No more places than there are connections.
            let in_use = self.places_made.get() - self.places.available_permits();
            let kept = first_places(&self.settings).max(in_use + idle.len());
            let unneeded = self.places_made.get().saturating_sub(kept);
            self.places_made.set(self.places_made.get() - self.places.forget_permits(unneeded));
        }
        idle.push_back(Idle { http, since: now });
    }

    fn queue_up(self: &Rc<Self>) -> Waiting<'_> {
        self.waiting.set(self.waiting.get() + 1);
        if self.places_made.get() < self.settings.connections_max && !self.watched.replace(true) {
            actix::spawn(Rc::clone(self).watch_line());
        }
        Waiting(self)
    }

    async fn watch_line(self: Rc<Self>) {
        while self.waiting.get() > 0 {
            let busy_before = busy();
            self.ended.set(0);
            sleep(LOOK).await;
            let idle = busy() - busy_before < LOOK / 2;
            // All places are taken as long as somebody waits.
            let quick = QUICK * self.ended.get() > LOOK * self.places_made.get() as u32;
            if self.waiting.get() > 0 && (idle || !quick) {
                self.make_places();
            }
        }
        self.watched.set(false);
    }

    fn make_places(&self) {
        let made = self.places_made.get();
        let more = made.min(self.settings.connections_max - made);
        self.places_made.set(made + more);
        self.places.add_permits(more);
    }
}

fn first_places(settings: &SenderSettings) -> usize {
    settings.connections_first.min(settings.connections_max)
}

/// For how long this thread had something to do.
fn busy() -> Duration {
    Handle::current().metrics().worker_total_busy_duration(0)
}

/// As long as somebody waits.
struct Waiting<'a>(&'a HostSender);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sender.ended.set(self.sender.ended.get().wrapping_add(1));
        self.sender.give_back(Rc::clone(&self.http));
    }
}

impl Drop for HostSender {
    fn drop(&mut self) {
        // At the end of its thread the map may be gone before.
        let _ = SHARED.try_with(|shared| shared.borrow_mut().remove(&self.key));
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::Arc;

    use futures_util::FutureExt;

    use super::{HostSender, SHARED};
    use crate::webhook::client::SenderSettings;
    use crate::webhook::client::tests::receiver::settings;
    use crate::webhook::uri::HookUri;

    fn of(uri: &str, settings: &Arc<SenderSettings>) -> Rc<HostSender> {
        HostSender::of(&HookUri::parse_unguarded(uri).unwrap(), settings)
    }

    #[actix::test]
    async fn hooks_of_one_host_share_a_client_as_long_as_one_uses_it() {
        let settings = Arc::new(settings(&[]));
        let one = of("https://example.com/a", &settings);
        assert!(Rc::ptr_eq(&one, &of("https://example.com:443/b?c", &settings)));
        for other in ["http://example.com/a", "https://example.com:8443/a", "https://example.org/a"] {
            assert!(!Rc::ptr_eq(&one, &of(other, &settings)), "{other}");
            assert!(!one.is_for(&HookUri::parse_unguarded(other).unwrap()), "{other}");
        }
        drop(one);
        SHARED.with_borrow(|shared| assert!(shared.is_empty()));
    }

    #[actix::test]
    async fn settings_are_not_shared() {
        let (one, other) = (Arc::new(settings(&[])), Arc::new(settings(&[])));
        let kept = of("https://example.com/", &one);
        assert!(!Rc::ptr_eq(&kept, &of("https://example.com/", &other)));
        assert!(Rc::ptr_eq(&kept, &of("https://example.com/", &one)));
    }

    #[actix::test]
    async fn places_are_bounded_and_whoever_waits_is_first() {
        let sender = of("https://example.com/", &Arc::new(SenderSettings { connections_max: 1, ..settings(&[]) }));
        let place = sender.try_place().unwrap();
        assert!(sender.try_place().is_none());
        let mut waiting = Box::pin(Rc::clone(&sender).place());
        assert!((&mut waiting).now_or_never().is_none());
        drop(place);
        assert!(sender.try_place().is_none());
        assert!(waiting.now_or_never().flatten().is_some());
        assert!(sender.try_place().is_some());
    }

    #[actix::test]
    async fn the_connection_used_last_is_taken_first_and_those_unneeded_go() {
        let sender = of("https://example.com/", &Arc::new(settings(&[])));
        let (one, other) = (sender.try_place().unwrap(), sender.try_place().unwrap());
        let used_last = Rc::clone(&other.http);
        drop(one);
        drop(other);
        let again = sender.try_place().unwrap();
        assert!(Rc::ptr_eq(&again.http, &used_last));
        sender.idle.borrow_mut()[0].since -= 2 * sender.settings.idle;
        drop(again);
        assert_eq!(sender.idle.borrow().len(), 1);
    }

    #[actix::test]
    async fn places_are_made_while_requests_that_take_long_have_others_wait() {
        let sender = of("https://example.com/", &Arc::new(SenderSettings { connections_max: 80, ..settings(&[]) }));
        let mut places = Vec::new();
        for _ in 0..80 {
            places.push(Rc::clone(&sender).place().await);
        }
        assert_eq!(sender.places_made.get(), 80);
        assert!(Rc::clone(&sender).place().now_or_never().is_none());
        assert_eq!(sender.waiting.get(), 0);
    }

    #[actix::test]
    async fn places_of_connections_that_are_not_needed_go_with_them() {
        let sender = of("https://example.com/", &Arc::new(SenderSettings { connections_max: 80, ..settings(&[]) }));
        (0..3).for_each(|_| sender.make_places());
        assert_eq!(sender.places_made.get(), 64);
        let places: Vec<_> = (0..40).filter_map(|_| sender.try_place()).collect();
        drop(places);
        sender.idle.borrow_mut().iter_mut().for_each(|idle| idle.since -= 2 * sender.settings.idle);
        for _ in 0..40 {
            drop(sender.try_place());
        }
        assert_eq!((sender.places_made.get(), sender.places.available_permits()), (8, 8));
        assert_eq!(sender.idle.borrow().len(), 1);
    }
}
