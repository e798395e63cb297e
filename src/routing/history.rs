//! The last events of an account, for clients that come back and want what they missed. Pure; the Registry keeps one for
//! each account that somebody follows with positions, and for a while after that.
//!
//! An offset counts the events of the account since its history began, and means something only beside the epoch of
//! that history: whatever may have broken the chain begins a new one.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::websocket::protocol::event::EventBody;

/// What a history keeps at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub events_max: usize,
    pub bytes_max: usize,
    pub age_ms: u64,
}

#[derive(Debug)]
pub struct History {
    epoch: String,
    /// That of the last event; 0 before the first.
    offset: u64,
    /// When the last event that is not kept came, or the history began, in Unix milliseconds.
    before_ms: u64,
    events: VecDeque<Past>,
    bytes: usize,
    /// When somebody last followed it.
    pub used_ms: u64,
}

#[derive(Debug, Clone)]
pub struct Past {
    pub offset: u64,
    pub topic: Box<str>,
    pub body: Arc<EventBody>,
    at_ms: u64,
}

impl History {
    pub fn new(epoch: String, now_ms: u64) -> Self {
        Self { epoch, offset: 0, before_ms: now_ms, events: VecDeque::new(), bytes: 0, used_ms: now_ms }
    }

    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Something may have been missed: what came before is no longer what a client can come back to.
    pub fn break_off(&mut self, epoch: String, now_ms: u64) {
        *self = Self { used_ms: self.used_ms, ..Self::new(epoch, now_ms) };
    }

    /// Answers the offset of the event.
    pub fn push(&mut self, topic: &str, body: Arc<EventBody>, now_ms: u64, limits: Limits) -> u64 {
        self.offset += 1;
        let past = Past { offset: self.offset, topic: topic.into(), body, at_ms: now_ms };
        self.bytes += past.bytes();
        self.events.push_back(past);
        self.trim(now_ms, limits);
        self.offset
    }

    /// Forgets what is beyond the limits.
    pub fn trim(&mut self, now_ms: u64, limits: Limits) {
        let too_old = |past: &Past| now_ms.saturating_sub(past.at_ms) > limits.age_ms;
        while self.events.len() > limits.events_max
            || self.bytes > limits.bytes_max
            || self.events.front().is_some_and(too_old)
        {
            let Some(past) = self.events.pop_front() else { break };
            self.bytes -= past.bytes();
            self.before_ms = past.at_ms;
        }
    }

    /// All events after that position; `None` when some of them are not known any more, or never were: the position is of
    /// another epoch, or what the client wants was not heard of before `heard_since_ms`.
    pub fn after(&self, epoch: &str, offset: u64, heard_since_ms: u64) -> Option<impl Iterator<Item = &Past>> {
        let first_kept = self.offset + 1 - self.events.len() as u64;
        if epoch != self.epoch || offset > self.offset || offset + 1 < first_kept {
            return None;
        }
        let missed_from = (offset + 1 - first_kept) as usize;
        let position_ms = match missed_from.checked_sub(1) {
            Some(index) => self.events[index].at_ms,
            None => self.before_ms,
        };
        (heard_since_ms <= position_ms).then(|| self.events.range(missed_from..))
    }
}

impl Past {
    fn bytes(&self) -> usize {
        self.topic.len() + self.body.bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{EventBody, History, Limits};

    const LIMITS: Limits = Limits { events_max: 3, bytes_max: 1 << 20, age_ms: 1_000 };

    fn push(history: &mut History, count: u64, now_ms: u64) {
        for _ in 0..count {
            let body = EventBody::new("n", "k", &format!(r#"{{"n":{}}}"#, history.offset() + 1));
            history.push("call/n.k", Arc::new(body), now_ms, LIMITS);
        }
    }

    fn after(history: &History, epoch: &str, offset: u64, heard_since_ms: u64) -> Option<Vec<u64>> {
        history.after(epoch, offset, heard_since_ms).map(|missed| missed.map(|past| past.offset).collect())
    }

    #[test]
    fn what_came_after_a_position_is_given_again_while_it_is_kept() {
        let mut history = History::new("e".into(), 100);
        assert_eq!(after(&history, "e", 0, 100), Some(vec![]));
        push(&mut history, 2, 200);
        assert_eq!(after(&history, "e", 0, 0), Some(vec![1, 2]));
        assert_eq!(after(&history, "e", 2, 0), Some(vec![]));
        push(&mut history, 2, 300);
        assert_eq!(after(&history, "e", 0, 0), None, "the first is forgotten");
        assert_eq!(after(&history, "e", 1, 0), Some(vec![2, 3, 4]));
        assert_eq!(after(&history, "e", 5, 0), None, "there was no such event");
        assert_eq!(after(&history, "other", 4, 0), None);
    }

    #[test]
    fn a_binding_must_have_been_there_since_the_position() {
        let mut history = History::new("e".into(), 100);
        push(&mut history, 1, 200);
        push(&mut history, 3, 300);
        assert_eq!(after(&history, "e", 1, 200), Some(vec![2, 3, 4]));
        assert_eq!(after(&history, "e", 1, 201), None);
        assert_eq!(after(&history, "e", 4, 301), None);
    }

    #[test]
    fn events_age_and_a_broken_chain_begins_anew() {
        let mut history = History::new("e".into(), 100);
        push(&mut history, 2, 200);
        history.trim(1_300, LIMITS);
        assert_eq!(after(&history, "e", 2, 200), Some(vec![]));
        assert_eq!(after(&history, "e", 1, 0), None);
        history.break_off("f".into(), 2_000);
        assert_eq!((history.epoch(), history.offset()), ("f", 0));
        assert_eq!(after(&history, "e", 2, 0), None);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut history = History::new("e".into(), 0);
        let limits = Limits { bytes_max: 100, ..LIMITS };
        let body = Arc::new(EventBody::new("n", "k", &format!(r#"{{"n":"{}"}}"#, "x".repeat(200))));
        assert_eq!(history.push("t", body, 0, limits), 1);
        assert_eq!((history.events.len(), history.bytes), (0, 0));
    }
}
