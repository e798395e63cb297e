//! When a session has to do what by itself: ping, give up on an answer, close for idleness. Pure: it gets the time.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::close::CloseCode;
use crate::config::Websockets;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    Ping,
    /// The conversation's own time has come.
    Deadline,
    Close(CloseCode),
    /// The peer did not answer our close.
    Cut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pongs {
    Expected,
    Impossible,
}

#[derive(Debug)]
pub struct Watch {
    config: Arc<Websockets>,
    pongs: Pongs,
    ping_at: Instant,
    pong_by: Option<Instant>,
    authenticate_by: Option<Instant>,
    /// As far as known, which is as of the last look.
    active_at: Instant,
    messages: u64,
    deadline: Option<Instant>,
    /// Set once we have closed; nothing else counts then.
    close_by: Option<Instant>,
}

impl Watch {
    pub fn new(config: &Arc<Websockets>, now: Instant) -> Self {
        Self {
            config: Arc::clone(config),
            pongs: Pongs::Expected,
            ping_at: now + Duration::from_millis(config.ping_interval_ms),
            pong_by: None,
            authenticate_by: Some(now + Duration::from_millis(config.authenticate_timeout_ms)),
            active_at: now,
            messages: 0,
            deadline: None,
            close_by: None,
        }
    }

    /// The peer cannot answer pings; they are sent all the same.
    pub fn without_answers(mut self) -> Self {
        self.pongs = Pongs::Impossible;
        self
    }

    pub fn authenticated(&mut self) {
        self.authenticate_by = None;
    }

    pub fn pong(&mut self) {
        self.pong_by = None;
    }

    pub fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    pub fn closing(&mut self, by: Instant) {
        self.close_by = Some(by);
    }

    /// When to look next. Something else may be due earlier than was known then.
    pub fn next(&self) -> Instant {
        if let Some(close_by) = self.close_by {
            return close_by;
        }
        let sooner = [self.pong_by, self.authenticate_by, self.deadline];
        let next = self.ping_at.min(self.idle_at());
        sooner.into_iter().flatten().fold(next, Instant::min)
    }

    /// One thing that is due; to be asked until there is none. `messages` counts those that went either way; `reading`
    /// is false while nothing is read from the peer, so that its answer may be here unseen.
    pub fn due(&mut self, now: Instant, messages: u64, reading: bool) -> Option<Due> {
        if let Some(close_by) = self.close_by {
            return (close_by <= now).then_some(Due::Cut);
        }
        if self.messages != messages {
            (self.messages, self.active_at) = (messages, now);
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            return Some(Due::Deadline);
        }
        if self.authenticate_by.is_some_and(|by| by <= now) {
            return Some(Due::Close(CloseCode::NotAuthenticated));
        }
        if self.pong_by.is_some_and(|by| by <= now) {
            if reading {
                return Some(Due::Close(CloseCode::PongMissing));
            }
            self.pong_by = Some(self.pong_limit(now));
        }
        if self.idle_at() <= now {
            return Some(Due::Close(CloseCode::Idle));
        }
        if self.ping_at <= now {
            self.ping_at = now + Duration::from_millis(self.config.ping_interval_ms);
            if self.pongs == Pongs::Expected {
                // The first one that is not answered counts.
                self.pong_by = self.pong_by.or(Some(self.pong_limit(now)));
            }
            return Some(Due::Ping);
        }
        None
    }

    fn idle_at(&self) -> Instant {
        self.active_at + Duration::from_millis(self.config.idle_timeout_ms)
    }

    fn pong_limit(&self, now: Instant) -> Instant {
        now + Duration::from_millis(self.config.pong_timeout_ms)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Due, Watch};
    use crate::config::Websockets;
    use crate::websocket::close::CloseCode;

    fn watch(start: Instant) -> Watch {
        let config = Websockets {
            ping_interval_ms: 30,
            pong_timeout_ms: 40,
            idle_timeout_ms: 200,
            authenticate_timeout_ms: 100,
            ..Websockets::default()
        };
        Watch::new(&Arc::new(config), start)
    }

    fn after(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn pings_come_at_their_interval_and_want_an_answer() {
        let start = Instant::now();
        let mut watch = watch(start);
        watch.authenticated();
        assert_eq!(watch.next(), after(start, 30));
        assert_eq!(watch.due(after(start, 29), 0, true), None);
        assert_eq!(watch.due(after(start, 30), 0, true), Some(Due::Ping));
        assert_eq!(watch.due(after(start, 30), 0, true), None);
        // Later pings do not put off the answer to the first.
        assert_eq!(watch.due(after(start, 60), 0, true), Some(Due::Ping));
        assert_eq!(watch.next(), after(start, 70));
        assert_eq!(watch.due(after(start, 70), 0, true), Some(Due::Close(CloseCode::PongMissing)));
        watch.pong();
        assert_eq!(watch.due(after(start, 70), 0, true), None);
    }

    #[test]
    fn whoever_cannot_answer_is_pinged_and_not_closed_for_it() {
        let start = Instant::now();
        let mut watch = watch(start).without_answers();
        watch.authenticated();
        for ms in [30, 60, 90, 120, 150, 180] {
            assert_eq!(watch.due(after(start, ms), 0, true), Some(Due::Ping));
            assert_eq!(watch.due(after(start, ms), 0, true), None);
        }
        assert_eq!(watch.due(after(start, 200), 0, true), Some(Due::Close(CloseCode::Idle)));
    }

    #[test]
    fn an_answer_is_not_missed_while_nothing_is_read() {
        let start = Instant::now();
        let mut watch = watch(start);
        watch.authenticated();
        assert_eq!(watch.due(after(start, 30), 0, true), Some(Due::Ping));
        assert_eq!(watch.due(after(start, 75), 0, false), Some(Due::Ping));
        assert_eq!(watch.due(after(start, 75), 0, true), None);
        assert_eq!(watch.due(after(start, 115), 0, true), Some(Due::Close(CloseCode::PongMissing)));
    }

    #[test]
    fn tokens_and_words_are_waited_for() {
        let start = Instant::now();
        let mut watch = watch(start);
        let answered = |watch: &mut Watch, ms, messages| {
            watch.pong();
            let due = watch.due(after(start, ms), messages, true);
            if due == Some(Due::Ping) { watch.due(after(start, ms), messages, true) } else { due }
        };
        assert_eq!(answered(&mut watch, 99, 1), None);
        assert_eq!(answered(&mut watch, 100, 1), Some(Due::Close(CloseCode::NotAuthenticated)));
        watch.authenticated();
        assert_eq!(answered(&mut watch, 250, 2), None);
        assert_eq!(answered(&mut watch, 449, 2), None);
        assert_eq!(answered(&mut watch, 450, 2), Some(Due::Close(CloseCode::Idle)));
    }

    #[test]
    fn a_close_that_stays_unanswered_ends_everything_else() {
        let start = Instant::now();
        let mut watch = watch(start);
        watch.set_deadline(Some(after(start, 5)));
        assert_eq!(watch.due(after(start, 5), 0, true), Some(Due::Deadline));
        assert_eq!(watch.due(after(start, 5), 0, true), None);
        watch.closing(after(start, 500));
        assert_eq!((watch.next(), watch.due(after(start, 499), 0, true)), (after(start, 500), None));
        assert_eq!(watch.due(after(start, 500), 0, true), Some(Due::Cut));
    }
}
