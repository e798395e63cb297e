//! Whose events somebody may have. Asked when they subscribe, and again when the tree of accounts has changed.

use crate::auth::directory::{Directory, Rank};
use crate::ids::AccountId;
use crate::routing::subscriptions::Scope;

/// What stands for all accounts.
pub const WILDCARD: &str = "*";

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unauthorized {
    /// Also for accounts that do not exist: who may not reach an account learns nothing of it.
    #[error("unauthorized account id")]
    Account,
    #[error("unauthorized wildcard account id")]
    Wildcard,
}

/// The scope that a client named, if the account of its token may have it.
pub fn scope(directory: &Directory, caller: AccountId, named: &str) -> Result<Scope, Unauthorized> {
    let (scope, refusal) = match named {
        WILDCARD => (Scope::Everything, Unauthorized::Wildcard),
        id => (Scope::Account(AccountId::parse(id).map_err(|_| Unauthorized::Account)?), Unauthorized::Account),
    };
    if may_have(directory, caller, scope) { Ok(scope) } else { Err(refusal) }
}

/// Own account and all below; every account that there is, and `*`, for administrators.
pub fn may_have(directory: &Directory, caller: AccountId, scope: Scope) -> bool {
    match scope {
        // Accounts need not be registered to have sockets.
        Scope::Account(account) if account == caller => true,
        Scope::Account(account) => match directory.rank(caller) {
            Rank::Administrator => directory.get(account).is_some(),
            Rank::Ordinary => directory.reaches(caller, account),
        },
        Scope::Everything => directory.is_administrator(caller),
    }
}

/// Whether the account of a session's token may have a subscription's events, some of which may be for administrators.
pub fn is_allowed(directory: &Directory, caller: AccountId, scope: Scope, for_administrators: bool) -> bool {
    may_have(directory, caller, scope) && (!for_administrators || directory.is_administrator(caller))
}

#[cfg(test)]
mod tests {
    use serde_json::Map;

    use super::{Unauthorized, scope};
    use crate::auth::account::Account;
    use crate::auth::directory::Directory;
    use crate::ids::AccountId;
    use crate::routing::subscriptions::Scope;

    const ROOT: u8 = 1;
    const PARENT: u8 = 2;
    const OWN: u8 = 3;
    const CHILD: u8 = 4;
    const SIBLING: u8 = 5;
    const ADMINISTRATOR: u8 = 6;
    const UNREGISTERED: u8 = 7;
    const UNKNOWN: u8 = 8;

    fn id(n: u8) -> AccountId {
        AccountId::from_bytes([n; 16])
    }

    fn directory() -> Directory {
        let tree = [
            (ROOT, None),
            (PARENT, Some(ROOT)),
            (OWN, Some(PARENT)),
            (CHILD, Some(OWN)),
            (SIBLING, Some(PARENT)),
            (ADMINISTRATOR, Some(PARENT)),
        ];
        let accounts = tree.map(|(n, parent)| Account {
            id: id(n),
            parent: parent.map(id),
            name: n.to_string(),
            realm: format!("{n}.example.com"),
            enabled: true,
            superduper_admin: n == ADMINISTRATOR,
            created_ms: 0,
            document: Map::new(),
        });
        Directory::load(id(ROOT), accounts).unwrap()
    }

    #[test]
    fn own_account_and_those_below_are_reached_and_no_other() {
        let directory = directory();
        let everybody = [ROOT, PARENT, OWN, CHILD, SIBLING, ADMINISTRATOR, UNREGISTERED, UNKNOWN];
        let registered = &everybody[..6];
        for (caller, reached) in [
            (ROOT, registered),
            (ADMINISTRATOR, registered),
            (PARENT, &[PARENT, OWN, CHILD, SIBLING, ADMINISTRATOR]),
            (OWN, &[OWN, CHILD]),
            (CHILD, &[CHILD]),
            (SIBLING, &[SIBLING]),
            (UNREGISTERED, &[UNREGISTERED]),
        ] {
            for named in everybody {
                let reach = reached.contains(&named);
                let expected = if reach { Ok(Scope::Account(id(named))) } else { Err(Unauthorized::Account) };
                assert_eq!(scope(&directory, id(caller), &id(named).to_string()), expected, "{caller} to {named}");
            }
            let administrator = [ROOT, ADMINISTRATOR].contains(&caller);
            let expected = if administrator { Ok(Scope::Everything) } else { Err(Unauthorized::Wildcard) };
            assert_eq!(scope(&directory, id(caller), "*"), expected, "{caller}");
        }
    }

    #[test]
    fn what_is_no_account_id_is_nobodys() {
        let directory = directory();
        for named in ["", "#", "**", "4B2F8C1D9E0A7F36B5C4D3E2F1A09B87", "é"] {
            assert_eq!(scope(&directory, id(ROOT), named), Err(Unauthorized::Account), "{named}");
        }
        assert_eq!(Unauthorized::Account.to_string(), "unauthorized account id");
        assert_eq!(Unauthorized::Wildcard.to_string(), "unauthorized wildcard account id");
    }
}
