//! `EchoServer`: the server's own sessions with an echo in place of the protocol, and a way to send events to all of
//! them. What is shown of it is shown of the production file.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::rt::System;
use bytes::Bytes;
use bytestring::ByteString;
use hookswitch::config::Websockets;
use hookswitch::ids::AccountId;
use hookswitch::metrics::Metrics;
use hookswitch::websocket::close::CloseCode;
use hookswitch::websocket::conversation::{Conversation, Reception, Refusal, Upgrade};
use hookswitch::websocket::listener;
use hookswitch::websocket::outbox::{Outbox, Sent, Tell};
use hookswitch::websocket::session::Link;
use hookswitch::websocket::sockets::Sockets;
use hookswitch::websocket::upgrade::Lobby;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::eventually;

pub struct EchoServer {
    pub address: SocketAddr,
    pub sockets: Arc<Sockets>,
    pub metrics: Arc<Metrics>,
    sessions: Sessions,
    handle: actix_web::dev::ServerHandle,
}

/// One that is open: its peer, the way to it, and the answers that it owes.
struct Open {
    peer: SocketAddr,
    outbox: Outbox,
    told: actix::Recipient<Tell<String>>,
}

type Sessions = Arc<Mutex<Vec<Open>>>;

struct EchoReception {
    sessions: Sessions,
    authenticated: bool,
}

/// Echoes, but for a few texts that begin with `!`.
struct Echo {
    sessions: Sessions,
    authenticated: bool,
    peer: Option<SocketAddr>,
    answer: Option<oneshot::Sender<String>>,
}

impl EchoServer {
    /// Every socket counts as authenticated from the start.
    pub fn with(configure: impl FnOnce(&mut Websockets)) -> Self {
        Self::start(configure, true)
    }

    /// None does, until it says `!login`.
    pub fn with_login(configure: impl FnOnce(&mut Websockets)) -> Self {
        Self::start(configure, false)
    }

    fn start(configure: impl FnOnce(&mut Websockets), authenticated: bool) -> Self {
        let mut config = Websockets { workers: 1, ..Websockets::default() };
        configure(&mut config);
        let (metrics, sessions) = (Arc::new(Metrics::new()), Sessions::default());
        let sockets = Sockets::new(config, Arc::clone(&metrics));
        let reception = EchoReception { sessions: Arc::clone(&sessions), authenticated };
        let lobby = Arc::new(Lobby { reception, sockets: Arc::clone(&sockets) });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = listener::serve(listener, lobby, Duration::from_secs(5)).unwrap();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { address, sockets, metrics, sessions, handle }
    }

    /// Sends an event to every session, or to the one of a peer; answers what became of each.
    pub fn publish(&self, to: Option<SocketAddr>, text: &ByteString) -> Vec<Sent> {
        let sessions = lock(&self.sessions);
        let wanted = sessions.iter().filter(|open| to.is_none_or(|peer| open.peer == peer));
        wanted.map(|open| open.outbox.try_send(text)).collect()
    }

    /// Gives the answer that a session owes since `!later`.
    pub fn tell(&self, peer: SocketAddr, answer: &str) {
        let sessions = lock(&self.sessions);
        let open = sessions.iter().find(|open| open.peer == peer).unwrap();
        open.told.do_send(Tell(answer.to_owned()));
    }

    pub async fn expect_open(&self, count: usize) {
        eventually("the number of open sessions", async || lock(&self.sessions).len() == count).await;
    }

    /// Waits until so many sockets have ended, by this reason.
    pub async fn expect_ended(&self, reason: &str, count: usize) {
        let line = format!("hookswitch_websocket_ends_total{{reason=\"{reason}\"}} {count}\n");
        eventually(&line, async || self.metrics.to_text().contains(&line)).await;
    }
}

impl Drop for EchoServer {
    fn drop(&mut self) {
        if System::try_current().is_some() {
            actix_web::rt::spawn(self.handle.stop(false));
        }
    }
}

impl Reception for EchoReception {
    type Conversation = Echo;

    fn receive(&self, upgrade: &Upgrade, _: &Arc<Sockets>) -> Result<Echo, Refusal> {
        if upgrade.token.as_deref() == Some("bad") {
            return Err(Refusal::Token);
        }
        let sessions = Arc::clone(&self.sessions);
        Ok(Echo { sessions, authenticated: self.authenticated, peer: None, answer: None })
    }
}

impl Conversation for Echo {
    type Message = String;

    fn on_open(&mut self, link: &mut Link<'_, Self>) {
        if self.authenticated {
            link.authenticated();
        }
        self.peer = Some(link.peer());
        let open = Open { peer: link.peer(), outbox: link.outbox(), told: link.address() };
        lock(&self.sessions).push(open);
    }

    fn on_text(&mut self, text: ByteString, link: &mut Link<'_, Self>) {
        match &*text {
            "!panic" => panic!("as asked"),
            "!login" => {
                link.authenticated();
                link.send("welcome");
            }
            "!seat" => {
                let account: AccountId = "0123456789abcdef0123456789abcdef".parse().unwrap();
                match link.take_seat(account) {
                    true => link.send("seated"),
                    false => link.close(CloseCode::AccountFull),
                }
            }
            "!rate" => {
                let within = link.is_within_rate();
                link.send(within.to_string());
            }
            "!soon" => link.set_deadline(Some(Instant::now() + Duration::from_millis(20))),
            "!later" => {
                let (answer, answered) = oneshot::channel();
                self.answer = Some(answer);
                link.send("wait");
                link.answer_later(answered, |_, answer, link| link.send(answer.unwrap()));
            }
            _ => link.send(text),
        }
    }

    fn on_binary(&mut self, bytes: Bytes, link: &mut Link<'_, Self>) {
        link.send_binary(bytes);
    }

    fn on_message(&mut self, message: String, _: &mut Link<'_, Self>) {
        self.answer.take().unwrap().send(message).unwrap();
    }

    fn on_deadline(&mut self, link: &mut Link<'_, Self>) {
        link.send("now");
    }

    fn on_end(&mut self) {
        lock(&self.sessions).retain(|open| Some(open.peer) != self.peer);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
