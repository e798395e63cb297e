//! The kinds of event that hooks can take, numbered, so that what a hook takes is a set in one machine word or two.
//!
//! For each event the Registry asks of an account and of all that are above it whether any hook there takes the kind.
//! Most answer no, and with a set that is one look. Called by [`crate::kazoo::bindings`], which makes the sets.

use crate::kazoo::kind::{Kind, Parking};
use crate::kazoo::notifications;
use crate::kazoo::table::{OBJECT_ACTIONS, OBJECT_TYPES};

/// The number of a kind. It holds for this process only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Topic(u8);

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Topics(u128);

/// Where the numbers of objects begin, those of notifications, and where they end.
const OBJECTS: usize = 9;
const NOTIFICATIONS: usize = OBJECTS + OBJECT_ACTIONS.len() * OBJECT_TYPES.len();
const END: usize = NOTIFICATIONS + notifications::ROWS.len();
const _: () = assert!(END <= u128::BITS as usize);

impl Topic {
    /// `None`: no hook takes it.
    pub fn of(kind: Kind) -> Option<Self> {
        let number = match kind {
            Kind::ChannelCreate => 0,
            Kind::ChannelAnswer => 1,
            Kind::ChannelBridge => 2,
            Kind::ChannelDestroy => 3,
            Kind::Parking(Parking::Parked) => 4,
            Kind::Parking(Parking::Retrieved) => 5,
            Kind::Parking(Parking::Abandoned) => 6,
            Kind::Sms => 7,
            Kind::Mms => 8,
            Kind::Object { action, object_type } => {
                let action = OBJECT_ACTIONS.iter().position(|one| *one == action)?;
                let object_type = OBJECT_TYPES.iter().position(|one| *one == object_type)?;
                OBJECTS + action * OBJECT_TYPES.len() + object_type
            }
            Kind::Notification(row) => {
                NOTIFICATIONS + notifications::ROWS.iter().position(|one| std::ptr::eq(one, row))?
            }
            Kind::ChannelHold
            | Kind::ChannelUnhold
            | Kind::OtherChange
            | Kind::OtherMessage
            | Kind::FaxStatus
            | Kind::ConferenceEvent
            | Kind::ConferenceCommand
            | Kind::PresenceDialog
            | Kind::PresenceUpdate
            | Kind::PresenceMwi
            | Kind::MetaflowAction
            | Kind::MetaflowFlow => return None,
        };
        u8::try_from(number).ok().map(Self)
    }
}

impl Topics {
    pub fn contains(self, topic: Topic) -> bool {
        self.0 >> topic.0 & 1 == 1
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Of those that a hook can take; others are left out.
impl FromIterator<Kind> for Topics {
    fn from_iter<I: IntoIterator<Item = Kind>>(kinds: I) -> Self {
        let topics = kinds.into_iter().filter_map(Topic::of);
        Self(topics.fold(0, |set, topic| set | 1 << topic.0))
    }
}

#[cfg(test)]
mod tests {
    use std::iter;

    use super::{END, Topic, Topics};
    use crate::kazoo::kind::{Kind, Parking};
    use crate::kazoo::notifications;
    use crate::kazoo::table::{KindRule, OBJECT_ACTIONS, OBJECT_TYPES, ROWS};

    /// Every kind with a number, in the order of the numbers.
    fn all() -> impl Iterator<Item = Kind> {
        let fixed = [
            Kind::ChannelCreate,
            Kind::ChannelAnswer,
            Kind::ChannelBridge,
            Kind::ChannelDestroy,
            Kind::Parking(Parking::Parked),
            Kind::Parking(Parking::Retrieved),
            Kind::Parking(Parking::Abandoned),
            Kind::Sms,
            Kind::Mms,
        ];
        let objects = OBJECT_ACTIONS.into_iter().flat_map(|action| {
            iter::repeat(action).zip(OBJECT_TYPES).map(|(action, object_type)| Kind::Object { action, object_type })
        });
        fixed.into_iter().chain(objects).chain(notifications::ROWS.iter().map(Kind::Notification))
    }

    #[test]
    fn every_kind_that_fires_hooks_has_a_number_of_its_own() {
        let numbers: Vec<usize> = all().map(|kind| usize::from(Topic::of(kind).unwrap().0)).collect();
        assert_eq!(numbers, (0..END).collect::<Vec<_>>());
        assert!(all().all(|kind| kind.hook_id().is_some()));
    }

    #[test]
    fn a_kind_has_a_number_when_it_fires_hooks() {
        for row in &ROWS {
            let (KindRule::Always(kind) | KindRule::Offnet(kind)) = row.kind else { continue };
            assert_eq!(Topic::of(kind).is_some(), kind.hook_id().is_some(), "{kind:?}");
        }
        for kind in [Kind::OtherChange, Kind::OtherMessage] {
            assert_eq!((Topic::of(kind), kind.hook_id()), (None, None));
        }
    }

    #[test]
    fn a_set_contains_what_went_into_it_and_nothing_else() {
        for kind in all() {
            let one = Topics::from_iter([kind]);
            let others: Topics = all().filter(|other| *other != kind).collect();
            let topic = Topic::of(kind).unwrap();
            assert!(one.contains(topic) && !others.contains(topic) && one.and(others).contains(topic));
            assert!(!one.is_empty() && others.and(one) == all().collect());
        }
        assert!(Topics::from_iter([Kind::FaxStatus]).is_empty());
    }
}
