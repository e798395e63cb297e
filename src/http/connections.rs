//! Cuts connections on which no request has been under way for too long.
//!
//! actix bounds the first head of a connection and the silence between requests, but neither a later head that arrives
//! in drips nor a response that nobody reads: such a connection would be held for ever. `server` registers each one,
//! counts it as busy while a request is answered, and sweeps. It costs a second descriptor for each connection.

use std::any::Any;
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use actix_web::dev::Extensions;
use actix_web::rt::{net, spawn, time};

/// All open connections of a server.
pub struct Connections {
    idle_max: Duration,
    open: Mutex<Vec<Weak<Connection>>>,
}

pub struct Connection {
    socket: TcpStream,
    /// Since when no request is under way; `None` while one is.
    idle_since: Mutex<Option<Instant>>,
}

/// A request is under way for as long as this lives.
pub struct Busy(Arc<Connection>);

impl Connections {
    /// The sweeps go on until the last handle is dropped.
    pub fn new(idle_max: Duration) -> Arc<Self> {
        let connections = Arc::new(Self { idle_max, open: Mutex::new(Vec::new()) });
        spawn(sweep(Arc::downgrade(&connections), idle_max));
        connections
    }

    /// To be called by actix for each new connection.
    pub fn register(&self, socket: &dyn Any, extensions: &mut Extensions) {
        let Some(stream) = socket.downcast_ref::<net::TcpStream>() else {
            return;
        };
        match stream.as_fd().try_clone_to_owned() {
            Ok(descriptor) => {
                let idle_since = Mutex::new(Some(Instant::now()));
                let connection = Arc::new(Connection { socket: descriptor.into(), idle_since });
                self.open().push(Arc::downgrade(&connection));
                extensions.insert(connection);
            }
            // Out of descriptors: this one is left to the deadlines that actix has.
            Err(error) => log::warn!("cannot watch a connection: {error}"),
        }
    }

    fn cut_idle(&self) {
        let now = Instant::now();
        self.open().retain(|connection| match connection.upgrade() {
            Some(connection) => {
                connection.cut_if_idle(now, self.idle_max);
                true
            }
            None => false,
        });
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Vec<Weak<Connection>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Busy {
    pub fn new(connection: &Arc<Connection>) -> Self {
        connection.set_idle_since(None);
        Self(Arc::clone(connection))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.set_idle_since(Some(Instant::now()));
    }
}

impl Connection {
    fn set_idle_since(&self, idle_since: Option<Instant>) {
        *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = idle_since;
    }

    fn cut_if_idle(&self, now: Instant, idle_max: Duration) {
        let idle_since = *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner);
        if idle_since.is_some_and(|since| now.saturating_duration_since(since) > idle_max) {
            // It fails on one that the client has closed already.
            let _ = self.socket.shutdown(Shutdown::Both);
        }
    }
}

async fn sweep(connections: Weak<Connections>, idle_max: Duration) {
    let mut turn = time::interval((idle_max / 8).clamp(Duration::from_millis(10), Duration::from_secs(1)));
    loop {
        turn.tick().await;
        match connections.upgrade() {
            Some(connections) => connections.cut_idle(),
            None => return,
        }
    }
}
