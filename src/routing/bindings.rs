//! Which bindings of the webhook queue the hooks need, and which of them the broker has.
//!
//! The Registry counts the need; the AMQP consumer, from above, sees to it and writes down what holds. Shared, because
//! the consumer may come and go while the need stays.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use actix::Message;

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
pub struct Bindings(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    needed: HashMap<Binding, usize>,
    /// What the broker's queue may have, by all that is known.
    bound: BTreeSet<Binding>,
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
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What earlier runs of the server left on the durable queue.
    pub fn found_on_disk(&self, bindings: impl IntoIterator<Item = Binding>) {
        self.state().bound.extend(bindings);
    }

    pub fn need(&self, bindings: impl IntoIterator<Item = Binding>) {
        let mut state = self.state();
        for binding in bindings {
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
                }
            }
        }
    }

    /// Forgets every need, before a new Registry counts again.
    pub fn release_all(&self) {
        self.state().needed.clear();
    }

    /// All that is needed counts as missing after a reconnect, for the broker may have lost it.
    pub fn all_needed(&self) -> Difference {
        let state = self.state();
        let superfluous = state.bound.iter().filter(|binding| !state.needed.contains_key(binding)).cloned();
        Difference { missing: state.needed.keys().cloned().collect(), superfluous: superfluous.collect() }
    }

    pub fn difference(&self) -> Difference {
        let state = self.state();
        let missing = state.needed.keys().filter(|binding| !state.bound.contains(binding)).cloned();
        let superfluous = state.bound.iter().filter(|binding| !state.needed.contains_key(binding)).cloned();
        Difference { missing: missing.collect(), superfluous: superfluous.collect() }
    }

    pub fn set_bound(&self, binding: Binding) {
        self.state().bound.insert(binding);
    }

    /// Before the broker is asked to unbind: from here on whoever needs the binding finds it missing, and waits until it
    /// is back. `false` when somebody needs it by now; then it stays.
    pub fn begin_unbinding(&self, binding: &Binding) -> bool {
        let mut state = self.state();
        !state.needed.contains_key(binding) && state.bound.remove(binding)
    }
}

#[cfg(test)]
mod tests {
    use super::{Binding, Bindings};

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
    fn what_earlier_runs_bound_and_nobody_needs_is_superfluous() {
        let bindings = Bindings::default();
        bindings.found_on_disk([binding("old"), binding("kept")]);
        bindings.need([binding("kept")]);
        let difference = bindings.all_needed();
        assert_eq!(difference.superfluous, [binding("old")]);
        assert_eq!(difference.missing, [binding("kept")], "the broker may have lost it");
    }
}
