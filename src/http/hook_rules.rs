//! Which rules a caller's hook documents are checked against.

use super::call::Call;
use super::error::ApiError;
use crate::auth::Caller;
use crate::auth::directory::Rank;
use crate::validation::Faults;
use crate::webhook::document::{HookRules, Requester};
use crate::webhook::hook::Hook;
use crate::webhook::rules::rules;

/// Runs a validation with the rules that hold for this caller.
pub fn with_rules(
    call: &Call,
    caller: &Caller,
    validate: impl FnOnce(&HookRules<'_>) -> Result<Hook, Faults>,
) -> Result<Hook, ApiError> {
    let requester = match caller.rank {
        Rank::Administrator => Requester::Administrator,
        Rank::Ordinary => Requester::Tenant,
    };
    Ok(validate(&rules(&call.state.config.webhooks, &call.state.allow, requester))?)
}
