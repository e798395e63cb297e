//! `GET /v2/actors`: the figures of every actor, for system administrators.

use serde_json::{Value, json};

use super::answer::Answer;
use super::call::{TokenCall, offload};
use super::error::ApiError;
use crate::routing::messages::{HookStatus, ListStatus};

pub async fn list(TokenCall { call, .. }: TokenCall) -> Result<Answer, ApiError> {
    let actors: Vec<Value> = call.state.actors.iter().map(|probe| with_kind(probe.kind, (probe.read)())).collect();
    let statuses = call.ask(ListStatus).await?;
    let webhooks = offload(move || statuses.iter().map(of_hook).collect::<Vec<_>>()).await?;
    Ok(Answer::ok(json!({ "actors": actors, "webhooks": webhooks })))
}

fn with_kind(kind: &str, mut figures: Value) -> Value {
    if let Some(figures) = figures.as_object_mut() {
        figures.shift_insert(0, "kind".into(), kind.into());
    }
    figures
}

fn of_hook(status: &HookStatus) -> Value {
    with_kind("WebhookActor", serde_json::to_value(status).unwrap_or_default())
}
