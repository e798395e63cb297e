//! How actors learn that their owner has ended, and how its successor learns that they have.
//!
//! An owner that panics leaves what it started behind: actors that nobody knows any more, beside those that its
//! successor starts for the same work. So each one carries a [`Child`], and the owner a [`Parent`]; when that is
//! dropped, the children are orphans and have to end. The successor begins when none is left.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The children of one owner and its successors. They all share it.
#[derive(Debug, Clone, Default)]
pub struct Children(Arc<Family>);

#[derive(Debug, Default)]
struct Family {
    /// Which owner it is by now.
    generation: AtomicU64,
    living: AtomicUsize,
    /// Of all generations.
    ended: AtomicU64,
}

impl Children {
    /// For the owner that begins now.
    pub fn parent(&self) -> Parent {
        Parent { generation: self.0.generation.load(Ordering::Acquire), family: Arc::clone(&self.0) }
    }

    pub fn are_gone(&self) -> bool {
        self.0.living.load(Ordering::Acquire) == 0
    }
}

/// Its end is that of the children.
#[derive(Debug)]
pub struct Parent {
    family: Arc<Family>,
    generation: u64,
}

impl Parent {
    pub fn child(&self) -> Child {
        self.family.living.fetch_add(1, Ordering::AcqRel);
        Child { family: Arc::clone(&self.family), generation: self.generation }
    }

    /// Grows with each child that ends: without that, nobody has to be looked for. The child's address may be closed a
    /// moment later.
    pub fn ended(&self) -> u64 {
        self.family.ended.load(Ordering::Acquire)
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        self.family.generation.fetch_add(1, Ordering::AcqRel);
    }
}

/// Lives as long as the actor that carries it.
#[derive(Debug)]
pub struct Child {
    family: Arc<Family>,
    generation: u64,
}

impl Child {
    pub fn is_orphan(&self) -> bool {
        self.family.generation.load(Ordering::Acquire) != self.generation
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.family.ended.fetch_add(1, Ordering::AcqRel);
        self.family.living.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::Children;

    #[test]
    fn children_are_orphans_when_their_own_parent_is_gone_and_not_those_of_the_next() {
        let children = Children::default();
        let first = children.parent();
        let (one, other) = (first.child(), first.child());
        assert!(!one.is_orphan() && !children.are_gone());
        drop(first);
        assert!(one.is_orphan() && other.is_orphan());
        drop(one);
        assert_eq!(children.parent().ended(), 1);
        assert!(!children.are_gone());
        drop(other);
        assert!(children.are_gone());
        let second = children.parent();
        let child = second.child();
        assert!(!child.is_orphan() && !children.are_gone());
    }
}
