//! An event on its way to its hooks: the parts that all of them share are computed once.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use serde_json::{Map, Value};

use super::hook::Hook;
use super::request::{Format, Rendered, Verb, render};
use crate::event::{Event, ParseEventError};
use crate::ids::AccountId;
use crate::kazoo::call_payload::is_call;
use crate::kazoo::fields::Fields;
use crate::kazoo::kind::Kind;
use crate::kazoo::payload::{finish, one_off_payload, payload};
use crate::store::{StoredDelivery, Target};

/// An event, whose it is, and what was rendered of it so far.
pub struct Job {
    pub event: Arc<Event>,
    pub kind: Kind,
    pub account: AccountId,
    target: Target,
    /// Unless it is a call's, which costs no more to make than to keep.
    payload: OnceLock<Fields<'static>>,
    bodies: Mutex<Vec<(BodyKey, Arc<Rendered>)>>,
}

/// Renderings kept per event. Hooks of one event differ in few ways; beyond that they render for themselves.
const BODIES_MAX: usize = 8;

/// What the rendering of one event depends on.
struct BodyKey {
    as_query: bool,
    format: Format,
    custom_data: Arc<Map<String, Value>>,
}

/// Why a stored delivery cannot be taken up again.
#[derive(Debug, thiserror::Error)]
pub enum BadJob {
    #[error(transparent)]
    Unparsable(#[from] ParseEventError),
    #[error("no hook takes events of its kind")]
    UnknownKind,
}

impl Job {
    pub fn new(event: Arc<Event>, kind: Kind, account: AccountId, target: Target) -> Self {
        Self { event, kind, account, target, payload: OnceLock::new(), bodies: Mutex::new(Vec::new()) }
    }

    pub fn from_stored(stored: StoredDelivery) -> Result<Self, BadJob> {
        let mut event = Event::parse(&stored.exchange, &stored.routing_key, stored.body, None)?;
        // The identity is that of the first reception, whatever a later version makes of the text.
        event.id = stored.event_id;
        event.received_ms = stored.received_ms;
        let kind = event.kind.ok_or(BadJob::UnknownKind)?;
        Ok(Self::new(Arc::new(event), kind, stored.account, stored.target))
    }

    pub fn to_stored(&self, created_ms: u64, attempts: u32) -> StoredDelivery {
        StoredDelivery {
            event_id: self.event.id,
            account: self.account,
            exchange: self.event.exchange.to_string(),
            routing_key: self.event.routing_key.to_string(),
            body: self.event.body().clone(),
            received_ms: self.event.received_ms,
            created_ms,
            attempts,
            target: self.target,
        }
    }

    /// The hook id that the event fires, as attempts show it.
    pub fn hook_event(&self) -> &'static str {
        self.kind.hook_id().unwrap_or_default()
    }

    /// The event's own part of the payload, before `custom_data` and the cluster id.
    fn payload(&self, reserved_ccv_keys: &[String]) -> Cow<'_, Fields<'_>> {
        let (text, places) = (self.event.text(), &self.event.places);
        let make = || payload(self.kind, text, places, self.account, reserved_ccv_keys);
        match self.target {
            Target::RegisteredHook if is_call(self.kind) => Cow::Owned(make()),
            Target::RegisteredHook => Cow::Borrowed(self.payload.get_or_init(|| make().into_owned())),
            // `Event::parse` has seen the whole text, so that this cannot fail; an empty payload would show it.
            Target::OneOffHook => Cow::Owned(one_off_payload(serde_json::from_str(text).unwrap_or_default())),
        }
    }

    pub fn render(&self, hook: &Hook, reserved_ccv_keys: &[String], cluster_id: &str) -> Arc<Rendered> {
        let as_query = hook.verb == Verb::Get;
        let mut bodies = self.bodies.lock().unwrap_or_else(PoisonError::into_inner);
        let known = bodies.iter().find(|(key, _)| {
            key.as_query == as_query && key.format == hook.format && key.custom_data == hook.custom_data
        });
        if let Some((_, rendered)) = known {
            return Arc::clone(rendered);
        }
        let payload = self.payload(reserved_ccv_keys);
        let payload = finish(&payload, &hook.custom_data, cluster_id);
        let rendered = Arc::new(render(hook.verb, hook.format, payload));
        if bodies.len() < BODIES_MAX {
            let key = BodyKey { as_query, format: hook.format, custom_data: Arc::clone(&hook.custom_data) };
            bodies.push((key, Arc::clone(&rendered)));
        }
        rendered
    }
}
