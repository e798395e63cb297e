//! A thread that serves sockets, and the way to have it do something: one thing after the other, as it was asked.

use std::cell::RefCell;
use std::panic::AssertUnwindSafe;
use std::thread::{self, ThreadId};

use actix::Arbiter;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

type Work = BoxFuture<'static, ()>;

#[derive(Debug, Clone)]
pub struct Worker {
    thread: ThreadId,
    queue: UnboundedSender<Work>,
}

thread_local! {
    static QUEUE: RefCell<Option<UnboundedSender<Work>>> = const { RefCell::new(None) };
}

impl Worker {
    /// That of the caller. `None` outside of actix.
    pub fn current() -> Option<Self> {
        Arbiter::try_current()?;
        QUEUE.with_borrow_mut(|queue| {
            if queue.as_ref().is_none_or(UnboundedSender::is_closed) {
                let (sender, work) = unbounded_channel();
                actix::spawn(run(work));
                *queue = Some(sender);
            }
            queue.clone().map(|queue| Self { thread: thread::current().id(), queue })
        })
    }

    /// Has it done when all that was asked for before is done; `false`: the thread is gone.
    pub fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> bool {
        self.queue.send(work.boxed()).is_ok()
    }
}

impl PartialEq for Worker {
    fn eq(&self, other: &Self) -> bool {
        self.thread == other.thread
    }
}

async fn run(mut queue: UnboundedReceiver<Work>) {
    while let Some(work) = queue.recv().await {
        // The panic is logged; what was asked for next has nothing to do with it.
        let _ = AssertUnwindSafe(work).catch_unwind().await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use actix::Arbiter;
    use tokio::task::yield_now;

    use super::Worker;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn work_is_done_in_its_order_whatever_becomes_of_the_work_before() {
        let system = actix::System::new();
        let arbiter = system.block_on(async { Arbiter::new() });
        let (sender, found) = mpsc::channel();
        arbiter.spawn_fn(move || sender.send(Worker::current().unwrap()).unwrap());
        let worker: Worker = found.recv_timeout(PATIENCE).unwrap();
        let (done, doing) = mpsc::channel();
        for number in 0..10 {
            let done = done.clone();
            assert!(worker.spawn(async move {
                yield_now().await;
                assert!(number % 3 > 0, "on purpose");
                done.send(number).unwrap();
            }));
        }
        drop(done);
        assert_eq!(doing.iter().collect::<Vec<_>>(), [1, 2, 4, 5, 7, 8]);
        arbiter.stop();
        arbiter.join().unwrap();
        assert!(!worker.spawn(async {}));
    }
}
