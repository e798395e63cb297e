//! Receipts become acknowledgements: one task per channel takes what is settled and tells the broker, few frames for many.
//!
//! A tag belongs to its channel. When that is gone the task is too, and what is settled afterwards goes nowhere: the
//! broker has taken those messages back already.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicNackOptions, BasicRejectOptions};
use log::{debug, error};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, WeakUnboundedSender, unbounded_channel};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::tags::Tags;
use crate::event::{Receipt, Settled};
use crate::faults::fault_point;
use crate::ids::EventId;
use crate::metrics::{QueueCounters, RejectReason};
use crate::poison::Poison;

pub enum Settlement {
    Event {
        tag: u64,
        event: EventId,
        settled: Settled,
    },
    /// Thrown out before it became an event.
    Reject {
        tag: u64,
    },
    /// Its pause is over: the broker gets it back.
    HandBack {
        tag: u64,
    },
    /// Answered when everything settled before it is at the broker.
    Flush(oneshot::Sender<()>),
}

pub struct Settings {
    pub prefetch: u16,
    pub ack_delay: Duration,
    pub requeue_delay: Duration,
    pub poison_max: u32,
    pub poison: Poison<EventId>,
    pub counters: QueueCounters,
}

/// The way from receipts to the task. Dropping every copy ends the task.
#[derive(Clone)]
pub struct Settler {
    queue: UnboundedSender<Settlement>,
    untold: Arc<Untold>,
    poison: Poison<EventId>,
}

/// How much is settled that the broker is not told yet.
struct Untold {
    /// About: it only decides when to wait no longer.
    count: AtomicUsize,
    /// The broker would soon have nothing more to send.
    enough: usize,
    wait_no_longer: Notify,
}

impl Settler {
    /// Starts the task of a channel. When it ends, by an error or a panic, nothing is acknowledged on the channel any more.
    pub fn start(channel: Channel, settings: Settings) -> (Self, JoinHandle<()>) {
        // Bounded by the prefetch: there is one entry per unacknowledged message.
        let (sender, queue) = unbounded_channel();
        let again = sender.downgrade();
        let enough = usize::from(settings.prefetch / 8).max(1);
        let untold = Arc::new(Untold { count: AtomicUsize::new(0), enough, wait_no_longer: Notify::new() });
        let settler = Self { queue: sender, untold: Arc::clone(&untold), poison: settings.poison.clone() };
        let task = Task { tags: Tags::new(usize::from(settings.prefetch / 4)), untold, channel, settings };
        (settler, actix::spawn(task.run(queue, again)))
    }

    pub fn receipt(&self, tag: u64, event: EventId) -> Receipt {
        let settler = self.clone();
        Receipt::new(move |settled| {
            // Here, since the task may be gone with its channel, and the panic may be why.
            if settled == Settled::Panicked {
                settler.poison.count(event);
            }
            settler.settle(tag, event, settled);
        })
    }

    /// Without a receipt, for what is not going to be handled.
    pub fn settle(&self, tag: u64, event: EventId, settled: Settled) {
        self.put(Settlement::Event { tag, event, settled });
    }

    pub fn reject(&self, tag: u64) {
        self.put(Settlement::Reject { tag });
    }

    pub fn flush(&self) -> oneshot::Receiver<()> {
        let (flushed, answer) = oneshot::channel();
        self.put(Settlement::Flush(flushed));
        self.untold.wait_no_longer.notify_one();
        answer
    }

    fn put(&self, entry: Settlement) {
        // The task may be gone; see above.
        drop(self.queue.send(entry));
        if self.untold.count.fetch_add(1, Ordering::Relaxed) + 1 == self.untold.enough {
            self.untold.wait_no_longer.notify_one();
        }
    }
}

struct Task {
    channel: Channel,
    settings: Settings,
    tags: Tags,
    untold: Arc<Untold>,
}

impl Task {
    async fn run(mut self, mut queue: UnboundedReceiver<Settlement>, again: WeakUnboundedSender<Settlement>) {
        let mut batch = Vec::new();
        while queue.recv_many(&mut batch, usize::from(self.settings.prefetch)).await > 0 {
            // A little later there may be more to tell in the same frame.
            if batch.len() < self.untold.enough {
                // Either will do.
                let _ = timeout(self.settings.ack_delay, self.untold.wait_no_longer.notified()).await;
                while let Ok(entry) = queue.try_recv() {
                    batch.push(entry);
                }
            }
            self.untold.count.store(0, Ordering::Relaxed);
            let mut flushed = Vec::new();
            for entry in batch.drain(..) {
                if let Err(error) = self.take(entry, &again, &mut flushed).await {
                    debug!("the channel is gone: {error}");
                    return;
                }
            }
            if let Err(error) = self.acknowledge().await {
                debug!("the channel is gone: {error}");
                return;
            }
            for answer in flushed {
                // Whoever asked may have stopped waiting.
                let _ = answer.send(());
            }
        }
    }

    async fn take(
        &mut self,
        entry: Settlement,
        again: &WeakUnboundedSender<Settlement>,
        flushed: &mut Vec<oneshot::Sender<()>>,
    ) -> lapin::Result<()> {
        match entry {
            Settlement::Event { tag, event, settled } => match settled {
                Settled::Done => {
                    fault_point!("consumer.settle");
                    self.settings.poison.forget(&event);
                    self.tags.finish(tag);
                }
                Settled::Undone => self.hand_back_later(tag, again),
                Settled::Panicked => {
                    // Remembered beyond its rejection: the channel may be lost with that, and the event come again.
                    let panics = self.settings.poison.panics(&event);
                    if panics < self.settings.poison_max {
                        self.hand_back_later(tag, again);
                    } else if self.channel.status().connected() {
                        self.reject(tag).await?;
                        error!("event {event} is rejected: its handling panicked {panics} times");
                        self.settings.counters.reject(RejectReason::Poison);
                    }
                }
            },
            Settlement::Reject { tag } => self.reject(tag).await?,
            Settlement::HandBack { tag } => {
                self.settings.counters.requeues.inc();
                self.channel.basic_nack(tag, BasicNackOptions { requeue: true, ..Default::default() }).await?;
                self.tags.settled(tag);
            }
            Settlement::Flush(answer) => flushed.push(answer),
        }
        Ok(())
    }

    /// What cannot be taken now will hardly be taken at once; and until it is back at the broker, its tag stays open.
    fn hand_back_later(&self, tag: u64, again: &WeakUnboundedSender<Settlement>) {
        let (again, delay) = (again.clone(), self.settings.requeue_delay);
        actix::spawn(async move {
            tokio::time::sleep(delay).await;
            if let Some(queue) = again.upgrade() {
                drop(queue.send(Settlement::HandBack { tag }));
            }
        });
    }

    async fn reject(&mut self, tag: u64) -> lapin::Result<()> {
        self.channel.basic_reject(tag, BasicRejectOptions { requeue: false }).await?;
        self.tags.settled(tag);
        Ok(())
    }

    async fn acknowledge(&mut self) -> lapin::Result<()> {
        let acks = self.tags.take();
        if let Some(up_to) = acks.up_to {
            self.channel.basic_ack(up_to, BasicAckOptions { multiple: true }).await?;
        }
        for tag in acks.single {
            self.channel.basic_ack(tag, BasicAckOptions { multiple: false }).await?;
        }
        self.settings.counters.acks.inc_by(acks.count);
        Ok(())
    }
}
