//! Which fault points panic, and when. Read once from the environment of the process.
//!
//! `HOOKSWITCH_FAULTS="hook.deliver every:50 times:8; registry.route marker:poison"`: for each point named, every nth
//! pass (1 if left out), at most so many times (always if left out), and only for events whose body contains the
//! marker.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use log::error;

const VARIABLE: &str = "HOOKSWITCH_FAULTS";

/// What every point's name begins with, so that it can be looked for in a binary.
const PREFIX: &str = "fault point ";

static PLAN: LazyLock<Plan> = LazyLock::new(|| {
    Plan::parse(&std::env::var(VARIABLE).unwrap_or_default()).unwrap_or_else(|problem| {
        error!("{VARIABLE}: {problem}");
        Plan::default()
    })
});

/// Comes by a point. Panics if the plan says so.
pub fn pass(name: &'static str, body: &[u8]) {
    if !PLAN.0.is_empty() && PLAN.fails(name.strip_prefix(PREFIX).unwrap_or(name), body) {
        panic!("{name}");
    }
}

#[derive(Debug, Default)]
struct Plan(HashMap<String, Rule>);

#[derive(Debug)]
struct Rule {
    every: u64,
    times: u64,
    marker: Option<Vec<u8>>,
    passes: AtomicU64,
    failed: AtomicU64,
}

impl Plan {
    fn parse(text: &str) -> Result<Self, String> {
        let rules = text.split(';').map(str::trim).filter(|rule| !rule.is_empty());
        rules.map(Rule::parse).collect::<Result<_, _>>().map(Self)
    }

    fn fails(&self, name: &str, body: &[u8]) -> bool {
        self.0.get(name).is_some_and(|rule| rule.fails(body))
    }
}

impl Rule {
    fn parse(text: &str) -> Result<(String, Self), String> {
        let mut words = text.split_whitespace();
        let name = words.next().ok_or("a point without a name")?;
        let mut rule =
            Self { every: 1, times: u64::MAX, marker: None, passes: AtomicU64::new(0), failed: AtomicU64::new(0) };
        for word in words {
            let number = |value: &str| value.parse::<u64>().ok().filter(|number| *number > 0);
            let malformed = || format!("{word:?} of {name} is not every:N, times:N or marker:TEXT");
            match word.split_once(':').ok_or_else(malformed)? {
                ("every", value) => rule.every = number(value).ok_or_else(malformed)?,
                ("times", value) => rule.times = number(value).ok_or_else(malformed)?,
                ("marker", value) => rule.marker = Some(value.as_bytes().to_vec()),
                _ => return Err(malformed()),
            }
        }
        Ok((name.to_owned(), rule))
    }

    fn fails(&self, body: &[u8]) -> bool {
        let marked = |marker: &Vec<u8>| body.windows(marker.len().max(1)).any(|window| window == marker.as_slice());
        if !self.marker.as_ref().is_none_or(marked) {
            return false;
        }
        let pass = self.passes.fetch_add(1, Ordering::Relaxed) + 1;
        pass.is_multiple_of(self.every) && self.failed.fetch_add(1, Ordering::Relaxed) < self.times
    }
}

#[cfg(test)]
mod tests {
    use super::Plan;

    #[test]
    fn points_fail_as_often_as_they_are_told_to() {
        let plan = Plan::parse(" a every:3 times:2; b marker:bad ;c times:1;").unwrap();
        let failures = |name: &str, body: &[u8]| (0..20).filter(|_| plan.fails(name, body)).count();
        assert_eq!(failures("a", b""), 2);
        assert_eq!(failures("b", b"good"), 0);
        assert_eq!(failures("b", b"very bad"), 20);
        assert_eq!(failures("c", b""), 1);
        assert_eq!(failures("d", b""), 0);
        assert_eq!((0..4).map(|_| Plan::parse("a every:2").unwrap().fails("a", b"")).filter(|fails| *fails).count(), 0);
    }

    #[test]
    fn what_is_no_plan_is_an_error_that_names_it() {
        for text in ["a every:0", "a often", "a every:x", "a how:1"] {
            assert!(Plan::parse(text).unwrap_err().contains(&text[2..]), "{text}");
        }
        assert!(Plan::parse("").unwrap().0.is_empty());
    }
}
