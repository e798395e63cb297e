//! Which bindings of a queue are needed, and which of them the broker has. There is one of it for each of our queues.
//!
//! The Registry counts the need; the queue's AMQP consumer, from above, sees to it and writes down what holds. Shared,
//! because the consumer may come and go while the need stays.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use actix::Message;

use crate::event::now_ms;
use crate::kazoo::bindings::Binding;

/// Asks the consumer to bring the broker in line with the need. Answered when it is, or cannot be now.
#[derive(Message)]
#[rtype(result = "Result<(), NotBound>")]
pub struct Reconcile;

/// The broker has not got every needed binding yet; the consumer goes on trying.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the broker does not have every binding yet")]
pub struct NotBound;

#[derive(Debug, Default)]
pub struct Bindings {
    state: Mutex<State>,
    /// How long a binding that nobody needs any more stays, in case that somebody does again.
    delay: Duration,
}

#[derive(Debug, Default)]
struct State {
    needed: HashMap<Binding, usize>,
    /// What the broker's queue may have, by all that is known, and since when, in Unix milliseconds.
    bound: BTreeMap<Binding, u64>,
    /// Since when nobody needs it, of what is bound. What an earlier run bound is not in it.
    idle: HashMap<Binding, Instant>,
    /// Something is needed that was not there when the consumer last looked.
    unmet: bool,
}

impl State {
    fn set_idle(&mut self, binding: &Binding) {
        if self.bound.contains_key(binding) {
            self.idle.insert(binding.clone(), Instant::now());
        }
    }

    fn superfluous(&self, delay: Duration) -> Vec<Binding> {
        let is_over = |binding: &&Binding| {
            !self.needed.contains_key(*binding) && self.idle.get(*binding).is_none_or(|since| since.elapsed() >= delay)
        };
        self.bound.keys().filter(is_over).cloned().collect()
    }
}

/// What has to be done to bring the broker in line.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Difference {
    pub missing: Vec<Binding>,
    pub superfluous: Vec<Binding>,
}

impl Difference {
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.superfluous.is_empty()
    }
}

impl Bindings {
    /// With a delay before a binding goes.
    pub fn with_delay(delay: Duration) -> Self {
        Self { delay, ..Self::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What earlier runs of the server left on the durable queue.
    pub fn found_on_disk(&self, bindings: impl IntoIterator<Item = Binding>) {
        self.state().bound.extend(bindings.into_iter().map(|binding| (binding, 0)));
    }

    pub fn need(&self, bindings: impl IntoIterator<Item = Binding>) {
        let mut state = self.state();
        for binding in bindings {
            state.idle.remove(&binding);
            state.unmet |= !state.bound.contains_key(&binding);
            *state.needed.entry(binding).or_default() += 1;
        }
    }

    pub fn release(&self, bindings: &[Binding]) {
        let mut state = self.state();
        for binding in bindings {
            if let Some(count) = state.needed.get_mut(binding) {
                *count -= 1;
                if *count == 0 {
                    state.needed.remove(binding);
                    state.set_idle(binding);
                }
            }
        }
    }

    /// Forgets every need, before a new Registry counts again.
    pub fn release_all(&self) {
        let mut state = self.state();
        for (binding, _) in std::mem::take(&mut state.needed) {
            state.set_idle(&binding);
        }
    }

    /// Whether the broker has all of them, and none is on its way out.
    pub fn has(&self, bindings: &[Binding]) -> bool {
        let state = self.state();
        bindings.iter().all(|binding| state.bound.contains_key(binding))
    }

    /// Since when the broker has all of them, in Unix milliseconds; `None` while it lacks one.
    pub fn bound_since_ms(&self, bindings: &[Binding]) -> Option<u64> {
        let state = self.state();
        let since: Option<Vec<u64>> = bindings.iter().map(|binding| state.bound.get(binding).copied()).collect();
        since.map(|since| since.into_iter().max().unwrap_or(0))
    }

    /// The queue is gone, and everything that was bound to it.
    pub fn forget_bound(&self) {
        let mut state = self.state();
        state.bound.clear();
        state.idle.clear();
        state.unmet = !state.needed.is_empty();
    }

    /// Whether something is to be bound or unbound that the consumer has not seen.
    pub fn wait_for_a_look(&self) -> bool {
        let state = self.state();
        state.unmet || state.idle.values().any(|since| since.elapsed() >= self.delay)
    }

    /// All that is needed counts as missing after a reconnect, for the broker may have lost it.
    pub fn all_needed(&self) -> Difference {
        let mut state = self.state();
        state.unmet = false;
        Difference { missing: state.needed.keys().cloned().collect(), superfluous: state.superfluous(self.delay) }
    }

    pub fn difference(&self) -> Difference {
        let mut state = self.state();
        state.unmet = false;
        let missing = state.needed.keys().filter(|binding| !state.bound.contains_key(binding)).cloned();
        Difference { missing: missing.collect(), superfluous: state.superfluous(self.delay) }
    }

    pub fn set_bound(&self, binding: Binding) {
        let mut state = self.state();
        state.bound.entry(binding.clone()).or_insert_with(now_ms);
        // Whoever asked for it may be gone by now.
        if !state.needed.contains_key(&binding) {
            state.set_idle(&binding);
        }
    }

    /// Before the broker is asked to unbind: from here on whoever needs the binding finds it missing, and waits until it
    /// is back. `false` when somebody needs it by now; then it stays.
    pub fn begin_unbinding(&self, binding: &Binding) -> bool {
        let mut state = self.state();
        if state.needed.contains_key(binding) || state.bound.remove(binding).is_none() {
            return false;
        }
        state.idle.remove(binding);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Binding, Bindings, Difference};

    fn binding(key: &str) -> Binding {
        Binding { exchange: "callevt", routing_key: key.into() }
    }

    #[test]
    fn a_binding_is_needed_until_its_last_hook_is_gone() {
        let bindings = Bindings::default();
        bindings.need([binding("a"), binding("b")]);
        bindings.need([binding("a")]);
        assert_eq!(bindings.difference().missing.len(), 2);
        bindings.set_bound(binding("a"));
        bindings.set_bound(binding("b"));
        assert!(bindings.difference().is_empty());
        bindings.release(&[binding("a"), binding("b")]);
        assert_eq!(bindings.difference().superfluous, [binding("b")]);
        assert!(bindings.begin_unbinding(&binding("b")));
        assert!(bindings.difference().is_empty());
    }

    #[test]
    fn a_binding_that_is_needed_again_stays_or_when_it_goes_already_is_missing() {
        let bindings = Bindings::default();
        bindings.found_on_disk([binding("a"), binding("b")]);
        assert_eq!(bindings.difference().superfluous.len(), 2);
        bindings.need([binding("a")]);
        assert!(!bindings.begin_unbinding(&binding("a")));
        assert!(bindings.begin_unbinding(&binding("b")));
        bindings.need([binding("b")]);
        assert_eq!(bindings.difference().missing, [binding("b")]);
    }

    #[test]
    fn a_binding_stays_for_its_delay_and_being_needed_again_ends_that() {
        let bindings = Bindings::with_delay(Duration::from_secs(3_600));
        bindings.need([binding("a")]);
        assert!(bindings.wait_for_a_look() && !bindings.has(&[binding("a")]));
        assert_eq!(bindings.difference().missing, [binding("a")]);
        bindings.set_bound(binding("a"));
        bindings.release(&[binding("a")]);
        assert!(bindings.has(&[binding("a")]) && bindings.difference().is_empty() && !bindings.wait_for_a_look());
        bindings.state().idle.insert(binding("a"), Instant::now().checked_sub(Duration::from_secs(3_600)).unwrap());
        assert!(bindings.wait_for_a_look());
        assert_eq!(bindings.difference().superfluous, [binding("a")]);
        bindings.need([binding("a")]);
        assert!(bindings.difference().is_empty() && !bindings.wait_for_a_look());
        bindings.release_all();
        assert_eq!(bindings.state().idle.len(), 1, "a new Registry has the delay to ask for it again");
    }

    #[test]
    fn what_is_bound_after_the_last_one_left_goes_again() {
        let bindings = Bindings::default();
        bindings.need([binding("a")]);
        assert_eq!(bindings.difference().missing, [binding("a")]);
        bindings.release(&[binding("a")]);
        bindings.set_bound(binding("a"));
        assert!(bindings.wait_for_a_look());
        assert!(bindings.begin_unbinding(&binding("a")) && !bindings.wait_for_a_look());
    }

    #[test]
    fn with_the_queue_every_binding_is_gone() {
        let bindings = Bindings::with_delay(Duration::from_secs(3_600));
        bindings.need([binding("a"), binding("b")]);
        bindings.set_bound(binding("a"));
        bindings.set_bound(binding("b"));
        bindings.release(&[binding("b")]);
        bindings.forget_bound();
        assert!(!bindings.has(&[binding("a")]) && bindings.wait_for_a_look());
        assert_eq!(bindings.all_needed(), Difference { missing: vec![binding("a")], superfluous: Vec::new() });
    }

    #[test]
    fn what_earlier_runs_bound_and_nobody_needs_is_superfluous() {
        let bindings = Bindings::default();
        bindings.found_on_disk([binding("old"), binding("kept")]);
        bindings.need([binding("kept")]);
        let difference = bindings.all_needed();
        assert_eq!(difference.superfluous, [binding("old")]);
        assert_eq!(difference.missing, [binding("kept")], "the broker may have lost it");
    }
}
