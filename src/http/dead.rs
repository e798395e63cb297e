//! Deliveries that were given up: `…/webhooks/{ID}/dead`. GET lists them, PATCH sends them again.

use serde_json::{Value, json};

use super::answer::Answer;
use super::call::AccountCall;
use super::clock::gregorian;
use super::error::ApiError;
use super::page::{Key, Listing, Order};
use super::scan::{self, Recorded};
use super::webhooks;
use crate::ids::{EventId, HookId};
use crate::routing::messages::ResendDead;
use crate::store::{DeadLetter, DeadLetterKey};

impl Recorded for DeadLetter {
    fn key(&self) -> Key {
        Key { created_ms: self.key.died_ms, id: *self.key.event.as_bytes() }
    }

    fn document(&self) -> Option<Value> {
        let delivery = &self.delivery;
        Some(json!({
            "hook_id": self.key.hook,
            "event_id": delivery.event_id,
            "account_id": delivery.account,
            "exchange": delivery.exchange,
            "routing_key": delivery.routing_key,
            "event": serde_json::from_slice::<Value>(&delivery.body).unwrap_or_default(),
            "attempts": delivery.attempts,
            "reason": self.reason,
            "received": gregorian(delivery.received_ms),
            "timestamp": gregorian(self.key.died_ms),
        }))
    }
}

pub async fn list(on: AccountCall) -> Result<Answer, ApiError> {
    let hook = webhooks::find(&on).await?.id;
    let limits = &on.call.state.config.http;
    let listing = Listing::parse(&on.call.query, limits)?;
    if listing.order() == Order::OldestFirst {
        return Err(ApiError::field(
            "ascending",
            "enum",
            "Dead letters are listed newest first only",
            Some(true.into()),
        ));
    }
    let fetch = async |start: Option<Key>, limit| {
        let before = start.map(|key| after(hook, key));
        Ok(on.call.state.store.dead_letters(hook, limit, before).await?)
    };
    Ok(Answer::page(scan::page(&listing, limits, fetch).await?))
}

pub async fn resend(mut on: AccountCall) -> Result<Answer, ApiError> {
    let hook = webhooks::find(&on).await?;
    on.call.require_command("resend")?;
    let resent = on.call.ask(ResendDead(hook.id)).await??;
    Ok(Answer::ok(json!({ "resent": resent })))
}

/// The store wants the key before which to begin, where `start_key` names the first one.
fn after(hook: HookId, key: Key) -> DeadLetterKey {
    match u128::from_be_bytes(key.id).checked_add(1) {
        Some(event) => DeadLetterKey { hook, died_ms: key.created_ms, event: EventId::from_bytes(event.to_be_bytes()) },
        None => DeadLetterKey { hook, died_ms: key.created_ms.saturating_add(1), event: EventId::from_bytes([0; 16]) },
    }
}
