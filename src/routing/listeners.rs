//! The sessions that hear of events: what each has subscribed to, and the way to it. The Registry owns it.

use std::collections::HashMap;
use std::sync::Arc;

use bytestring::ByteString;
use slab::Slab;

use super::subscriptions::{GroupId, Scope, Slot, Subscriptions};
use super::ushers::{FEW, Party, Ushers, Way};
use crate::auth::directory::Directory;
use crate::fast::FastMap;
use crate::ids::AccountId;
use crate::websocket::bindings::client::Subscription;
use crate::websocket::messages::{Contact, SessionId};
use crate::websocket::outbox::Sent;
use crate::websocket::protocol::event::{EventBody, Position};
use crate::websocket::slots::{Positions, positions, wants_positions};

#[derive(Default)]
pub struct Listeners {
    subscriptions: Subscriptions<ListenerId, Option<Parties>>,
    listeners: Slab<Listener>,
    ids: FastMap<SessionId, ListenerId>,
    /// Reused for each event.
    found: Vec<GroupId>,
    ushers: Ushers,
    gone: Vec<SessionId>,
}

/// A session as it is called here, so that it is found without a search for each of its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct ListenerId(u32);

/// The sessions of a group, by whether they get positions.
type Parties = Vec<(Positions, Party)>;

struct Listener {
    way: Way,
    held: Vec<(Slot, Arc<Subscription>)>,
}

/// What one session hears of in one account, under which it has subscribed with positions.
pub struct Followed<'a> {
    pub session: SessionId,
    pub account: AccountId,
    pub bindings: Vec<&'a str>,
}

impl ListenerId {
    fn index(self) -> usize {
        self.0 as usize
    }
}

impl Listeners {
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// A session that is known keeps the contact that it has.
    pub fn enter(&mut self, session: SessionId, contact: Contact) {
        self.ids.entry(session).or_insert_with(|| {
            let way = self.ushers.way(session, contact);
            let id = self.listeners.insert(Listener { way, held: Vec::new() });
            ListenerId(u32::try_from(id).expect("memory ends long before four thousand million sessions"))
        });
    }

    pub fn contact(&self, session: SessionId) -> Option<&Contact> {
        self.get(session).map(|listener| &*listener.way.contact)
    }

    /// Sends something that is for this session alone, in order with its events.
    pub fn send_to(&self, session: SessionId, frame: &ByteString) -> Sent {
        self.get(session).map_or(Sent::Gone, |listener| self.ushers.send(&listener.way, frame))
    }

    fn get(&self, session: SessionId) -> Option<&Listener> {
        self.ids.get(&session).and_then(|id| self.listeners.get(id.index()))
    }

    /// The session has to be known, and the slot empty.
    pub fn insert(&mut self, session: SessionId, slot: Slot, subscription: Arc<Subscription>) {
        let Some(id) = self.ids.get(&session).copied() else { return };
        let Subscription { scope, subscribed_key, topics, .. } = &*subscription;
        self.subscriptions.insert(id, slot, *scope, subscribed_key, topics);
        let all = &mut self.listeners[id.index()].held;
        // Most have one.
        if all.is_empty() {
            all.reserve_exact(1);
        }
        all.push((slot, subscription));
    }

    /// `None` when there was nothing.
    pub fn remove(&mut self, session: SessionId, slot: Slot) -> Option<Arc<Subscription>> {
        let id = *self.ids.get(&session)?;
        let held = &mut self.listeners[id.index()].held;
        let at = held.iter().position(|(other, _)| *other == slot)?;
        self.subscriptions.remove(id, slot);
        Some(held.swap_remove(at).1)
    }

    /// Answers what it held.
    pub fn leave(&mut self, session: SessionId) -> Vec<Arc<Subscription>> {
        let Some(id) = self.ids.remove(&session) else { return Vec::new() };
        self.subscriptions.remove_session(id);
        self.listeners.remove(id.index()).held.into_iter().map(|(_, held)| held).collect()
    }

    /// Whether anybody subscribed to such an event. [`Self::send`] goes to them.
    pub fn find(&mut self, account: Option<AccountId>, topic: &str) -> bool {
        self.subscriptions.find(account, topic, &mut self.found);
        !self.found.is_empty()
    }

    /// Sends an event to those found last; each pair of keys makes one frame. Answers the number of frames sent, and
    /// leaves in [`Self::take_gone`] the sessions that took none.
    pub fn send(&mut self, body: &EventBody, position: Option<Position<'_>>) -> usize {
        let mut sent = 0;
        let found = std::mem::take(&mut self.found);
        for id in &found {
            if self.subscriptions.group(*id).members().len() > FEW && self.subscriptions.group(*id).cache().is_none() {
                let parties = self.parties(*id);
                self.subscriptions.set_cache(*id, Some(parties));
            }
            let group = self.subscriptions.group(*id);
            let (mut plain, mut placed) = (None, None);
            let mut frame = |wanted: Positions| {
                let position = position.filter(|_| wanted == Positions::Sent);
                let frame = if position.is_some() { &mut placed } else { &mut plain };
                let make = || body.frame(&group.subscribed_key, &group.subscription_key, position);
                ByteString::clone(frame.get_or_insert_with(make))
            };
            if let Some(parties) = group.cache() {
                for (wanted, party) in parties {
                    sent += self.ushers.send_to_all(party, &frame(*wanted));
                }
                continue;
            }
            for (id, slot) in group.members() {
                let way = &self.listeners[id.index()].way;
                match self.ushers.send(way, &frame(positions(slot))) {
                    Sent::Queued => sent += 1,
                    Sent::Shed | Sent::Gone => self.gone.push(way.session),
                }
            }
        }
        self.found = found;
        sent
    }

    fn parties(&self, id: GroupId) -> Parties {
        let members = || self.subscriptions.group(id).members();
        let of = |wanted: Positions| {
            let ways = members().filter(move |(_, slot)| positions(*slot) == wanted);
            let ways = ways.map(|(id, _)| self.listeners[id.index()].way.clone());
            Ushers::parties(ways).into_iter().map(move |party| (wanted, party))
        };
        of(Positions::LeftOut).chain(of(Positions::Sent)).collect()
    }

    /// Those that took nothing, of this event or of one before.
    pub fn take_gone(&mut self) -> Vec<SessionId> {
        let mut gone = self.ushers.take_gone();
        gone.append(&mut self.gone);
        gone
    }

    /// Subscriptions that their sessions' accounts may not have any more.
    pub fn forbidden(&self, directory: &Directory) -> Vec<(SessionId, Vec<Slot>)> {
        let of_session = |(_, listener): (usize, &Listener)| {
            let caller = listener.way.contact.caller.account;
            let forbidden = |held: &Subscription| !held.is_allowed(directory, caller);
            let slots: Vec<Slot> =
                listener.held.iter().filter(|(_, held)| forbidden(held)).map(|(slot, _)| *slot).collect();
            (!slots.is_empty()).then_some((listener.way.session, slots))
        };
        self.listeners.iter().filter_map(of_session).collect()
    }

    /// Whoever follows an account with positions, or what one session follows so.
    pub fn followed(&self, only: Option<SessionId>) -> Vec<Followed<'_>> {
        let mut all = Vec::new();
        for (_, listener) in self.listeners.iter().filter(|(_, one)| only.is_none_or(|only| only == one.way.session)) {
            let mut of_session: HashMap<AccountId, Vec<&str>> = HashMap::new();
            for (slot, held) in &listener.held {
                if let Scope::Account(account) = held.scope
                    && wants_positions(*slot)
                {
                    of_session.entry(account).or_default().push(&held.subscribed_key);
                }
            }
            let followed = of_session.into_iter();
            all.extend(followed.map(|(account, bindings)| Followed {
                session: listener.way.session,
                account,
                bindings,
            }));
        }
        all
    }
}
