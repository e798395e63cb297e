//! `GET /healthz`: the process answers. `GET /readyz`: it can do its work, or what is missing.

use serde_json::json;

use super::answer::Answer;
use super::call::Call;
use super::error::ApiError;

pub async fn live(_: Call) -> Result<Answer, ApiError> {
    Ok(Answer::ok(json!({ "alive": true })))
}

pub async fn ready(call: Call) -> Result<Answer, ApiError> {
    let mut missing = call.state.readiness.missing();
    if call.state.store.fault().is_some() && !missing.contains(&"store") {
        missing.insert(0, "store");
    }
    if missing.is_empty() { Ok(Answer::ok(json!({ "ready": true }))) } else { Err(ApiError::NotReady(missing)) }
}
