//! What happened to deliveries: `…/webhooks/attempts` of an account, `…/webhooks/{ID}/attempts` of one hook.

use serde_json::Value;

use super::answer::Answer;
use super::call::{AccountCall, Call};
use super::error::ApiError;
use super::page::{self, Key, Listing};
use super::scan::{self, Recorded};
use super::webhooks;
use crate::ids::HookId;
use crate::routing::messages::ListHooks;
use crate::store::{Attempt, AttemptsQuery, Order, Position};
use crate::webhook::attempt::one_off_log;

impl Recorded for Attempt {
    fn key(&self) -> Key {
        let number = u128::from(self.position.number);
        Key { created_ms: self.position.at_ms, id: number.to_be_bytes() }
    }

    fn document(&self) -> Option<Value> {
        serde_json::from_slice(&self.record)
            .inspect_err(|error| log::error!("cannot read an attempt of hook {}: {error}", self.hook))
            .ok()
    }
}

/// Those of the account's one-off hooks too.
pub async fn of_account(AccountCall { call, account, .. }: AccountCall) -> Result<Answer, ApiError> {
    let listing = Listing::parse(&call.query, &call.state.config.http)?;
    let hooks = call.ask(ListHooks(account)).await?;
    let ids = hooks.iter().map(|hook| hook.id).chain([one_off_log(account)]);
    list(&call, listing, ids.collect()).await
}

pub async fn of_hook(on: AccountCall) -> Result<Answer, ApiError> {
    let hook = webhooks::find(&on).await?;
    let listing = Listing::parse(&on.call.query, &on.call.state.config.http)?;
    list(&on.call, listing, vec![hook.id]).await
}

async fn list(call: &Call, listing: Listing, hooks: Vec<HookId>) -> Result<Answer, ApiError> {
    let (from_ms, to_ms) = listing.filter().window_ms();
    let order = match listing.order() {
        page::Order::NewestFirst => Order::NewestFirst,
        page::Order::OldestFirst => Order::OldestFirst,
    };
    let fetch = async |start: Option<Key>, limit| {
        let query = AttemptsQuery { order, from_ms, to_ms, start: start.map(position), limit };
        Ok(call.state.store.attempts(hooks.clone(), query).await?)
    };
    Ok(Answer::page(scan::page(&listing, &call.state.config.http, fetch).await?))
}

fn position(key: Key) -> Position {
    let number = u128::from_be_bytes(key.id);
    // A made-up key beyond every number starts at the last one.
    Position { at_ms: key.created_ms, number: u64::try_from(number).unwrap_or(u64::MAX) }
}
