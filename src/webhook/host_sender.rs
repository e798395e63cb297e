//! Which HTTP client a hook's requests go through: hooks of one host share one, with its connections and its limit.
//!
//! A client lives on one thread, and as long as any hook there uses it; with it its connections are closed.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::client::{HttpSender, SenderSettings};
use super::uri::HookUri;

pub struct HostSender {
    pub http: HttpSender,
    key: Key,
    places: Arc<Semaphore>,
}

/// The settings, by their place in memory, and scheme, host and port.
type Key = (usize, Box<str>);

/// The right to have one request under way.
pub struct Place {
    pub sender: Rc<HostSender>,
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
            let places = Arc::new(Semaphore::new(settings.connections_max));
            let sender = Rc::new(Self { http: HttpSender::new(settings), key: key.clone(), places });
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
        Some(Place { sender: Rc::clone(self), _permit: permit })
    }

    /// Places are given in the order in which they were asked for.
    pub async fn place(self: Rc<Self>) -> Option<Place> {
        let permit = Arc::clone(&self.places).acquire_owned().await.ok()?;
        Some(Place { sender: self, _permit: permit })
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
}
