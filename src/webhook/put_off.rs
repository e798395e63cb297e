//! Tasks that the HTTP client starts beside a request, kept from running until it is over.
//!
//! For each request the client's codec starts one that would keep a date current, in case it lasts. Run, it sets a timer,
//! for which the thread is woken at once and once more, and all that for nothing: the request is over before. Those that
//! have become pointless by then go unrun; any other runs from then on. So no request may need such a task to get on;
//! one of HTTP/1.1, the only kind that [`super::client`] sends, needs none.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::mem;
use std::pin::pin;

use futures_util::FutureExt;
use tokio::task::LocalSet;

#[derive(Default)]
pub struct PutOff(RefCell<LocalSet>);

impl PutOff {
    /// Runs the future without the tasks that it starts.
    pub async fn during<F: Future>(&self, request: F) -> F::Output {
        let mut request = pin!(request);
        poll_fn(|context| {
            let _entered = self.0.borrow().enter();
            request.as_mut().poll(context)
        })
        .await
    }

    /// Lets what is left of them run.
    pub fn release(&self) {
        let mut tasks = self.0.borrow_mut();
        // What was cancelled ends by this.
        if (&mut *tasks).now_or_never().is_none() {
            actix::spawn(mem::take(&mut *tasks));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, poll_fn};
    use std::rc::Rc;
    use std::task::Poll;

    use tokio::task::yield_now;

    use super::PutOff;

    #[actix::test]
    async fn what_is_cancelled_meanwhile_never_runs_and_the_rest_runs_afterwards() {
        let runs = Rc::new(Cell::new(0));
        let run = || {
            let runs = Rc::clone(&runs);
            async move {
                runs.set(runs.get() + 1);
                yield_now().await;
                runs.set(runs.get() + 10);
            }
        };
        let put_off = PutOff::default();
        let (pointless, useful) = put_off
            .during(async {
                let tasks = (actix::spawn(run()), actix::spawn(run()));
                yield_now().await;
                tasks
            })
            .await;
        yield_now().await;
        assert_eq!(runs.get(), 0);
        pointless.abort();
        put_off.release();
        useful.await.unwrap();
        assert_eq!(runs.get(), 11);
        assert!(pointless.await.unwrap_err().is_cancelled());
    }

    #[actix::test]
    async fn tasks_end_with_what_put_them_off() {
        let put_off = PutOff::default();
        let task = put_off.during(poll_fn(|_| Poll::Ready(actix::spawn(pending::<()>())))).await;
        drop(put_off);
        assert!(task.await.unwrap_err().is_cancelled());
    }
}
