//! Which delivery tags of one channel may be acknowledged, and in how few frames. Pure.
//!
//! Tags count up from 1. The finished ones at the front are acknowledged together; while one delivery is stuck there,
//! finished ones behind it are acknowledged singly once they would take too much of the broker's window.

use std::collections::VecDeque;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// To be acknowledged.
    Finished,
    /// Acknowledged, rejected or handed back already.
    Settled,
}

#[derive(Debug)]
pub struct Tags {
    /// The tag of the first state.
    first: u64,
    states: VecDeque<State>,
    finished: usize,
    held_max: usize,
}

/// What to send to the broker, in this order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Acks {
    /// This tag and all before it.
    pub up_to: Option<u64>,
    pub single: Vec<u64>,
    /// How many messages that acknowledges.
    pub count: u64,
}

impl Tags {
    /// More than `held_max` finished tags are not kept waiting behind a stuck one.
    pub fn new(held_max: usize) -> Self {
        Self { first: 1, states: VecDeque::new(), finished: 0, held_max }
    }

    /// The delivery is done.
    pub fn finish(&mut self, tag: u64) {
        if self.set(tag, State::Finished) {
            self.finished += 1;
        }
    }

    /// The delivery was rejected or handed back by a frame of its own, which has been sent already: otherwise the next
    /// acknowledgement would cover it.
    pub fn settled(&mut self, tag: u64) {
        self.set(tag, State::Settled);
    }

    pub fn take(&mut self) -> Acks {
        let mut acks = Acks::default();
        while let Some(state) = self.states.front().filter(|state| **state != State::Open) {
            // The last tag of a `multiple` must itself be unacknowledged; those before it need not be.
            if *state == State::Finished {
                acks.up_to = Some(self.first);
                acks.count += 1;
            }
            self.states.pop_front();
            self.first += 1;
        }
        self.finished -= acks.count as usize;
        if self.finished > self.held_max {
            for (offset, state) in self.states.iter_mut().enumerate().filter(|(_, state)| **state == State::Finished) {
                *state = State::Settled;
                acks.single.push(self.first + offset as u64);
            }
            self.finished = 0;
            acks.count += acks.single.len() as u64;
        }
        acks
    }

    fn set(&mut self, tag: u64, state: State) -> bool {
        let Some(offset) = tag.checked_sub(self.first) else {
            return false;
        };
        let offset = offset as usize;
        if offset >= self.states.len() {
            self.states.resize(offset + 1, State::Open);
        }
        let changed = self.states[offset] == State::Open;
        if changed {
            self.states[offset] = state;
        }
        changed
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::{Acks, Tags};

    #[test]
    fn finished_front_is_acknowledged_in_one_frame() {
        let mut tags = Tags::new(10);
        tags.finish(2);
        assert_eq!(tags.take(), Acks::default());
        tags.finish(1);
        tags.finish(4);
        assert_eq!(tags.take(), Acks { up_to: Some(2), single: vec![], count: 2 });
    }

    #[test]
    fn one_stuck_delivery_does_not_hold_the_window() {
        let mut tags = Tags::new(2);
        (2..=4).for_each(|tag| tags.finish(tag));
        assert_eq!(tags.take(), Acks { up_to: None, single: vec![2, 3, 4], count: 3 });
        tags.finish(1);
        assert_eq!(tags.take(), Acks { up_to: Some(1), single: vec![], count: 1 });
    }

    #[test]
    fn a_tag_that_was_settled_singly_never_ends_a_range() {
        let mut tags = Tags::new(10);
        tags.finish(1);
        tags.settled(2);
        assert_eq!(tags.take(), Acks { up_to: Some(1), single: vec![], count: 1 });
        tags.settled(3);
        assert_eq!(tags.take(), Acks::default());
    }

    /// What a broker holds against a channel: every acknowledgement must name an open tag.
    struct Broker {
        open: BTreeSet<u64>,
        handed_back: BTreeSet<u64>,
    }

    impl Broker {
        fn apply(&mut self, acks: &Acks) {
            let before = self.open.len();
            if let Some(up_to) = acks.up_to {
                assert!(self.open.contains(&up_to), "PRECONDITION_FAILED: {up_to}");
                self.open.retain(|tag| *tag > up_to);
            }
            for tag in &acks.single {
                assert!(self.open.remove(tag), "PRECONDITION_FAILED: {tag}");
            }
            assert_eq!((before - self.open.len()) as u64, acks.count);
        }
    }

    proptest! {
        #[test]
        fn every_tag_is_acknowledged_once_and_none_too_early(
            order in Just((1..=200_u64).collect::<Vec<_>>()).prop_shuffle(),
            back in prop::collection::btree_set(1..=200_u64, 0..50),
            takes in prop::collection::vec(1..20_usize, 200),
            held_max in 0..40_usize,
        ) {
            let mut tags = Tags::new(held_max);
            let mut broker = Broker { open: (1..=200).collect(), handed_back: BTreeSet::new() };
            let mut done = BTreeSet::new();
            let mut left = order.as_slice();
            for take in takes {
                let (now, later) = left.split_at(take.min(left.len()));
                left = later;
                for tag in now {
                    if back.contains(tag) {
                        prop_assert!(broker.open.remove(tag), "acknowledged before it was handed back");
                        broker.handed_back.insert(*tag);
                        tags.settled(*tag);
                    } else {
                        done.insert(*tag);
                        tags.finish(*tag);
                    }
                }
                broker.apply(&tags.take());
                for tag in 1..=200 {
                    let gone = !broker.open.contains(&tag);
                    prop_assert!(!gone || done.contains(&tag) || broker.handed_back.contains(&tag), "{} too early", tag);
                }
            }
            broker.apply(&tags.take());
            prop_assert!(broker.open.is_empty());
            prop_assert_eq!(broker.handed_back, back);
        }
    }
}
