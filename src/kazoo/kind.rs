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
}
