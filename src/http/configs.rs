//! `/v2/accounts/{A}/configs/webhooks`: when hooks of an account are disabled, where that differs from the system's.
//!
//! For an account above A or an administrator: A itself must not lift the limits that it was given.

use serde_json::{Map, Value};

use super::answer::Answer;
use super::call::AccountCall;
use super::error::ApiError;
use crate::routing::messages::{AccountLimits, GetLimits, PutLimits};
use crate::validation::Faults;
use crate::webhook::document::merge;

const COUNT: &str = "attempt_failure_count";
const COUNT_MAX: u64 = 1_000;
const EXPIRY: &str = "attempt_failure_expiry_ms";
/// A week, as for the system's own.
const EXPIRY_MAX_MS: u64 = 7 * 24 * 3_600_000;

pub async fn show(AccountCall { call, account, .. }: AccountCall) -> Result<Answer, ApiError> {
    Ok(Answer::ok(document(call.ask(GetLimits(account)).await?)))
}

/// POST: what is left out is the system's again.
pub async fn replace(AccountCall { mut call, account, .. }: AccountCall) -> Result<Answer, ApiError> {
    let limits = parse(&call.take_object()?)?;
    call.ask(PutLimits { account, limits }).await??;
    Ok(Answer::ok(document(limits)))
}

pub async fn patch(AccountCall { mut call, account, .. }: AccountCall) -> Result<Answer, ApiError> {
    let patch = call.take_object()?;
    let limits = parse(&merge(document(call.ask(GetLimits(account)).await?), patch))?;
    call.ask(PutLimits { account, limits }).await??;
    Ok(Answer::ok(document(limits)))
}

fn document(limits: AccountLimits) -> Map<String, Value> {
    let count = limits.attempt_failure_count.map(|count| (COUNT.into(), count.into()));
    let expiry = limits.attempt_failure_expiry_ms.map(|expiry| (EXPIRY.into(), expiry.into()));
    count.into_iter().chain(expiry).collect()
}

fn parse(document: &Map<String, Value>) -> Result<AccountLimits, Faults> {
    let mut faults = Faults::new();
    let limits = AccountLimits {
        attempt_failure_count: number(document, COUNT, COUNT_MAX, &mut faults)
            .and_then(|count| u32::try_from(count).ok()),
        attempt_failure_expiry_ms: number(document, EXPIRY, EXPIRY_MAX_MS, &mut faults),
    };
    for (key, value) in document.iter().filter(|(key, _)| ![COUNT, EXPIRY].contains(&key.as_str())) {
        // Kept silently it would look as if it had an effect.
        let message = format!("The settings are {COUNT} and {EXPIRY}");
        faults.add(key, "additionalProperties", &message, Some(value.clone()), None);
    }
    faults.into_result()?;
    Ok(limits)
}

/// From 1 to `max`; null is as good as absent.
fn number(document: &Map<String, Value>, field: &str, max: u64, faults: &mut Faults) -> Option<u64> {
    let given = document.get(field).filter(|value| !value.is_null())?;
    match (given.as_u64(), given.as_i64()) {
        (Some(number), _) if (1..=max).contains(&number) => return Some(number),
        (Some(0), _) | (None, Some(_)) => {
            faults.add(field, "minimum", "Value must be at least 1", Some(given.clone()), Some(1.into()));
        }
        (Some(_), _) => {
            let message = format!("Value must be at most {max}");
            faults.add(field, "maximum", &message, Some(given.clone()), Some(max.into()));
        }
        (None, None) => faults.wrong_type(field, "integer", given),
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{AccountLimits, document, parse};

    #[track_caller]
    fn check(given: Value, count: Option<u32>, expiry_ms: Option<u64>) {
        let limits = parse(given.as_object().unwrap()).unwrap();
        assert_eq!(limits, AccountLimits { attempt_failure_count: count, attempt_failure_expiry_ms: expiry_ms });
    }

    #[track_caller]
    fn check_fault(given: Value, field: &str, rule: &str) {
        let faults = parse(given.as_object().unwrap()).unwrap_err().into_value();
        assert!(faults[field][rule]["message"].is_string(), "{given} {faults}");
    }

    #[test]
    fn good_numbers_are_read_and_written_back() {
        check(json!({}), None, None);
        check(json!({ "attempt_failure_count": 1, "attempt_failure_expiry_ms": null }), Some(1), None);
        check(json!({ "attempt_failure_count": 1_000, "attempt_failure_expiry_ms": 1 }), Some(1_000), Some(1));
        let limits = AccountLimits { attempt_failure_count: Some(3), attempt_failure_expiry_ms: None };
        assert_eq!(Value::from(document(limits)), json!({ "attempt_failure_count": 3 }));
    }

    #[test]
    fn bad_numbers_and_unknown_keys_are_named() {
        check_fault(json!({ "attempt_failure_count": 0 }), "attempt_failure_count", "minimum");
        check_fault(json!({ "attempt_failure_count": -1 }), "attempt_failure_count", "minimum");
        check_fault(json!({ "attempt_failure_count": 1_001 }), "attempt_failure_count", "maximum");
        check_fault(json!({ "attempt_failure_count": "6" }), "attempt_failure_count", "type");
        check_fault(json!({ "attempt_failure_count": 1.5 }), "attempt_failure_count", "type");
        check_fault(json!({ "attempt_failure_expiry_ms": 604_800_001 }), "attempt_failure_expiry_ms", "maximum");
        check_fault(json!({ "disable_disabler": true }), "disable_disabler", "additionalProperties");
    }
}
