//! Whose call is whose: later events of a call often lack the account that an earlier one named.
//!
//! What somebody posts over HTTP is kept apart from what the broker sent, and from what others post: nobody can claim the
//! calls of somebody else. Bounded in number and age; at the limit the older half is forgotten. Two generations make that cheap: an entry that
//! is used moves to the young one, and when that is half full or half the age old, it becomes the old one.

use std::collections::HashMap;

use crate::ids::AccountId;

/// Who told of the call (`None` is the broker), and its id.
type Call = (Option<AccountId>, Box<str>);

#[derive(Debug)]
pub struct Calls {
    young: HashMap<Call, AccountId>,
    old: HashMap<Call, AccountId>,
    young_since_ms: u64,
    half_max: usize,
    half_age_ms: u64,
}

impl Calls {
    pub fn new(calls_max: usize, age_ms: u64) -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            young_since_ms: 0,
            half_max: (calls_max / 2).max(1),
            half_age_ms: (age_ms / 2).max(1),
        }
    }

    pub fn remember(&mut self, teller: Option<AccountId>, call: &str, account: AccountId, now_ms: u64) {
        self.age(now_ms);
        self.young.insert((teller, call.into()), account);
    }

    pub fn account_of(&mut self, teller: Option<AccountId>, call: &str, now_ms: u64) -> Option<AccountId> {
        self.age(now_ms);
        let call = (teller, call.into());
        if let Some(account) = self.young.get(&call) {
            return Some(*account);
        }
        let account = self.old.remove(&call)?;
        self.young.insert(call, account);
        Some(account)
    }

    fn age(&mut self, now_ms: u64) {
        let unused_for = now_ms.saturating_sub(self.young_since_ms);
        if unused_for >= 2 * self.half_age_ms {
            self.young.clear();
        }
        if self.young.len() >= self.half_max || unused_for >= self.half_age_ms {
            self.old = std::mem::take(&mut self.young);
            self.young_since_ms = now_ms;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{AccountId, Calls};

    fn account(byte: u8) -> AccountId {
        AccountId::from_bytes([byte; 16])
    }

    #[test]
    fn a_call_is_known_until_it_is_too_old() {
        let mut calls = Calls::new(100, 1_000);
        calls.remember(None, "c", account(1), 10_000);
        assert_eq!(calls.account_of(None, "c", 10_400), Some(account(1)));
        assert_eq!(calls.account_of(None, "other", 10_400), None);
        assert_eq!(calls.account_of(None, "c", 12_000), None);
    }

    #[test]
    fn a_call_in_use_stays_known() {
        let mut calls = Calls::new(100, 1_000);
        calls.remember(None, "c", account(1), 0);
        for tick in 1..20 {
            assert_eq!(calls.account_of(None, "c", tick * 400), Some(account(1)), "{tick}");
        }
    }

    #[test]
    fn nobody_can_claim_the_call_of_somebody_else() {
        let mut calls = Calls::new(100, 1_000);
        calls.remember(Some(account(2)), "c", account(2), 0);
        assert_eq!(calls.account_of(None, "c", 0), None);
        assert_eq!(calls.account_of(Some(account(3)), "c", 0), None);
        assert_eq!(calls.account_of(Some(account(2)), "c", 0), Some(account(2)));
    }

    #[test]
    fn their_number_is_bounded() {
        let mut calls = Calls::new(100, 1_000_000);
        for call in 0..10_000 {
            calls.remember(None, &call.to_string(), account(1), 1);
        }
        assert!(calls.young.len() + calls.old.len() <= 100);
        assert_eq!(calls.account_of(None, "9999", 1), Some(account(1)));
    }
}
