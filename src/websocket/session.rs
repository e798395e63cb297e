//! SessionActor: one per open socket. The only file that uses actix-web-actors.
//!
//! | | |
//! |---|---|
//! | owns | the conversation, its timers, its places among the sockets |
//! | receives | the peer's frames; `Frame` through its `Outbox`; `Tell` from whom the conversation gave its address; `Hangup` |
//! | sends | frames to the peer; what the conversation sends |
//! | fails when | the conversation panics |
//! | on failure | the socket is closed with 1011; nobody starts it again, the peer may come back |
//!
//! An actor whose peer takes nothing is not polled: none of its timers runs then. What bounds it in that state is its
//! mailbox, the kernel (`wire::bound`), and the look from outside (`sockets`).

use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::fut::{ActorFutureExt, wrap_future};
use actix::{Actor, ActorContext, AsyncContext, Handler, Recipient, SpawnHandle, StreamHandler};
use actix_web::{Error, HttpRequest, HttpResponseBuilder, web};
use actix_web_actors::ws::{self, HandshakeError, ProtocolError, WebsocketContext};
use bytes::Bytes;
use bytestring::ByteString;
use futures_util::{Stream, stream};
use tokio::time::Instant;

use super::bucket::Bucket;
use super::close::CloseCode;
use super::conversation::{Conversation, Refusal};
use super::guarded::Guarded;
use super::line::{Ending, Line};
use super::outbox::{Frame, Hangup, Outbox, Tell};
use super::portion::Portion;
use super::reader::{Frames, Incoming, Intake, Violation};
use super::sockets::{Seat, Sockets};
use super::waiting::Waiting;
use super::watch::{Due, Watch};
use crate::ids::AccountId;

pub struct Session<C: Conversation> {
    conversation: C,
    core: Core,
}

/// All but the conversation, so that both can be lent at the same time.
struct Core {
    sockets: Arc<Sockets>,
    line: Arc<Line>,
    peer: SocketAddr,
    intake: Rc<Intake>,
    watch: Watch,
    /// When the timer fires, and its handle.
    timer: Option<(Instant, SpawnHandle)>,
    bucket: Bucket,
    /// Messages that went either way.
    messages: u64,
    state: State,
    /// An answer is out; requests wait here for it.
    answering: bool,
    waiting: Waiting,
    portion: Portion,
    account: Option<Seat>,
    _seat: Seat,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// We have sent a close frame, and wait for the peer's.
    Closing,
    Ended,
}

/// What a conversation can do on its socket.
pub struct Link<'a, C: Conversation> {
    core: &'a mut Core,
    context: &'a mut WebsocketContext<Session<C>>,
}

/// The answer to a valid handshake.
pub(super) fn shake_hands(request: &HttpRequest) -> Result<HttpResponseBuilder, Refusal> {
    ws::handshake(request).map_err(|error| match error {
        HandshakeError::GetMethodRequired | HandshakeError::NoWebsocketUpgrade => Refusal::NoUpgrade,
        HandshakeError::NoVersionHeader | HandshakeError::UnsupportedVersion => Refusal::Version,
        HandshakeError::NoConnectionUpgrade | HandshakeError::BadWebsocketKey => Refusal::Handshake,
    })
}

/// Starts the session; it lives as the body of the response that is made of this, and reads the rest of the request.
/// Without one the peer only listens.
pub(super) fn start<C: Conversation>(
    conversation: C,
    sockets: &Arc<Sockets>,
    (line, seat, peer): (Arc<Line>, Seat, SocketAddr),
    payload: Option<web::Payload>,
) -> Guarded<impl Stream<Item = Result<Bytes, Error>> + use<C>> {
    let intake = Intake::new(sockets.config.frame_bytes_max_unauthenticated);
    let frames = payload.map(|payload| Frames::new(payload, Rc::clone(&intake)));
    let now = Instant::now();
    let watch = Watch::new(&sockets.config, now);
    let core = Core {
        watch: if frames.is_some() { watch } else { watch.without_answers() },
        bucket: Bucket::new(sockets.config.requests_burst_max, sockets.config.requests_per_s, now.into_std()),
        sockets: Arc::clone(sockets),
        line: Arc::clone(&line),
        peer,
        intake,
        timer: None,
        messages: 0,
        state: State::Open,
        answering: false,
        waiting: Waiting::default(),
        portion: Portion::default(),
        account: None,
        _seat: seat,
    };
    // The crate's own decoder gets nothing to read.
    let body = WebsocketContext::with_factory(stream::empty(), move |context| {
        frames.map(|frames| context.add_stream(frames));
        Session { conversation, core }
    });
    Guarded::new(body, line)
}

impl<C: Conversation> Actor for Session<C> {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(self.core.sockets.config.queue_frames_max);
        self.core.line.can_be_asked(context.address().downgrade().recipient());
        self.with_link(context, |conversation, link| conversation.on_open(link));
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        self.core.state = State::Ended;
        self.conversation.on_end();
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        self.sockets.left(&self.line);
    }
}

impl<C: Conversation> Session<C> {
    /// Every call of the conversation goes through here; what it changed decides when the timer is needed.
    fn with_link(&mut self, context: &mut WebsocketContext<Self>, call: impl FnOnce(&mut C, &mut Link<'_, C>)) {
        call(&mut self.conversation, &mut Link { core: &mut self.core, context });
        self.set_timer(context);
    }

    fn set_timer(&mut self, context: &mut WebsocketContext<Self>) {
        let next = self.core.watch.next();
        match self.core.timer {
            // One that fires too early is only set anew.
            Some((at, _)) if at <= next => return,
            Some((_, handle)) => context.cancel_future(handle),
            None => false,
        };
        let wait = next.saturating_duration_since(Instant::now());
        let handle = context.run_later(wait, |session, context| {
            session.core.timer = None;
            session.on_timer(context);
        });
        self.core.timer = Some((next, handle));
    }

    fn on_timer(&mut self, context: &mut WebsocketContext<Self>) {
        let now = Instant::now();
        while let Some(due) = self.core.watch.due(now, self.core.messages, !self.core.is_full()) {
            match due {
                Due::Ping => context.ping(b""),
                Due::Deadline => self.with_link(context, |conversation, link| conversation.on_deadline(link)),
                Due::Close(code) => self.core.close(context, code),
                Due::Cut => {
                    self.core.line.cut(Ending::Lost);
                    context.stop();
                    return;
                }
            }
        }
        self.set_timer(context);
    }

    fn on_request(&mut self, text: ByteString, context: &mut WebsocketContext<Self>) {
        if !self.core.answering {
            self.with_link(context, |conversation, link| conversation.on_text(text, link));
            return;
        }
        self.core.waiting.push(text);
        if self.core.is_full() {
            self.core.intake.pause();
        }
    }

    fn go_on(&mut self, context: &mut WebsocketContext<Self>) {
        while !self.core.answering
            && self.core.state == State::Open
            && let Some(text) = self.core.waiting.pop()
        {
            self.with_link(context, |conversation, link| conversation.on_text(text, link));
        }
        if !self.core.is_full() {
            self.core.intake.resume();
        }
    }

    /// The peer's close, or its answer to ours.
    fn on_close(&mut self, number: Option<u16>, context: &mut WebsocketContext<Self>) {
        if self.core.state == State::Open {
            self.core.line.end(Ending::ByPeer);
            context.close(number.map(|number| ws::CloseReason::from(ws::CloseCode::from(number))));
        }
        context.stop();
    }
}

impl Core {
    fn close<C: Conversation>(&mut self, context: &mut WebsocketContext<Session<C>>, code: CloseCode) {
        if self.state != State::Open {
            return;
        }
        self.state = State::Closing;
        self.line.end(Ending::Closed(code));
        let description = Some(code.reason()).filter(|reason| !reason.is_empty()).map(String::from);
        context.close(Some(ws::CloseReason { code: ws::CloseCode::from(code.number()), description }));
        let close_timeout = Duration::from_millis(self.sockets.config.close_timeout_ms);
        self.watch.closing(Instant::now() + close_timeout);
        // What waits is not answered any more, and the peer's close must be seen.
        self.waiting = Waiting::default();
        self.intake.resume();
    }

    fn is_full(&self) -> bool {
        self.waiting.is_full(&self.sockets.config)
    }
}

impl<C: Conversation> StreamHandler<Result<Incoming, Violation>> for Session<C> {
    fn handle(&mut self, item: Result<Incoming, Violation>, context: &mut Self::Context) {
        if let Ok(Incoming::Close(number)) = item {
            return self.on_close(number, context);
        }
        if self.core.state != State::Open {
            return;
        }
        match item {
            Ok(Incoming::Text(text)) => {
                self.core.messages += 1;
                self.on_request(text, context);
            }
            Ok(Incoming::Binary(bytes)) => {
                self.core.messages += 1;
                self.with_link(context, |conversation, link| conversation.on_binary(bytes, link));
            }
            Ok(Incoming::Ping(payload)) => context.pong(&payload),
            Ok(Incoming::Pong) => self.core.watch.pong(),
            Ok(Incoming::Close(_)) => {}
            Err(violation) => {
                log::debug!("{} sent {violation}", self.core.peer);
                self.core.close(context, violation.code());
                self.set_timer(context);
            }
        }
    }

    /// The connection is gone.
    fn finished(&mut self, context: &mut Self::Context) {
        context.stop();
    }
}

/// The crate asks for it; its decoder never has anything to tell.
impl<C: Conversation> StreamHandler<Result<ws::Message, ProtocolError>> for Session<C> {
    fn handle(&mut self, _: Result<ws::Message, ProtocolError>, _: &mut Self::Context) {}

    fn finished(&mut self, _: &mut Self::Context) {}
}

impl<C: Conversation> Handler<Frame> for Session<C> {
    type Result = ();

    fn handle(&mut self, frame: Frame, context: &mut Self::Context) {
        self.core.line.drained(frame.0.len());
        if self.core.state == State::Open {
            self.core.messages += 1;
            if let Some(pause) = self.core.portion.take(frame.0.len()) {
                context.wait(pause);
            }
            context.text(frame.0);
        }
    }
}

impl<C: Conversation> Handler<Hangup> for Session<C> {
    type Result = ();

    fn handle(&mut self, Hangup(code): Hangup, context: &mut Self::Context) {
        self.core.close(context, code);
        self.set_timer(context);
    }
}

impl<C: Conversation> Handler<Tell<C::Message>> for Session<C> {
    type Result = ();

    fn handle(&mut self, Tell(message): Tell<C::Message>, context: &mut Self::Context) {
        if self.core.state == State::Open {
            self.with_link(context, |conversation, link| conversation.on_message(message, link));
        }
    }
}

impl<C: Conversation> Link<'_, C> {
    pub fn peer(&self) -> SocketAddr {
        self.core.peer
    }

    pub fn send(&mut self, text: impl Into<ByteString>) {
        if self.core.state == State::Open {
            let text = text.into();
            self.core.line.sent(text.len());
            self.context.text(text);
        }
    }

    pub fn send_binary(&mut self, bytes: Bytes) {
        if self.core.state == State::Open {
            self.core.line.sent(bytes.len());
            self.context.binary(bytes);
        }
    }

    /// Nothing is sent or heard after it.
    pub fn close(&mut self, code: CloseCode) {
        self.core.close(self.context, code);
    }

    /// Counts a request against the rate; `false`: it is beyond it.
    pub fn is_within_rate(&mut self) -> bool {
        self.core.bucket.take(Instant::now().into_std())
    }

    /// A valid token came: from now on the larger limit holds for messages, and the time to authenticate is no more.
    pub fn authenticated(&mut self) {
        self.core.watch.authenticated();
        self.core.intake.set_bytes_max(self.core.sockets.config.frame_bytes_max);
    }

    /// Takes a place among the sockets of an account, in place of the one before; `false`: there is none.
    pub fn take_seat(&mut self, account: AccountId) -> bool {
        if !self.core.account.as_ref().is_some_and(|seat| seat.is_of(account)) {
            match self.core.sockets.seat_of(account) {
                Some(seat) => self.core.account = Some(seat),
                None => return false,
            }
        }
        true
    }

    /// When [`Conversation::on_deadline`] is called, once; in place of the time given before.
    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.core.watch.set_deadline(deadline);
    }

    /// Answers the present request later. Until then further ones wait, in order; events are sent all the same. Nothing
    /// is called when the socket has closed meanwhile.
    pub fn answer_later<T: 'static>(
        &mut self,
        answer: impl Future<Output = T> + 'static,
        then: impl FnOnce(&mut C, T, &mut Link<'_, C>) + 'static,
    ) {
        self.core.answering = true;
        let answered = wrap_future::<_, Session<C>>(answer).map(|answer, session, context| {
            session.core.answering = false;
            if session.core.state == State::Open {
                session.with_link(context, |conversation, link| then(conversation, answer, link));
                session.go_on(context);
            }
        });
        self.context.spawn(answered);
    }

    /// For the one who sends the events.
    pub fn outbox(&self) -> Outbox {
        let frames = self.context.address().recipient();
        Outbox::new(frames, Arc::clone(&self.core.line), self.core.sockets.config.queue_bytes_max)
    }

    /// For whom else the conversation wants to hear.
    pub fn address(&self) -> Recipient<Tell<C::Message>> {
        self.context.address().recipient()
    }
}
