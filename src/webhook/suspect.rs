//! Which delivery is to blame when an actor panics: the one in hand, and not those that the panic drops with it.
//!
//! One that still has its receipt is blamed by that, and its sender counts. One of the store would come up again without
//! end; it is counted here.

use std::future::poll_fn;
use std::pin::pin;

use crate::event;
use crate::ids::{EventId, HookId};
use crate::poison::Poison;

#[derive(Clone)]
pub struct Suspect {
    pub receipt: Option<event::Suspect>,
    pub hook: HookId,
    pub event: EventId,
    pub poison: Poison<(HookId, EventId)>,
}

impl Suspect {
    /// For exactly the time in which a handler works on the delivery.
    pub fn in_hand(&self) -> InHand<'_> {
        InHand(self)
    }

    /// The delivery is in hand whenever the future is polled.
    pub async fn in_hand_of<T>(self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        poll_fn(|context| {
            let _in_hand = self.in_hand();
            future.as_mut().poll(context)
        })
        .await
    }
}

#[must_use = "the delivery is in hand only as long as this lives"]
pub struct InHand<'a>(&'a Suspect);

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        let Suspect { receipt, hook, event, poison } = self.0;
        if std::thread::panicking() && !receipt.as_ref().is_some_and(event::Suspect::blame) {
            poison.count((*hook, *event));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use futures_util::FutureExt;

    use super::Suspect;
    use crate::event::{Receipt, Settled};
    use crate::ids::{EventId, HookId};
    use crate::poison::Poison;

    fn suspect(receipt: Option<&Receipt>) -> Suspect {
        Suspect {
            receipt: receipt.map(Receipt::suspect),
            hook: HookId::random(),
            event: EventId::random(),
            poison: Poison::default(),
        }
    }

    fn panic_in_hand(suspect: &Suspect) {
        let suspect = suspect.clone();
        let result = thread::spawn(move || {
            let _in_hand = suspect.in_hand();
            panic!("on purpose");
        });
        assert!(result.join().is_err());
    }

    fn counted(suspect: &Suspect) -> u32 {
        suspect.poison.panics(&(suspect.hook, suspect.event))
    }

    #[test]
    fn a_delivery_with_a_receipt_is_blamed_at_its_sender() {
        let (sender, settled) = std::sync::mpsc::channel();
        let receipt = Receipt::new(move |outcome| sender.send(outcome).unwrap());
        let suspect = suspect(Some(&receipt));
        panic_in_hand(&suspect);
        assert_eq!(counted(&suspect), 0);
        drop(receipt);
        assert_eq!(settled.recv(), Ok(Settled::Panicked));
        panic_in_hand(&suspect);
        assert_eq!(counted(&suspect), 1, "its sender has been told already");
    }

    #[test]
    fn a_delivery_of_the_store_is_counted() {
        let suspect = suspect(None);
        drop(suspect.in_hand());
        assert_eq!(counted(&suspect), 0);
        panic_in_hand(&suspect);
        panic_in_hand(&suspect);
        assert_eq!(counted(&suspect), 2);
    }

    #[tokio::test]
    async fn a_future_has_its_delivery_in_hand_only_while_it_is_polled() {
        let waiting = suspect(None);
        let of_waiting = waiting.clone();
        let result = tokio::spawn(async move {
            let mut pending = Box::pin(of_waiting.in_hand_of(std::future::pending::<()>()));
            assert_eq!((&mut pending).now_or_never(), None);
            panic!("on purpose");
        });
        assert!(result.await.is_err());
        assert_eq!(counted(&waiting), 0);
        let polled = suspect(None);
        assert!(tokio::spawn(polled.clone().in_hand_of(async { panic!("on purpose") })).await.is_err());
        assert_eq!(counted(&polled), 1);
    }
}
