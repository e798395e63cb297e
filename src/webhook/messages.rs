//! What a hook's actor is told, and what it tells.

use std::sync::Arc;

use actix::Message;

use super::actor::Backlog;
use super::hook::Hook;
use super::job::Job;
use super::retry::FailureLimits;
use crate::event::Receipt;
use crate::ids::HookId;

/// An event for the hook.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Deliver {
    pub job: Arc<Job>,
    pub receipt: Receipt,
}

/// Deliveries for the hook were written to the store past its full mailbox.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Overflowed {
    pub count: u64,
    pub due_ms: u64,
}

/// What the store has for a hook whose actor had to be started again.
#[derive(Message)]
#[rtype(result = "()")]
pub struct TakeOver(pub Backlog);

/// The hook's document or its account's numbers are different now.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Update {
    pub hook: Arc<Hook>,
    pub limits: FailureLimits,
}

/// Dead letters became deliveries again, due now.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Revived {
    pub count: u64,
}

/// Writes down all that is held in memory and begins nothing new. Answered when it is on disk.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WriteDown;

/// The hook is deleted; what is under way is dropped.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Discard;

/// To the Registry: the hook is to be disabled.
#[derive(Message)]
#[rtype(result = "()")]
pub struct DisableHook {
    pub id: HookId,
    pub reason: &'static str,
}

/// To the Registry: a one-off hook has nothing left to do.
#[derive(Message)]
#[rtype(result = "()")]
pub struct OneOffIdle(pub HookId);
