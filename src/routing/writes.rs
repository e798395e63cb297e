//! Which hooks are being written just now, one write at a time each, and who waits for a write to end.

use std::collections::HashMap;

use tokio::sync::oneshot::{self, Sender};

use crate::ids::HookId;

#[derive(Default)]
pub struct Writes {
    waiting: HashMap<HookId, Vec<Sender<()>>>,
}

impl Writes {
    /// False, and nothing is begun, while another write of the hook is under way.
    pub fn begin(&mut self, hook: HookId) -> bool {
        let free = !self.is_under_way(hook);
        if free {
            self.waiting.insert(hook, Vec::new());
        }
        free
    }

    pub fn end(&mut self, hook: HookId) {
        for waiting in self.waiting.remove(&hook).into_iter().flatten() {
            // Who asked may be gone.
            _ = waiting.send(());
        }
    }

    pub fn is_under_way(&self, hook: HookId) -> bool {
        self.waiting.contains_key(&hook)
    }

    /// Resolves when the write that is under way has ended, well or not, or when these writes are gone with the
    /// Registry; at once when there is none.
    pub fn ended(&mut self, hook: HookId) -> impl Future<Output = ()> + 'static + use<> {
        let ended = self.waiting.get_mut(&hook).map(|waiting| {
            let (sender, ended) = oneshot::channel();
            waiting.push(sender);
            ended
        });
        async move {
            if let Some(ended) = ended {
                _ = ended.await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn one_write_of_a_hook_at_a_time_and_all_who_wait_learn_of_its_end() {
        let (one, other) = (HookId::random(), HookId::random());
        let mut writes = Writes::default();
        assert!(writes.begin(one) && !writes.begin(one) && writes.begin(other));
        let (mut first, mut second) = (Box::pin(writes.ended(one)), Box::pin(writes.ended(one)));
        writes.end(other);
        assert_eq!((first.as_mut().now_or_never(), second.as_mut().now_or_never()), (None, None));
        writes.end(one);
        assert_eq!((first.now_or_never(), second.now_or_never()), (Some(()), Some(())));
        assert!(!writes.is_under_way(one) && writes.begin(one));
    }

    #[test]
    fn nobody_waits_where_nothing_is_written_or_the_writes_are_gone() {
        let hook = HookId::random();
        let mut writes = Writes::default();
        assert_eq!(writes.ended(hook).now_or_never(), Some(()));
        writes.begin(hook);
        let ended = writes.ended(hook);
        drop(writes);
        assert_eq!(ended.now_or_never(), Some(()));
    }
}
