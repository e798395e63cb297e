//! For tests of what strangers send: the seeds of cases that failed once, and the corpus of what was thought up, both in
//! `tests/fuzz`. Every run begins with them.

use proptest::prelude::ProptestConfig;
use proptest::test_runner::FileFailurePersistence;

/// The seeds of the frame reader's cases.
pub const FRAMES: &str = "tests/fuzz/regressions/frames.txt";

/// Those of the topic patterns'.
pub const PATTERNS: &str = "tests/fuzz/regressions/patterns.txt";

/// Replays these seeds first, and adds that of a case that fails.
pub fn replaying(seeds: &'static str) -> ProptestConfig {
    let persistence = FileFailurePersistence::Direct(seeds);
    ProptestConfig { failure_persistence: Some(Box::new(persistence)), ..ProptestConfig::default() }
}

/// The lines of a file of the corpus that say something.
pub fn lines(corpus: &'static str) -> impl Iterator<Item = &'static str> {
    corpus.lines().filter(|line| !line.is_empty() && !line.starts_with("//"))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::any;
    use proptest::test_runner::TestRunner;

    use super::{FRAMES, PATTERNS, replaying};

    #[test]
    fn committed_seeds_are_replayed() {
        for (seeds, text) in [
            (FRAMES, include_str!("../tests/fuzz/regressions/frames.txt")),
            (PATTERNS, include_str!("../tests/fuzz/regressions/patterns.txt")),
        ] {
            let committed = text.lines().filter(|line| line.starts_with("cc ")).count();
            // None but those.
            let mut config = replaying(seeds);
            config.cases = 0;
            let replayed = Cell::new(0);
            let count = |_: u64| {
                replayed.set(replayed.get() + 1);
                Ok(())
            };
            TestRunner::new(config).run(&any::<u64>(), count).unwrap();
            assert_eq!(replayed.get(), committed, "{seeds}");
            assert!(committed > 0, "{seeds}");
        }
    }
}
