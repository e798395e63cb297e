//! What a handler gets: a request that has passed the checks of `front` for its kind of route.

use std::sync::Arc;

use actix::dev::ToEnvelope;
use actix::{Handler, Message};
use actix_web::web;
use serde_json::{Map, Value};

use super::error::ApiError;
use super::query::Query;
use super::state::State;
use crate::auth::Caller;
use crate::auth::directory::Rank;
use crate::ids::{AccountId, HookId};
use crate::kazoo::notifications::Audience;
use crate::routing::registry::Registry;
use crate::validation::Faults;

/// Requests with a body up to this are worked on where they are; larger ones on a thread for it.
const INLINE_BYTES_MAX: usize = 16 << 10;

/// A request to a route that needs no token.
pub struct Call {
    pub state: Arc<State>,
    pub query: Query,
    /// `data` of the envelope; `Null` when absent.
    pub data: Value,
    /// `action` of the envelope, beside `data`.
    pub action: Option<Value>,
    pub body_bytes: usize,
    /// What stood in the path for `{id}`; empty when the route has none.
    pub id: String,
    /// Whose token came along, if one did and it is valid.
    pub caller: Option<Caller>,
}

/// A request with a valid token.
pub struct TokenCall {
    pub call: Call,
    pub caller: Caller,
}

/// A request to an account that the token reaches.
pub struct AccountCall {
    pub call: Call,
    pub caller: Caller,
    pub account: AccountId,
}

impl Call {
    /// What the caller is offered.
    pub fn audience(&self) -> Audience {
        match self.caller.map(|caller| caller.rank) {
            Some(Rank::Administrator) => Audience::Administrators,
            Some(Rank::Ordinary) | None => Audience::Everyone,
        }
    }

    /// `data` as an object; absent counts as empty.
    pub fn take_object(&mut self) -> Result<Map<String, Value>, ApiError> {
        match self.data.take() {
            Value::Null => Ok(Map::new()),
            Value::Object(object) => Ok(object),
            other => {
                let mut faults = Faults::new();
                faults.wrong_type("data", "object", &other);
                Err(faults.into())
            }
        }
    }

    /// A command is a field of `data` that is true.
    pub fn require_command(&mut self, field: &str) -> Result<(), ApiError> {
        let mut faults = Faults::new();
        match self.take_object()?.get(field) {
            Some(Value::Bool(true)) => {}
            None | Some(Value::Null) => faults.required(field),
            Some(other) => faults.not_in(field, &["true"], other),
        }
        Ok(faults.into_result()?)
    }

    /// An account that a Kazoo token brought along may be listed but owns nothing here.
    pub fn require_registered(&self, account: AccountId) -> Result<(), ApiError> {
        if self.state.auth.directory().get(account).is_some() {
            return Ok(());
        }
        let message = "The account is not registered here; a system administrator can do so with PUT /v2/accounts";
        Err(ApiError::field("account_id", "registered", message, Some(account.to_string().into())))
    }

    /// Asks the Registry. Without one, or when it panics over the question, a later try may do better.
    pub async fn ask<M>(&self, message: M) -> Result<M::Result, ApiError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        Registry: Handler<M>,
        <Registry as actix::Actor>::Context: ToEnvelope<Registry, M>,
    {
        self.state.registry.ask(message).await.map_err(|_| ApiError::Unreachable("the registry is not running"))
    }
}

impl AccountCall {
    /// The hook id in the path. Malformed is as good as unknown.
    pub fn hook_id(&self) -> Result<HookId, ApiError> {
        HookId::parse(&self.call.id).map_err(|_| self.unknown_id())
    }

    pub fn unknown_id(&self) -> ApiError {
        ApiError::BadIdentifier(self.call.id.clone())
    }
}

/// Computes on a thread for it, so that the worker's other connections do not wait.
pub async fn offload<T: Send + 'static>(compute: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    web::block(compute).await.map_err(|error| {
        log::error!("a computation for a request failed: {error}");
        ApiError::Fault
    })
}

/// The same, but at once when what it works on is small.
pub async fn offload_if_large<T: Send + 'static>(
    bytes: usize,
    compute: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ApiError> {
    if bytes <= INLINE_BYTES_MAX { Ok(compute()) } else { offload(compute).await }
}
