//! `POST /v2/accounts/{A}/events`: publishes events without a broker, one or a list of them.
//!
//! All or nothing: when one is faulty or names an account out of reach, none is taken. The answer comes when every
//! delivery that they caused is done or on disk. What is under way is bounded; beyond that the publisher has to wait.

use std::sync::atomic::Ordering;

use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::oneshot;

use super::answer::Answer;
use super::call::{AccountCall, Call, offload_if_large};
use super::draft::{self, Drafts};
use super::error::ApiError;
use super::room::Room;
use crate::auth::Caller;
use crate::auth::directory::{Directory, Rank};
use crate::event::{Audience, Event, Ingest, Receipt, Settled};
use crate::ids::AccountId;
use crate::kazoo::kind::Kind;
use crate::kazoo::owner::{Owner, named_accounts, owner};

/// A full window empties at the pace of the slowest delivery, or of the disk behind it: soon.
const RETRY_AFTER_S: u32 = 1;

pub async fn publish(AccountCall { mut call, caller, account }: AccountCall) -> Result<Answer, ApiError> {
    let posted = call.data.take();
    let limits = draft::Limits::new(&call.state.config.http);
    let Drafts { events, faults } =
        offload_if_large(call.body_bytes, move || draft::read(posted, account, &limits)).await?;
    // Whose it is comes before how well it is made.
    if !may_publish(&call, &caller, account, &events) {
        return Err(ApiError::Forbidden);
    }
    faults.into_result()?;

    if call.state.readiness.draining.load(Ordering::Relaxed) {
        return Err(ApiError::Unreachable("the server is shutting down"));
    }
    let rooms = Room::reserve(&call.state.readiness, events.len(), call.state.config.http.events_in_flight_max)
        .ok_or(ApiError::TooManyRequests { retry_after_s: RETRY_AFTER_S })?;
    let ids: Vec<_> = events.iter().map(|event| event.id).collect();
    let settled = send(&call, events, rooms);
    // A receiver without a sender is a receipt that was lost, which is undone like any other.
    if join_all(settled).await.iter().all(|settled| *settled == Ok(Settled::Done)) {
        Ok(Answer::accepted(json!({ "event_ids": ids })))
    } else {
        Err(ApiError::Unreachable("not every event could be taken; those that were will be repeats next time"))
    }
}

/// Hands all of them to the Registry before anything is awaited: a publisher that hangs up now takes nothing back.
fn send(call: &Call, events: Vec<Event>, rooms: Vec<Room>) -> Vec<oneshot::Receiver<Settled>> {
    let sent = events.into_iter().zip(rooms).map(|(event, room)| {
        let (sender, settled) = oneshot::channel();
        let receipt = Receipt::new(move |outcome| {
            drop(room);
            // The publisher may have hung up.
            let _ = sender.send(outcome);
        });
        // Not bounded by the mailbox but by the rooms: there are no more of these than `events_in_flight_max`. Without a
        // Registry the receipt is dropped, and the publisher told so.
        drop(call.state.registry.tell(Ingest { event, receipt, audience: Audience::Everyone }));
        settled
    });
    sent.collect()
}

fn may_publish(call: &Call, caller: &Caller, account: AccountId, events: &[Event]) -> bool {
    let directory = call.state.auth.directory();
    events.iter().all(|event| {
        let admin_only = matches!(event.kind, Some(Kind::Notification(row)) if row.admin_only());
        (caller.rank == Rank::Administrator || !admin_only)
            && accounts_of(event, &directory).all(|named| directory.reaches(account, named))
    })
}

/// Every account that the event names, by id or by realm.
fn accounts_of(event: &Event, directory: &Directory) -> impl Iterator<Item = AccountId> {
    let realm = event.kind.and_then(|kind| match owner(kind, &event.head, &event.routing_key) {
        Owner::Realm(realm) => directory.by_realm(&realm).map(|account| account.id),
        _ => None,
    });
    named_accounts(&event.head).into_iter().chain(realm)
}
