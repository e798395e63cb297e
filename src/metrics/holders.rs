//! How many accounts hold how many sockets open. No account may become a label, so accounts are counted by classes.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

/// Up to so many sockets, and what the class is called.
const CLASSES: [(usize, &str); 5] =
    [(1, "1"), (10, "2-10"), (100, "11-100"), (1_000, "101-1000"), (usize::MAX, "more")];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ClassLabels {
    pub sockets: &'static str,
}

#[derive(Debug, Clone)]
pub struct Holders(pub(super) Family<ClassLabels, Gauge>);

impl Default for Holders {
    /// Every class is shown from the start.
    fn default() -> Self {
        let family = Family::default();
        for (_, sockets) in CLASSES {
            drop(family.get_or_create(&ClassLabels { sockets }));
        }
        Self(family)
    }
}

impl Holders {
    /// An account held so many sockets, and now holds so many.
    pub fn changed(&self, before: usize, now: usize) {
        let (before, now) = (class(before), class(now));
        if before == now {
            return;
        }
        if let Some(sockets) = before {
            self.0.get_or_create(&ClassLabels { sockets }).dec();
        }
        if let Some(sockets) = now {
            self.0.get_or_create(&ClassLabels { sockets }).inc();
        }
    }
}

/// `None` for no socket at all.
fn class(sockets: usize) -> Option<&'static str> {
    let class = CLASSES.into_iter().find(|(max, _)| sockets <= *max).filter(|_| sockets > 0);
    class.map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::{CLASSES, ClassLabels, Holders, class};

    #[test]
    fn an_account_is_in_the_class_of_its_sockets_and_in_no_other() {
        for (sockets, expected) in [
            (0, None),
            (1, Some("1")),
            (2, Some("2-10")),
            (10, Some("2-10")),
            (11, Some("11-100")),
            (100, Some("11-100")),
            (101, Some("101-1000")),
            (1_000, Some("101-1000")),
            (1_001, Some("more")),
        ] {
            assert_eq!(class(sockets), expected, "{sockets}");
        }
        let holders = Holders::default();
        let counts = || CLASSES.map(|(_, sockets)| holders.0.get_or_create(&ClassLabels { sockets }).get());
        for now in 1..=1_001 {
            holders.changed(now - 1, now);
            assert_eq!(counts().iter().sum::<i64>(), 1, "{now}");
        }
        holders.changed(0, 1);
        assert_eq!(counts(), [1, 0, 0, 0, 1]);
        for now in (0..1_001).rev() {
            holders.changed(now + 1, now);
        }
        holders.changed(1, 0);
        assert_eq!(counts(), [0; 5]);
    }
}
