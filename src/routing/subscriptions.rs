//! Which sessions an event goes to: the patterns of all subscriptions, by account. Pure; the Registry owns it.
//!
//! A look-up goes through the account first and the pattern second, so that no pattern, whatever it says, reaches the
//! events of another account. It answers groups: sessions whose frames of this event have the same keys, and so the same
//! bytes. Adding and removing a session costs the same whether one or five thousand have its pattern.

use std::hash::Hash;
use std::sync::Arc;

use slab::Slab;

use super::forest::{Forest, Place};
use super::pattern::Pattern;
use crate::fast::FastMap;
use crate::ids::AccountId;

/// Whose events a subscription is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    Account(AccountId),
    /// `*`: those of all accounts, and those of none.
    Everything,
}

/// One of a session's subscriptions: a number that the session gave it.
pub type Slot = u32;

/// A pattern of a subscription, and what its frames call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topic {
    pub pattern: Pattern,
    pub subscription_key: Arc<str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct GroupId(u32);

/// Those under one pattern. Nearly always one, which needs no look elsewhere.
#[derive(Debug)]
enum Groups {
    One(GroupId),
    Several(Vec<GroupId>),
}

/// All subscriptions under one pattern that have the same keys.
#[derive(Debug)]
pub struct Group<S, C> {
    pub subscribed_key: Arc<str>,
    pub subscription_key: Arc<str>,
    scope: Scope,
    place: Place,
    members: Vec<Member<S>>,
    cache: C,
}

#[derive(Debug, Clone, Copy)]
struct Member<S> {
    session: S,
    slot: Slot,
    membership: u32,
}

/// Where a subscription stands in a group, so that it is taken out without a search.
#[derive(Debug, Clone, Copy)]
struct Membership {
    group: u32,
    position: u32,
}

/// `S` tells sessions apart; `C` is what the caller keeps with each group for as long as its members stay the same.
#[derive(Debug)]
pub struct Subscriptions<S, C = ()> {
    forest: Forest<Scope, Groups>,
    groups: Slab<Group<S, C>>,
    memberships: Slab<Membership>,
    /// Of each its memberships, with their slots. They are few, so that a search is no slower than a table.
    sessions: FastMap<S, Vec<(Slot, u32)>>,
}

impl<S, C> Default for Subscriptions<S, C> {
    fn default() -> Self {
        Self { forest: Forest::default(), groups: Slab::new(), memberships: Slab::new(), sessions: FastMap::default() }
    }
}

impl Groups {
    fn as_slice(&self) -> &[GroupId] {
        match self {
            Self::One(id) => std::slice::from_ref(id),
            Self::Several(ids) => ids,
        }
    }

    fn with(self, id: GroupId) -> Self {
        let mut ids = self.as_slice().to_vec();
        ids.push(id);
        Self::Several(ids)
    }

    /// `None`: there was no other.
    fn without(self, id: GroupId) -> Option<Self> {
        let ids: Vec<_> = self.as_slice().iter().copied().filter(|other| *other != id).collect();
        match ids[..] {
            [] => None,
            [one] => Some(Self::One(one)),
            _ => Some(Self::Several(ids)),
        }
    }
}

impl<S, C> Group<S, C> {
    /// The sessions of the group, each with the slot of the subscription.
    pub fn members(&self) -> impl ExactSizeIterator<Item = (&S, Slot)> {
        self.members.iter().map(|member| (&member.session, member.slot))
    }

    pub fn cache(&self) -> &C {
        &self.cache
    }
}

impl<S: Eq + Hash + Copy, C: Default> Subscriptions<S, C> {
    pub fn is_empty(&self) -> bool {
        self.forest.is_empty() && self.groups.is_empty() && self.memberships.is_empty() && self.sessions.is_empty()
    }

    /// The slot's subscription from now on; what it was before is gone.
    pub fn insert(&mut self, session: S, slot: Slot, scope: Scope, subscribed_key: &Arc<str>, topics: &[Topic]) {
        self.remove(session, slot);
        let joined: Vec<_> =
            topics.iter().map(|topic| (slot, self.join(session, slot, scope, subscribed_key, topic))).collect();
        let of_session = self.sessions.entry(session).or_default();
        // Most have one, and there are many.
        if of_session.is_empty() {
            *of_session = joined;
        } else {
            of_session.extend(joined);
        }
    }

    /// Does nothing when the slot is empty.
    pub fn remove(&mut self, session: S, slot: Slot) {
        let Some(of_session) = self.sessions.get_mut(&session) else { return };
        let left: Vec<_> = of_session.extract_if(.., |(of, _)| *of == slot).collect();
        if of_session.is_empty() {
            self.sessions.remove(&session);
        }
        for (_, membership) in left {
            self.leave(membership);
        }
    }

    pub fn remove_session(&mut self, session: S) {
        for (_, membership) in self.sessions.remove(&session).into_iter().flatten() {
            self.leave(membership);
        }
    }

    /// Replaces what is in `found` by the groups that get an event of this account and topic, each once. An event of
    /// nobody goes only to those who see everything.
    pub fn find(&self, account: Option<AccountId>, topic: &str, found: &mut Vec<GroupId>) {
        found.clear();
        let mut take = |groups: &Groups| found.extend_from_slice(groups.as_slice());
        if let Some(account) = account {
            self.forest.find(&Scope::Account(account), topic, &mut take);
        }
        self.forest.find(&Scope::Everything, topic, &mut take);
        if found.len() > 1 {
            found.sort_unstable();
            found.dedup();
        }
    }

    /// One that [`Self::find`] answered since the last change.
    pub fn group(&self, id: GroupId) -> &Group<S, C> {
        &self.groups[id.0 as usize]
    }

    /// As it is until a member comes or goes.
    pub fn set_cache(&mut self, id: GroupId, cache: C) {
        self.groups[id.0 as usize].cache = cache;
    }

    fn join(&mut self, session: S, slot: Slot, scope: Scope, subscribed_key: &Arc<str>, topic: &Topic) -> u32 {
        let group = self.group_for(scope, subscribed_key, topic);
        let Group { members, cache, .. } = &mut self.groups[group as usize];
        *cache = C::default();
        let membership = number(self.memberships.insert(Membership { group, position: number(members.len()) }));
        // Most patterns of a call or a device have one.
        if members.is_empty() {
            members.reserve_exact(1);
        }
        members.push(Member { session, slot, membership });
        membership
    }

    fn group_for(&mut self, scope: Scope, subscribed_key: &Arc<str>, topic: &Topic) -> u32 {
        let place = self.forest.place(scope, &topic.pattern);
        // A pattern has one or two names, never one per session.
        let mut under_place = self.forest.value(place).into_iter().flat_map(Groups::as_slice);
        let known = under_place.find(|id| {
            let group = &self.groups[id.0 as usize];
            group.subscribed_key == *subscribed_key && group.subscription_key == topic.subscription_key
        });
        if let Some(known) = known {
            return known.0;
        }
        let id = number(self.groups.insert(Group {
            subscribed_key: Arc::clone(subscribed_key),
            subscription_key: Arc::clone(&topic.subscription_key),
            scope,
            place,
            members: Vec::new(),
            cache: C::default(),
        }));
        let under_place = self.forest.value_mut(place);
        *under_place = Some(match under_place.take() {
            None => Groups::One(GroupId(id)),
            Some(others) => others.with(GroupId(id)),
        });
        id
    }

    fn leave(&mut self, membership: u32) {
        let Membership { group: id, position } = self.memberships.remove(membership as usize);
        let group = &mut self.groups[id as usize];
        group.members.swap_remove(position as usize);
        group.cache = C::default();
        if let Some(moved) = group.members.get(position as usize) {
            self.memberships[moved.membership as usize].position = position;
        }
        if !group.members.is_empty() {
            return;
        }
        let group = self.groups.remove(id as usize);
        let under_place = self.forest.value_mut(group.place);
        *under_place = under_place.take().and_then(|groups| groups.without(GroupId(id)));
        if under_place.is_none() {
            self.forest.remove(group.scope, group.place);
        }
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("memory ends long before four thousand million subscriptions")
}

#[cfg(test)]
mod tests;
