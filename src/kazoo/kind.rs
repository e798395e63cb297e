//! The kinds of event that this server tells apart, and the hook id that each one fires.

use crate::kazoo::notifications::{NotificationRow, ONE_OFF};

/// What an event is. Variants without a hook id are there for websockets and for counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    ChannelCreate,
    ChannelAnswer,
    ChannelBridge,
    /// CHANNEL_DESTROY and CHANNEL_DISCONNECTED.
    ChannelDestroy,
    ChannelHold,
    ChannelUnhold,
    Parking(Parking),
    /// A document of a listed type was created, edited or deleted.
    Object {
        action: &'static str,
        object_type: &'static str,
    },
    /// Any other configuration change: of a database, or of a document whose type no hook can ask for.
    OtherChange,
    Notification(&'static NotificationRow),
    /// Inbound from outside; the only direction that fires hooks.
    Sms,
    Mms,
    /// A text message that is outbound, or that never left the system.
    OtherMessage,
    FaxStatus,
    ConferenceEvent,
    ConferenceCommand,
    PresenceDialog,
    PresenceUpdate,
    PresenceMwi,
    MetaflowAction,
    MetaflowFlow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Parking {
    Parked,
    Retrieved,
    Abandoned,
}

impl Kind {
    /// The id of the hooks that an event of this kind fires, beside `all`. `None`: no hook takes it.
    pub fn hook_id(self) -> Option<&'static str> {
        Some(match self {
            Self::ChannelCreate => "channel_create",
            Self::ChannelAnswer => "channel_answer",
            Self::ChannelBridge => "channel_bridge",
            Self::ChannelDestroy => "channel_destroy",
            Self::Parking(_) => "parking",
            Self::Object { .. } => "object",
            Self::Notification(_) => "notifications",
            Self::Sms => "sms",
            Self::Mms => "mms",
            Self::ChannelHold
            | Self::ChannelUnhold
            | Self::OtherChange
            | Self::OtherMessage
            | Self::FaxStatus
            | Self::ConferenceEvent
            | Self::ConferenceCommand
            | Self::PresenceDialog
            | Self::PresenceUpdate
            | Self::PresenceMwi
            | Self::MetaflowAction
            | Self::MetaflowFlow => return None,
        })
    }

    /// A notification that carries a hook of its own.
    pub fn is_one_off(self) -> bool {
        matches!(self, Self::Notification(row) if row.name == ONE_OFF)
    }

    /// Whether only administrators' hooks may have it.
    pub fn is_admin_only(self) -> bool {
        matches!(self, Self::Notification(row) if row.admin_only())
    }

    /// What an event of this kind is called in the patterns of hooks, words separated by dots.
    pub fn topic(self) -> String {
        match self {
            Self::ChannelCreate => "call.CHANNEL_CREATE".into(),
            Self::ChannelAnswer => "call.CHANNEL_ANSWER".into(),
            Self::ChannelBridge => "call.CHANNEL_BRIDGE".into(),
            Self::ChannelDestroy => "call.CHANNEL_DESTROY".into(),
            Self::ChannelHold => "call.CHANNEL_HOLD".into(),
            Self::ChannelUnhold => "call.CHANNEL_UNHOLD".into(),
            Self::Parking(Parking::Parked) => "parking.PARK_PARKED".into(),
            Self::Parking(Parking::Retrieved) => "parking.PARK_RETRIEVED".into(),
            Self::Parking(Parking::Abandoned) => "parking.PARK_ABANDONED".into(),
            Self::Object { action, object_type } => format!("object.{action}.{object_type}"),
            // Not `object.…`: `object.*.*` has to mean the listed types only.
            Self::OtherChange => "configuration.other".into(),
            Self::Notification(row) => format!("notifications.{}", row.name),
            Self::Sms => "sms.inbound.offnet".into(),
            Self::Mms => "mms.inbound.offnet".into(),
            Self::OtherMessage => "message.other".into(),
            Self::FaxStatus => "fax.status".into(),
            Self::ConferenceEvent => "conference.event".into(),
            Self::ConferenceCommand => "conference.command".into(),
            Self::PresenceDialog => "presence.dialog".into(),
            Self::PresenceUpdate => "presence.update".into(),
            Self::PresenceMwi => "presence.mwi_updates".into(),
            Self::MetaflowAction => "metaflow.action".into(),
            Self::MetaflowFlow => "metaflow.flow".into(),
        }
    }
}
