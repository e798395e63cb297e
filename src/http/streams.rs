//! `GET /v2/accounts/{A}/events?binding=…`: the account's live events as Server-Sent Events.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse};

use super::call::AccountCall;
use super::connections::Connection;
use super::error::ApiError;
use crate::event::now_ms;
use crate::routing::subscriptions::Scope;
use crate::validation::Faults;
use crate::websocket::bindings::client::Subscriber;
use crate::websocket::bindings::rights::may_have;
use crate::websocket::conversation::Refusal;
use crate::websocket::protocol::sse::resume;
use crate::websocket::streams::{self, Wanted};

/// Seats come free when somebody leaves.
const RETRY_AFTER_S: u32 = 5;

pub fn listen(on: &AccountCall, request: &HttpRequest) -> Result<HttpResponse, ApiError> {
    // The API takes a token for a little longer than it says; a stream would end at once, and its client come back.
    if on.caller.expires_ms <= now_ms() {
        return Err(ApiError::InvalidCredentials);
    }
    let bindings = bindings(on)?;
    if request.method() == Method::HEAD {
        return Ok(streams::head_only());
    }
    // What cannot be read is no position of ours, and leads to a gap like any other.
    let header = request.headers().get("Last-Event-ID").map(|value| String::from_utf8_lossy(value.as_bytes()));
    let last_event_id = header.or_else(|| on.call.query.get("last_event_id").map(Cow::from)).unwrap_or_default();
    let wanted = Wanted { account: on.account, bindings, resume: resume(&last_event_id) };
    let response =
        streams::open(&on.call.state.lobby, request, on.caller, wanted).map_err(|refusal| match refusal {
            Refusal::TooMany => ApiError::TooManyRequests { retry_after_s: RETRY_AFTER_S },
            Refusal::ShuttingDown => ApiError::Unreachable("the server is shutting down"),
            _ => ApiError::Fault,
        })?;
    // Its silence is its session's to judge.
    if let Some(connection) = request.conn_data::<Arc<Connection>>() {
        connection.upgraded();
    }
    Ok(response)
}

/// Each once, in the client's order. As on a socket one that holds is enough; which others do not is told on the stream.
fn bindings(on: &AccountCall) -> Result<Vec<String>, ApiError> {
    let mut faults = Faults::new();
    let mut seen = HashSet::new();
    let asked = on.call.query.all("binding").filter(|binding| !binding.is_empty() && seen.insert(*binding));
    let asked: Vec<String> = asked.map(String::from).collect();
    let max = on.call.state.config.websockets.max_subscriptions;
    if asked.is_empty() {
        faults.required("binding");
    } else if asked.len() > max {
        let message = format!("There are {} bindings, more than {max}", asked.len());
        faults.add("binding", "maxItems", &message, None, Some(max.into()));
    } else {
        let (directory, scope) = (on.call.state.auth.directory(), Scope::Account(on.account));
        if !may_have(&directory, on.caller.account, scope) {
            return Err(ApiError::Forbidden);
        }
        let subscriber = Subscriber::new(&directory, on.caller.account, scope, now_ms());
        let (subscriptions, errors) = subscriber.subscriptions(&asked);
        if subscriptions.is_empty() {
            faults.add("binding", "invalid", &errors.join("; "), Some(asked.clone().into()), None);
        }
    }
    faults.into_result()?;
    Ok(asked)
}
