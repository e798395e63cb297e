//! What goes wrong in a request, and the only place that knows status codes.
//!
//! Handlers return an [`ApiError`]; `envelope` writes it down. Nothing here decides, and no text of an inner error that
//! could carry a secret reaches the client.

use actix_web::http::StatusCode;
use actix_web::http::header::{ALLOW, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use serde_json::{Value, json};

use crate::auth::directory::DirectoryError;
use crate::event::PublishError;
use crate::routing::commands::CommandError;
use crate::routing::messages::HookError;
use crate::store::StoreError;
use crate::validation::Faults;

/// How a request succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Success {
    Ok,
    /// A PUT made something.
    Created,
    /// A command or an event was taken.
    Accepted,
}

impl Success {
    pub fn code(self) -> StatusCode {
        match self {
            Self::Ok => StatusCode::OK,
            Self::Created => StatusCode::CREATED,
            Self::Accepted => StatusCode::ACCEPTED,
        }
    }
}

#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ApiError {
    #[error("no such route")]
    UnknownRoute,
    /// The verbs that the route has, for the `Allow` header.
    #[error("the route allows {0} only")]
    InvalidMethod(String),
    #[error("the body is larger than {max} bytes")]
    RequestTooLarge { max: usize },
    #[error("the body did not arrive in time")]
    RequestTimeout,
    #[error("cannot parse the body: {0}")]
    Parse(String),
    #[error("the token is missing or not valid")]
    InvalidCredentials,
    #[error("the token does not reach this")]
    Forbidden,
    /// The id as it was given.
    #[error("no such id: {0:?}")]
    BadIdentifier(String),
    /// The id is good, but what was asked of it is not there.
    #[error("not found")]
    NotFound,
    #[error("the request is not valid")]
    Invalid(Faults),
    #[error("the account has {children} child accounts")]
    HasDescendants { children: usize },
    #[error("changed by somebody else meanwhile")]
    Conflict,
    #[error("too many events are under way")]
    TooManyRequests { retry_after_s: u32 },
    #[error("the store failed")]
    DatastoreFault,
    /// What is needed to answer is not there now; trying again later helps.
    #[error("{0}")]
    Unreachable(&'static str),
    #[error("not ready: {}", .0.join(", "))]
    NotReady(Vec<&'static str>),
    #[error("a fault inside the server")]
    Fault,
}

impl ApiError {
    pub fn code(&self) -> StatusCode {
        match self {
            Self::Parse(_) | Self::Invalid(_) | Self::HasDescendants { .. } => StatusCode::BAD_REQUEST,
            Self::InvalidCredentials => StatusCode::UNAUTHORIZED,
            Self::Forbidden => StatusCode::FORBIDDEN,
            Self::UnknownRoute | Self::BadIdentifier(_) | Self::NotFound => StatusCode::NOT_FOUND,
            Self::InvalidMethod(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::RequestTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::Conflict => StatusCode::CONFLICT,
            Self::RequestTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooManyRequests { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Fault => StatusCode::INTERNAL_SERVER_ERROR,
            Self::DatastoreFault | Self::Unreachable(_) | Self::NotReady(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// `message` of the envelope: the words that Kazoo's clients look for.
    pub fn message(&self) -> &'static str {
        match self {
            Self::UnknownRoute | Self::NotFound => "not_found",
            Self::InvalidMethod(_) => "invalid_method",
            Self::RequestTooLarge { .. } => "request_too_large",
            Self::RequestTimeout => "request_timeout",
            Self::Parse(_) => "parse_error",
            Self::InvalidCredentials => "invalid_credentials",
            Self::Forbidden => "forbidden",
            Self::BadIdentifier(_) => "bad_identifier",
            Self::Invalid(_) => "validation error",
            Self::HasDescendants { .. } => "account_has_descendants",
            Self::Conflict => "datastore_conflict",
            Self::TooManyRequests { .. } => "too_many_requests",
            Self::DatastoreFault => "datastore_fault",
            Self::Unreachable(_) => "datastore_unreachable",
            Self::NotReady(_) => "not_ready",
            Self::Fault => "unspecified_fault",
        }
    }

    /// `status` of the envelope: `error` is the client's doing, `fatal` the server's.
    pub fn status(&self) -> &'static str {
        if self.code().is_server_error() { "fatal" } else { "error" }
    }

    /// `data` of the envelope.
    pub fn into_data(self) -> Value {
        match self {
            Self::Invalid(faults) => faults.into_value(),
            Self::BadIdentifier(id) => json!({ "cause": id }),
            Self::RequestTooLarge { max } => json!({ "message": self.to_string(), "target": max }),
            Self::NotReady(missing) => json!({ "missing": missing }),
            Self::UnknownRoute | Self::NotFound | Self::InvalidCredentials | Self::Forbidden => json!({}),
            Self::Parse(problem) => json!({ "message": problem }),
            other => json!({ "message": other.to_string() }),
        }
    }

    /// A header that belongs to this error.
    pub fn header(&self) -> Option<(HeaderName, String)> {
        match self {
            Self::InvalidMethod(allowed) => Some((ALLOW, allowed.clone())),
            Self::TooManyRequests { retry_after_s } => Some((RETRY_AFTER, retry_after_s.to_string())),
            Self::InvalidCredentials => Some((WWW_AUTHENTICATE, "Bearer".into())),
            _ => None,
        }
    }

    /// One faulty field.
    pub fn field(field: &str, rule: &str, message: &str, cause: Option<Value>) -> Self {
        let mut faults = Faults::new();
        faults.add(field, rule, message, cause, None);
        Self::Invalid(faults)
    }
}

impl From<Faults> for ApiError {
    fn from(faults: Faults) -> Self {
        Self::Invalid(faults)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        log::error!("the store failed a request: {error}");
        Self::DatastoreFault
    }
}

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::UnknownCall(call_id) => Self::BadIdentifier(call_id),
            CommandError::Invalid(faults) => faults.into(),
            CommandError::Publish(error) => error.into(),
            CommandError::Away(_) => Self::Unreachable("the registry is being built again"),
        }
    }
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        Self::Unreachable(match error {
            PublishError::NoBroker => "no broker is configured, so that there is nobody to command",
            PublishError::Disconnected => "the broker is not connected",
            PublishError::Refused => "the broker refused the command",
            PublishError::Timeout => "the broker did not confirm the command in time; it may be carried out even so",
            PublishError::Full => "too many messages wait for the broker",
        })
    }
}

impl From<DirectoryError> for ApiError {
    fn from(error: DirectoryError) -> Self {
        // Every change is checked before it is stored, so that this is a fault of ours.
        log::error!("the directory refused a change that is on disk: {error}");
        Self::Fault
    }
}

impl From<HookError> for ApiError {
    fn from(error: HookError) -> Self {
        match error {
            HookError::Stale(_) => Self::Conflict,
            HookError::TooMany { max } => {
                let mut faults = Faults::new();
                faults.add("account_id", "maximum", &error.to_string(), None, Some(max.into()));
                Self::Invalid(faults)
            }
            HookError::Store(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{ALLOW, ApiError, RETRY_AFTER};

    #[track_caller]
    fn check(error: ApiError, code: u16, status: &str, message: &str) {
        assert_eq!((error.code().as_u16(), error.status(), error.message()), (code, status, message));
    }

    #[test]
    fn every_error_has_kazoos_message_and_code() {
        check(ApiError::Parse("x".into()), 400, "error", "parse_error");
        check(ApiError::field("uri", "required", "m", None), 400, "error", "validation error");
        check(ApiError::HasDescendants { children: 1 }, 400, "error", "account_has_descendants");
        check(ApiError::InvalidCredentials, 401, "error", "invalid_credentials");
        check(ApiError::Forbidden, 403, "error", "forbidden");
        check(ApiError::UnknownRoute, 404, "error", "not_found");
        check(ApiError::NotFound, 404, "error", "not_found");
        check(ApiError::BadIdentifier("x".into()), 404, "error", "bad_identifier");
        check(ApiError::InvalidMethod("GET".into()), 405, "error", "invalid_method");
        check(ApiError::RequestTimeout, 408, "error", "request_timeout");
        check(ApiError::Conflict, 409, "error", "datastore_conflict");
        check(ApiError::RequestTooLarge { max: 1 }, 413, "error", "request_too_large");
        check(ApiError::TooManyRequests { retry_after_s: 1 }, 429, "error", "too_many_requests");
        check(ApiError::Fault, 500, "fatal", "unspecified_fault");
        check(ApiError::DatastoreFault, 503, "fatal", "datastore_fault");
        check(ApiError::Unreachable("x"), 503, "fatal", "datastore_unreachable");
        check(ApiError::NotReady(vec!["store"]), 503, "fatal", "not_ready");
    }

    #[test]
    fn errors_carry_what_a_client_needs() {
        assert_eq!(ApiError::BadIdentifier("x".into()).into_data(), json!({ "cause": "x" }));
        assert_eq!(ApiError::Parse("why".into()).into_data(), json!({ "message": "why" }));
        assert_eq!(ApiError::NotReady(vec!["broker"]).into_data(), json!({ "missing": ["broker"] }));
        assert_eq!(
            ApiError::field("uri", "required", "m", None).into_data(),
            json!({ "uri": { "required": { "message": "m" } } })
        );
        assert_eq!(ApiError::TooManyRequests { retry_after_s: 1 }.header(), Some((RETRY_AFTER, "1".into())));
        assert_eq!(ApiError::InvalidMethod("GET, HEAD".into()).header(), Some((ALLOW, "GET, HEAD".into())));
    }
}
