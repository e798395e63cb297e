//! With which code a socket is closed: RFC 6455's own, and ours from 4000 to 4999.
//!
//! From 4000 to 4499 a client may come back at once, or after it has mended what the code names; from 4500 on it should
//! not come back by itself.

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CloseCode {
    /// The client asked for it.
    Normal,
    /// The server is shutting down.
    GoingAway,
    /// What came is no frame of RFC 6455.
    Protocol,
    /// A binary message; all of ours are text.
    Unsupported,
    /// A text message that is not UTF-8.
    NotUtf8,
    /// A message beyond `websockets.frame_bytes_max`, or beyond the smaller limit of those without a token.
    TooLarge,
    /// The session's actor panicked.
    Panicked,
    /// The token is past its `exp`, and no later one came in time. Get one, then come back.
    TokenExpired,
    /// A ping stayed unanswered for `websockets.pong_timeout_ms`.
    PongMissing,
    /// Nothing was said either way for `websockets.idle_timeout_ms`.
    Idle,
    /// No valid token came within `websockets.authenticate_timeout_ms`.
    NotAuthenticated,
    /// `websockets.max_connections_per_account` was reached when the token came. Come back later.
    AccountFull,
    /// A stream of Server-Sent Events without a subscription: the broker did not take it in time, or the rights to it are
    /// gone. Come back.
    NothingLeft,
    /// Closed through the API, on somebody's request.
    Dismissed,
    /// The account was disabled or deleted.
    AccountGone,
}

impl CloseCode {
    pub const ALL: [Self; 15] = [
        Self::Normal,
        Self::GoingAway,
        Self::Protocol,
        Self::Unsupported,
        Self::NotUtf8,
        Self::TooLarge,
        Self::Panicked,
        Self::TokenExpired,
        Self::PongMissing,
        Self::Idle,
        Self::NotAuthenticated,
        Self::AccountFull,
        Self::NothingLeft,
        Self::Dismissed,
        Self::AccountGone,
    ];

    pub fn number(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::GoingAway => 1001,
            Self::Protocol => 1002,
            Self::Unsupported => 1003,
            Self::NotUtf8 => 1007,
            Self::TooLarge => 1009,
            Self::Panicked => 1011,
            Self::TokenExpired => 4001,
            Self::PongMissing => 4002,
            Self::Idle => 4003,
            Self::NotAuthenticated => 4004,
            Self::AccountFull => 4006,
            Self::NothingLeft => 4007,
            Self::Dismissed => 4500,
            Self::AccountGone => 4501,
        }
    }

    /// The reason that goes with it, for people; at most 123 bytes.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Normal => "",
            Self::GoingAway => "server shutting down",
            Self::Protocol => "protocol error",
            Self::Unsupported => "text messages only",
            Self::NotUtf8 => "not UTF-8",
            Self::TooLarge => "message too large",
            Self::Panicked => "internal error",
            Self::TokenExpired => "token expired",
            Self::PongMissing => "ping not answered",
            Self::Idle => "idle for too long",
            Self::NotAuthenticated => "no token in time",
            Self::AccountFull => "too many sockets of this account",
            Self::NothingLeft => "nothing is subscribed",
            Self::Dismissed => "closed through the API",
            Self::AccountGone => "account disabled or deleted",
        }
    }

    /// As the label of a metric.
    pub fn label(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::GoingAway => "going_away",
            Self::Protocol => "protocol_error",
            Self::Unsupported => "unsupported",
            Self::NotUtf8 => "not_utf8",
            Self::TooLarge => "too_large",
            Self::Panicked => "panicked",
            Self::TokenExpired => "token_expired",
            Self::PongMissing => "pong_missing",
            Self::Idle => "idle",
            Self::NotAuthenticated => "not_authenticated",
            Self::AccountFull => "account_full",
            Self::NothingLeft => "nothing_left",
            Self::Dismissed => "dismissed",
            Self::AccountGone => "account_gone",
        }
    }
}

/// Whether a peer may put this number into a close frame. 1004 to 1006 and 1015 are never sent, 1016 to 2999 belong to
/// later versions of the RFC.
pub fn may_be_sent(number: u16) -> bool {
    matches!(number, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{CloseCode, may_be_sent};

    #[test]
    fn every_code_may_be_sent_and_is_its_own() {
        let numbers: HashSet<u16> = CloseCode::ALL.map(CloseCode::number).into();
        let labels: HashSet<&str> = CloseCode::ALL.map(CloseCode::label).into();
        assert_eq!((numbers.len(), labels.len()), (CloseCode::ALL.len(), CloseCode::ALL.len()));
        for code in CloseCode::ALL {
            assert!(may_be_sent(code.number()), "{code:?}");
            assert!(code.reason().len() <= 123, "{code:?}");
        }
    }

    #[test]
    fn reserved_numbers_are_refused() {
        for number in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535] {
            assert!(!may_be_sent(number), "{number}");
        }
    }
}
