//! From a request to a stream of Server-Sent Events: a session like that of a socket, whose client said all it has to say
//! with the request. Called by the API, once it knows whose the token is and that the account may be heard.

use actix_web::http::Version;
use actix_web::http::header::{CACHE_CONTROL, HeaderName};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use serde_json::json;

use super::conversation::Refusal;
use super::line::Peer;
use super::protocol::request::Resume;
use super::protocol::sse::Script;
use super::reception::Desk;
use super::session;
use super::stream::EventStream;
use super::upgrade::{Arrival, Lobby};
use crate::auth::Caller;
use crate::ids::AccountId;

/// What a client wants to hear.
#[derive(Debug)]
pub struct Wanted {
    pub account: AccountId,
    /// As the client wrote them.
    pub bindings: Vec<String>,
    pub resume: Resume,
}

impl Wanted {
    /// What it would have said on a socket.
    fn as_request(&self) -> String {
        let resume = match &self.resume {
            Resume::Now => json!(true),
            Resume::After { epoch, offset } => json!({ "epoch": epoch, "offset": offset }),
        };
        let data = json!({ "account_id": self.account, "bindings": self.bindings, "resume": resume });
        json!({ "action": "subscribe", "data": data }).to_string()
    }
}

/// The answer is on its way for as long as the client listens.
pub fn open(
    lobby: &Lobby<Desk>,
    request: &HttpRequest,
    caller: Caller,
    wanted: Wanted,
) -> Result<HttpResponse, Refusal> {
    let opened = try_open(lobby, request, caller, wanted);
    opened.inspect_err(|refusal| {
        lobby.sockets.refused(*refusal);
        log::debug!("{:?} {}: {}", request.peer_addr(), request.path(), refusal.text());
    })
}

fn try_open(
    lobby: &Lobby<Desk>,
    request: &HttpRequest,
    caller: Caller,
    wanted: Wanted,
) -> Result<HttpResponse, Refusal> {
    let sockets = &lobby.sockets;
    let arrival = Arrival::of(request, sockets)?;
    let dialog = lobby.reception.receive_listener(caller, wanted.as_request().into(), sockets)?;
    let place = arrival.settle(sockets, Peer::Listens)?;
    let frames = session::start(dialog, sockets, place, None);
    let Wanted { account, resume, .. } = wanted;
    let script = Script { account, resume, retry_ms: sockets.config.stream_retry_ms };
    let mut response = head().streaming(EventStream::new(frames, script));
    if request.version() < Version::HTTP_11 {
        // Its client knows no chunks; the end of the connection is the end of the stream.
        response.head_mut().no_chunking(true);
    }
    Ok(response)
}

/// For whoever asks only whether there would be a stream.
pub fn head_only() -> HttpResponse {
    head().finish()
}

fn head() -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    // The buffers of the connection are bounded for a socket, and nothing else is to be answered on it.
    response.force_close().content_type("text/event-stream").insert_header((CACHE_CONTROL, "no-cache"));
    response.insert_header((HeaderName::from_static("x-accel-buffering"), "no"));
    response
}
