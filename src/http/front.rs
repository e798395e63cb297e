//! The one way in: applies the checks to every request, in the order that clients and tests rely on.
//!
//! Route, verb, size, JSON, token, account; what comes after (ids inside the account, validation) is the handlers'.
//! A later check never runs before an earlier one has passed, so that an answer tells a stranger nothing about what
//! lies behind the check that stopped him.

use std::sync::Arc;

use actix_web::body::{BoxBody, EitherBody};
use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::{ALLOW, AUTHORIZATION, HeaderMap, HeaderValue};
use actix_web::rt::spawn;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use super::answer::Answer;
use super::body::{self, Reply};
use super::call::{AccountCall, Call, TokenCall, offload, offload_if_large};
use super::envelope::Writer;
use super::error::ApiError;
use super::query::Query;
use super::request::Envelope;
use super::route::{Access, Answering, Match, Verb, find};
use super::state::State;
use super::table::TABLE;
use crate::auth::directory::Rank;
use crate::auth::{Caller, Reach};
use crate::ids::AccountId;

/// What has passed the checks.
enum Admitted {
    Answering(Answering),
    Stream(HttpResponse),
}

enum Answered {
    Document(Answer),
    Stream(HttpResponse),
}

pub async fn answer(
    state: web::Data<State>,
    request: HttpRequest,
    payload: web::Payload,
) -> HttpResponse<EitherBody<Reply, BoxBody>> {
    let state = state.into_inner();
    let mut payload = payload.into_inner();
    let query = Query::parse(request.query_string());
    let mut writer = Writer::new(request.headers(), &query);
    if request.method() == Method::OPTIONS {
        return options(&request, writer, &state, payload).map_into_left_body();
    }
    let result = match checked(&request, &state, query, &mut payload, &mut writer).await {
        Ok(Answered::Stream(response)) => {
            log::debug!("{} {} {}: a stream", writer.request_id(), request.method(), request.path());
            return writer.mark(response).map_into_right_body();
        }
        Ok(Answered::Document(answer)) => Ok(answer),
        Err(error) => Err(error),
    };
    note(&request, &writer, &result);
    let rendered = match result {
        Ok(answer) if answer.is_large() => {
            let rendering = offload({
                let (writer, state) = (writer.clone(), Arc::clone(&state));
                move || writer.render(&state.config.node.name, Ok(answer))
            });
            rendering.await.unwrap_or_else(|error| writer.render(&state.config.node.name, Err(error)))
        }
        result => writer.render(&state.config.node.name, result),
    };
    writer.respond(rendered, payload).map_into_left_body()
}

/// The path only: a query may hold a token.
fn note(request: &HttpRequest, writer: &Writer, result: &Result<Answer, ApiError>) {
    let (id, method, path) = (writer.request_id(), request.method(), request.path());
    match result {
        Ok(answer) => log::debug!("{id} {method} {path}: {}", answer.success.code().as_u16()),
        Err(error @ (ApiError::Unreachable(_) | ApiError::Fault)) => log::warn!("{id} {method} {path}: {error}"),
        Err(error) => log::debug!("{id} {method} {path}: {} {error}", error.code().as_u16()),
    }
}

/// A plain OPTIONS; the preflights of browsers are answered by the CORS layer before they come here.
fn options(request: &HttpRequest, writer: Writer, state: &State, payload: Payload) -> HttpResponse<Reply> {
    let found = find(TABLE, request.path());
    let allowed = found.and_then(|found| HeaderValue::from_str(&found.route.allowed()).ok());
    let result = if allowed.is_some() { Ok(Answer::ok(json!({}))) } else { Err(ApiError::UnknownRoute) };
    let mut response = writer.respond(writer.render(&state.config.node.name, result), payload);
    if let Some(allowed) = allowed {
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

async fn checked(
    request: &HttpRequest,
    state: &Arc<State>,
    query: Query,
    payload: &mut Payload,
    writer: &mut Writer,
) -> Result<Answered, ApiError> {
    let found = find(TABLE, request.path()).ok_or(ApiError::UnknownRoute)?;
    let early = early_verb(request, &query, &found)?;
    let (body_bytes, envelope) = match (read(request, state, payload).await, early) {
        (Ok(read), _) => read,
        // A POST that cannot be read names no other verb, and that the route has no POST comes first.
        (Err(_), None) => return Err(invalid_method(&found)),
        (Err(error), Some(_)) => return Err(error),
    };
    let verb = late_verb(request, &query, early, envelope.verb.as_deref()).ok_or_else(|| invalid_method(&found))?;
    let access = found.route.access(verb).ok_or_else(|| invalid_method(&found))?;

    let token = token(request.headers(), &query, envelope.auth_token);
    let caller = token.and_then(|token| {
        let caller = state.auth.authenticate(&token).ok()?;
        writer.authenticated(token);
        Some(caller)
    });
    let (data, action) = (envelope.data, envelope.action);
    let call = Call { state: Arc::clone(state), query, data, action, body_bytes, id: found.id, caller };
    match admit(access, call, &found.account, request)? {
        Admitted::Answering(answering) => run(verb, answering).await.map(Answered::Document),
        Admitted::Stream(response) => Ok(Answered::Stream(response)),
    }
}

/// The verb as far as it is known without the body. `None`: the route has no POST, but the body may name what it has.
fn early_verb(request: &HttpRequest, query: &Query, found: &Match) -> Result<Option<Verb>, ApiError> {
    let verb = Verb::of_method(request.method().as_str()).ok_or_else(|| invalid_method(found))?;
    let verb = match (verb, query.get("verb")) {
        (Verb::Post, Some(word)) => Verb::of_tunnel(word).ok_or_else(|| invalid_method(found))?,
        (verb, _) => verb,
    };
    match found.route.access(verb) {
        Some(_) => Ok(Some(verb)),
        None if verb == Verb::Post && found.route.is_tunnelled_to() => Ok(None),
        None => Err(invalid_method(found)),
    }
}

/// The verb that counts: the envelope of a POST may name another, unless the query did.
fn late_verb(request: &HttpRequest, query: &Query, early: Option<Verb>, word: Option<&str>) -> Option<Verb> {
    match word {
        Some(word) if request.method() == Method::POST && query.get("verb").is_none() => Verb::of_tunnel(word),
        _ => early,
    }
}

fn invalid_method(found: &Match) -> ApiError {
    ApiError::InvalidMethod(found.route.allowed())
}

async fn read(request: &HttpRequest, state: &State, payload: &mut Payload) -> Result<(usize, Envelope), ApiError> {
    let body = body::read(request.headers(), payload, &state.config.http).await?;
    let body_bytes = body.len();
    let envelope = offload_if_large(body_bytes, move || Envelope::parse(&body)).await??;
    Ok((body_bytes, envelope))
}

/// The token, from the first place that has one.
fn token(headers: &HeaderMap, query: &Query, envelope: Option<String>) -> Option<String> {
    let header = |name| headers.get(name)?.to_str().ok().filter(|text| !text.is_empty());
    let bearer = || {
        let (scheme, token) = header(AUTHORIZATION.as_str())?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
    };
    header("X-Auth-Token").or_else(bearer).or_else(|| query.get("auth_token")).map(String::from).or(envelope)
}

/// Token and account, by what the endpoint asks for; then its handler.
fn admit(access: Access, call: Call, account: &str, request: &HttpRequest) -> Result<Admitted, ApiError> {
    Ok(Admitted::Answering(match access {
        Access::Open(handler) => handler(call),
        Access::Token(handler) => {
            let caller = caller(&call)?;
            handler(TokenCall { call, caller })
        }
        Access::Administrator(handler) => {
            let caller = caller(&call)?;
            if caller.rank == Rank::Ordinary {
                return Err(ApiError::Forbidden);
            }
            handler(TokenCall { call, caller })
        }
        Access::Account(handler) => {
            let caller = caller(&call)?;
            let account = reached(&call, &caller, account)?;
            handler(AccountCall { call, caller, account })
        }
        Access::Above(handler) => {
            let caller = caller(&call)?;
            let account = reached(&call, &caller, account)?;
            if caller.account == account && caller.rank == Rank::Ordinary {
                return Err(ApiError::Forbidden);
            }
            handler(AccountCall { call, caller, account })
        }
        Access::Stream(handler) => {
            let caller = caller(&call)?;
            let account = reached(&call, &caller, account)?;
            return handler(&AccountCall { call, caller, account }, request).map(Admitted::Stream);
        }
    }))
}

fn caller(call: &Call) -> Result<Caller, ApiError> {
    call.caller.ok_or(ApiError::InvalidCredentials)
}

/// The account in the path. What a token does not reach is forbidden whether it exists or not; an administrator, who
/// reaches all there are, is told that it does not.
fn reached(call: &Call, caller: &Caller, account: &str) -> Result<AccountId, ApiError> {
    let reach = AccountId::parse(account).map(|id| (id, call.state.auth.reach(caller, id)));
    match (reach, caller.rank) {
        (Ok((id, Reach::Yes)), _) => Ok(id),
        (Ok((_, Reach::Forbidden)), _) | (Err(_), Rank::Ordinary) => Err(ApiError::Forbidden),
        (Ok((_, Reach::UnknownAccount)), _) | (Err(_), Rank::Administrator) => {
            Err(ApiError::BadIdentifier(account.into()))
        }
    }
}

/// A change that has begun ends, also when the client hangs up meanwhile: actix drops what answers a closed connection,
/// and half a change (on disk, but not in the directory) must not be.
async fn run(verb: Verb, answering: Answering) -> Result<Answer, ApiError> {
    if verb == Verb::Get {
        return answering.await;
    }
    spawn(answering).await.unwrap_or_else(|error| {
        log::error!("a request was not finished: {error}");
        Err(ApiError::Fault)
    })
}
