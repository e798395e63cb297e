//! The port for sockets: workers, deadlines; any path is upgraded. Called by app with a bound socket, on a thread with an
//! actix system.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::http::KeepAlive;
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpRequest, HttpServer, web};

use super::conversation::Reception;
use super::upgrade::{Lobby, upgrade};
use super::wire::Wire;

/// Connections beyond `connections_max` that may be open while they are told that there are too many.
const REFUSED_MAX: usize = 64;

/// Serves until the returned server is stopped through its handle; the sockets are to be closed first, since it waits for
/// them. Signals are the caller's.
pub fn serve<R: Reception>(listener: TcpListener, lobby: Arc<Lobby<R>>, head_timeout: Duration) -> io::Result<Server> {
    let config = lobby.sockets.config.clone();
    let server = HttpServer::new(move || {
        let lobby = Arc::clone(&lobby);
        App::new().default_service(web::to(move |request: HttpRequest, payload: web::Payload| {
            let response = upgrade(&lobby, &request, payload);
            async move { response }
        }))
    })
    .workers(config.workers)
    // The exact limit holds over all workers, and is answered; this one bounds what has not asked for anything yet.
    .max_connections(config.connections_max + REFUSED_MAX)
    .on_connect(|socket, extensions| {
        let Some(stream) = socket.downcast_ref::<TcpStream>() else {
            return;
        };
        match Wire::new(stream) {
            Ok((_, end)) => drop(extensions.insert(end)),
            Err(error) => log::warn!("cannot watch a connection: {error}"),
        }
    })
    .client_request_timeout(head_timeout)
    // A session has waited for its peer before it ends; nothing is left to linger for.
    .client_disconnect_timeout(Duration::ZERO)
    .keep_alive(KeepAlive::Disabled)
    .shutdown_timeout(1)
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(server)
}
