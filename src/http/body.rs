//! Reads a request's body within a size and a time, and answers without reading the rest of one that breaks them.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::time::timeout;

use super::error::ApiError;
use crate::config::Http;

/// Room made at once for a body of declared length; a larger one has to arrive before it gets more.
const RESERVE_MAX: usize = 64 << 10;

/// Reads the body to its end.
pub async fn read(headers: &HeaderMap, payload: &mut Payload, limits: &Http) -> Result<Bytes, ApiError> {
    let max = limits.body_bytes_max;
    let declared = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > max) {
        return Err(ApiError::RequestTooLarge { max });
    }
    let reading = collect(payload, declared.unwrap_or(0).min(RESERVE_MAX), max);
    match timeout(Duration::from_millis(limits.body_timeout_ms), reading).await {
        Ok(result) => result,
        Err(_) => Err(ApiError::RequestTimeout),
    }
}

async fn collect(payload: &mut Payload, reserve: usize, max: usize) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::with_capacity(reserve);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| ApiError::Parse(error.to_string()))?;
        if body.len() + chunk.len() > max {
            return Err(ApiError::RequestTooLarge { max });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// A response's text together with the request's payload.
///
/// The payload is kept until the response is written because actix drains a dropped one to its end, however far that
/// is, where it closes the connection soon after the response when the payload is still held and not read.
pub struct Reply {
    text: Bytes,
    _payload: Payload,
}

impl Reply {
    pub fn new(text: Bytes, payload: Payload) -> Self {
        Self { text, _payload: payload }
    }
}

impl MessageBody for Reply {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.text.len() as u64)
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Bytes, Infallible>>> {
        let text = std::mem::take(&mut self.text);
        Poll::Ready((!text.is_empty()).then_some(Ok(text)))
    }
}
