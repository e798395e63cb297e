//! One attempt of a delivery: the record of how it went.

use serde_json::{Map, Value, json};

use super::client::{Answer, Headers};
use super::delivery::Flight;
use super::outcome::{Outcome, Reason};
use crate::ids::{AccountId, HookId};

/// Kazoo's seconds count from the year 0.
const GREGORIAN_EPOCH_S: u64 = 62_167_219_200;

/// The retries that a delivery has after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetriesLeft {
    /// The attempt used none up.
    Unchanged,
    /// A further request follows, the first of those that are left.
    OneLess,
    Exceeded,
}

/// Where the attempts of an account's one-off hooks are filed: nobody knows the ids of those, and account ids are never
/// hook ids.
pub fn one_off_log(account: AccountId) -> HookId {
    HookId::from_bytes(*account.as_bytes())
}

/// The attempt in the form that the API shows, `body_bytes_max` bytes of each body.
pub fn record(
    flight: &Flight,
    answer: &Answer,
    outcome: &Outcome,
    left: RetriesLeft,
    at_ms: u64,
    body_bytes_max: usize,
) -> Vec<u8> {
    let Flight { delivery, hook, rendered, .. } = flight;
    let retries = u32::from(hook.retries).saturating_sub(delivery.attempts);
    let mut attempt = json!({
        "hook_id": hook.id,
        "hook_event": delivery.job.hook_event(),
        "event_id": delivery.job.event.id,
        "uri": hook.uri.as_given(),
        "method": hook.verb.as_str(),
        "custom_data": *hook.custom_data,
        "req_headers": object(&answer.request_headers),
        "req_body": cut(rendered.as_text(), body_bytes_max),
        "result": if *outcome == Outcome::Delivered { "success" } else { "failure" },
        "retries_left": match left {
            RetriesLeft::Unchanged => json!(retries),
            RetriesLeft::OneLess => json!(retries.saturating_sub(1)),
            RetriesLeft::Exceeded => json!("retries exceeded"),
        },
        "timestamp": at_ms / 1_000 + GREGORIAN_EPOCH_S,
    });
    if let Some(status) = answer.status {
        attempt["resp_status_code"] = status.to_string().into();
        attempt["resp_headers"] = object(&answer.headers).into();
        attempt["resp_body"] = cut(&answer.body, body_bytes_max).into();
    }
    if let Some(reason) = reason(outcome) {
        attempt["reason"] = reason.kazoo().into();
        if let Some(error) = reason.client_error() {
            attempt["client_error"] = error.into();
        }
    }
    attempt.to_string().into_bytes()
}

/// Why a delivery came to nothing, for its dead letter.
pub fn failure_text(outcome: &Outcome) -> String {
    match reason(outcome) {
        Some(Reason::BadStatus(status)) => format!("{}: {status}", Reason::BadStatus(status).kazoo()),
        Some(reason) => reason.client_error().unwrap_or_else(|| reason.kazoo()).to_owned(),
        None => String::new(),
    }
}

fn reason(outcome: &Outcome) -> Option<Reason> {
    match outcome {
        Outcome::Delivered => None,
        Outcome::Retry { reason, .. } | Outcome::Refused { reason } => Some(reason.clone()),
        Outcome::Gone => Some(Reason::BadStatus(410)),
    }
}

/// Names and values in lower case, as Kazoo logs them.
fn object(headers: &Headers) -> Map<String, Value> {
    headers.iter().map(|(name, value)| (name.to_lowercase(), value.to_lowercase().into())).collect()
}

fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn long_bodies_are_cut_between_characters() {
        assert_eq!(cut("abc", 10), "abc");
        assert_eq!(cut("aéb", 2), "a");
        assert_eq!(cut("aéb", 3), "aé");
    }
}
