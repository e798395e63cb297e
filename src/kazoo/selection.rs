//! What a hook asks for: its id and the selecting part of its `custom_data`, read into things of the table.
//!
//! Called by [`crate::kazoo::bindings`]. `custom_data` is expected to be validated.

use serde_json::Value;

use crate::kazoo::Object;
use crate::kazoo::notifications::{self, NotificationRow};
use crate::kazoo::table::{ALL, OBJECT_ACTIONS, OBJECT_TYPES};

/// One thing that a hook takes.
pub enum Take {
    /// Every kind of the table that fires this hook id.
    Kinds(&'static str),
    Objects {
        action: Choice,
        object_type: Choice,
    },
    EveryNotification,
    Notification(&'static NotificationRow),
}

/// One of a list, or all of it.
#[derive(Clone, Copy)]
pub struct Choice {
    chosen: Option<&'static str>,
    list: &'static [&'static str],
}

/// Everything that a hook of this id takes. Older ids and `all` included; nothing for an unknown id, and nothing for a
/// hook that fails to name what it wants.
pub fn takes(hook: &str, custom_data: &Object) -> Vec<Take> {
    let chosen = |key: &str| custom_data.get(key).and_then(Value::as_str);
    match hook {
        "object" => {
            let action = chosen("action").and_then(|name| Choice::of(&OBJECT_ACTIONS, name));
            let object_type = chosen("type").and_then(|name| Choice::of(&OBJECT_TYPES, name));
            action
                .zip(object_type)
                .map(|(action, object_type)| Take::Objects { action, object_type })
                .into_iter()
                .collect()
        }
        "notifications" if chosen("type") == Some(ALL) => vec![Take::EveryNotification],
        "notifications" => named(chosen("type").as_slice()),
        // Three ids of older Kazoo versions.
        "callflow" => named(&[notifications::ONE_OFF]),
        "inbound_fax" => named(&["inbound_fax", "inbound_fax_error"]),
        "outbound_fax" => named(&["outbound_fax", "outbound_fax_error"]),
        "all" => {
            let mut takes: Vec<_> = KINDS.into_iter().map(Take::Kinds).collect();
            takes.push(Take::Objects { action: Choice::all(&OBJECT_ACTIONS), object_type: Choice::all(&OBJECT_TYPES) });
            takes.push(Take::EveryNotification);
            takes
        }
        other => KINDS.into_iter().find(|id| *id == other).map(Take::Kinds).into_iter().collect(),
    }
}

/// The hook ids whose events the table lists one by one.
const KINDS: [&str; 7] =
    ["channel_create", "channel_answer", "channel_bridge", "channel_destroy", "parking", "sms", "mms"];

fn named(names: &[&str]) -> Vec<Take> {
    names.iter().filter_map(|name| notifications::by_name(name)).map(Take::Notification).collect()
}

impl Choice {
    pub fn all(list: &'static [&'static str]) -> Self {
        Self { chosen: None, list }
    }

    pub fn of(list: &'static [&'static str], name: &str) -> Option<Self> {
        if name == ALL {
            return Some(Self::all(list));
        }
        let chosen = list.iter().copied().find(|one| *one == name)?;
        Some(Self { chosen: Some(chosen), list })
    }

    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.list.iter().copied().filter(move |one| self.chosen.is_none_or(|chosen| chosen == *one))
    }
}
