//! The bindings on offer, for `GET /v2/websockets`, in the two forms that Kazoo's generations have.

use serde_json::{Value, json};

use super::client::CALL_EVENTS;
use crate::kazoo::Object;
use crate::kazoo::notifications::{self, Audience};
use crate::kazoo::table::{OBJECT_ACTIONS, OBJECT_TYPES};

/// The form of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// `{"binding": "call.CHANNEL_CREATE.*", "event": "CHANNEL_CREATE"}`
    Ids,
    /// `"call.CHANNEL_CREATE.{CALL_ID}"`
    Details,
}

impl Listing {
    pub const NAMES: [&str; 2] = ["ids", "details"];

    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "ids" => Some(Self::Ids),
            "details" => Some(Self::Details),
            _ => None,
        }
    }
}

/// Per module a list of bindings. Administrators are also offered the notifications that are theirs alone.
pub fn available(listing: Listing, audience: Audience) -> Object {
    let mut modules = Object::new();
    for Offer { binding, event } in offers(audience) {
        let module = binding.split('.').next().unwrap_or_default().to_owned();
        let item = match listing {
            Listing::Ids => json!({"binding": with_wildcards(&binding), "event": event}),
            Listing::Details => Value::String(binding),
        };
        if let Value::Array(items) = modules.entry(module).or_insert_with(|| Value::Array(Vec::new())) {
            items.push(item);
        }
    }
    modules
}

struct Offer {
    /// With placeholders for ids.
    binding: String,
    /// The Event-Name that its events carry.
    event: &'static str,
}

fn offers(audience: Audience) -> Vec<Offer> {
    let offer = |binding: String, event| Offer { binding, event };
    let calls = CALL_EVENTS.iter().map(|event| offer(format!("call.{event}.{{CALL_ID}}"), event));
    let conferences =
        [("conference.command.{CONFERENCE_ID}", "command"), ("conference.event.{CONFERENCE_ID}.{CALL_ID}", "event")];
    let faxes = OBJECT_ACTIONS.iter().map(|action| offer(format!("fax.object.{action}"), action));
    let objects = OBJECT_ACTIONS
        .iter()
        .flat_map(|action| OBJECT_TYPES.iter().map(move |name| offer(format!("object.{action}.{name}"), action)));
    let presence = [
        ("presence.dialog.{CALL_ID}", "dialog_update"),
        ("presence.mwi_updates.{USER}", "mwi_update"),
        ("presence.update.{CALL_ID}", "update"),
    ];
    let notifications = notifications::ROWS
        .iter()
        .filter(|row| audience == Audience::Administrators || !row.admin_only())
        .map(|row| offer(format!("notifications.{}", row.name), row.name));
    let fixed = |(binding, event): (&str, _)| offer(binding.to_owned(), event);
    calls
        .chain(conferences.map(fixed))
        .chain([fixed(("fax.status.{FAX_ID}", "status"))])
        .chain(faxes)
        .chain(objects)
        .chain(presence.map(fixed))
        .chain(notifications)
        .collect()
}

/// A conference has to be named, so its placeholder stays.
fn with_wildcards(binding: &str) -> String {
    let words = binding.split('.').map(|word| match word {
        "{CONFERENCE_ID}" => word,
        placeholder if placeholder.starts_with('{') => "*",
        word => word,
    });
    words.collect::<Vec<_>>().join(".")
}
