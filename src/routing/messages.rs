//! What the HTTP side and the webhook actors may ask of the Registry.

use std::sync::Arc;

use actix::Message;
use serde::{Deserialize, Serialize};

use super::channels::Channel;
use crate::ids::{AccountId, HookId};
use crate::store::StoreError;
use crate::webhook::hook::Hook;

/// Why the Registry did not change a hook.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// The hook was changed or deleted since it was read; read it again.
    #[error("hook {0} was changed meanwhile")]
    Stale(HookId),
    #[error("the account has {max} hooks already, which is the most that it may have")]
    TooMany { max: usize },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which version of the hook a write replaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replaces {
    Nothing,
    Revision(u64),
}

/// Stores, binds and starts (or updates) a hook. Answered when it is on disk and, with a connected broker, bound.
#[derive(Message)]
#[rtype(result = "Result<Arc<Hook>, HookError>")]
pub struct PutHook {
    pub hook: Hook,
    pub replaces: Replaces,
}

#[derive(Message)]
#[rtype(result = "Option<Arc<Hook>>")]
pub struct GetHook(pub HookId);

/// The hooks of one account, newest first.
#[derive(Message)]
#[rtype(result = "Vec<Arc<Hook>>")]
pub struct ListHooks(pub AccountId);

/// Deletes a hook with its deliveries and attempts; answers what it was.
#[derive(Message)]
#[rtype(result = "Result<Option<Arc<Hook>>, HookError>")]
pub struct DeleteHook(pub HookId);

/// Enables again those hooks of the accounts that were disabled automatically; answers how many.
#[derive(Message)]
#[rtype(result = "Result<usize, HookError>")]
pub struct EnableHooks(pub Vec<AccountId>);

/// Deletes everything that belongs to a deleted account.
#[derive(Message)]
#[rtype(result = "Result<(), HookError>")]
pub struct ForgetAccount(pub AccountId);

/// Sends the dead letters of a hook again; answers how many.
#[derive(Message)]
#[rtype(result = "Result<u64, HookError>")]
pub struct ResendDead(pub HookId);

/// Numbers that an account has of its own; `None` means the system's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountLimits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_failure_count: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt_failure_expiry_ms: Option<u64>,
}

#[derive(Message)]
#[rtype(result = "AccountLimits")]
pub struct GetLimits(pub AccountId);

#[derive(Message)]
#[rtype(result = "Result<(), HookError>")]
pub struct PutLimits {
    pub account: AccountId,
    pub limits: AccountLimits,
}

/// The figures of one hook's actor, for `GET /v2/actors`.
#[derive(Debug, Clone)]
pub struct HookStatus {
    pub id: HookId,
    pub account_id: AccountId,
    pub enabled: bool,
    pub alive: bool,
    /// In Unix milliseconds.
    pub started_ms: u64,
    pub restarts: u64,
    pub panics: u64,
    pub handled: u64,
    pub mailbox_depth: u64,
    pub in_flight: u64,
    pub pending: u64,
    pub last_result: Option<&'static str>,
}

#[derive(Message)]
#[rtype(result = "Vec<HookStatus>")]
pub struct ListStatus;

/// A live call of the account; `None` when it is not known as the account's.
#[derive(Message)]
#[rtype(result = "Option<Arc<Channel>>")]
pub struct FindChannel {
    pub account: AccountId,
    pub call_id: String,
}

/// The live calls of one account, in no order.
#[derive(Message)]
#[rtype(result = "Vec<Arc<Channel>>")]
pub struct ListChannels(pub AccountId);

/// Writes down what is under way and lets nothing new begin. Answered when nothing is held in memory any more.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drain;
