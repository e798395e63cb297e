//! Accounts: `/v2/accounts` and `/v2/accounts/{A}`.
//!
//! Account documents change one at a time: what a change was checked against still holds when it is on disk, and only
//! then does the directory show it. `front` sees to it that a change which has begun also ends.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::answer::Answer;
use super::call::{AccountCall, Call, TokenCall};
use super::error::ApiError;
use crate::auth::Caller;
use crate::auth::account::{Account, Proposal, Subject};
use crate::event::now_ms;
use crate::ids::AccountId;
use crate::routing::messages::ForgetAccount;
use crate::store::Write;
use crate::webhook::document::merge;

/// Levels of accounts below the root that can be made here. The directory itself stands more, so that it can always
/// load what was accepted.
const LEVELS_MAX: usize = 32;

pub async fn create_below_token(TokenCall { call, caller }: TokenCall) -> Result<Answer, ApiError> {
    create_below(call, caller, caller.account).await
}

pub async fn create(AccountCall { call, caller, account }: AccountCall) -> Result<Answer, ApiError> {
    create_below(call, caller, account).await
}

pub async fn show(AccountCall { call, account, .. }: AccountCall) -> Result<Answer, ApiError> {
    Ok(Answer::ok(existing(&call, account)?.to_document()))
}

/// POST: what is left out gets its default.
pub async fn replace(on: AccountCall) -> Result<Answer, ApiError> {
    change(on, |_, document| document).await
}

pub async fn patch(on: AccountCall) -> Result<Answer, ApiError> {
    change(on, |current, patch| merge(current.to_document(), patch)).await
}

pub async fn delete(AccountCall { call, account, .. }: AccountCall) -> Result<Answer, ApiError> {
    // Everything hangs from it.
    if account == call.state.system_account {
        return Err(ApiError::Forbidden);
    }
    let _turn = call.state.account_writes.lock().await;
    let deleted = existing(&call, account)?;
    let children = call.state.auth.directory().children(account).count();
    if children > 0 {
        return Err(ApiError::HasDescendants { children });
    }
    call.ask(ForgetAccount(account)).await??;
    let writes = vec![Write::DeleteAccount(account), Write::DeleteApiKey(account), Write::DeleteConfig(account)];
    call.state.store.commit(writes).await?;
    call.state.auth.directory_mut().remove(account)?;
    // Again, for the hooks that were on their way while it was still there.
    call.ask(ForgetAccount(account)).await??;
    Ok(Answer::ok(deleted.to_document()))
}

async fn create_below(mut call: Call, caller: Caller, parent: AccountId) -> Result<Answer, ApiError> {
    let state = Arc::clone(&call.state);
    let _turn = state.account_writes.lock().await;
    call.require_registered(parent)?;
    let document = call.take_object()?;
    let account = validate(&call, caller, document, Subject::New { parent, created_ms: now_ms() })?;
    if call.state.auth.directory().ancestors(parent).count() >= LEVELS_MAX {
        let message = format!("Accounts can be {LEVELS_MAX} levels deep");
        return Err(ApiError::field("parent", "maximum", &message, Some(parent.to_string().into())));
    }
    let document = account.to_document();
    call.state.store.commit(vec![put(&account)]).await?;
    call.state.auth.directory_mut().insert(account)?;
    Ok(Answer::created(document))
}

async fn change(
    mut on: AccountCall,
    next: impl FnOnce(&Account, Map<String, Value>) -> Map<String, Value>,
) -> Result<Answer, ApiError> {
    let state = Arc::clone(&on.call.state);
    let _turn = state.account_writes.lock().await;
    let current = existing(&on.call, on.account)?;
    let document = next(&current, on.call.take_object()?);
    let account = validate(&on.call, on.caller, document, Subject::Existing(&current))?;
    let document = account.to_document();
    on.call.state.store.commit(vec![put(&account)]).await?;
    on.call.state.auth.directory_mut().replace(account)?;
    Ok(Answer::ok(document))
}

/// Only the account of a Kazoo token can be reached and yet not be there.
fn existing(call: &Call, account: AccountId) -> Result<Arc<Account>, ApiError> {
    let found = call.state.auth.directory().get(account).cloned();
    found.ok_or_else(|| ApiError::BadIdentifier(account.to_string()))
}

fn validate(
    call: &Call,
    caller: Caller,
    document: Map<String, Value>,
    subject: Subject<'_>,
) -> Result<Account, ApiError> {
    let directory = call.state.auth.directory();
    let proposal = Proposal {
        directory: &directory,
        subject,
        rank: caller.rank,
        realm_suffix: &call.state.config.auth.realm_suffix,
    };
    Ok(Account::validate(document, &proposal)?)
}

fn put(account: &Account) -> Write {
    Write::PutAccount { id: account.id, record: account.to_record() }
}
