//! What the Registry tells without changing anything: hooks, an account's numbers, the figures of every hook's actor.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix::{Handler, MessageResult};

use super::messages::{GetHook, GetLimits, HookStatus, ListHooks, ListStatus};
use super::registry::Registry;
use crate::webhook::hook::Hook;

impl Handler<GetHook> for Registry {
    type Result = Option<Arc<Hook>>;

    fn handle(&mut self, GetHook(id): GetHook, _: &mut Self::Context) -> Self::Result {
        self.mailbox().handled();
        self.hooks.get(id).map(|entry| Arc::clone(&entry.hook))
    }
}

impl Handler<ListHooks> for Registry {
    type Result = Vec<Arc<Hook>>;

    fn handle(&mut self, ListHooks(account): ListHooks, _: &mut Self::Context) -> Self::Result {
        self.mailbox().handled();
        self.hooks.of_account(account)
    }
}

impl Handler<GetLimits> for Registry {
    type Result = MessageResult<GetLimits>;

    fn handle(&mut self, GetLimits(account): GetLimits, _: &mut Self::Context) -> Self::Result {
        self.mailbox().handled();
        MessageResult(self.limits.get(&account).copied().unwrap_or_default())
    }
}

impl Handler<ListStatus> for Registry {
    type Result = Vec<HookStatus>;

    fn handle(&mut self, _: ListStatus, _: &mut Self::Context) -> Self::Result {
        self.mailbox().handled();
        let all = self.hooks.iter().chain(self.one_offs.iter());
        all.map(|entry| HookStatus {
            id: entry.hook.id,
            account_id: entry.hook.account,
            enabled: entry.hook.enabled,
            alive: entry.addr.connected(),
            started_ms: entry.figures.started_ms.load(Ordering::Relaxed),
            restarts: entry.figures.restarts.load(Ordering::Relaxed),
            panics: entry.figures.panics.load(Ordering::Relaxed),
            handled: entry.figures.mailbox.handled_total(),
            mailbox_depth: entry.figures.mailbox.depth(),
            in_flight: entry.figures.in_flight(),
            pending: entry.figures.pending(),
            last_result: entry.figures.last(),
        })
        .collect()
    }
}
