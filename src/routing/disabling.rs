//! How a hook is disabled whose deliveries fail: stored like any other change, and then announced.

use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, WrapFuture};
use log::{error, warn};
use serde_json::json;

use super::registry::Registry;
use crate::event::{Audience, Event, Ingest, Publish, PublishError, Receipt, now_ms};
use crate::ids::{EventId, HookId};
use crate::kazoo::notifications;
use crate::webhook::hook::Hook;
use crate::webhook::messages::DisableHook;

/// How often, and how much later, what could not be handed to the consumer is handed to it again.
const PUBLISH_TRIES: usize = 10;
const PUBLISH_AGAIN: Duration = Duration::from_millis(200);

/// How long to leave a hook alone that could not be disabled.
const DISABLE_AGAIN: Duration = Duration::from_secs(1);

impl Handler<DisableHook> for Registry {
    type Result = ();

    fn handle(&mut self, DisableHook { id, reason }: DisableHook, ctx: &mut Self::Context) {
        self.mailbox().handled();
        self.disable(id, reason, ctx);
    }
}

impl Registry {
    fn disable(&mut self, id: HookId, reason: &'static str, ctx: &mut Context<Self>) {
        let Some(hook) = self.hooks.get(id).map(|entry| Arc::clone(&entry.hook)) else {
            return;
        };
        if !hook.enabled {
            return;
        }
        if self.writes.is_under_way(id) {
            // Whatever is being written now, the hook is to be disabled afterwards.
            let ended = self.writes.ended(id).into_actor(self);
            ctx.spawn(ended.map(move |(), actor, ctx| actor.disable(id, reason, ctx)));
            return;
        }
        let stored = self.store_hook(hook.disabled(reason, now_ms()));
        ctx.spawn(stored.map(move |result, actor, ctx| match result {
            Ok(hook) => {
                warn!("hook {id} of account {} is disabled: {reason}", hook.account);
                actor.announce_disabled(&hook, reason, ctx);
                let reconciled = actor.reconcile();
                ctx.spawn(async move { _ = reconciled.await }.into_actor(actor));
            }
            Err(error) => {
                error!("cannot disable hook {id} ({reason}): {error}");
                ctx.run_later(DISABLE_AGAIN, move |actor, ctx| actor.disable(id, reason, ctx));
            }
        }));
    }
    /// The disabling, as Kazoo announces it.
    fn announce_disabled(&self, hook: &Hook, reason: &str, ctx: &mut Context<Self>) {
        let Some(row) = notifications::by_name("webhook_disabled") else {
            return;
        };
        let body = json!({
            "App-Name": "hookswitch",
            "App-Version": env!("CARGO_PKG_VERSION"),
            "Event-Category": notifications::EVENT_CATEGORY,
            "Event-Name": row.name,
            "Msg-ID": EventId::random(),
            "Node": self.parts.node_name,
            "Account-ID": hook.account,
            "Hook-ID": hook.id,
            "Reason": reason,
        });
        let body = body.to_string().into_bytes();
        if !self.parts.bus.publish.is_walled_up() {
            let message =
                Publish { exchange: notifications::EXCHANGE, routing_key: row.routing_key(), body: body.into() };
            let metrics = Arc::clone(&self.parts.metrics);
            let (id, bus) = (hook.id, self.parts.bus.publish.clone());
            let published = async move {
                let mut result = bus.ask(message.clone()).await;
                // A consumer that panicked is there again in a moment.
                for _ in 0..PUBLISH_TRIES {
                    if result.is_ok() {
                        break;
                    }
                    tokio::time::sleep(PUBLISH_AGAIN).await;
                    result = bus.ask(message.clone()).await;
                }
                if let Err(error) = result.unwrap_or(Err(PublishError::Disconnected)) {
                    metrics.publish_failures.inc();
                    warn!("cannot publish that hook {id} was disabled: {error}");
                }
            };
            ctx.spawn(published.into_actor(self));
            return;
        }
        // Without a broker it enters by the front door.
        match Event::parse(notifications::EXCHANGE, &row.routing_key(), body.into(), None) {
            Ok(event) => {
                let ingest = Ingest { event, receipt: Receipt::new(|_| ()), audience: Audience::Everyone };
                // Only while the Registry ends is it not there.
                drop(self.parts.bus.ingest.tell(ingest));
            }
            Err(error) => error!("cannot announce that hook {} was disabled: {error}", hook.id),
        }
    }
}
