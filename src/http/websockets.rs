//! The bindings on offer, and the open sockets: `/v2/websockets`, `/v2/accounts/{A}/websockets` and below.
//!
//! Shown are the sockets that authenticated as the account in the path, or as the one that asks; with `?all=true` an
//! administrator is shown every one. Each listing has the forms of two generations of Kazoo.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::answer::Answer;
use super::call::{AccountCall, Call, offload};
use super::clock::gregorian;
use super::error::ApiError;
use super::page::{self, Key, Listed};
use crate::auth::directory::Rank;
use crate::validation::Faults;
use crate::websocket::bindings::catalogue::{Listing, available};
use crate::websocket::close::CloseCode;
use crate::websocket::roster::{Entry, Naming};

/// In the place of a token, which nobody is shown.
const MASKED: &str = "***";

/// Names that are for administrators only are shown to them only.
pub async fn bindings(call: Call) -> Result<Answer, ApiError> {
    Ok(Answer::ok(Value::Object(available(form(&call)?, call.audience()))))
}

pub async fn list(on: AccountCall) -> Result<Answer, ApiError> {
    let form = form(&on.call)?;
    let listing = page::Listing::parse_whole(&on.call.query, &on.call.state.config.http)?;
    let node: Arc<str> = on.call.state.config.node.name.as_str().into();
    let sockets = visible(&on)?.into_iter();
    let shown: Vec<Shown> = sockets.map(|socket| Shown { socket, form, node: Arc::clone(&node) }).collect();
    Ok(Answer::page(offload(move || listing.page(shown)).await?))
}

struct Shown {
    socket: Arc<Entry>,
    form: Listing,
    node: Arc<str>,
}

impl Listed for Shown {
    fn key(&self) -> Key {
        Key { created_ms: self.socket.opened_ms, id: u128::from(self.socket.id.0).to_be_bytes() }
    }

    fn document(&self) -> Value {
        details(&self.socket, &self.node).into()
    }

    fn summary(&self) -> Value {
        match self.form {
            Listing::Ids => self.socket.socket_id().into(),
            Listing::Details => self.document(),
        }
    }
}

/// One that is not there is no error, as in Kazoo.
pub async fn show(on: AccountCall) -> Result<Answer, ApiError> {
    let form = form(&on.call)?;
    Ok(Answer::ok(single(&on, form, find(&on)?.first())))
}

/// Closes the socket with 4500, and answers what it was, in the form that shows it.
pub async fn dismiss(on: AccountCall) -> Result<Answer, ApiError> {
    let form = form(&on.call)?;
    let found = find(&on)?;
    let socket = found.first().ok_or_else(|| on.unknown_id())?;
    let document = single(&on, form, Some(socket));
    for socket in &found {
        socket.line.hang_up(CloseCode::Dismissed);
    }
    Ok(Answer::ok(document))
}

fn single(on: &AccountCall, form: Listing, socket: Option<&Arc<Entry>>) -> Value {
    let node = &on.call.state.config.node.name;
    let found = socket.map(|socket| match form {
        Listing::Ids => with_account(socket, details(socket, node)),
        Listing::Details => details(socket, node),
    });
    match form {
        Listing::Ids => Value::Array(found.into_iter().map(Value::Object).collect()),
        Listing::Details => Value::Object(found.unwrap_or_default()),
    }
}

/// Two sockets may have one id, when a client uses the same port towards both of ours.
fn find(on: &AccountCall) -> Result<Vec<Arc<Entry>>, ApiError> {
    let mut found = visible(on)?;
    found.retain(|socket| socket.socket_id() == on.call.id);
    Ok(found)
}

fn visible(on: &AccountCall) -> Result<Vec<Arc<Entry>>, ApiError> {
    let roster = &on.call.state.roster;
    if !on.call.query.is_true("all") {
        return Ok(roster.of_accounts(&[on.account, on.caller.account]));
    }
    match on.caller.rank {
        Rank::Administrator => Ok(roster.all()),
        Rank::Ordinary => Err(ApiError::Forbidden),
    }
}

fn form(call: &Call) -> Result<Listing, ApiError> {
    let named = call.query.get("listing").unwrap_or(&call.state.config.websockets.listing);
    Listing::parse(named).ok_or_else(|| {
        let mut faults = Faults::new();
        faults.not_in("listing", &Listing::NAMES, &named.into());
        faults.into()
    })
}

fn details(socket: &Entry, node: &str) -> Map<String, Value> {
    let labels = socket.labels().clone();
    let mut details = Map::new();
    details.insert("websocket_session_id".into(), socket.socket_id().into());
    details.insert("bindings".into(), labels.bindings.iter().map(|binding| Value::from(&**binding)).collect());
    details.insert("timestamp".into(), gregorian(socket.opened_ms).into());
    details.insert("source".into(), socket.peer.ip().to_string().into());
    details.insert("destination".into(), node.into());
    let Naming { name, metadata } = labels.naming.map(|naming| *naming).unwrap_or_default();
    if let Some(name) = name {
        details.insert("name".into(), name.into());
    }
    if let Some(metadata) = metadata {
        details.insert("metadata".into(), metadata);
    }
    details
}

fn with_account(socket: &Entry, details: Map<String, Value>) -> Map<String, Value> {
    let account = socket.labels().account();
    let mut document = Map::new();
    document.insert("account_id".into(), json!(account));
    document.insert("auth_token".into(), MASKED.into());
    document.extend(details);
    document
}
