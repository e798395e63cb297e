//! Whether a store that is whole by itself is also the newest: the store, its mark and its journal against each other.
//!
//! Pure. The store is written first, then the journal, then the mark (`files`). So a crash leaves the journal or the mark
//! behind the store and never ahead of it; whatever is ahead of the store proves that the store has lost something. The
//! store has the last word on what the journal has to hold only where the mark says that the store is the newest.
//!
//! What nobody can tell: two of the three put back together as they were earlier, and the third unreadable.

use crate::store::error::{Damage, Obstacle};
use crate::store::journal::{JournalDamage, Tail};
use crate::store::mark::Mark;
use crate::store::meta::Meta;

/// What is known of the mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MarkIs {
    Missing,
    Unreadable,
    Read(Mark),
    /// One of its slots is unreadable: it may be behind by a group.
    Half(Mark),
}

/// What is known of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum JournalIs {
    Missing,
    Damaged(JournalDamage),
    Read {
        sequence: u64,
        tail: Tail,
        /// Records that are not the same in the store.
        differences: u64,
    },
}

impl JournalIs {
    /// A group that it is known to have held changes of.
    fn sequence(&self) -> Option<u64> {
        match self {
            Self::Read { sequence, .. } | Self::Damaged(JournalDamage::Short(sequence)) => Some(*sequence),
            Self::Missing | Self::Damaged(_) => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Newest(JournalStep),
    Damaged(Damage),
    /// It may be the newest, and nothing says so.
    Unproven(Obstacle),
}

/// What there is to do about the journal of a good store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum JournalStep {
    Resume,
    /// It lacks what a crash cut off.
    Complete,
    /// It lacks what was answered.
    Replace,
}

pub(super) fn judge(store: Meta, mark: MarkIs, journal: &JournalIs) -> Verdict {
    // The store itself tells of the group that half a mark may lack.
    let mark = if let MarkIs::Half(mark) = mark { MarkIs::Read(mark) } else { mark };
    if let MarkIs::Read(mark) = mark
        && store.sequence < mark.sequence
    {
        return Verdict::Damaged(Damage::Stale { found: store.sequence, expected: mark.sequence });
    }
    if let Some(expected) = journal.sequence()
        && expected > store.journaled
    {
        return Verdict::Damaged(Damage::BehindJournal { found: store.journaled, expected });
    }
    if let JournalIs::Read { sequence, differences, .. } = *journal
        && sequence == store.journaled
        && differences > 0
    {
        return Verdict::Damaged(Damage::Differs(differences));
    }
    match (mark, journal) {
        (_, JournalIs::Read { sequence, tail: Tail::Clean, .. }) if *sequence == store.journaled => {
            Verdict::Newest(JournalStep::Resume)
        }
        (MarkIs::Read(mark), JournalIs::Read { sequence, .. }) if *sequence >= mark.journaled => {
            Verdict::Newest(JournalStep::Complete)
        }
        (MarkIs::Read(_) | MarkIs::Half(_), _) => Verdict::Newest(JournalStep::Replace),
        // Nothing is left of a mark and a journal only where somebody moved them away, to have the store as it is.
        (MarkIs::Missing, JournalIs::Missing) => Verdict::Newest(JournalStep::Replace),
        (_, JournalIs::Read { .. }) => Verdict::Unproven(Obstacle::NoMark),
        (_, JournalIs::Missing) => Verdict::Unproven(Obstacle::NoJournal),
        (_, JournalIs::Damaged(damage)) => Verdict::Unproven(Obstacle::Journal(damage.clone())),
    }
}

/// Whether hooks and accounts can be rebuilt from the journal without any being missing or older than was answered.
pub(super) fn can_rebuild(mark: MarkIs, journal: &JournalIs) -> Result<(), Obstacle> {
    match (mark, journal) {
        (_, JournalIs::Missing) => Err(Obstacle::NoJournal),
        (_, JournalIs::Damaged(damage)) => Err(Obstacle::Journal(damage.clone())),
        (MarkIs::Read(mark) | MarkIs::Half(mark), JournalIs::Read { sequence, .. }) if *sequence < mark.journaled => {
            Err(Obstacle::JournalEnds { found: *sequence, expected: mark.journaled })
        }
        (MarkIs::Unreadable, _) => Err(Obstacle::NoMark),
        // No crash does both, since a journal is synced before its group is marked: the last group may be what is missing.
        (MarkIs::Half(_), JournalIs::Read { tail: Tail::Torn, .. }) => Err(Obstacle::NoMark),
        // Missing, not unreadable: somebody moved it away to have what the journal holds.
        (MarkIs::Missing | MarkIs::Read(_) | MarkIs::Half(_), JournalIs::Read { .. }) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::store::error::{Damage, Obstacle};
    use crate::store::journal::{JournalDamage, Tail};
    use crate::store::judge::{JournalIs, JournalStep, MarkIs, Verdict, can_rebuild, judge};
    use crate::store::mark::Mark;
    use crate::store::meta::Meta;

    fn store(sequence: u64, journaled: u64) -> Meta {
        Meta { sequence, journaled, ..Meta::default() }
    }

    fn mark(sequence: u64, journaled: u64) -> MarkIs {
        MarkIs::Read(Mark { sequence, journaled, ..Mark::default() })
    }

    fn journal(sequence: u64, tail: Tail, differences: u64) -> JournalIs {
        JournalIs::Read { sequence, tail, differences }
    }

    #[track_caller]
    fn check(mark: MarkIs, journal: &JournalIs, expected: &Verdict) {
        assert_eq!(&judge(store(9, 5), mark, journal), expected);
    }

    #[test]
    fn a_store_is_the_newest_when_nothing_is_ahead_of_it() {
        let newest = Verdict::Newest;
        check(mark(9, 5), &journal(5, Tail::Clean, 0), &newest(JournalStep::Resume));
        // The last group had been flushed and not yet marked.
        check(mark(8, 5), &journal(5, Tail::Clean, 0), &newest(JournalStep::Resume));
        check(mark(9, 5), &journal(5, Tail::Torn, 0), &newest(JournalStep::Complete));
        check(mark(4, 3), &journal(3, Tail::Torn, 2), &newest(JournalStep::Complete));
        check(mark(9, 5), &journal(3, Tail::Clean, 2), &newest(JournalStep::Replace));
        check(mark(9, 5), &JournalIs::Missing, &newest(JournalStep::Replace));
        check(mark(9, 5), &JournalIs::Damaged(JournalDamage::Header), &newest(JournalStep::Replace));
        check(MarkIs::Unreadable, &journal(5, Tail::Clean, 0), &newest(JournalStep::Resume));
        check(MarkIs::Missing, &JournalIs::Missing, &newest(JournalStep::Replace));
    }

    #[test]
    fn a_store_that_something_is_ahead_of_is_damaged() {
        let behind = Verdict::Damaged(Damage::BehindJournal { found: 5, expected: 6 });
        check(mark(9, 5), &journal(6, Tail::Clean, 1), &behind);
        check(MarkIs::Missing, &journal(6, Tail::Torn, 1), &behind);
        check(mark(9, 5), &JournalIs::Damaged(JournalDamage::Short(6)), &behind);
        let stale = Verdict::Damaged(Damage::Stale { found: 9, expected: 10 });
        check(mark(10, 5), &journal(5, Tail::Clean, 0), &stale);
        check(mark(9, 5), &journal(5, Tail::Clean, 3), &Verdict::Damaged(Damage::Differs(3)));
    }

    #[test]
    fn a_store_that_may_be_older_is_not_taken() {
        let no_mark = Verdict::Unproven(Obstacle::NoMark);
        check(MarkIs::Unreadable, &journal(4, Tail::Clean, 1), &no_mark);
        check(MarkIs::Missing, &journal(5, Tail::Torn, 0), &no_mark);
        check(MarkIs::Unreadable, &JournalIs::Missing, &Verdict::Unproven(Obstacle::NoJournal));
        let damaged = Obstacle::Journal(JournalDamage::Short(5));
        check(MarkIs::Missing, &JournalIs::Damaged(JournalDamage::Short(5)), &Verdict::Unproven(damaged));
    }

    #[test]
    fn only_a_journal_that_holds_all_that_was_answered_rebuilds() {
        let good = journal(5, Tail::Torn, 9);
        assert_eq!(can_rebuild(mark(9, 5), &good), Ok(()));
        assert_eq!(can_rebuild(mark(9, 4), &good), Ok(()));
        assert_eq!(can_rebuild(MarkIs::Missing, &good), Ok(()));
        assert_eq!(can_rebuild(MarkIs::Unreadable, &good), Err(Obstacle::NoMark));
        let MarkIs::Read(known) = mark(9, 5) else { panic!("it is read") };
        assert_eq!(can_rebuild(MarkIs::Half(known), &journal(5, Tail::Clean, 9)), Ok(()));
        assert_eq!(can_rebuild(MarkIs::Half(known), &good), Err(Obstacle::NoMark));
        let ends = Obstacle::JournalEnds { found: 5, expected: 6 };
        let MarkIs::Read(later) = mark(9, 6) else { panic!("it is read") };
        assert_eq!(can_rebuild(MarkIs::Half(later), &journal(5, Tail::Clean, 9)), Err(ends.clone()));
        assert_eq!(can_rebuild(mark(9, 6), &good), Err(ends));
        assert_eq!(can_rebuild(mark(9, 5), &JournalIs::Missing), Err(Obstacle::NoJournal));
    }
}
