//! What looks after something every now and then does so at the same moments: to wake a thread that has nothing to do
//! costs more than most of these looks.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::Instant;

/// The next of the moments that are `every` apart and the same for the whole process.
pub fn next_beat(every: Duration) -> Instant {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let first = *FIRST.get_or_init(Instant::now);
    beat_after(first, every, Instant::now())
}

fn beat_after(first: Instant, every: Duration, now: Instant) -> Instant {
    let every = every.as_millis().max(1) as u64;
    let since = now.saturating_duration_since(first).as_millis() as u64;
    first + Duration::from_millis((since / every + 1) * every)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{beat_after, next_beat};

    #[test]
    fn beats_of_whole_multiples_fall_together() {
        let first = Instant::now();
        let ms = Duration::from_millis;
        for (every, since, expected) in [(250, 0, 250), (250, 249, 250), (250, 250, 500), (500, 250, 500), (0, 7, 8)] {
            assert_eq!(beat_after(first, ms(every), first + ms(since)), first + ms(expected));
        }
        let (short, long) = (next_beat(ms(1)), next_beat(ms(3_600_000)));
        assert!(short > first && long > short && long <= short + ms(3_600_000));
    }
}
