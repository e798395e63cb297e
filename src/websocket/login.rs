//! Whether a socket is authenticated, as whom, and until when. Pure but for the look at a token.

use crate::auth::tokens::TokenError;
use crate::auth::{Auth, AuthError, Caller};
use crate::ids::AccountId;

/// Clients log in again when they see it; what comes after it never contains any of the token.
pub const FAILED: &str = "failed to authenticate token";

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{FAILED}: it belongs to another account than this socket")]
struct OtherAccount;

/// The last valid token of a socket.
#[derive(Debug, Default)]
pub struct Login {
    caller: Option<Caller>,
}

/// What a token changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The first one.
    Authenticated,
    /// A later one of the same account.
    Prolonged,
    /// It is as good as the one before, or expires earlier.
    Nothing,
}

impl Login {
    /// Of a token that somebody else has looked at.
    pub fn of(caller: Caller) -> Self {
        Self { caller: Some(caller) }
    }

    pub fn caller(&self) -> Option<Caller> {
        self.caller
    }

    pub fn account(&self) -> Option<AccountId> {
        self.caller.map(|caller| caller.account)
    }

    pub fn expires_ms(&self) -> Option<u64> {
        self.caller.map(|caller| caller.expires_ms)
    }

    pub fn is_over(&self, now_ms: u64) -> bool {
        self.caller.is_some_and(|caller| caller.expires_ms <= now_ms)
    }

    /// An error changes nothing. The API takes an expired token for a few seconds more; a socket would be closed at once.
    pub fn show(&mut self, auth: &Auth, token: &str, now_ms: u64) -> Result<Change, String> {
        let shown = auth.authenticate(token).map_err(|error| failure(&error))?;
        if shown.expires_ms <= now_ms {
            return Err(failure(&AuthError::Token(TokenError::Expired)));
        }
        let change = match self.caller {
            None => Change::Authenticated,
            Some(present) if present.account != shown.account => return Err(OtherAccount.to_string()),
            Some(present) if present.expires_ms < shown.expires_ms => Change::Prolonged,
            Some(_) => return Ok(Change::Nothing),
        };
        self.caller = Some(shown);
        Ok(change)
    }
}

/// The text of a token that is not taken.
pub fn failure(error: &AuthError) -> String {
    format!("{FAILED}: {error}")
}
