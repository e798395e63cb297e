//! What a session needs to be told: whom to let in, and what to say. The protocol stands behind these two traits; so
//! does the echo with which the session's conformance to RFC 6455 is tested.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;

use super::close::CloseCode;
use super::session::Link;
use super::sockets::Sockets;

/// Decides on each upgrade; shared by all workers.
pub trait Reception: Send + Sync + 'static {
    type Conversation: Conversation;

    /// What to say on the new socket, or why not to open it.
    fn receive(&self, upgrade: &Upgrade, sockets: &Arc<Sockets>) -> Result<Self::Conversation, Refusal>;
}

/// One side of what is said on one socket. The calls come one after the other, on the socket's own thread, and none
/// after [`Self::on_end`].
pub trait Conversation: Sized + Unpin + 'static {
    /// What others can tell it, through [`Link::address`].
    type Message: Send + 'static;

    fn on_open(&mut self, link: &mut Link<'_, Self>);

    /// Not called while an answer is out (see [`Link::answer_later`]): requests are answered in their order.
    fn on_text(&mut self, text: ByteString, link: &mut Link<'_, Self>);

    fn on_binary(&mut self, _bytes: Bytes, link: &mut Link<'_, Self>) {
        link.close(CloseCode::Unsupported);
    }

    fn on_message(&mut self, message: Self::Message, link: &mut Link<'_, Self>);

    /// The time given to [`Link::set_deadline`] has come.
    fn on_deadline(&mut self, link: &mut Link<'_, Self>);

    /// The socket is gone, or as good as. Also after a panic of one of the others, then with whatever that left behind.
    fn on_end(&mut self);
}

/// A request to open a socket.
pub struct Upgrade {
    pub peer: SocketAddr,
    pub path: String,
    /// From `Authorization`, `X-Auth-Token` or `?auth_token=`.
    pub token: Option<String>,
}

/// The token is nobody's business.
impl fmt::Debug for Upgrade {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Upgrade").field("peer", &self.peer).field("path", &self.path).finish_non_exhaustive()
    }
}

/// Why a socket is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// A plain request.
    NoUpgrade,
    /// A version other than 13.
    Version,
    /// No valid handshake otherwise.
    Handshake,
    SubProtocol,
    Origin,
    Token,
    /// A limit on the number of sockets.
    TooMany,
    ShuttingDown,
    /// The system did not let us look after the connection.
    Fault,
}

impl Refusal {
    pub fn text(self) -> &'static str {
        match self {
            Self::NoUpgrade => "this is the port for websockets",
            Self::Version => "websockets of version 13 only",
            Self::Handshake => "not a valid websocket handshake",
            Self::SubProtocol => "no sub-protocol is supported",
            Self::Origin => "this origin is not allowed",
            Self::Token => "invalid token",
            Self::TooMany => "too many connections",
            Self::ShuttingDown => "the server is shutting down",
            Self::Fault => "the socket cannot be opened",
        }
    }

    /// As the label of a metric.
    pub fn label(self) -> &'static str {
        match self {
            Self::NoUpgrade => "no_upgrade",
            Self::Version => "version",
            Self::Handshake => "handshake",
            Self::SubProtocol => "sub_protocol",
            Self::Origin => "origin",
            Self::Token => "token",
            Self::TooMany => "too_many",
            Self::ShuttingDown => "shutting_down",
            Self::Fault => "fault",
        }
    }
}
