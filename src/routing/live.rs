//! What the Registry knows of live calls.

use std::sync::Arc;

use actix::Handler;

use super::channels::{Channel, Teller};
use super::messages::{FindChannel, ListChannels};
use super::registry::Registry;
use crate::event::{Event, now_ms};
use crate::ids::AccountId;
use crate::kazoo::channel::{Change, Sighting};
use crate::kazoo::kind::Kind;

impl Registry {
    /// An event tells of its call. Not those of the webhooks' queue: they may be hours old.
    pub(super) fn learn_of_call(&self, kind: Kind, event: &Event, account: AccountId) {
        let (Some(change), Some(call_id)) = (Change::of(kind), event.head.call_id.as_deref()) else { return };
        let teller = if event.publisher.is_none() { Teller::Broker } else { Teller::Http };
        let sighting = Sighting::read(change, event.text(), &event.places);
        let mut channels = self.channels();
        channels.learn(teller, account, call_id, sighting, now_ms());
        self.parts.metrics.channels.set(channels.len() as i64);
    }
}

impl Handler<FindChannel> for Registry {
    type Result = Option<Arc<Channel>>;

    fn handle(&mut self, FindChannel { account, call_id }: FindChannel, _: &mut Self::Context) -> Self::Result {
        self.mailbox().handled();
        self.channels().find(account, &call_id, now_ms())
    }
}

impl Handler<ListChannels> for Registry {
    type Result = Vec<Arc<Channel>>;

    fn handle(&mut self, ListChannels(account): ListChannels, _: &mut Self::Context) -> Self::Result {
        self.mailbox().handled();
        self.channels().of_account(account, now_ms())
    }
}
