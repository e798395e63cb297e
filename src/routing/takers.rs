//! Which hooks of one account take which kind of event. Pure.
//!
//! Hooks that take the same stand together: an account may have many hooks, and has few sorts of them. That nobody here
//! takes a kind, which is the answer for most events and most accounts above them, is seen without looking at any.

use crate::ids::HookId;
use crate::kazoo::topics::{Topic, Topics};

/// Whose events a hook takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Account,
    AccountAndDescendants,
}

#[derive(Debug, Default)]
pub struct Takers {
    groups: Vec<Group>,
    /// What any hook takes of the account's own events, and of those of its descendants.
    own: Topics,
    of_descendants: Topics,
}

#[derive(Debug)]
struct Group {
    topics: Topics,
    scope: Scope,
    /// Never empty.
    hooks: Vec<HookId>,
}

impl Takers {
    /// A hook that is not there yet.
    pub fn insert(&mut self, hook: HookId, topics: Topics, scope: Scope) {
        if topics.is_empty() {
            return;
        }
        self.own = self.own.and(topics);
        if scope == Scope::AccountAndDescendants {
            self.of_descendants = self.of_descendants.and(topics);
        }
        match self.groups.iter_mut().find(|group| group.topics == topics && group.scope == scope) {
            Some(group) => group.hooks.push(hook),
            None => {
                // Most accounts have few groups, and most groups one hook.
                self.groups.reserve_exact(1);
                self.groups.push(Group { topics, scope, hooks: vec![hook] });
            }
        }
    }

    /// Takes the values that the hook was inserted with; does nothing when it is not there.
    pub fn remove(&mut self, hook: HookId, topics: Topics, scope: Scope) {
        let group = self.groups.iter_mut().find(|group| group.topics == topics && group.scope == scope);
        if let Some(group) = group {
            group.hooks.retain(|other| *other != hook);
        }
        self.groups.retain(|group| !group.hooks.is_empty());
        let union = |groups: &[Group], among: &[Scope]| {
            let groups = groups.iter().filter(|group| among.contains(&group.scope));
            groups.fold(Topics::default(), |union, group| union.and(group.topics))
        };
        self.own = union(&self.groups, &[Scope::Account, Scope::AccountAndDescendants]);
        self.of_descendants = union(&self.groups, &[Scope::AccountAndDescendants]);
    }

    /// Appends the hooks that take such an event of the account itself, each once.
    pub fn find_own(&self, topic: Topic, found: &mut Vec<HookId>) {
        if self.own.contains(topic) {
            let takers = self.groups.iter().filter(|group| group.topics.contains(topic));
            takers.for_each(|group| found.extend(&group.hooks));
        }
    }

    /// The same for an event of an account below.
    pub fn find_of_descendants(&self, topic: Topic, found: &mut Vec<HookId>) {
        if self.of_descendants.contains(topic) {
            let of_descendants = self.groups.iter().filter(|group| group.scope == Scope::AccountAndDescendants);
            let takers = of_descendants.filter(|group| group.topics.contains(topic));
            takers.for_each(|group| found.extend(&group.hooks));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::{Scope, Takers};
    use crate::ids::HookId;
    use crate::kazoo::kind::Kind;
    use crate::kazoo::topics::{Topic, Topics};

    const KINDS: [Kind; 4] = [Kind::ChannelCreate, Kind::ChannelAnswer, Kind::Sms, Kind::Mms];

    fn topics(bits: u8) -> Topics {
        (0..KINDS.len()).filter(|index| bits >> index & 1 == 1).map(|index| KINDS[index]).collect()
    }

    fn scope(descendants: bool) -> Scope {
        if descendants { Scope::AccountAndDescendants } else { Scope::Account }
    }

    proptest! {
        /// Puts hooks in place of hooks, or takes them away.
        #[test]
        fn finds_what_a_list_of_hooks_says(changes in vec((0..8_u8, 0..16_u8, any::<bool>(), any::<bool>()), 0..40)) {
            let mut takers = Takers::default();
            let mut list: Vec<(HookId, u8, bool)> = Vec::new();
            for (id, bits, descendants, put) in changes {
                let hook = HookId::from_bytes([id; 16]);
                if let Some(at) = list.iter().position(|(other, ..)| *other == hook) {
                    let (_, bits, descendants) = list.remove(at);
                    takers.remove(hook, topics(bits), scope(descendants));
                }
                if put {
                    takers.insert(hook, topics(bits), scope(descendants));
                    list.push((hook, bits, descendants));
                }
                for (index, kind) in KINDS.into_iter().enumerate() {
                    let topic = Topic::of(kind).unwrap();
                    let (mut own, mut of_descendants) = (Vec::new(), Vec::new());
                    takers.find_own(topic, &mut own);
                    takers.find_of_descendants(topic, &mut of_descendants);
                    let take = |among: &dyn Fn(bool) -> bool| {
                        let takers = list.iter().filter(|(_, bits, below)| bits >> index & 1 == 1 && among(*below));
                        let mut hooks: Vec<_> = takers.map(|(hook, ..)| *hook).collect();
                        hooks.sort();
                        hooks
                    };
                    own.sort();
                    of_descendants.sort();
                    prop_assert_eq!(own, take(&|_| true));
                    prop_assert_eq!(of_descendants, take(&|below| below));
                }
            }
            for (hook, bits, descendants) in list {
                takers.remove(hook, topics(bits), scope(descendants));
            }
            prop_assert_eq!(format!("{takers:?}"), format!("{:?}", Takers::default()));
        }
    }
}
