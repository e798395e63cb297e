//! Room for the events that came in over HTTP and are not done: one place each, given back when it is.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::readiness::Readiness;

/// One event's place.
#[derive(Debug)]
pub struct Room(Arc<Readiness>);

impl Room {
    /// All places or none.
    pub fn reserve(readiness: &Arc<Readiness>, count: usize, max: usize) -> Option<Vec<Self>> {
        let enlarged = |taken: usize| taken.checked_add(count).filter(|taken| *taken <= max);
        readiness.events_in_flight.fetch_update(Ordering::AcqRel, Ordering::Acquire, enlarged).ok()?;
        Some((0..count).map(|_| Self(Arc::clone(readiness))).collect())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.0.events_in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use super::{Readiness, Room};

    #[test]
    fn places_are_given_together_and_given_back_one_by_one() {
        let readiness = Arc::new(Readiness::default());
        let mut first = Room::reserve(&readiness, 3, 4).unwrap();
        assert!(Room::reserve(&readiness, 2, 4).is_none());
        assert!(Room::reserve(&readiness, usize::MAX, 4).is_none());
        first.pop();
        let second = Room::reserve(&readiness, 2, 4).unwrap();
        assert_eq!(readiness.events_in_flight.load(Ordering::Relaxed), 4);
        drop((first, second));
        assert_eq!(readiness.events_in_flight.load(Ordering::Relaxed), 0);
    }
}
