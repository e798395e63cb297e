//! Whose conference is whose: its commands name no account, so that of its last event counts.
//!
//! A command of a conference that nothing was heard of belongs to nobody, and only those who may see everything get it.
//! What somebody posts over HTTP is kept apart from what the broker sent, as for calls: a conference id is easily
//! guessed, and nobody may draw another account's commands to themselves. Bounded in number and age.

use super::memory::Memory;
use crate::ids::AccountId;

/// By who told of the conference (`None` is the broker), and its id.
#[derive(Debug)]
pub struct Conferences(Memory<(Option<AccountId>, Box<str>), AccountId>);

impl Conferences {
    pub fn new(conferences_max: usize, age_ms: u64) -> Self {
        Self(Memory::new(conferences_max, age_ms))
    }

    /// An event of the conference named this account.
    pub fn remember(&mut self, teller: Option<AccountId>, conference: &str, account: AccountId, now_ms: u64) {
        self.0.remember((teller, conference.into()), account, now_ms);
    }

    pub fn account_of(&mut self, teller: Option<AccountId>, conference: &str, now_ms: u64) -> Option<AccountId> {
        self.0.recall((teller, conference.into()), now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::{AccountId, Conferences};

    fn account(byte: u8) -> AccountId {
        AccountId::from_bytes([byte; 16])
    }

    #[test]
    fn account_of_the_last_event_counts() {
        let mut conferences = Conferences::new(100, 1_000);
        assert_eq!(conferences.account_of(None, "k", 0), None);
        conferences.remember(None, "k", account(1), 0);
        conferences.remember(None, "k", account(2), 600);
        assert_eq!(conferences.account_of(None, "k", 600), Some(account(2)));
        assert_eq!(conferences.account_of(None, "k", 5_000), None);
    }

    #[test]
    fn nobody_can_draw_the_commands_of_others_to_themselves() {
        let mut conferences = Conferences::new(100, 1_000);
        conferences.remember(None, "k", account(1), 0);
        conferences.remember(Some(account(9)), "k", account(9), 1);
        assert_eq!(conferences.account_of(None, "k", 2), Some(account(1)));
        assert_eq!(conferences.account_of(Some(account(8)), "k", 2), None);
    }
}
