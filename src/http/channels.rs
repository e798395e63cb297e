//! The live calls of an account, and commands on them: `/v2/accounts/{A}/channels` and below.
//!
//! Known are the calls whose events this server has seen. Without a broker there is nobody to command, and nothing to say
//! about any call; that comes first.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::answer::Answer;
use super::call::{AccountCall, offload};
use super::clock::gregorian;
use super::error::ApiError;
use super::page::{Key, Listed, Listing};
use crate::kazoo::commands::{Bridge, Command};
use crate::routing::channels::Channel;
use crate::routing::messages::{FindChannel, ListChannels};
use crate::validation::Faults;

impl Listed for Arc<Channel> {
    fn key(&self) -> Key {
        Key { created_ms: self.since_ms, id: xxh3_128(self.call_id.as_bytes()).to_be_bytes() }
    }

    fn document(&self) -> Value {
        document(self)
    }

    fn summary(&self) -> Value {
        document(self)
    }
}

pub async fn list(AccountCall { call, account, .. }: AccountCall) -> Result<Answer, ApiError> {
    let listing = Listing::parse(&call.query, &call.state.config.http)?;
    let channels = call.ask(ListChannels(account)).await?;
    Ok(Answer::page(offload(move || listing.page(channels)).await?))
}

pub async fn show(on: AccountCall) -> Result<Answer, ApiError> {
    Ok(Answer::ok(document(&*find(&on).await?)))
}

/// PUT: a metaflow.
pub async fn send_flow(on: AccountCall) -> Result<Answer, ApiError> {
    command(on, |action, data, _| Command::of_put(action, data)).await
}

/// POST: an action.
pub async fn send_action(on: AccountCall) -> Result<Answer, ApiError> {
    command(on, Command::of_post).await
}

async fn command(
    mut on: AccountCall,
    make: impl FnOnce(Option<&Value>, Map<String, Value>, Bridge) -> Result<Command, Faults>,
) -> Result<Answer, ApiError> {
    let commands = on.call.state.commands.clone();
    let channel = commands.find(on.account, &on.call.id).await?;
    let data = on.call.take_object()?;
    let command = make(on.call.action.as_ref(), data, channel.bridge)?;
    Ok(Answer::accepted(commands.send(command, &channel).await?))
}

/// The call in the path. One of another account is as unknown as one that never was.
async fn find(on: &AccountCall) -> Result<Arc<Channel>, ApiError> {
    let found = on.call.ask(FindChannel { account: on.account, call_id: on.call.id.clone() }).await?;
    found.ok_or_else(|| on.unknown_id())
}

/// With the names that Kazoo has for them, `uuid` and `other_leg` of its listings and the others of a single call.
fn document(channel: &Channel) -> Value {
    let mut document = Map::new();
    let mut put = |name: &str, value: Value| document.insert(name.into(), value);
    put("uuid", json!(channel.call_id));
    put("call_id", json!(channel.call_id));
    for (name, text) in channel.details.iter() {
        put(name, text.into());
    }
    let address = channel.details.get("request").or_else(|| channel.details.get("to"));
    if let Some(address) = address {
        put("destination", address.split_once('@').map_or(address, |(user, _)| user).into());
    }
    if let Some(other_leg) = &channel.other_leg {
        put("other_leg", json!(other_leg));
        put("other_leg_call_id", json!(other_leg));
    }
    put("answered", channel.is_answered.into());
    put("bridged", (channel.bridge == Bridge::Bridged).into());
    put("is_onhold", channel.is_held.into());
    put("timestamp", gregorian(channel.since_ms).into());
    put("modified", gregorian(channel.changed_ms).into());
    document.into()
}
