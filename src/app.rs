//! The whole server: builds every part, starts them in order, and stops them in the other order.
//!
//! The only module that knows every part: [`ground`] is what they stand on, [`wiring`] who gets what, [`sweep`] sees to
//! it that app's own actors live.

pub mod error;
pub mod ground;
mod sweep;
mod wiring;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix::Actor;
use actix_web::dev::ServerHandle;
use futures_util::future::join_all;
use log::{error, info, warn};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use crate::amqp::consumer::{AmqpConsumer, Close, StopConsuming};
use crate::config::Config;
use crate::http::server::serve;
use crate::metrics::Metrics;
use crate::readiness::Readiness;
use crate::routing::messages::Drain;
use crate::routing::registry::Registry;
use crate::store::Store;
use crate::supervise::Slot;
use crate::websocket::listener;
use crate::websocket::sockets::Sockets;

use self::error::StartError;
use self::ground::Ground;
use self::sweep::{Sweep, start_consumer};
use self::wiring::Wiring;

/// A running server.
pub struct App {
    address: SocketAddr,
    /// `None`: no port of its own for sockets.
    socket_address: Option<SocketAddr>,
    sockets: Arc<Sockets>,
    close_timeout: Duration,
    grace: Duration,
    servers: Vec<ServerHandle>,
    store: Store,
    registry: Slot<Registry>,
    consumers: [Slot<AmqpConsumer>; 2],
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    sweep: JoinHandle<()>,
}

impl App {
    /// Starts everything on the arbiter of the caller. When it returns, the server answers, broker or not.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let mut ground = Ground::open(&config).await?;
        let loaded = std::mem::take(&mut ground.loaded);
        let wiring = Wiring::new(&config, &ground, &loaded)?;
        let listener = listen(&config.http.bind)?;
        let address = listener.local_addr().map_err(|cause| cannot_listen(&config.http.bind, cause))?;

        let socket_bind = Some(&config.websockets.bind).filter(|bind| !bind.is_empty());
        let socket_listener = socket_bind.map(|bind| listen(bind)).transpose()?;

        let registry_parts = wiring.registry_parts()?;
        wiring.registry.put(Registry::new(registry_parts.clone(), loaded).start());
        let lobby = wiring.lobby();
        let state = Arc::new(wiring.http_state(Arc::clone(&lobby)));
        let server = serve(listener, state).map_err(|cause| cannot_listen(&config.http.bind, cause))?;
        let mut servers = vec![server.handle()];
        actix::spawn(server);
        info!("listening http={address}");
        let socket_address = socket_listener.as_ref().and_then(|listener| listener.local_addr().ok());
        if let Some((listener, address)) = socket_listener.zip(socket_address) {
            let head_timeout = Duration::from_millis(config.http.head_timeout_ms);
            let server = listener::serve(listener, Arc::clone(&lobby), head_timeout)
                .map_err(|cause| cannot_listen(&config.websockets.bind, cause))?;
            servers.push(server.handle());
            actix::spawn(server);
            info!("listening websockets={address}");
        }

        let consumers = wiring.consumers();
        for parts in &consumers {
            start_consumer(parts.clone());
        }
        let sweep = Sweep {
            registry: wiring.registry.clone(),
            registry_parts,
            consumers,
            store: ground.store.clone(),
            metrics: Arc::clone(&wiring.metrics),
        };
        let app = Self {
            address,
            socket_address,
            sockets: Arc::clone(&lobby.sockets),
            close_timeout: Duration::from_millis(config.websockets.close_timeout_ms),
            grace: Duration::from_millis(config.node.shutdown_grace_ms),
            servers,
            registry: wiring.registry.clone(),
            consumers: [wiring.consumer.clone(), wiring.live_consumer.clone()],
            metrics: Arc::clone(&wiring.metrics),
            readiness: Arc::clone(&wiring.readiness),
            store: ground.store.clone(),
            sweep: actix::spawn(sweep.run()),
        };
        info!("ready");
        Ok(app)
    }

    /// Where the API listens.
    pub fn http_address(&self) -> SocketAddr {
        self.address
    }

    /// Where sockets have a port of their own.
    pub fn socket_address(&self) -> Option<SocketAddr> {
        self.socket_address
    }

    /// Stops taking events, finishes or stores what is under way, and returns within the grace period.
    pub async fn stop(self) {
        info!("stopping");
        let started = Instant::now();
        let share = |eighths: u32| started + self.grace * eighths / 8;
        self.sweep.abort();
        self.readiness.draining.store(true, Ordering::Relaxed);
        // Over half of the time that there is, so that not all clients come back elsewhere in the same moment.
        let closing = actix::spawn({
            let (sockets, over, close_timeout) = (Arc::clone(&self.sockets), self.grace / 2, self.close_timeout);
            async move { sockets.close_all(over, close_timeout).await }
        });
        self.stop_consuming(share(1)).await;
        if self.registry.is_alive() && timeout_at(share(4), self.registry.ask(Drain)).await.is_err() {
            error!("not every delivery could be stored in time; the broker keeps their events");
        }
        self.finish_requests(share(4)).await;
        self.close_broker(share(6)).await;
        if timeout_at(share(6), closing).await.is_err() {
            warn!("some sockets are cut off");
        }
        // By now every event posted over HTTP is answered.
        let stopping = join_all(self.servers.iter().map(|server| server.stop(true)));
        if timeout_at(share(7), stopping).await.is_err() {
            warn!("some HTTP clients are cut off");
        }
        // Their last addresses: they end.
        self.registry.clear();
        self.consumers.iter().for_each(Slot::clear);
        match timeout_at(share(8), self.store.close()).await {
            Ok(Ok(())) => info!("stopped"),
            Ok(Err(error)) => error!("the store was not closed cleanly: {error}"),
            Err(_) => error!("the store was not closed in time"),
        }
    }

    async fn stop_consuming(&self, until: Instant) {
        let stopping = self.consumers.iter().filter(|slot| slot.is_alive()).map(async |consumer| {
            if timeout_at(until, consumer.ask(StopConsuming)).await.is_err() {
                warn!("the broker did not confirm that consuming ends");
            }
        });
        join_all(stopping).await;
    }

    /// Requests under way may end well, and then need not be repeated after the next start.
    async fn finish_requests(&self, until: Instant) {
        while self.metrics.in_flight.get() > 0 && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn close_broker(&self, until: Instant) {
        let closing = self.consumers.iter().filter(|slot| slot.is_alive()).map(async |consumer| {
            if timeout_at(until, consumer.ask(Close)).await.is_err() {
                warn!("the broker did not confirm that the connection ends");
            }
        });
        join_all(closing).await;
    }
}

fn listen(address: &str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).map_err(|cause| cannot_listen(address, cause))
}

fn cannot_listen(address: &str, cause: io::Error) -> StartError {
    StartError::Listen { address: address.to_owned(), cause }
}
