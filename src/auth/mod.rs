//! Who somebody is and what they may reach: tokens, keys, and the tree of accounts.
//!
//! Called by the HTTP API and the websocket sessions for every request, and by the command line for `token`. Reading
//! order: `keys`, `tokens`, `api_key`, `account`, `directory`, then [`Auth`], which puts them together. It knows no
//! HTTP and writes nothing to the store.

pub mod account;
pub mod api_key;
pub mod directory;
mod files;
pub mod keys;
pub mod tokens;

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::auth::directory::{Directory, Rank};
use crate::auth::tokens::{TokenError, Tokens};
use crate::ids::AccountId;

/// Why a token gives no access.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("account {0} is disabled")]
    Disabled(AccountId),
}

/// Whoever showed a valid token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    pub account: AccountId,
    pub rank: Rank,
    pub registration: Registration,
    /// When the token expires, in Unix milliseconds.
    pub expires_ms: u64,
}

impl Caller {
    /// Whether its account was disabled or deleted since the token was shown.
    pub fn is_gone(&self, directory: &Directory) -> bool {
        match directory.get(self.account) {
            Some(account) => !account.enabled,
            None => self.registration == Registration::Registered,
        }
    }
}

/// Whether the directory knows the account. Kazoo's accounts need not be registered here to have sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registration {
    Registered,
    Unregistered,
}

/// How a caller stands to an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    Yes,
    /// Also for accounts that do not exist: who may not reach an account learns nothing of it.
    Forbidden,
    /// Only administrators are told.
    UnknownAccount,
}

/// A handle to all of it, cheap to clone.
#[derive(Clone)]
pub struct Auth {
    pub tokens: Arc<Tokens>,
    directory: Arc<RwLock<Directory>>,
}

impl Auth {
    pub fn new(tokens: Tokens, directory: Directory) -> Self {
        Self { tokens: Arc::new(tokens), directory: Arc::new(RwLock::new(directory)) }
    }

    /// The accounts, to look at. Hold it for no longer than that, and over no await.
    pub fn directory(&self) -> RwLockReadGuard<'_, Directory> {
        // Each change of the directory checks before it changes, so a panic has left it whole.
        self.directory.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The accounts, to change once the change is in the store.
    pub fn directory_mut(&self) -> RwLockWriteGuard<'_, Directory> {
        self.directory.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn authenticate(&self, token: &str) -> Result<Caller, AuthError> {
        let claims = self.tokens.verify(token)?;
        let directory = self.directory();
        let registration = match directory.get(claims.account) {
            Some(account) if !account.enabled => return Err(AuthError::Disabled(account.id)),
            Some(_) => Registration::Registered,
            None => Registration::Unregistered,
        };
        let rank = directory.rank(claims.account);
        Ok(Caller { account: claims.account, rank, registration, expires_ms: claims.expires_ms })
    }

    /// Whether the caller may act for `account`. The rank is looked up again: a socket's caller may be hours old.
    pub fn reach(&self, caller: &Caller, account: AccountId) -> Reach {
        let directory = self.directory();
        if caller.account == account {
            return Reach::Yes;
        }
        match directory.rank(caller.account) {
            Rank::Administrator if directory.get(account).is_some() => Reach::Yes,
            Rank::Administrator => Reach::UnknownAccount,
            Rank::Ordinary if directory.reaches(caller.account, account) => Reach::Yes,
            Rank::Ordinary => Reach::Forbidden,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::Map;
    use tempfile::TempDir;

    use crate::auth::account::Account;
    use crate::auth::directory::{Directory, Rank};
    use crate::auth::keys::NodeIdentity;
    use crate::auth::tokens::{TokenError, Tokens};
    use crate::auth::{Auth, AuthError, Caller, Reach, Registration};
    use crate::ids::AccountId;

    const ROOT: u8 = 1;
    const RESELLER: u8 = 2;
    const CUSTOMER: u8 = 3;
    const OTHER: u8 = 4;
    const ADMINISTRATOR: u8 = 5;
    const DISABLED: u8 = 6;
    const UNREGISTERED: u8 = 7;
    const UNKNOWN: u8 = 8;

    fn id(n: u8) -> AccountId {
        AccountId::from_bytes([n; 16])
    }

    fn account(n: u8, parent: Option<u8>) -> Account {
        Account {
            id: id(n),
            parent: parent.map(id),
            name: n.to_string(),
            realm: format!("{n}.example"),
            enabled: n != DISABLED,
            superduper_admin: n == ADMINISTRATOR,
            created_ms: 0,
            document: Map::new(),
        }
    }

    fn auth() -> Auth {
        let dir = TempDir::new().unwrap();
        let identity = NodeIdentity::load_or_create(dir.path()).unwrap();
        let below = [(RESELLER, ROOT), (CUSTOMER, RESELLER), (OTHER, ROOT), (ADMINISTRATOR, ROOT), (DISABLED, ROOT)];
        let accounts = below.map(|(n, parent)| account(n, Some(parent))).into_iter().chain([account(ROOT, None)]);
        Auth::new(Tokens::new(&identity, Vec::new()).unwrap(), Directory::load(id(ROOT), accounts).unwrap())
    }

    fn caller(auth: &Auth, n: u8) -> Result<Caller, AuthError> {
        auth.authenticate(&auth.tokens.sign(id(n), Duration::from_secs(60)))
    }

    #[test]
    fn a_token_tells_who_is_calling() {
        let auth = auth();
        for (n, rank, registration) in [
            (ROOT, Rank::Administrator, Registration::Registered),
            (ADMINISTRATOR, Rank::Administrator, Registration::Registered),
            (CUSTOMER, Rank::Ordinary, Registration::Registered),
            (UNREGISTERED, Rank::Ordinary, Registration::Unregistered),
        ] {
            let caller = caller(&auth, n).unwrap();
            assert_eq!((caller.account, caller.rank, caller.registration), (id(n), rank, registration));
        }
        assert_eq!(caller(&auth, DISABLED), Err(AuthError::Disabled(id(DISABLED))));
        assert_eq!(auth.authenticate("no token"), Err(AuthError::Token(TokenError::Malformed)));
    }

    #[test]
    fn nobody_reaches_or_learns_of_what_is_not_below_them() {
        let auth = auth();
        let everybody = [ROOT, RESELLER, CUSTOMER, OTHER, ADMINISTRATOR, DISABLED, UNREGISTERED, UNKNOWN];
        for (from, reached) in [
            (RESELLER, vec![RESELLER, CUSTOMER]),
            (CUSTOMER, vec![CUSTOMER]),
            (OTHER, vec![OTHER]),
            (UNREGISTERED, vec![UNREGISTERED]),
        ] {
            let caller = caller(&auth, from).unwrap();
            for to in everybody {
                let expected = if reached.contains(&to) { Reach::Yes } else { Reach::Forbidden };
                assert_eq!(auth.reach(&caller, id(to)), expected, "{from} to {to}");
            }
        }
        for from in [ROOT, ADMINISTRATOR] {
            let caller = caller(&auth, from).unwrap();
            for to in everybody {
                let exists = ![UNREGISTERED, UNKNOWN].contains(&to);
                let expected = if exists { Reach::Yes } else { Reach::UnknownAccount };
                assert_eq!(auth.reach(&caller, id(to)), expected, "{from} to {to}");
            }
        }
    }

    #[test]
    fn an_old_caller_loses_what_their_account_lost() {
        let auth = auth();
        let caller = caller(&auth, ADMINISTRATOR).unwrap();
        auth.directory_mut()
            .replace(Account { superduper_admin: false, ..account(ADMINISTRATOR, Some(ROOT)) })
            .unwrap();
        assert_eq!(auth.reach(&caller, id(OTHER)), Reach::Forbidden);
    }
}
