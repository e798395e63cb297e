//! When a delivery is tried again, and when a hook has failed too often.
//!
//! Pure: the hook's actor asks after each attempt and arms its timer itself. Times are Unix milliseconds.

use std::time::Duration;

use rand::{Rng, RngExt};

use crate::webhook::outcome::Outcome;

/// The waits between attempts, from the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// The wait before the first retry; it doubles with each further one.
    pub base_ms: u64,
    /// Waits of ours never grow past this.
    pub cap_ms: u64,
    /// A receiver's `Retry-After` is honoured up to this.
    pub retry_after_cap_ms: u64,
}

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Delivered,
    /// Try again at this time.
    At(u64),
    /// No retries are left.
    GivenUp,
    /// No retry can help.
    Refused,
    /// The hook is to be disabled with its deliveries held.
    Held,
}

/// `attempts` counts the delivery's attempts so far, this one included; `retries` is how many may follow the first.
pub fn next_attempt(
    now_ms: u64,
    outcome: &Outcome,
    policy: &RetryPolicy,
    attempts: u32,
    retries: u8,
    rng: &mut impl Rng,
) -> Next {
    match outcome {
        Outcome::Delivered => Next::Delivered,
        Outcome::Gone => Next::Held,
        Outcome::Refused { .. } => Next::Refused,
        Outcome::Retry { .. } if attempts > u32::from(retries) => Next::GivenUp,
        Outcome::Retry { after, .. } => {
            let asked = after.map_or(0, |after| millis(after).min(policy.retry_after_cap_ms));
            Next::At(now_ms.saturating_add(asked.max(wait_ms(policy, attempts, rng))))
        }
    }
}

/// Randomised, so that the hooks of a receiver that was down do not all come back in one moment.
fn wait_ms(policy: &RetryPolicy, retry: u32, rng: &mut impl Rng) -> u64 {
    let doublings = retry.saturating_sub(1);
    let factor = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
    let full = policy.base_ms.saturating_mul(factor).min(policy.cap_ms);
    rng.random_range(full.div_ceil(2)..=full)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// How many failed attempts within how long disable a hook: Kazoo's `attempt_failure_count` and
/// `attempt_failure_expiry_ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailureLimits {
    pub count: u32,
    pub expiry_ms: u64,
}

/// The failed attempts of a hook that still count. Holds no more of them than the count that disables.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct FailureWindow(Vec<u64>);

/// Whether a failed attempt was one too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    Within,
    Tripped,
}

impl FailureWindow {
    pub fn push(&mut self, now_ms: u64, limits: FailureLimits) -> Counted {
        // A clock that was set back makes older failures look new at worst, never immortal.
        self.0.retain(|failed_ms| now_ms.abs_diff(*failed_ms) < limits.expiry_ms);
        self.0.push(now_ms);
        let count = limits.count.max(1) as usize;
        let surplus = self.0.len().saturating_sub(count);
        self.0.drain(..surplus);
        if self.0.len() == count { Counted::Tripped } else { Counted::Within }
    }

    /// As read from the store.
    pub fn from_times(times: Vec<u64>) -> Self {
        Self(times)
    }

    /// When the attempts failed that still count, in Unix milliseconds.
    pub fn times(&self) -> &[u64] {
        &self.0
    }

    /// Enabling a hook forgives what came before.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::{any, proptest};
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::{Counted, FailureLimits, FailureWindow, Next, RetryPolicy, next_attempt};
    use crate::webhook::outcome::{Outcome, Reason};

    const POLICY: RetryPolicy = RetryPolicy { base_ms: 2_000, cap_ms: 60_000, retry_after_cap_ms: 600_000 };
    const KAZOO: FailureLimits = FailureLimits { count: 6, expiry_ms: 60_000 };

    fn failed(after: Option<Duration>) -> Outcome {
        Outcome::Retry { after, reason: Reason::BadStatus(500) }
    }

    #[test]
    fn waits_double_from_two_seconds_up_to_the_cap() {
        let mut rng = StdRng::seed_from_u64(1);
        for (attempts, full) in
            [(1, 2_000), (2, 4_000), (3, 8_000), (4, 16_000), (6, 60_000), (70, 60_000), (u32::MAX, 60_000)]
        {
            let waits: Vec<u64> = (0..200).map(|_| super::wait_ms(&POLICY, attempts, &mut rng)).collect();
            assert!(waits.iter().all(|wait| (full / 2..=full).contains(wait)), "{attempts}: {waits:?}");
            assert!(waits.iter().any(|wait| *wait < full * 6 / 10) && waits.iter().any(|wait| *wait > full * 9 / 10));
        }
    }

    #[test]
    fn final_outcomes_are_final_whatever_is_left() {
        let mut rng = StdRng::seed_from_u64(1);
        let refused = Outcome::Refused { reason: Reason::Client("address 127.0.0.1 is loopback".to_owned()) };
        assert_eq!(next_attempt(0, &Outcome::Delivered, &POLICY, 1, 4, &mut rng), Next::Delivered);
        assert_eq!(next_attempt(0, &Outcome::Gone, &POLICY, 1, 4, &mut rng), Next::Held);
        assert_eq!(next_attempt(0, &refused, &POLICY, 1, 4, &mut rng), Next::Refused);
    }

    #[test]
    fn retries_are_requests_after_the_first() {
        let mut rng = StdRng::seed_from_u64(1);
        for retries in 0..=4 {
            for attempts in 1..=6 {
                let next = next_attempt(0, &failed(None), &POLICY, attempts, retries, &mut rng);
                assert_eq!(next == Next::GivenUp, attempts > u32::from(retries), "{attempts} of 1 + {retries}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_retry_is_due_within_its_bounds(
            now in any::<u64>(), attempts in 1..=5_u32, after in option::of(any::<u64>()), seed in any::<u64>(),
            base_ms in 0..100_000_u64, cap_ms in 0..1_000_000_u64, retry_after_cap_ms in 0..10_000_000_u64,
        ) {
            let policy = RetryPolicy { base_ms, cap_ms, retry_after_cap_ms };
            let outcome = failed(after.map(Duration::from_millis));
            let mut rng = StdRng::seed_from_u64(seed);
            let Next::At(due) = next_attempt(now, &outcome, &policy, attempts, 5, &mut rng) else { panic!("not retried") };
            let full = (base_ms * 2_u64.pow(attempts - 1)).min(cap_ms);
            let asked = after.unwrap_or(0).min(retry_after_cap_ms);
            assert!(due >= now.saturating_add(asked.max(full / 2)));
            assert!(due <= now.saturating_add(asked.max(full)));
        }

        #[test]
        fn the_window_trips_exactly_when_a_naive_count_does(
            steps in vec(0..30_000_u64, 1..60), count in 1..8_u32, expiry_ms in 1..100_000_u64,
        ) {
            let limits = FailureLimits { count, expiry_ms };
            let mut window = FailureWindow::default();
            let (mut now, mut all) = (1_000_000, Vec::new());
            for step in steps {
                now += step;
                all.push(now);
                let recent = all.iter().filter(|failed| now - **failed < expiry_ms).count();
                let expected = if recent >= count as usize { Counted::Tripped } else { Counted::Within };
                assert_eq!(window.push(now, limits), expected);
                assert!(window.0.len() <= count as usize);
            }
        }
    }

    #[test]
    fn the_sixth_failure_within_a_minute_trips_and_enabling_forgives() {
        let mut window = FailureWindow::default();
        for second in 0..5 {
            assert_eq!(window.push(second * 1_000, KAZOO), Counted::Within);
        }
        assert_eq!(window.clone().push(60_000, KAZOO), Counted::Within, "the first has expired");
        assert_eq!(window.push(59_999, KAZOO), Counted::Tripped);
        window.clear();
        assert!(window.is_empty());
        assert_eq!(window.push(60_000, KAZOO), Counted::Within);
    }

    #[test]
    fn a_window_survives_on_disk_as_a_list_of_times() {
        let mut window = FailureWindow::default();
        window.push(5, KAZOO);
        window.push(9, KAZOO);
        let text = serde_json::to_string(&window).unwrap();
        assert_eq!(text, "[5,9]");
        assert_eq!(serde_json::from_str::<FailureWindow>(&text).unwrap(), window);
    }

    #[test]
    fn a_clock_set_back_does_not_keep_failures_for_ever() {
        let mut window = FailureWindow::default();
        for second in 0..5 {
            window.push(10_000_000 + second, KAZOO);
        }
        assert_eq!(window.push(1_000, KAZOO), Counted::Within);
    }
}
