//! The hooks of an account: `/v2/accounts/{A}/webhooks` and below.
//!
//! The Registry owns the hooks. A change is made to the version that was read, and made again when somebody else was
//! faster, so that two clients who patch different fields at once both get what they asked for.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::answer::Answer;
use super::call::{AccountCall, Call, offload};
use super::error::ApiError;
use super::hook_rules::with_rules;
use super::page::{Key, Listed, Listing};
use crate::event::now_ms;
use crate::ids::{AccountId, HookId};
use crate::routing::messages::{DeleteHook, EnableHooks, GetHook, HookError, ListHooks, PutHook, Replaces};
use crate::webhook::document::merge;
use crate::webhook::hook::Hook;

/// How often a change that somebody overtook is made to the newer version, before the client is told of the conflict.
/// Each time another change of the hook has been made, for which the Registry waited.
const OVERTAKEN_MAX: usize = 100;

impl Listed for Arc<Hook> {
    fn key(&self) -> Key {
        Key { created_ms: self.created_ms, id: *self.id.as_bytes() }
    }

    fn document(&self) -> Value {
        self.to_document().into()
    }

    fn summary(&self) -> Value {
        Hook::summary(self).into()
    }
}

pub async fn list(AccountCall { call, account, .. }: AccountCall) -> Result<Answer, ApiError> {
    let listing = Listing::parse(&call.query, &call.state.config.http)?;
    let hooks = call.ask(ListHooks(account)).await?;
    let page = offload(move || listing.page(hooks)).await?;
    Ok(Answer::page(page))
}

pub async fn create(AccountCall { mut call, caller, account }: AccountCall) -> Result<Answer, ApiError> {
    call.require_registered(account)?;
    let document = call.take_object()?;
    let hook =
        with_rules(&call, &caller, |rules| Hook::validate(HookId::random(), account, document, rules, now_ms()))?;
    let hook = call.ask(PutHook { hook, replaces: Replaces::Nothing }).await??;
    // The account may have been deleted while the hook was on its way; its other hooks went with it.
    if call.require_registered(account).is_err() {
        call.ask(DeleteHook(hook.id)).await??;
        return Err(ApiError::BadIdentifier(account.to_string()));
    }
    Ok(Answer::created(hook.to_document()).with_revision(hook.revision))
}

pub async fn show(on: AccountCall) -> Result<Answer, ApiError> {
    let hook = find(&on).await?;
    Ok(document(&hook))
}

/// POST: the new document is all there is of the hook, besides what the server adds.
pub async fn replace(on: AccountCall) -> Result<Answer, ApiError> {
    change(on, |_, document| document).await
}

pub async fn patch(on: AccountCall) -> Result<Answer, ApiError> {
    change(on, |previous, patch| merge(previous.to_document(), patch)).await
}

pub async fn delete(on: AccountCall) -> Result<Answer, ApiError> {
    let hook = find(&on).await?;
    for _ in 0..=OVERTAKEN_MAX {
        match on.call.ask(DeleteHook(hook.id)).await? {
            Err(HookError::Stale(_)) => {}
            deleted => return Ok(document(&*deleted?.ok_or_else(|| on.unknown_id())?)),
        }
    }
    Err(ApiError::Conflict)
}

pub async fn enable_all(AccountCall { mut call, account, .. }: AccountCall) -> Result<Answer, ApiError> {
    call.require_command("re-enable")?;
    enable(&call, vec![account]).await
}

pub async fn enable_descendants(AccountCall { mut call, account, .. }: AccountCall) -> Result<Answer, ApiError> {
    call.require_command("re-enable")?;
    let auth = Arc::clone(&call.state.auth);
    let accounts = offload(move || {
        let directory = auth.directory();
        directory.descendants(account).iter().map(|below| below.id).chain([account]).collect()
    });
    enable(&call, accounts.await?).await
}

/// The hook in the path. One of another account is as unknown as one that never was.
pub async fn find(on: &AccountCall) -> Result<Arc<Hook>, ApiError> {
    let hook = on.call.ask(GetHook(on.hook_id()?)).await?;
    hook.filter(|hook| hook.account == on.account).ok_or_else(|| on.unknown_id())
}

async fn change(
    mut on: AccountCall,
    next: impl Fn(&Hook, Map<String, Value>) -> Map<String, Value>,
) -> Result<Answer, ApiError> {
    let mut previous = find(&on).await?;
    let given = on.call.take_object()?;
    for _ in 0..=OVERTAKEN_MAX {
        let document = next(&previous, given.clone());
        let hook = with_rules(&on.call, &on.caller, |rules| {
            Hook::validate(previous.id, on.account, document, rules, now_ms())
        })?;
        let replaces = Replaces::Revision(previous.revision);
        match on.call.ask(PutHook { hook: hook.succeeding(&previous), replaces }).await? {
            Err(HookError::Stale(_)) => previous = find(&on).await?,
            result => return Ok(self::document(&*result?)),
        }
    }
    Err(ApiError::Conflict)
}

fn document(hook: &Hook) -> Answer {
    Answer::ok(hook.to_document()).with_revision(hook.revision)
}

async fn enable(call: &Call, accounts: Vec<AccountId>) -> Result<Answer, ApiError> {
    call.ask(EnableHooks(accounts)).await??;
    Ok(Answer::ok("hooks updated"))
}
