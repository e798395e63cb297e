//! Kazoo's internal keys: what a binding became, as frames tell in `subscription_key`. Nothing is matched against them.

use time::OffsetDateTime;

use crate::auth::directory::Directory;
use crate::ids::AccountId;
use crate::kazoo::segment::encode_segment;
use crate::routing::subscriptions::Scope;

/// The words of internal keys that name whose events they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeWords {
    pub account: String,
    /// `account%2Faa%2Fbb%2Fcccc…`
    pub database: String,
    /// The same with the month of documents that are kept by month.
    pub month_database: String,
    /// Encoded. `None`: no realm is known for the account, so that it has no presence here.
    pub realm: Option<String>,
}

impl ScopeWords {
    pub fn new(scope: Scope, directory: &Directory, now_ms: u64) -> Self {
        match scope {
            Scope::Everything => {
                let any = || "*".to_owned();
                Self { account: any(), database: any(), month_database: any(), realm: Some(any()) }
            }
            Scope::Account(account) => {
                let database = database(account);
                Self {
                    account: account.to_string(),
                    month_database: format!("{database}-{}", month(now_ms)),
                    database,
                    realm: directory.get(account).map(|account| encode_segment(&account.realm).into_owned()),
                }
            }
        }
    }
}

fn database(account: AccountId) -> String {
    let id = account.to_string();
    format!("account%2F{}%2F{}%2F{}", &id[..2], &id[2..4], &id[4..])
}

/// `YYYYMM`
fn month(now_ms: u64) -> String {
    let seconds = i64::try_from(now_ms / 1000).unwrap_or(i64::MAX);
    let now = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    format!("{:04}{:02}", now.year(), u8::from(now.month()))
}

#[cfg(test)]
mod tests {
    use super::{AccountId, Directory, Scope, ScopeWords, month};
    use crate::kazoo::database::account_of_database;

    #[test]
    fn databases_are_the_accounts() {
        let account = AccountId::parse("4b2f8c1d9e0a7f36b5c4d3e2f1a09b87").unwrap();
        let words = ScopeWords::new(Scope::Account(account), &Directory::new(account), 1_795_000_000_000);
        assert_eq!(words.database, "account%2F4b%2F2f%2F8c1d9e0a7f36b5c4d3e2f1a09b87");
        assert_eq!(words.month_database, format!("{}-202611", words.database));
        for database in [&words.database, &words.month_database] {
            assert_eq!(account_of_database(database), Some(account));
        }
        assert_eq!(words.realm, None);
    }

    #[test]
    fn months_are_those_of_utc() {
        assert_eq!(month(0), "197001");
        assert_eq!(month(1_769_903_999_999), "202601");
        assert_eq!(month(1_769_904_000_000), "202602");
        assert_eq!(month(u64::MAX), "197001");
    }
}
