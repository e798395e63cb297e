//! `PUT /v2/api_auth`: trades an API key for a token.

use std::time::Duration;

use serde_json::{Value, json};

use super::answer::Answer;
use super::call::Call;
use super::error::ApiError;
use crate::auth::api_key::ApiKey;
use crate::ids::AccountId;
use crate::validation::Faults;

pub async fn trade(mut call: Call) -> Result<Answer, ApiError> {
    let account = match call.take_object()?.get("api_key") {
        Some(Value::String(text)) => owner(&call, text).ok_or(ApiError::InvalidCredentials)?,
        given => {
            let mut faults = Faults::new();
            match given {
                None | Some(Value::Null) => faults.required("api_key"),
                // What was given may be part of a key; it is not repeated.
                Some(_) => faults.wrong_type("api_key", "string", &Value::Null),
            }
            return Err(faults.into());
        }
    };
    let ttl = Duration::from_secs(call.state.config.auth.token_ttl_s);
    let token = call.state.auth.tokens.sign(account, ttl);
    Ok(Answer::created(json!({ "account_id": account })).with_auth_token(token))
}

/// The account of a key, unless it is disabled.
fn owner(call: &Call, text: &str) -> Option<AccountId> {
    let directory = call.state.auth.directory();
    let account = directory.api_key_owner(&ApiKey::parse(text)?.hash())?;
    directory.get(account).is_some_and(|account| account.enabled).then_some(account)
}
