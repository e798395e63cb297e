//! What a hook's actor is told, and what it tells.

use std::sync::Arc;

use actix::Message;

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

/// Deliveries for the hook came to the store past its mailbox, and are counted as pending already.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Overflowed {
    pub due_ms: u64,
}

/// What was received until then and has been in memory ever since goes to the store: its sender has waited long enough.
#[derive(Message)]
#[rtype(result = "()")]
pub struct StoreOverheld {
    pub received_ms: u64,
}

/// The hook's document or its account's numbers are different now.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Update {
    pub hook: Arc<Hook>,
    pub limits: FailureLimits,
}

/// Writes down all that is held in memory and begins nothing new. Answered when it is on disk.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WriteDown;

/// The hook is deleted; what is under way is dropped.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Discard;

/// The Registry that knew the hook has ended. So does the actor, before a new Registry starts another one.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Dismiss;

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
