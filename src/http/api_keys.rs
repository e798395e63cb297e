//! The API key of an account: `/v2/accounts/{A}/api_key`. PUT makes a new one and shows it, once; GET tells which.

use serde_json::json;

use super::answer::Answer;
use super::call::AccountCall;
use super::clock::gregorian;
use super::error::ApiError;
use crate::auth::api_key::{ApiKey, ApiKeyRecord};
use crate::auth::directory::Rank;
use crate::event::now_ms;
use crate::store::Write;

pub async fn show(AccountCall { call, account, .. }: AccountCall) -> Result<Answer, ApiError> {
    let directory = call.state.auth.directory();
    let record = directory.api_key(account).ok_or(ApiError::NotFound)?;
    Ok(Answer::ok(json!({ "created": gregorian(record.created_ms), "last4": record.last4 })))
}

/// The one before is no good any more.
pub async fn create(AccountCall { call, caller, account }: AccountCall) -> Result<Answer, ApiError> {
    // An account above an administrator's would become one by trading its key for a token.
    if caller.rank == Rank::Ordinary && call.state.auth.directory().is_administrator(account) {
        return Err(ApiError::Forbidden);
    }
    let _turn = call.state.account_writes.lock().await;
    call.require_registered(account)?;
    let key = ApiKey::random();
    let record = ApiKeyRecord::new(&key, now_ms());
    call.state.store.commit(vec![Write::PutApiKey { account, record: record.to_record() }]).await?;
    let answer = json!({
        "api_key": key.as_str(), "created": gregorian(record.created_ms), "last4": record.last4,
    });
    call.state.auth.directory_mut().put_api_key(account, record)?;
    Ok(Answer::created(answer))
}
