//! The hooks that the Registry knows, found by id, by account, and by account and topic.
//!
//! Only enabled hooks of an account are among its takers: what is not there gets no event.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix::Addr;

use super::respawn::Era;
use super::takers::{Scope, Takers};
use crate::fast::FastMap;
use crate::ids::{AccountId, HookId};
use crate::kazoo::bindings::{Binding, hook_bindings, hook_topics};
use crate::kazoo::topics::Topic;
use crate::store::Target;
use crate::webhook::actor::WebhookActor;
use crate::webhook::context::Figures;
use crate::webhook::hook::Hook;

/// A hook with its actor.
pub struct Entry {
    pub hook: Arc<Hook>,
    pub target: Target,
    /// Dead while `reviving`.
    pub addr: Addr<WebhookActor>,
    pub figures: Arc<Figures>,
    /// The actor panicked, and the next one is not there yet.
    pub reviving: bool,
    /// Since when changes of the hook's deliveries in the store are counted one by one.
    pub counted: Era,
}

#[derive(Default)]
struct AccountHooks {
    /// Ordered by creation time, so that listings come out newest first.
    ids: BTreeSet<(u64, HookId)>,
    takers: Takers,
}

#[derive(Default)]
pub struct Hooks {
    entries: FastMap<HookId, Entry>,
    accounts: FastMap<AccountId, AccountHooks>,
    disabled: usize,
}

impl Hooks {
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// How many of them are disabled. Counted as they change: to look at all of them each time would make each of many
    /// hooks the slower to create.
    pub fn disabled(&self) -> usize {
        self.disabled
    }

    pub fn get(&self, id: HookId) -> Option<&Entry> {
        self.entries.get(&id)
    }

    pub fn get_mut(&mut self, id: HookId) -> Option<&mut Entry> {
        self.entries.get_mut(&id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    pub fn count_of(&self, account: AccountId) -> usize {
        self.accounts.get(&account).map_or(0, |hooks| hooks.ids.len())
    }

    /// Newest first.
    pub fn of_account(&self, account: AccountId) -> Vec<Arc<Hook>> {
        let ids = self.accounts.get(&account).map(|hooks| &hooks.ids);
        let newest_first = ids.into_iter().flatten().rev();
        newest_first.filter_map(|(_, id)| self.get(*id)).map(|entry| Arc::clone(&entry.hook)).collect()
    }

    pub fn insert(&mut self, entry: Entry) {
        self.index(&entry.hook);
        self.entries.insert(entry.hook.id, entry);
    }

    /// Puts the new version of a hook in place of the old; `None` when there is no such hook.
    pub fn replace(&mut self, hook: Arc<Hook>) -> Option<&Entry> {
        let before = Arc::clone(&self.entries.get(&hook.id)?.hook);
        self.unindex(&before);
        self.index(&hook);
        let entry = self.entries.get_mut(&hook.id)?;
        entry.hook = hook;
        Some(entry)
    }

    pub fn remove(&mut self, id: HookId) -> Option<Entry> {
        let entry = self.entries.remove(&id)?;
        self.unindex(&entry.hook);
        Some(entry)
    }

    /// Appends the enabled hooks of the account that take such an event, each once.
    pub fn find_own(&self, account: AccountId, topic: Topic, found: &mut Vec<HookId>) {
        if let Some(hooks) = self.accounts.get(&account) {
            hooks.takers.find_own(topic, found);
        }
    }

    /// The same for hooks of an ancestor that take the events of its sub-accounts.
    pub fn find_of_descendants(&self, ancestor: AccountId, topic: Topic, found: &mut Vec<HookId>) {
        if let Some(hooks) = self.accounts.get(&ancestor) {
            hooks.takers.find_of_descendants(topic, found);
        }
    }

    fn index(&mut self, hook: &Hook) {
        let hooks = self.accounts.entry(hook.account).or_default();
        hooks.ids.insert((hook.created_ms, hook.id));
        if !hook.enabled {
            self.disabled += 1;
            return;
        }
        hooks.takers.insert(hook.id, hook_topics(&hook.hook, &hook.custom_data), scope(hook));
    }

    fn unindex(&mut self, hook: &Hook) {
        let Some(hooks) = self.accounts.get_mut(&hook.account) else {
            return;
        };
        hooks.ids.remove(&(hook.created_ms, hook.id));
        self.disabled -= usize::from(!hook.enabled);
        hooks.takers.remove(hook.id, hook_topics(&hook.hook, &hook.custom_data), scope(hook));
        if hooks.ids.is_empty() {
            self.accounts.remove(&hook.account);
        }
    }
}

fn scope(hook: &Hook) -> Scope {
    if hook.include_subaccounts { Scope::AccountAndDescendants } else { Scope::Account }
}

/// What the broker has to send for this hook: nothing while it is disabled.
pub fn bindings(hook: &Hook) -> Vec<Binding> {
    if hook.enabled { hook_bindings(&hook.hook, &hook.custom_data) } else { Vec::new() }
}
