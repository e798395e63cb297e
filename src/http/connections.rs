//! Cuts connections on which no request has been under way for too long.
//!
//! actix bounds the first head of a connection and the silence between requests, but neither a later head that arrives
//! in drips nor a response that nobody reads: such a connection would be held for ever. `server` registers each one,
//! counts it as busy while a request is answered, and sweeps. One that became a websocket is its session's to end.

use std::any::Any;
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use actix_web::Error;
use actix_web::dev::{Extensions, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::rt::{net, spawn, time};

use crate::websocket::wire::Wire;

/// All open connections of a server.
pub struct Connections {
    idle_max: Duration,
    open: Mutex<Vec<Weak<Connection>>>,
}

pub struct Connection {
    wire: Arc<Wire>,
    upgraded: AtomicBool,
    /// Since when no request is under way; `None` while one is.
    idle_since: Mutex<Option<Instant>>,
}

/// A request is under way for as long as this lives.
struct Busy(Arc<Connection>);

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
        match Wire::new(stream) {
            Ok((wire, end)) => {
                let idle_since = Mutex::new(Some(Instant::now()));
                let connection = Arc::new(Connection { wire, upgraded: AtomicBool::new(false), idle_since });
                self.open().push(Arc::downgrade(&connection));
                extensions.insert(connection);
                extensions.insert(end);
            }
            // This one is left to the deadlines that actix has.
            Err(error) => log::warn!("cannot watch a connection: {error}"),
        }
    }

    fn cut_idle(&self, now: Instant) {
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
    fn new(connection: &Arc<Connection>) -> Self {
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
    /// From now on it is a websocket: silence is no idleness.
    pub fn upgraded(&self) {
        self.upgraded.store(true, Ordering::Relaxed);
    }

    fn set_idle_since(&self, idle_since: Option<Instant>) {
        *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = idle_since;
    }

    fn cut_if_idle(&self, now: Instant, idle_max: Duration) {
        let idle_since = *self.idle_since.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = idle_since.is_some_and(|since| now.saturating_duration_since(since) > idle_max);
        if idle && !self.upgraded.load(Ordering::Relaxed) {
            self.wire.cut();
        }
    }
}

/// Answers a request, its connection being busy for as long.
pub async fn watched<B>(
    connection: Option<Arc<Connection>>,
    answering: impl Future<Output = Result<ServiceResponse<B>, Error>>,
) -> Result<ServiceResponse<B>, Error> {
    let busy = connection.as_ref().map(Busy::new);
    let response = answering.await;
    if let (Some(connection), Ok(response)) = (&connection, &response)
        && response.status() == StatusCode::SWITCHING_PROTOCOLS
    {
        connection.upgraded();
    }
    drop(busy);
    response
}

async fn sweep(connections: Weak<Connections>, idle_max: Duration) {
    let mut turn = time::interval((idle_max / 8).clamp(Duration::from_millis(10), Duration::from_secs(1)));
    loop {
        turn.tick().await;
        match connections.upgrade() {
            Some(connections) => connections.cut_idle(Instant::now()),
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener};
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use actix_web::dev::{ServerHandle, Service};
    use actix_web::{App, HttpResponse, HttpServer, rt, web};
    use bytestring::ByteString;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::{Connection, Connections, watched};
    use crate::config::Websockets;
    use crate::websocket::conversation::{Conversation, Reception, Refusal, Upgrade};
    use crate::websocket::session::Link;
    use crate::websocket::sockets::Sockets;
    use crate::websocket::upgrade::{Lobby, resource};

    struct Echo;

    impl Reception for Echo {
        type Conversation = Self;

        fn receive(&self, _: &Upgrade, _: &Arc<Sockets>) -> Result<Self, Refusal> {
            Ok(Self)
        }
    }

    impl Conversation for Echo {
        type Message = ();

        fn on_open(&mut self, _: &mut Link<'_, Self>) {}

        fn on_text(&mut self, text: ByteString, link: &mut Link<'_, Self>) {
            link.send(text);
        }

        fn on_message(&mut self, (): (), _: &mut Link<'_, Self>) {}

        fn on_deadline(&mut self, _: &mut Link<'_, Self>) {}

        fn on_end(&mut self) {}
    }

    /// Answers any request, and opens sockets at `/socket`.
    fn serve(connections: Arc<Connections>) -> (SocketAddr, ServerHandle) {
        let sockets = Sockets::new(Websockets::default(), Arc::default());
        let lobby = Arc::new(Lobby { reception: Echo, sockets });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = HttpServer::new(move || {
            App::new()
                .wrap_fn(|request, service| {
                    watched(request.conn_data::<Arc<Connection>>().cloned(), service.call(request))
                })
                .service(resource(&["/socket"], Arc::clone(&lobby)))
                .default_service(web::to(async || HttpResponse::Ok().body("plain")))
        })
        .workers(1)
        .on_connect(move |socket, extensions| connections.register(socket, extensions))
        .disable_signals()
        .listen(listener)
        .unwrap()
        .run();
        let handle = server.handle();
        rt::spawn(server);
        (address, handle)
    }

    async fn request(address: SocketAddr, more: &str, end: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("GET /socket HTTP/1.1\r\nHost: {address}\r\n{more}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(end) {
            answer.push(stream.read_u8().await.unwrap());
        }
        stream
    }

    #[actix_web::test]
    async fn a_silent_websocket_is_kept_and_an_idle_connection_is_not() {
        let connections = Connections::new(Duration::from_secs(3_600));
        let (address, server) = serve(Arc::clone(&connections));
        let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        let mut socket = request(address, upgrade, b"\r\n\r\n").await;
        let mut plain = request(address, "", b"plain").await;

        connections.cut_idle(Instant::now() + Duration::from_secs(7_200));
        assert_eq!(plain.read(&mut [0; 1]).await.unwrap(), 0);
        // A frame whose mask is zero, and its echo.
        socket.write_all(b"\x81\x85\0\0\0\0hello").await.unwrap();
        let mut echo = [0; 7];
        socket.read_exact(&mut echo).await.unwrap();
        assert_eq!(&echo, b"\x81\x05hello");
        drop(socket);
        server.stop(false).await;
    }
}
