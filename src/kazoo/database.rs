//! Kazoo's database names, and the account that each one belongs to.

use std::borrow::Cow;

use crate::ids::AccountId;

/// The database that holds one document per account.
pub const ACCOUNTS: &str = "accounts";

/// `account/aa/bb/cccc…`, its URL-encoded forms, or the bare id; each with or without the `-YYYYMM` of a month.
pub fn account_of_database(name: &str) -> Option<AccountId> {
    let path = database_path(name);
    let path = without_month(&path);
    let Some(parts) = path.strip_prefix("account/") else {
        return AccountId::parse(path).ok();
    };
    let mut parts = parts.split('/');
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(first), Some(second), Some(rest), None) if first.len() == 2 && second.len() == 2 => {
            AccountId::parse(&format!("{first}{second}{rest}")).ok()
        }
        _ => None,
    }
}

/// A database's name with its slashes plain, whichever way they came.
pub fn database_path(name: &str) -> Cow<'_, str> {
    if name.contains('%') { Cow::Owned(name.replace("%2F", "/").replace("%2f", "/")) } else { Cow::Borrowed(name) }
}

fn without_month(path: &str) -> &str {
    match path.rsplit_once('-') {
        Some((database, month)) if month.len() == 6 && month.bytes().all(|b| b.is_ascii_digit()) => database,
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::account_of_database;

    const A: &str = "4b2f8c1d9e0a7f36b5c4d3e2f1a09b87";

    #[track_caller]
    fn check(database: &str, expected: Option<&str>) {
        let found = account_of_database(database).map(|account| account.to_string());
        assert_eq!(found.as_deref(), expected, "{database}");
    }

    #[test]
    fn account_is_read_from_every_form_of_the_name() {
        let rest = &A[4..];
        for slash in ["/", "%2F", "%2f"] {
            let plain = format!("account{slash}4b{slash}2f{slash}{rest}");
            check(&plain, Some(A));
            check(&format!("{plain}-202601"), Some(A));
            check(&format!("{plain}-2026"), None);
            check(&format!("{plain}-2026xx"), None);
            check(&format!("{plain}{slash}"), None);
            check(&format!("account{slash}4b2f{slash}{rest}"), None);
            check(&format!("account{slash}4{slash}b2f{slash}{rest}"), None);
            check(&format!("account{slash}4B{slash}2F{slash}{rest}"), None);
        }
        check(A, Some(A));
        check(&format!("{A}-202601"), Some(A));
    }

    #[test]
    fn other_databases_are_nobodys() {
        for name in
            ["", "accounts", "system_config", "numbers/%2B1555", "account", "account/", "account/é/é/x", &A[1..]]
        {
            check(name, None);
        }
    }
}
