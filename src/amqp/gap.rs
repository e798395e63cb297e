//! Which connections are reconnections, and since when live events may be missing then. A panic between them changes
//! nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::event::{GapReason, LiveGap};

/// When the broker was last heard of, in Unix milliseconds; 0 is never. Outlives connections and panics.
#[derive(Debug, Clone, Default)]
pub struct Heard(Arc<AtomicU64>);

impl Heard {
    pub fn message(&self, now_ms: u64) {
        self.0.store(now_ms, Ordering::Relaxed);
    }

    /// A new connection. `away_since_ms` is the first moment at which the one before it may have been dead.
    pub fn connection(&self, away_since_ms: u64, now_ms: u64) -> Option<LiveGap> {
        let heard_ms = self.0.swap(now_ms, Ordering::Relaxed);
        let since_ms = heard_ms.max(away_since_ms);
        (heard_ms != 0).then_some(LiveGap { reason: GapReason::AmqpReconnect, since_ms })
    }
}

/// A dead connection looks like a quiet one until a heartbeat is missed. Without heartbeats it does so for ever.
pub fn away_since(now_ms: u64, unnoticed_ms: u64) -> u64 {
    if unnoticed_ms == 0 { 0 } else { now_ms.saturating_sub(unnoticed_ms) }
}

#[cfg(test)]
mod tests {
    use super::{Heard, away_since};

    #[test]
    fn a_gap_begins_with_the_last_message_or_when_a_dead_connection_would_have_been_noticed() {
        let heard = Heard::default();
        let since = |away_since_ms, now_ms| heard.connection(away_since_ms, now_ms).map(|gap| gap.since_ms);
        assert_eq!(since(0, 1_000), None, "nothing came before");
        heard.message(2_000);
        assert_eq!(since(away_since(9_000, 5_000), 9_500), Some(4_000));
        heard.message(9_600);
        assert_eq!(since(away_since(10_000, 5_000), 10_500), Some(9_600));
        assert_eq!(since(away_since(90_000, 0), 91_000), Some(10_500), "since the connection was made");
    }
}
