//! Who is on the sockets: what the API lists of each, and the way to tell all of them something.
//!
//! Each session writes its own entry; HTTP reads them, and a new Registry makes itself known through them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix::{Recipient, WeakRecipient};
use serde_json::Value;

use super::line::Line;
use super::messages::{News, SessionId};
use super::outbox::Tell;
use crate::auth::Caller;
use crate::auth::directory::Directory;
use crate::ids::AccountId;

#[derive(Default)]
pub struct Roster {
    entries: Mutex<HashMap<SessionId, Arc<Entry>>>,
    last: AtomicU64,
}

/// One open socket.
pub struct Entry {
    pub id: SessionId,
    pub peer: SocketAddr,
    pub opened_ms: u64,
    pub line: Arc<Line>,
    /// Weak for the sake of memory, as that of the line is.
    news: WeakRecipient<Tell<News>>,
    labels: Mutex<Labels>,
}

/// What becomes known of a socket.
#[derive(Debug, Clone, Default)]
pub struct Labels {
    /// `None` until a valid token came.
    pub caller: Option<Caller>,
    /// As the client wrote them, each once.
    pub bindings: Box<[Arc<str>]>,
    pub naming: Option<Box<Naming>>,
}

/// What a client calls its socket. Apart, since most do not, and there are many.
#[derive(Debug, Clone, Default)]
pub struct Naming {
    pub name: Option<String>,
    pub metadata: Option<Value>,
}

impl Labels {
    pub fn account(&self) -> Option<AccountId> {
        self.caller.map(|caller| caller.account)
    }
}

impl Entry {
    pub fn new(
        id: SessionId,
        peer: SocketAddr,
        opened_ms: u64,
        line: Arc<Line>,
        news: Recipient<Tell<News>>,
    ) -> Arc<Self> {
        Arc::new(Self { id, peer, opened_ms, line, news: news.downgrade(), labels: Mutex::default() })
    }

    /// Its id, as clients see it.
    pub fn socket_id(&self) -> String {
        self.peer.to_string()
    }

    pub fn labels(&self) -> MutexGuard<'_, Labels> {
        self.labels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn tell(&self, news: News) {
        if let Some(session) = self.news.upgrade() {
            session.do_send(Tell(news));
        }
    }
}

impl Roster {
    pub fn next_id(&self) -> SessionId {
        SessionId(self.last.fetch_add(1, Ordering::Relaxed) + 1)
    }

    pub fn enter(&self, entry: &Arc<Entry>) {
        self.entries().insert(entry.id, Arc::clone(entry));
    }

    pub fn leave(&self, id: SessionId) {
        self.entries().remove(&id);
    }

    /// Oldest first.
    pub fn all(&self) -> Vec<Arc<Entry>> {
        let mut all: Vec<Arc<Entry>> = self.entries().values().cloned().collect();
        all.sort_unstable_by_key(|entry| entry.id);
        all
    }

    /// Those that authenticated as one of these accounts, oldest first.
    pub fn of_accounts(&self, accounts: &[AccountId]) -> Vec<Arc<Entry>> {
        let mut all = self.all();
        all.retain(|entry| entry.labels().account().is_some_and(|account| accounts.contains(&account)));
        all
    }

    /// Those whose account was disabled or deleted since they authenticated.
    pub fn of_gone_accounts(&self, directory: &Directory) -> Vec<Arc<Entry>> {
        let mut all = self.all();
        all.retain(|entry| entry.labels().caller.is_some_and(|caller| caller.is_gone(directory)));
        all
    }

    pub fn tell_all(&self, news: &News) {
        for entry in self.all() {
            entry.tell(news.clone());
        }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<SessionId, Arc<Entry>>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
