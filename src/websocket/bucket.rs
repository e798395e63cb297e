//! A token bucket: so many requests at once, and so many each second in the long run. Pure: it gets the time.

use std::time::{Duration, Instant};

#[derive(Debug, Clone)]
pub struct Bucket {
    burst: u32,
    per_s: u32,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    /// Full.
    pub fn new(burst: u32, per_s: u32, now: Instant) -> Self {
        Self { burst, per_s, tokens: burst.into(), at: now }
    }

    /// Whether one more request is within the rate; if so, it is counted.
    pub fn take(&mut self, now: Instant) -> bool {
        let passed = now.checked_duration_since(self.at).unwrap_or(Duration::ZERO);
        self.at = self.at.max(now);
        self.tokens = (self.tokens + passed.as_secs_f64() * f64::from(self.per_s)).min(self.burst.into());
        let within = self.tokens >= 1.0;
        if within {
            self.tokens -= 1.0;
        }
        within
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;

    use super::Bucket;

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let start = Instant::now();
        let mut bucket = Bucket::new(100, 10, start);
        assert_eq!((0..150).filter(|_| bucket.take(start)).count(), 100);
        // The rate holds to the tenth of a second.
        assert!(!bucket.take(start + Duration::from_millis(99)));
        assert!(bucket.take(start + Duration::from_millis(100)));
        assert!(!bucket.take(start + Duration::from_millis(100)));
        // It is full again after ten seconds, and never more than full.
        let later = start + Duration::from_secs(3_600);
        assert_eq!((0..150).filter(|_| bucket.take(later)).count(), 100);
    }

    proptest! {
        #[test]
        fn no_more_pass_than_burst_and_rate_allow(gaps in prop::collection::vec(0u64..500, 1..300)) {
            let start = Instant::now();
            let (mut bucket, mut now, mut passed) = (Bucket::new(5, 10, start), start, 0u64);
            for gap in gaps {
                now += Duration::from_millis(gap);
                passed += u64::from(bucket.take(now));
                let allowed = 5.0 + 10.0 * (now - start).as_secs_f64();
                prop_assert!(passed as f64 <= allowed + 1e-6, "{passed} of {allowed}");
            }
        }
    }
}
