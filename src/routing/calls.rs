//! Whose call is whose: later events of a call often lack the account that an earlier one named.
//!
//! What somebody posts over HTTP is kept apart from what the broker sent, and from what others post: nobody can claim the
//! calls of somebody else. Bounded in number and age.

use super::memory::Memory;
use crate::ids::AccountId;

/// By who told of the call (`None` is the broker), and its id.
#[derive(Debug)]
pub struct Calls(Memory<(Option<AccountId>, Box<str>), AccountId>);

impl Calls {
    pub fn new(calls_max: usize, age_ms: u64) -> Self {
        Self(Memory::new(calls_max, age_ms))
    }

    pub fn remember(&mut self, teller: Option<AccountId>, call: &str, account: AccountId, now_ms: u64) {
        self.0.remember((teller, call.into()), account, now_ms);
    }

    pub fn account_of(&mut self, teller: Option<AccountId>, call: &str, now_ms: u64) -> Option<AccountId> {
        self.0.recall((teller, call.into()), now_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::{AccountId, Calls};

    #[test]
    fn nobody_can_claim_the_call_of_somebody_else() {
        let account = |byte| AccountId::from_bytes([byte; 16]);
        let mut calls = Calls::new(100, 1_000);
        calls.remember(Some(account(2)), "c", account(2), 0);
        assert_eq!(calls.account_of(None, "c", 0), None);
        assert_eq!(calls.account_of(Some(account(3)), "c", 0), None);
        assert_eq!(calls.account_of(Some(account(2)), "c", 0), Some(account(2)));
    }
}
