//! The body of the response, which is what a session sends. A panic in it ends here, with a close frame, and no other
//! connection of the worker notices.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;

use super::close::CloseCode;
use super::line::{Ending, Line};

/// A close frame with 1011 and no reason.
const PANICKED: &[u8] = &[0x88, 2, 0x03, 0xf3];

pub struct Guarded<S> {
    inner: Option<Pin<Box<S>>>,
    line: Arc<Line>,
}

impl<S, E> Stream for Guarded<S>
where
    S: Stream<Item = Result<Bytes, E>>,
{
    type Item = Result<Bytes, E>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        match catch_unwind(AssertUnwindSafe(|| inner.as_mut().poll_next(context))) {
            Ok(polled) => polled,
            Err(panic) => {
                log::error!("a session panicked and is closed: {}", text_of(&*panic));
                self.line.end(Ending::Closed(CloseCode::Panicked));
                self.let_go();
                Poll::Ready(Some(Ok(Bytes::from_static(PANICKED))))
            }
        }
    }
}

impl<S> Guarded<S> {
    pub fn new(inner: S, line: Arc<Line>) -> Self {
        Self { inner: Some(Box::pin(inner)), line }
    }

    /// Its end runs the session once more, which may panic again.
    fn let_go(&mut self) {
        let inner = self.inner.take();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(inner))) {
            log::error!("a session panicked once more at its end: {}", text_of(&*panic));
        }
    }
}

impl<S> Drop for Guarded<S> {
    fn drop(&mut self) {
        self.let_go();
    }
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}
