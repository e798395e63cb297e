//! The live calls that this server has seen events of: whose they are, and how they stand.
//!
//! Pure state; the Registry tells it of each call event, and the API asks. What the broker told and what was posted over
//! HTTP are kept apart, and within each an account knows its own calls only: nobody can claim, end or crowd out the calls
//! of somebody else's switch by posting events.
//!
//! Bounded in number and age: at the limit the call that was quiet for longest is forgotten. Ends are remembered for a
//! while, so that an event which comes late does not bring a call back.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use crate::fast::{FastMap, FastSet};
use crate::ids::AccountId;
use crate::kazoo::channel::{Change, Details, Sighting};
use crate::kazoo::commands::Bridge;

/// The longest id of a call that can stand in a routing key.
const CALL_ID_BYTES_MAX: usize = 255;

/// Ends that are remembered: those of the last minute, on a busy switch.
const ENDED_MAX: usize = 10_000;

/// Who told of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Teller {
    Broker,
    /// Somebody who posted over HTTP. Such a call is shown, but there is no switch to command.
    Http,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    pub call_id: Box<str>,
    pub account: AccountId,
    pub teller: Teller,
    pub details: Details,
    pub other_leg: Option<Box<str>>,
    pub bridge: Bridge,
    pub is_answered: bool,
    pub is_held: bool,
    /// Unix milliseconds of the first and of the last event that was seen.
    pub since_ms: u64,
    pub changed_ms: u64,
    /// Its place among all by the last event.
    turn: u64,
}

#[derive(Debug)]
pub struct Channels {
    heard: Memory,
    posted: Memory,
}

impl Channels {
    pub fn new(calls_max: usize, age_ms: u64) -> Self {
        Self {
            heard: Memory::new(Teller::Broker, calls_max, age_ms),
            posted: Memory::new(Teller::Http, calls_max, age_ms),
        }
    }

    pub fn learn(&mut self, teller: Teller, account: AccountId, call_id: &str, sighting: Sighting, now_ms: u64) {
        match teller {
            Teller::Broker => self.heard.learn(account, call_id, sighting, now_ms),
            Teller::Http => self.posted.learn(account, call_id, sighting, now_ms),
        }
    }

    /// Of a call that both told of, what the broker said.
    pub fn find(&mut self, account: AccountId, call_id: &str, now_ms: u64) -> Option<Arc<Channel>> {
        self.heard.find(account, call_id, now_ms).or_else(|| self.posted.find(account, call_id, now_ms))
    }

    /// In no order.
    pub fn of_account(&mut self, account: AccountId, now_ms: u64) -> Vec<Arc<Channel>> {
        let mut found = self.heard.of_account(account, now_ms);
        let posted = self.posted.of_account(account, now_ms);
        let heard = self.heard.accounts.get(&account);
        let is_heard = |channel: &Channel| heard.is_some_and(|calls| calls.contains_key(&channel.call_id));
        found.extend(posted.into_iter().filter(|channel| !is_heard(channel)));
        found
    }

    /// Those that the broker told of.
    pub fn len(&self) -> usize {
        self.heard.turns.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn forget_account(&mut self, account: AccountId) {
        self.heard.forget_account(account);
        self.posted.forget_account(account);
    }
}

type Key = (AccountId, Box<str>);

#[derive(Debug)]
struct Memory {
    teller: Teller,
    accounts: FastMap<AccountId, FastMap<Box<str>, Arc<Channel>>>,
    /// By the last event, the oldest first.
    turns: BTreeMap<u64, Key>,
    next_turn: u64,
    ended: FastSet<Key>,
    ends: VecDeque<Key>,
    calls_max: usize,
    age_ms: u64,
}

impl Memory {
    fn new(teller: Teller, calls_max: usize, age_ms: u64) -> Self {
        Self {
            teller,
            accounts: FastMap::default(),
            turns: BTreeMap::new(),
            next_turn: 0,
            ended: FastSet::default(),
            ends: VecDeque::new(),
            calls_max: calls_max.max(1),
            age_ms,
        }
    }

    fn learn(&mut self, account: AccountId, call_id: &str, sighting: Sighting, now_ms: u64) {
        if call_id.len() > CALL_ID_BYTES_MAX {
            return;
        }
        self.age(now_ms);
        match sighting.change {
            Change::Ended => self.end((account, call_id.into())),
            // A call that failed may be tried again with the same id.
            Change::Created => {
                self.ended.remove(&(account, call_id.into()));
                self.see(account, call_id, sighting, now_ms);
            }
            _ if self.ended.contains(&(account, call_id.into())) => {}
            _ => self.see(account, call_id, sighting, now_ms),
        }
    }

    fn see(&mut self, account: AccountId, call_id: &str, sighting: Sighting, now_ms: u64) {
        let turn = self.next_turn;
        self.next_turn += 1;
        let calls = self.accounts.entry(account).or_default();
        let channel = calls.entry(call_id.into()).or_insert_with(|| {
            Arc::new(Channel {
                call_id: call_id.into(),
                account,
                teller: self.teller,
                details: Details::default(),
                other_leg: None,
                bridge: Bridge::Unbridged,
                is_answered: false,
                is_held: false,
                since_ms: now_ms,
                changed_ms: now_ms,
                turn,
            })
        });
        // Copied only while a listing is being made of it.
        let channel = Arc::make_mut(channel);
        self.turns.remove(&channel.turn);
        self.turns.insert(turn, (account, call_id.into()));
        channel.turn = turn;
        channel.changed_ms = now_ms;
        channel.take(sighting);
        if self.turns.len() > self.calls_max
            && let Some((_, (account, call_id))) = self.turns.pop_first()
        {
            self.drop_call(account, &call_id);
        }
    }

    fn end(&mut self, key: Key) {
        let (account, call_id) = &key;
        if let Some(channel) = self.drop_call(*account, call_id) {
            self.turns.remove(&channel.turn);
            if let Some(other_leg) = &channel.other_leg {
                self.part(*account, other_leg, call_id);
            }
        }
        if self.ended.insert(key.clone()) {
            self.ends.push_back(key);
        }
        if self.ends.len() > ENDED_MAX
            && let Some(oldest) = self.ends.pop_front()
        {
            self.ended.remove(&oldest);
        }
    }

    /// A call whose other leg is gone has nobody to be transferred away from.
    fn part(&mut self, account: AccountId, call_id: &str, from: &str) {
        let channel = self.accounts.get_mut(&account).and_then(|calls| calls.get_mut(call_id));
        if let Some(channel) = channel.filter(|channel| channel.other_leg.as_deref() == Some(from)) {
            let channel = Arc::make_mut(channel);
            (channel.other_leg, channel.bridge) = (None, Bridge::Unbridged);
        }
    }

    fn drop_call(&mut self, account: AccountId, call_id: &str) -> Option<Arc<Channel>> {
        let calls = self.accounts.get_mut(&account)?;
        let channel = calls.remove(call_id);
        if calls.is_empty() {
            self.accounts.remove(&account);
        }
        channel
    }

    fn find(&mut self, account: AccountId, call_id: &str, now_ms: u64) -> Option<Arc<Channel>> {
        self.age(now_ms);
        self.accounts.get(&account)?.get(call_id).cloned()
    }

    fn of_account(&mut self, account: AccountId, now_ms: u64) -> Vec<Arc<Channel>> {
        self.age(now_ms);
        self.accounts.get(&account).map(|calls| calls.values().cloned().collect()).unwrap_or_default()
    }

    fn forget_account(&mut self, account: AccountId) {
        for channel in self.accounts.remove(&account).into_iter().flat_map(HashMap::into_values) {
            self.turns.remove(&channel.turn);
        }
    }

    fn age(&mut self, now_ms: u64) {
        while let Some(oldest) = self.turns.first_entry() {
            let (account, call_id) = oldest.get();
            let calls = self.accounts.get(account);
            let changed_ms = calls.and_then(|calls| calls.get(call_id)).map_or(0, |channel| channel.changed_ms);
            if now_ms.saturating_sub(changed_ms) < self.age_ms {
                return;
            }
            let (account, call_id) = oldest.remove();
            self.drop_call(account, &call_id);
        }
    }
}

impl Channel {
    fn take(&mut self, Sighting { change, other_leg, details }: Sighting) {
        self.details.update(details);
        let names_other_leg = other_leg.is_some();
        if names_other_leg {
            self.other_leg = other_leg;
        }
        match change {
            Change::Created | Change::Seen | Change::Ended => {}
            Change::Answered => self.is_answered = true,
            Change::Bridged => (self.is_answered, self.bridge) = (true, Bridge::Bridged),
            // Only somebody who talks can be put on hold: it may have begun before this server did.
            Change::Held | Change::Unheld => {
                (self.is_answered, self.is_held) = (true, change == Change::Held);
                if names_other_leg {
                    self.bridge = Bridge::Bridged;
                }
            }
            Change::Parked => (self.other_leg, self.bridge) = (None, Bridge::Unbridged),
        }
    }
}

#[cfg(test)]
mod tests;
