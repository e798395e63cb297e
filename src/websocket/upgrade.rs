//! From a request to a socket: the checks in front of it, in their order, and the answer where one fails.
//!
//! Called on the port for sockets for any path, and by the API for its own.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{
    AUTHORIZATION, HeaderMap, ORIGIN, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use actix_web::{HttpRequest, HttpResponse, Resource, guard, web};
use url::form_urlencoded;

use super::conversation::{Reception, Refusal, Upgrade};
use super::line::{Line, Peer};
use super::session;
use super::sockets::{Seat, Sockets};
use super::wire::{Wire, WireEnd};

/// What the workers share.
pub struct Lobby<R> {
    pub reception: R,
    pub sockets: Arc<Sockets>,
}

/// A connection that has a place among the sockets.
pub(super) struct Arrival<'a> {
    peer: SocketAddr,
    wire: &'a Arc<Wire>,
    seat: Seat,
}

/// Whether a request asks for a socket at all.
pub fn is_asked_for(headers: &HeaderMap) -> bool {
    headers
        .get_all(UPGRADE)
        .any(|value| value.as_bytes().to_ascii_lowercase().windows(9).any(|word| word == b"websocket"))
}

/// These paths, for requests that ask for a socket; others go on to whom the paths belong to.
pub fn resource<R: Reception>(paths: &[&str], lobby: Arc<Lobby<R>>) -> Resource {
    let asks = guard::fn_guard(|context| is_asked_for(context.head().headers()));
    web::resource(paths.to_vec()).guard(asks).to(move |request: HttpRequest, payload: web::Payload| {
        let response = upgrade(&lobby, &request, payload);
        async move { response }
    })
}

pub fn upgrade<R: Reception>(lobby: &Lobby<R>, request: &HttpRequest, payload: web::Payload) -> HttpResponse {
    open(lobby, request, payload).unwrap_or_else(|refusal| {
        lobby.sockets.refused(refusal);
        log::debug!("{:?} {}: {}", request.peer_addr(), request.path(), refusal.text());
        answer(refusal)
    })
}

fn open<R: Reception>(lobby: &Lobby<R>, request: &HttpRequest, payload: web::Payload) -> Result<HttpResponse, Refusal> {
    let (headers, sockets) = (request.headers(), &lobby.sockets);
    let mut response = session::shake_hands(request)?;
    if headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
        return Err(Refusal::SubProtocol);
    }
    if !is_allowed(headers, &sockets.config.origins) {
        return Err(Refusal::Origin);
    }
    let arrival = Arrival::of(request, sockets)?;
    let token = token(headers, request.query_string());
    let upgrade = Upgrade { peer: arrival.peer, path: request.path().to_owned(), token };
    let conversation = lobby.reception.receive(&upgrade, sockets)?;
    let place = arrival.settle(sockets, Peer::Converses)?;
    Ok(response.streaming(session::start(conversation, sockets, place, Some(payload))))
}

impl<'a> Arrival<'a> {
    pub(super) fn of(request: &'a HttpRequest, sockets: &Arc<Sockets>) -> Result<Self, Refusal> {
        let peer = request.peer_addr().ok_or(Refusal::Fault)?;
        let wire = request.conn_data::<WireEnd>().ok_or(Refusal::Fault)?.wire();
        Ok(Self { peer, wire, seat: sockets.admit(peer.ip())? })
    }

    /// It is let in.
    pub(super) fn settle(self, sockets: &Sockets, does: Peer) -> Result<(Arc<Line>, Seat, SocketAddr), Refusal> {
        self.wire.bound(&sockets.config).map_err(|error| {
            log::warn!("cannot bound the buffers of a socket: {error}");
            Refusal::Fault
        })?;
        Ok((sockets.enter(Arc::clone(self.wire), does), self.seat, self.peer))
    }
}

/// A request without an origin is no browser's.
fn is_allowed(headers: &HeaderMap, origins: &[String]) -> bool {
    let Some(origin) = headers.get(ORIGIN) else {
        return true;
    };
    let same = |allowed: &String| allowed.trim_end_matches('/').as_bytes().eq_ignore_ascii_case(origin.as_bytes());
    origins.iter().any(|allowed| allowed == "*" || same(allowed))
}

fn token(headers: &HeaderMap, query: &str) -> Option<String> {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let bearer = || {
        let (scheme, token) = header(AUTHORIZATION.as_str())?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    };
    let in_query = || {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, _)| key == "auth_token").map(|(_, token)| token.into_owned())
    };
    let found = header("X-Auth-Token").map(String::from).or_else(bearer).or_else(in_query);
    found.filter(|token| !token.is_empty())
}

fn answer(refusal: Refusal) -> HttpResponse {
    let status = match refusal {
        Refusal::NoUpgrade | Refusal::Version => StatusCode::UPGRADE_REQUIRED,
        Refusal::Handshake | Refusal::SubProtocol => StatusCode::BAD_REQUEST,
        Refusal::Origin | Refusal::Token => StatusCode::FORBIDDEN,
        Refusal::TooMany => StatusCode::TOO_MANY_REQUESTS,
        Refusal::ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::Fault => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let mut response = HttpResponse::build(status);
    response.content_type("text/plain; charset=utf-8");
    if status == StatusCode::UPGRADE_REQUIRED {
        response.insert_header((UPGRADE, "websocket")).insert_header((SEC_WEBSOCKET_VERSION, "13"));
    }
    response.body(format!("{}\n", refusal.text()))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::{is_allowed, is_asked_for, token};

    #[test]
    fn a_token_is_taken_from_the_first_place_that_has_one() {
        let check = |headers: &[(&'static str, &'static str)], query: &str, expected: Option<&str>| {
            let request = headers.iter().fold(TestRequest::default(), |request, header| request.insert_header(*header));
            let request = request.to_http_request();
            assert_eq!(token(request.headers(), query).as_deref(), expected, "{headers:?} {query}");
        };
        check(&[], "", None);
        check(&[("authorization", "Bearer abc")], "auth_token=def", Some("abc"));
        check(&[("authorization", "bearer  abc ")], "", Some("abc"));
        check(&[("authorization", "Basic abc")], "", None);
        check(&[("x-auth-token", "abc")], "", Some("abc"));
        check(&[], "a=b&auth_token=d%2Bf", Some("d+f"));
        check(&[], "auth_token=", None);
    }

    #[test]
    fn origins_are_compared_whole() {
        let check = |origin: Option<&'static str>, allowed: &[&str], expected: bool| {
            let request = TestRequest::default();
            let request = match origin {
                Some(origin) => request.insert_header(("origin", origin)),
                None => request,
            };
            let allowed: Vec<String> = allowed.iter().map(|origin| origin.to_string()).collect();
            assert_eq!(is_allowed(request.to_http_request().headers(), &allowed), expected, "{origin:?} {allowed:?}");
        };
        check(None, &[], true);
        check(Some("https://a.example"), &["*"], true);
        check(Some("https://A.example"), &["https://b.example", "https://a.example/"], true);
        check(Some("https://a.example.evil"), &["https://a.example"], false);
        check(Some("http://a.example"), &["https://a.example"], false);
        check(Some("null"), &["https://a.example"], false);
        check(Some("https://a.example"), &[], false);
    }

    #[test]
    fn a_socket_is_asked_for_by_the_upgrade_header() {
        let asked =
            |value| is_asked_for(TestRequest::default().insert_header(("upgrade", value)).to_http_request().headers());
        assert!(asked("websocket") && asked("WebSocket") && asked("h2c, websocket"));
        assert!(!asked("h2c") && !is_asked_for(TestRequest::default().to_http_request().headers()));
    }
}
