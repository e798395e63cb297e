//! `GET /v2/actors`: the figures of every actor, and of each kind as a whole, for system administrators.

use std::sync::Arc;

use serde_json::{Value, json};

use super::answer::Answer;
use super::call::{TokenCall, offload};
use super::clock::gregorian;
use super::error::ApiError;
use super::state::ActorProbe;
use crate::metrics::ActorKind;
use crate::routing::messages::{HookStatus, ListStatus};
use crate::websocket::close::CloseCode;
use crate::websocket::roster::Entry;

pub async fn list(TokenCall { call, .. }: TokenCall) -> Result<Answer, ApiError> {
    let actors: Vec<Value> = call.state.actors.iter().map(of_probe).collect();
    let statuses = call.ask(ListStatus).await?;
    let restarts = call.state.metrics.restarts_of(ActorKind::WebhookActor);
    let (all, webhooks) = offload(move || {
        let webhooks: Vec<Value> = statuses.iter().map(of_hook).collect();
        (of_all_hooks(&statuses, restarts), webhooks)
    })
    .await?;
    let sockets = call.state.roster.all();
    let panics = call.state.metrics.websocket_ends_by(CloseCode::Panicked.label());
    Ok(Answer::ok(json!({
        "actors": actors,
        "all_webhooks": all,
        "webhooks": webhooks,
        "all_websockets": of_all_sockets(&sockets, panics),
        "websockets": sockets.iter().map(|socket| of_socket(socket)).collect::<Vec<_>>(),
    })))
}

fn of_probe(probe: &ActorProbe) -> Value {
    let mut figures = (probe.read)();
    if let (Some(queue), Some(figures)) = (probe.queue, figures.as_object_mut()) {
        figures.shift_insert(0, "queue".into(), queue.into());
    }
    with_kind(probe.kind, figures)
}

fn with_kind(kind: &str, mut figures: Value) -> Value {
    if let Some(figures) = figures.as_object_mut() {
        figures.shift_insert(0, "kind".into(), kind.into());
    }
    figures
}

/// An entry is there for as long as its actor lives.
fn of_socket(socket: &Entry) -> Value {
    let traffic = socket.line.traffic();
    json!({
        "kind": "SessionActor",
        "id": socket.socket_id(),
        "account_id": socket.labels().account(),
        "alive": true,
        "started_at": gregorian(socket.opened_ms),
        // A session that panics is closed, and is not here any more.
        "restarts": 0,
        "panics": 0,
        "handled": traffic.frames,
        "mailbox_depth": socket.line.queued_frames(),
        "bindings": socket.labels().bindings.len(),
        "frames": traffic.frames,
        "bytes": traffic.bytes,
        "queued_bytes": socket.line.queued_bytes(),
    })
}

fn of_all_sockets(sockets: &[Arc<Entry>], panics: u64) -> Value {
    json!({
        "kind": "SessionActor",
        "count": sockets.len(),
        "alive": sockets.len(),
        "restarts": 0,
        "panics": panics,
        "handled": sockets.iter().map(|socket| socket.line.traffic().frames).sum::<u64>(),
        "mailbox_depth": sockets.iter().map(|socket| socket.line.queued_frames()).sum::<u32>(),
    })
}

fn of_hook(status: &HookStatus) -> Value {
    let mut figures = json!({
        "kind": "WebhookActor",
        "id": status.id,
        "account_id": status.account_id,
        "enabled": status.enabled,
        "alive": status.alive,
        "started_at": gregorian(status.started_ms),
        "restarts": status.restarts,
        "panics": status.panics,
        "handled": status.handled,
        "mailbox_depth": status.mailbox_depth,
        "in_flight": status.in_flight,
        "pending": status.pending,
    });
    if let Some(result) = status.last_result {
        figures["last_result"] = result.into();
    }
    figures
}

/// The sums. Hooks that are gone, and those of a Registry that is, count among the restarts.
fn of_all_hooks(statuses: &[HookStatus], restarts: u64) -> Value {
    let sum = |figure: fn(&HookStatus) -> u64| statuses.iter().map(figure).sum::<u64>();
    json!({
        "kind": "WebhookActor",
        "count": statuses.len(),
        "alive": sum(|status| u64::from(status.alive)),
        "restarts": restarts,
        "panics": sum(|status| status.panics),
        "handled": sum(|status| status.handled),
        "mailbox_depth": sum(|status| status.mailbox_depth),
        "in_flight": sum(|status| status.in_flight),
        "pending": sum(|status| status.pending),
    })
}
