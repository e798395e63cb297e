//! How far events are ahead of the threads that serve sockets.
//!
//! The Registry puts frames into mailboxes faster than the threads of the sessions write them, so that in a long burst
//! even those who read would find theirs full, and be cut off. So after some events the threads are asked for a turn: a
//! token goes to each and comes back when every session that was woken before has been polled. What is routed meanwhile
//! is settled only then, and the broker, which sends no more than the prefetch ahead, waits with the rest. A peer that
//! takes nothing holds up nobody: its session is polled as well, whatever comes of it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::yield_now;

use crate::event::Receipt;
use crate::websocket::worker::Worker;

/// Events between two turns: enough that a turn costs nothing beside them, and few beside what a session's queue holds.
const EVENTS_PER_TURN: usize = 128;

#[derive(Default)]
pub struct Pace(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    workers: Vec<Worker>,
    /// Events since the last turn was asked for.
    ahead: usize,
    /// Those that wait for the next turn. `None`: none is under way.
    held: Option<Held>,
}

/// Receipts of events that are routed.
#[derive(Default)]
struct Held(Vec<Receipt>);

/// The token. The last copy that is dropped ends the turn, so that a thread which is gone holds nothing up.
struct Turn {
    state: Arc<Mutex<State>>,
    /// Done at its end; nothing else is done with them.
    _held: Held,
}

impl Pace {
    /// There is a session on this thread.
    pub fn enter(&self, worker: &Worker) {
        let mut state = lock(&self.0);
        if !state.workers.contains(worker) {
            state.workers.push(worker.clone());
        }
    }

    /// The frames of an event are in the mailboxes: its share is done now or at the end of the next turn.
    pub fn sent(&self, receipt: Receipt) {
        let mut state = lock(&self.0);
        state.ahead += 1;
        if let Some(held) = &mut state.held {
            held.0.push(receipt);
            return;
        }
        let turn = (state.ahead >= EVENTS_PER_TURN).then(|| self.ask(&mut state, Held::default()));
        drop(state);
        drop(turn);
        receipt.done();
    }

    fn ask(&self, state: &mut State, held: Held) -> Arc<Turn> {
        ask(&self.0, state, held)
    }
}

/// What it answers is to be dropped when the state is not locked.
fn ask(shared: &Arc<Mutex<State>>, state: &mut State, held: Held) -> Arc<Turn> {
    state.ahead = 0;
    state.held = Some(Held::default());
    let turn = Arc::new(Turn { state: Arc::clone(shared), _held: held });
    state.workers.retain(|worker| {
        let turn = Arc::clone(&turn);
        worker.spawn(async move {
            // Behind all that is to be polled now.
            yield_now().await;
            drop(turn);
        })
    });
    turn
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = lock(&self.state);
        let held = state.held.take().unwrap_or_default();
        let next = (!held.0.is_empty()).then(|| ask(&self.state, &mut state, held));
        drop(state);
        drop(next);
    }
}

/// Whatever becomes of the rest, a panic of the Registry too, they are routed, and would come twice.
impl Drop for Held {
    fn drop(&mut self) {
        for receipt in self.0.drain(..) {
            receipt.done();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
    use std::time::Duration;

    use actix::Arbiter;

    use super::{EVENTS_PER_TURN, Pace};
    use crate::event::{Receipt, Settled};
    use crate::websocket::worker::Worker;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn send(pace: &Pace, events: usize) -> Vec<Receiver<Settled>> {
        let one = |_| {
            let (sender, settled) = mpsc::channel();
            pace.sent(Receipt::new(move |outcome| sender.send(outcome).unwrap()));
            settled
        };
        (0..events).map(one).collect()
    }

    #[track_caller]
    fn expect_done(settled: Vec<Receiver<Settled>>) {
        for settled in settled {
            assert_eq!(settled.recv_timeout(PATIENCE), Ok(Settled::Done));
        }
    }

    fn is_open(settled: &Receiver<Settled>) -> bool {
        settled.recv_timeout(Duration::ZERO) == Err(RecvTimeoutError::Timeout)
    }

    fn worker(arbiter: &Arbiter) -> Worker {
        let (sender, found) = mpsc::channel();
        arbiter.spawn_fn(move || sender.send(Worker::current().unwrap()).unwrap());
        found.recv_timeout(PATIENCE).unwrap()
    }

    #[actix::test]
    async fn events_wait_when_a_thread_is_behind_and_go_on_with_it() {
        let (pace, arbiters) = (Pace::default(), [Arbiter::new(), Arbiter::new()]);
        for arbiter in &arbiters {
            pace.enter(&worker(arbiter));
            pace.enter(&worker(arbiter));
        }
        let (go_on, stopped) = mpsc::channel::<()>();
        arbiters[1].spawn_fn(move || stopped.recv().unwrap());
        expect_done(send(&pace, EVENTS_PER_TURN));
        let waiting = send(&pace, 2 * EVENTS_PER_TURN);
        assert!(waiting.iter().all(is_open));
        go_on.send(()).unwrap();
        expect_done(waiting);
        // Also when there is nobody left to ask for the next turn.
        let last = send(&pace, 3 * EVENTS_PER_TURN);
        drop(pace);
        expect_done(last);
    }

    #[actix::test]
    async fn a_thread_that_is_gone_holds_nothing_up() {
        let (pace, arbiter) = (Pace::default(), Arbiter::new());
        expect_done(send(&pace, 2 * EVENTS_PER_TURN));
        pace.enter(&worker(&arbiter));
        arbiter.stop();
        arbiter.join().unwrap();
        expect_done(send(&pace, 3 * EVENTS_PER_TURN));
    }
}
