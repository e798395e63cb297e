//! Hooks: whether each one can be taken, and what becomes of one that is here already.
//!
//! The rules are those of the API, on behalf of an administrator: what Kazoo accepted is not refused for who asked. A
//! hook whose host the guard refuses is taken disabled. A limit that a hook exceeds leaves it out: it can be raised,
//! and the import repeated.

use std::collections::{HashMap, HashSet};

use super::report::{Taken, Topic};
use super::{Existing, Import, REPEATED, differs};
use crate::config::Webhooks;
use crate::event::now_ms;
use crate::ids::{AccountId, HookId};
use crate::kazoo::dump::Document;
use crate::kazoo::dump::hook::{Change, DumpedHook, HookFlaw};
use crate::store::{StoreError, Write};
use crate::validation::Faults;
use crate::webhook::allow::AllowList;
use crate::webhook::document::{HookRules, Requester};
use crate::webhook::guard::Refused;
use crate::webhook::hook::{Hook, Past};
use crate::webhook::record::RecordError;
use crate::webhook::rules::rules;

/// What an import knows of hooks; their documents stay as the store gave them, which is smaller.
pub struct Hooks<'a> {
    rules: HookRules<'a>,
    per_account_max: usize,
    here: HashMap<HookId, Vec<u8>>,
    counts: HashMap<AccountId, usize>,
    seen: HashSet<HookId>,
}

impl<'a> Hooks<'a> {
    /// `here` are the records in the store.
    pub fn new(config: &Webhooks, allow: &'a AllowList, here: Vec<(HookId, Vec<u8>)>) -> Self {
        let mut counts = HashMap::new();
        // One that is unreadable counts for nobody, here as in the server.
        for hook in here.iter().filter_map(|(_, record)| Hook::from_record(record).ok()) {
            *counts.entry(hook.account).or_default() += 1;
        }
        Self {
            rules: rules(config, allow, Requester::Administrator),
            per_account_max: config.hooks_per_account_max,
            here: here.into_iter().collect(),
            counts,
            seen: HashSet::new(),
        }
    }
}

/// Why a hook is left out.
#[derive(Debug, thiserror::Error)]
enum LeftOut {
    #[error(transparent)]
    Flaw(#[from] HookFlaw),
    #[error("{REPEATED}")]
    Repeated,
    #[error("its account {0} is not here")]
    NoAccount(AccountId),
    #[error("{0}")]
    Rules(Faults),
    #[error("its id is that of a hook of account {0} here")]
    OfAnother(AccountId),
    #[error("its account has {max} hooks already, and webhooks.hooks_per_account_max allows no more")]
    TooMany { max: usize },
    #[error("the one that is here is unreadable ({0}); --overwrite replaces it")]
    Unreadable(#[from] RecordError),
    #[error("{0}")]
    Differs(String),
}

/// A hook as it is to be here, and what is to know about it.
struct Accepted {
    hook: Hook,
    how: Taken,
    changes: Vec<Change>,
    refused: Option<Refused>,
}

impl Import<'_> {
    pub fn hook(&mut self, hooks: &mut Hooks<'_>, document: Document) -> Result<(), StoreError> {
        let id = document.id.clone();
        match self.accept(hooks, document) {
            Ok(accepted) => self.take_hook(hooks, accepted),
            Err(reason) => {
                self.report.left_out(Topic::Hook, id, reason);
                Ok(())
            }
        }
    }

    fn accept(&self, hooks: &mut Hooks<'_>, document: Document) -> Result<Accepted, LeftOut> {
        let mut dumped = DumpedHook::read(document)?;
        if !hooks.seen.insert(dumped.id) {
            return Err(LeftOut::Repeated);
        }
        if self.directory.get(dumped.account).is_none() {
            return Err(LeftOut::NoAccount(dumped.account));
        }
        let changes = std::mem::take(&mut dumped.changes);
        let (hook, refused) = adopt(dumped, &hooks.rules).map_err(LeftOut::Rules)?;
        let (hook, how) = self.compare(hooks, hook)?;
        Ok(Accepted { hook, how, changes, refused })
    }

    /// With what is here.
    fn compare(&self, hooks: &Hooks<'_>, hook: Hook) -> Result<(Hook, Taken), LeftOut> {
        let current = match hooks.here.get(&hook.id).map(|record| Hook::from_record(record)) {
            Some(Ok(current)) => current,
            Some(Err(error)) if self.existing == Existing::Keep => return Err(error.into()),
            Some(Err(_)) => return Ok((hook, Taken::Replaced)),
            None => {
                let max = hooks.per_account_max;
                let is_full = hooks.counts.get(&hook.account).copied().unwrap_or_default() >= max;
                return if is_full { Err(LeftOut::TooMany { max }) } else { Ok((hook, Taken::Imported)) };
            }
        };
        if current.account != hook.account {
            return Err(LeftOut::OfAnother(current.account));
        }
        let (before, after) = (current.to_document(), hook.to_document());
        if before == after {
            return Ok((current, Taken::Unchanged));
        }
        match self.existing {
            Existing::Keep => Err(LeftOut::Differs(differs(&before, &after))),
            Existing::Replace => {
                let (disable_reason, disabled_at_ms) = (hook.disable_reason.clone(), hook.disabled_at_ms);
                let next = Hook { disable_reason, disabled_at_ms, ..hook.succeeding(&current) };
                Ok((next, Taken::Replaced))
            }
        }
    }

    fn take_hook(&mut self, hooks: &mut Hooks<'_>, accepted: Accepted) -> Result<(), StoreError> {
        let Accepted { hook, how, changes, refused } = accepted;
        self.report.taken(Topic::Hook, how);
        if how == Taken::Unchanged {
            return Ok(());
        }
        if how == Taken::Imported {
            *hooks.counts.entry(hook.account).or_default() += 1;
        }
        for change in changes {
            self.report.note(Topic::Hook, hook.id, change);
        }
        if let Some(refused) = refused {
            let note = format!("it is disabled, since requests may not go there: {refused}");
            self.report.note(Topic::Hook, hook.id, note);
        }
        self.target.put(Write::PutHook { id: hook.id, record: hook.to_record() })
    }
}

fn adopt(dumped: DumpedHook, rules: &HookRules<'_>) -> Result<(Hook, Option<Refused>), Faults> {
    let DumpedHook { id, account, disable_reason, created_ms, modified_ms, document, .. } = dumped;
    let created_ms = created_ms.unwrap_or_else(now_ms);
    let past = Past { disable_reason, created_ms, modified_ms: modified_ms.unwrap_or(created_ms) };
    Hook::adopt(id, account, document, past, rules)
}
