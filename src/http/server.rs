//! The API's listener: workers, deadlines, limits, CORS. Called by app with a bound socket, on a thread with an actix
//! system; knows no route.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use actix_cors::Cors;
use actix_web::dev::{Server, Service};
use actix_web::{App, HttpServer, web};

use super::connections::{Connection, Connections, watched};
use super::front;
use super::state::State;
use crate::config::Http;
use crate::websocket::upgrade;

/// Where the API's port opens sockets.
const SOCKET_PATHS: [&str; 2] = ["/v2/websockets", "/v2/websockets/"];

/// How long a browser may remember the answer to a preflight: a day.
const PREFLIGHT_MAX_AGE_S: usize = 86_400;

/// How long a client that is answered early (413) may go on sending before the connection is cut. Cutting at once would
/// make it see a reset in place of the answer.
const LINGER: Duration = Duration::from_secs(1);

/// Serves until the returned server is stopped through its handle. Signals are the caller's.
pub fn serve(listener: TcpListener, state: Arc<State>) -> io::Result<Server> {
    let limits = state.config.http.clone();
    let (head_timeout, keep_alive) =
        (Duration::from_millis(limits.head_timeout_ms), Duration::from_millis(limits.keep_alive_ms));
    // The next head may begin at the end of the one and then take the other.
    let connections = Connections::new(keep_alive + head_timeout);
    let shutdown = Duration::from_millis(state.config.node.shutdown_grace_ms);
    let cors_origins = limits.cors_origins.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::from(Arc::clone(&state)))
            .wrap(cors(&cors_origins))
            .wrap_fn(|request, service| watched(request.conn_data::<Arc<Connection>>().cloned(), service.call(request)))
            // Plain requests go on to the API.
            .service(upgrade::resource(&SOCKET_PATHS, Arc::clone(&state.lobby)))
            .default_service(web::to(front::answer))
    })
    .workers(limits.workers)
    .max_connections(per_worker(&limits))
    .on_connect(move |socket, extensions| connections.register(socket, extensions))
    .client_request_timeout(head_timeout)
    .client_disconnect_timeout(LINGER)
    .keep_alive(keep_alive)
    .shutdown_timeout(shutdown.as_secs().max(1))
    .disable_signals()
    .listen(listener)?
    .run();
    Ok(server)
}

/// actix counts connections by worker.
fn per_worker(limits: &Http) -> usize {
    limits.connections_max.div_ceil(limits.workers).max(1)
}

fn cors(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"])
        .allowed_headers([
            "X-Auth-Token",
            "Authorization",
            "Content-Type",
            "If-None-Match",
            "Last-Event-ID",
            // Clients of Server-Sent Events that are not the browser's own send it.
            "Cache-Control",
            "X-Pretty-Print",
            "X-Request-ID",
        ])
        .expose_headers(["X-Request-ID", "Retry-After", "Allow"])
        .max_age(PREFLIGHT_MAX_AGE_S)
        // Tokens are never in cookies, so any origin may be let in, and a foreign one is told so by its browser.
        .block_on_origin_mismatch(false);
    if origins.iter().any(|origin| origin == "*") {
        return cors.allow_any_origin().send_wildcard();
    }
    origins.iter().fold(cors, |cors, origin| cors.allowed_origin(origin.trim_end_matches('/')))
}
