//! One HTTP request of a hook, and its answer.
//!
//! An [`HttpSender`] keeps its connection for the next request, and closes it when it is dropped. All share the settings.
//! It never follows redirects and never decides about retries; the only request that it repeats is one that a kept-alive
//! connection lost before it was answered.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use actix_web::error::{ParseError, PayloadError};
use awc::body::{BoxBody, MessageBody, None as NoBody};
use awc::error::{ConnectError, SendRequestError};
use awc::http::header::{self, HeaderName, HeaderValue};
use awc::http::{Method, StatusCode, Uri};
use awc::{Client, ClientResponse, Connector, FrozenClientRequest};
use futures_util::StreamExt;
use rustls::ClientConfig;
use tokio::time::{Instant, timeout};

use crate::ids::EventId;
use crate::webhook::connect::{GuardedConnector, Link, Reach, observed};
use crate::webhook::guard::Refused;
use crate::webhook::hook::Hook;
use crate::webhook::outcome::{Outcome, Reason, SuccessCodes, judge};
use crate::webhook::put_off::PutOff;
use crate::webhook::request::{Rendered, RequestError, Verb};

const HOOK_ID: HeaderName = HeaderName::from_static("x-hook-id");
const ACCOUNT_ID: HeaderName = HeaderName::from_static("x-account-id");
const EVENT_ID: HeaderName = HeaderName::from_static("x-event-id");
const USER_AGENT: &str = concat!("hookswitch/", env!("CARGO_PKG_VERSION"));

/// What all hooks' senders have in common.
#[derive(Debug)]
pub struct SenderSettings {
    pub reach: Arc<Reach>,
    pub tls: Arc<ClientConfig>,
    /// For look-up and TCP together, and again for TLS; never past the request's own deadline.
    pub connect_timeout_ms: u64,
    /// From the start of a request to the last byte of its answer, connecting and waiting for a connection included.
    pub request_timeout_ms: u64,
    /// More of a response's body is not read; the status decides nevertheless.
    pub response_bytes_max: usize,
    /// More of a response's headers is not kept. (A head of over 128 KiB or 96 lines is no answer at all.)
    pub response_head_bytes_max: usize,
    pub url_bytes_max: usize,
    /// Connections to one host, and so requests under way there, on one thread.
    pub connections_max: usize,
    /// As many there are before more requests than that have to wait for the host.
    pub connections_first: usize,
    /// A connection that was not needed for so long is closed.
    pub idle: Duration,
}

/// Names in lower case, with their values.
pub type Headers = Vec<(String, String)>;

/// One request.
#[derive(Debug, Clone)]
pub struct SendRequest {
    pub hook: Arc<Hook>,
    pub event: EventId,
    pub rendered: Arc<Rendered>,
    /// Of a complete answer with a success code of the hook's own only the status is kept. Most answers are such, and
    /// copying what nobody looks at would cost as much as sending.
    pub only_failures: bool,
}

/// What came of a request: what an attempt's log entry shows.
#[derive(Debug)]
pub struct Answer {
    /// All but `content-length` and `date`, which are added on the way out.
    pub request_headers: Headers,
    /// Set as soon as a head has arrived, also where `error` says that the rest did not.
    pub status: Option<u16>,
    pub headers: Headers,
    /// The header of that name, kept whatever else was not.
    pub retry_after: Option<String>,
    /// Cut to the limit; bytes that are no UTF-8 are replaced.
    pub body: String,
    pub error: Option<SendError>,
    pub duration: Duration,
}

/// Why there is no complete answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    #[error(transparent)]
    Refused(Refused),
    #[error(transparent)]
    Request(RequestError),
    #[error("cannot make a request of it: {0}")]
    Invalid(String),
    #[error("{0}")]
    Resolve(String),
    #[error("no connection within {0} ms")]
    ConnectTimeout(u64),
    #[error("cannot connect: {0}")]
    Connect(String),
    #[error("no complete answer within {0} ms")]
    Timeout(u64),
    #[error("the connection was closed before an answer")]
    Closed,
    #[error("the connection was lost: {0}")]
    Lost(String),
    #[error("the answer is not readable: {0}")]
    Unreadable(String),
    #[error("the answer ended after {bytes} of {expected} bytes")]
    Short { bytes: u64, expected: u64 },
}

impl Answer {
    pub fn outcome(&self, verb: Verb, success: &SuccessCodes, now: SystemTime) -> Outcome {
        match (&self.error, self.status) {
            (None, Some(status)) => judge(status, verb, success, self.retry_after.as_deref(), now),
            (Some(error), _) if error.is_final() => Outcome::Refused { reason: Reason::Client(error.to_string()) },
            (Some(error), _) => Outcome::Retry { after: None, reason: Reason::Client(error.to_string()) },
            (None, None) => Outcome::Retry { after: None, reason: Reason::Client(SendError::Closed.to_string()) },
        }
    }
}

impl SendError {
    /// Whether the same request must fail in the same way again.
    fn is_final(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Request(_) | Self::Invalid(_))
    }
}

/// Sends requests to one host one after the other, keeping its connection alive between them.
pub struct HttpSender {
    client: Client,
    prepared: RefCell<Option<Prepared>>,
    put_off: PutOff,
    settings: Arc<SenderSettings>,
}

/// What the requests of a hook have in common. Often no other hook's pass through this connection.
struct Prepared {
    hook: Arc<Hook>,
    request: FrozenClientRequest,
}

impl HttpSender {
    pub fn new(settings: &Arc<SenderSettings>) -> Self {
        let connect_timeout = Duration::from_millis(settings.connect_timeout_ms);
        let connector = Connector::new()
            .connector(GuardedConnector::new(Arc::clone(&settings.reach)))
            .rustls_0_23(Arc::clone(&settings.tls))
            .timeout(connect_timeout)
            .handshake_timeout(connect_timeout)
            // Whoever has it sends one request at a time; nothing is to wait here.
            .limit(0)
            .conn_keep_alive(settings.idle);
        // The client's own timeout ends at the response's head; ours covers the body too.
        let client =
            Client::builder().connector(connector).disable_redirects().disable_timeout().no_default_headers().finish();
        Self { client, prepared: RefCell::default(), put_off: PutOff::default(), settings: Arc::clone(settings) }
    }

    pub async fn send(&self, request: SendRequest) -> Answer {
        let started = Instant::now();
        let mut progress = Progress::default();
        let deadline = Duration::from_millis(self.settings.request_timeout_ms);
        let error = match timeout(deadline, self.exchange(&request, &mut progress)).await {
            Ok(result) => result.err(),
            Err(_) => Some(SendError::Timeout(self.settings.request_timeout_ms)),
        };
        self.put_off.release();
        let unexpected = error.is_some() || progress.unexpected;
        Answer {
            request_headers: if unexpected { logged_headers(&request) } else { Headers::new() },
            status: progress.status,
            headers: progress.headers,
            retry_after: progress.retry_after,
            body: String::from_utf8_lossy(&progress.body).into_owned(),
            error,
            duration: started.elapsed(),
        }
    }

    /// Leaves in `progress` what it got to, however it ends.
    async fn exchange(&self, request: &SendRequest, progress: &mut Progress) -> Result<(), SendError> {
        let prepared = self.prepare(request)?;
        let (mut result, link) = observed(self.start(&prepared, request)).await;
        if link == Link::Reused && result.as_ref().is_err_and(lost_unanswered) {
            // Most likely the server closed the idle connection as the request set out, and never saw it.
            result = self.start(&prepared, request).await;
        }
        let response = result.map_err(|error| self.explain(error))?;

        let status = response.status().as_u16();
        progress.status = Some(status);
        let expected = request.only_failures && request.hook.success.matches(status, request.hook.verb);
        progress.unexpected = !expected;
        if progress.unexpected {
            progress.retry_after = text_of(&response, header::RETRY_AFTER).map(str::to_owned);
            progress.headers = kept_headers(&response, self.settings.response_head_bytes_max);
        }
        let kept = progress.unexpected.then_some(&mut progress.body);
        read_body(response, self.settings.response_bytes_max, kept).await
    }

    fn prepare(&self, request: &SendRequest) -> Result<FrozenClientRequest, SendError> {
        let hook = &request.hook;
        let last = self.prepared.borrow();
        if let Some(last) = last.as_ref().filter(|last| Arc::ptr_eq(&last.hook, hook)) {
            return Ok(last.request.clone());
        }
        drop(last);
        let url = request.rendered.url(&hook.uri, self.settings.url_bytes_max).map_err(SendError::Request)?;
        let uri = Uri::try_from(url).map_err(|error| SendError::Invalid(error.to_string()))?;
        let mut outgoing = self.client.request(method(hook.verb), uri);
        for header in common_headers(request) {
            outgoing = outgoing.insert_header(header);
        }
        let prepared = outgoing.freeze().map_err(|error| SendError::Invalid(error.to_string()))?;
        // The URL of the others contains their payload.
        if let Rendered::Body { .. } = *request.rendered {
            let last = Prepared { hook: Arc::clone(hook), request: prepared.clone() };
            self.prepared.replace(Some(last));
        }
        Ok(prepared)
    }

    async fn start(
        &self,
        prepared: &FrozenClientRequest,
        request: &SendRequest,
    ) -> Result<ClientResponse, SendRequestError> {
        let outgoing = prepared.extra_header((EVENT_ID, event_id(request)));
        self.put_off.during(outgoing.send_body(body(&request.rendered))).await
    }

    fn explain(&self, error: SendRequestError) -> SendError {
        match error {
            SendRequestError::Connect(ConnectError::Resolver(error)) => match error.downcast::<Refused>() {
                Ok(refused) => SendError::Refused(*refused),
                Err(error) => SendError::Resolve(error.to_string()),
            },
            SendRequestError::Connect(ConnectError::Timeout) => {
                SendError::ConnectTimeout(self.settings.connect_timeout_ms)
            }
            SendRequestError::Connect(ConnectError::Disconnected) => SendError::Closed,
            SendRequestError::Connect(error) => SendError::Connect(error.to_string()),
            SendRequestError::Send(error) | SendRequestError::Response(ParseError::Io(error)) => {
                SendError::Lost(error.to_string())
            }
            SendRequestError::Response(error) => SendError::Unreadable(error.to_string()),
            SendRequestError::Url(error) => SendError::Invalid(error.to_string()),
            SendRequestError::Http(error) => SendError::Invalid(error.to_string()),
            other => SendError::Lost(other.to_string()),
        }
    }
}

/// What an exchange got to before it ended or was cut off.
#[derive(Default)]
struct Progress {
    status: Option<u16>,
    /// A head came, and somebody will want to see all of it.
    unexpected: bool,
    headers: Headers,
    retry_after: Option<String>,
    body: Vec<u8>,
}

fn method(verb: Verb) -> Method {
    match verb {
        Verb::Get => Method::GET,
        Verb::Post => Method::POST,
        Verb::Put => Method::PUT,
    }
}

fn body(rendered: &Rendered) -> BoxBody {
    match rendered {
        Rendered::Query(_) => NoBody::new().boxed(),
        Rendered::Body { body, .. } => body.clone().boxed(),
    }
}

/// What all requests of the hook have, names in lower case. `host` is set here: the client would leave out the ports 80
/// and 443 whatever the scheme.
fn common_headers(request: &SendRequest) -> impl Iterator<Item = (HeaderName, String)> {
    let SendRequest { hook, rendered, .. } = request;
    let content_type = match **rendered {
        Rendered::Query(_) => None,
        Rendered::Body { content_type, .. } => Some((header::CONTENT_TYPE, content_type.to_owned())),
    };
    let general = [
        (header::HOST, hook.uri.authority().to_owned()),
        (header::USER_AGENT, USER_AGENT.to_owned()),
        (header::ACCEPT_ENCODING, "identity".to_owned()),
    ];
    let ids = [(HOOK_ID, hook.id.to_string()), (ACCOUNT_ID, hook.account.to_string())];
    general.into_iter().chain(content_type).chain(ids)
}

fn event_id(request: &SendRequest) -> HeaderValue {
    HeaderValue::try_from(request.event.to_string()).expect("hexadecimal digits are a header's value")
}

fn logged_headers(request: &SendRequest) -> Headers {
    let event = (EVENT_ID, request.event.to_string());
    common_headers(request).chain([event]).map(|(name, value)| (name.as_str().to_owned(), value)).collect()
}

/// Whether a connection ended before the first byte of an answer. (A reset within a head looks the same; repeating
/// that request is as harmless, since receivers must expect repeats.)
fn lost_unanswered(error: &SendRequestError) -> bool {
    match error {
        SendRequestError::Connect(ConnectError::Disconnected) => true,
        SendRequestError::Send(error) | SendRequestError::Response(ParseError::Io(error)) => matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::NotConnected
                | io::ErrorKind::UnexpectedEof
        ),
        _ => false,
    }
}

fn kept_headers(response: &ClientResponse, bytes_max: usize) -> Headers {
    let mut bytes = 0;
    let headers = response.headers().iter();
    let texts = headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    texts
        .take_while(|(name, value)| {
            bytes += name.len() + value.len();
            bytes <= bytes_max
        })
        .collect()
}

fn text_of(response: &ClientResponse, name: HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// Reads up to the limit; dropping the response then closes its connection.
async fn read_body(
    mut response: ClientResponse,
    bytes_max: usize,
    mut kept: Option<&mut Vec<u8>>,
) -> Result<(), SendError> {
    // These have no body, yet may announce the length of one.
    if matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok(());
    }
    let expected = text_of(&response, header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    let mut read = 0;
    while let Some(chunk) = response.next().await {
        let chunk = chunk.map_err(unreadable)?;
        let room = bytes_max - read;
        if let Some(body) = &mut kept {
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
        if chunk.len() > room {
            return Ok(());
        }
        read += chunk.len();
    }
    // The client takes an early end for the end.
    match (read as u64, expected) {
        (bytes, Some(expected)) if bytes < expected => Err(SendError::Short { bytes, expected }),
        _ => Ok(()),
    }
}

fn unreadable(error: PayloadError) -> SendError {
    match error {
        PayloadError::Io(error) => SendError::Lost(error.to_string()),
        other => SendError::Unreadable(other.to_string()),
    }
}

#[cfg(test)]
pub(super) mod tests;
