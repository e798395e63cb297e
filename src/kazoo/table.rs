//! What Kazoo publishes, one row per kind of message: exchange, routing key, event category and name, whose it is.
//!
//! Classification, owners, routing and bindings all read these rows; notifications have a table of their own.

use crate::kazoo::kind::{Kind, Parking};
use crate::kazoo::notifications;

/// The document types that a hook can ask for.
pub const OBJECT_TYPES: [&str; 10] =
    ["account", "callflow", "device", "faxbox", "media", "user", "vmbox", "fax", "mailbox_message", "call_recording"];

/// The document actions that a hook can ask for.
pub const OBJECT_ACTIONS: [&str; 3] = ["doc_created", "doc_edited", "doc_deleted"];

/// In a hook's `custom_data`: every action, type or name.
pub const ALL: &str = "all";

/// The `Route-Type` of a message that came from outside.
pub const OFFNET: &str = "offnet";

/// The `Event-Name` of a presence event that is addressed by `To`.
pub const MWI_UPDATE: &str = "mwi_update";

/// The word of a routing key for an id that the event lacks.
pub const UNDEFINED: &str = "undefined";

/// Every exchange that an event may come from or a command go to. All are topic exchanges.
pub fn exchanges() -> &'static [&'static str] {
    &[CALLEVT, CONFIGURATION, notifications::EXCHANGE, FAXES, CONFERENCE, PRESENCE, IM, METAFLOW]
}

/// The row of an event that is not a notification.
pub fn row(category: &str, name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name && row.category == category)
}

/// One kind of message.
#[derive(Debug)]
pub struct Row {
    pub exchange: &'static str,
    pub category: &'static str,
    pub name: &'static str,
    pub key: &'static [Word],
    pub kind: KindRule,
    pub owner: OwnerRule,
}

/// One word of a routing key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word {
    Literal(&'static str),
    /// The row's own `category`.
    Category,
    /// The row's own `name`.
    Name,
    Account,
    Action,
    CallId,
    ConferenceId,
    Database,
    DocId,
    DocType,
    /// `Event` of a conference event: what happened in the conference.
    Event,
    FaxId,
    MessageId,
    Realm,
    RouteType,
    User,
}

/// How the kind follows from the row and the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KindRule {
    Always(Kind),
    /// [`Kind::Object`] with this action where `Type` is one of [`OBJECT_TYPES`], else [`Kind::OtherChange`].
    Document(&'static str),
    /// This kind where `Route-Type` is [`OFFNET`], else [`Kind::OtherMessage`].
    Offnet(Kind),
}

/// Where the account of an event is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerRule {
    /// `Custom-Channel-Vars.Account-ID`, else whoever the call is known to belong to.
    Call,
    /// The account's database that changed.
    Database,
    /// `Account-ID`.
    Account,
    /// `Account-ID`, else `Custom-Channel-Vars.Account-ID`.
    AccountOrCall,
    /// Whoever the conference is known to belong to: its commands name nobody.
    Conference,
    /// Whoever has the realm.
    Realm,
}

const CALLEVT: &str = "callevt";
const CONFIGURATION: &str = "configuration";
const FAXES: &str = "faxes";
const CONFERENCE: &str = "conference";
const PRESENCE: &str = "presence";
const IM: &str = "im";
/// The exchange of commands, and the category of what is published there.
pub const METAFLOW: &str = "metaflow";

pub static ROWS: [Row; 28] = [
    call("CHANNEL_CREATE", Kind::ChannelCreate),
    call("CHANNEL_ANSWER", Kind::ChannelAnswer),
    call("CHANNEL_BRIDGE", Kind::ChannelBridge),
    call("CHANNEL_DESTROY", Kind::ChannelDestroy),
    // Kazoo maps this one to destroy but never binds it, so its destroy hooks stay silent when a switch dies.
    call("CHANNEL_DISCONNECTED", Kind::ChannelDestroy),
    call("CHANNEL_HOLD", Kind::ChannelHold),
    call("CHANNEL_UNHOLD", Kind::ChannelUnhold),
    call("PARK_PARKED", Kind::Parking(Parking::Parked)),
    call("PARK_RETRIEVED", Kind::Parking(Parking::Retrieved)),
    call("PARK_ABANDONED", Kind::Parking(Parking::Abandoned)),
    change("doc_created", KindRule::Document("doc_created")),
    change("doc_edited", KindRule::Document("doc_edited")),
    change("doc_deleted", KindRule::Document("doc_deleted")),
    change("db_created", KindRule::Always(Kind::OtherChange)),
    change("db_edited", KindRule::Always(Kind::OtherChange)),
    change("db_deleted", KindRule::Always(Kind::OtherChange)),
    message("sms", "inbound", KindRule::Offnet(Kind::Sms)),
    message("sms", "outbound", KindRule::Always(Kind::OtherMessage)),
    message("mms", "inbound", KindRule::Offnet(Kind::Mms)),
    message("mms", "outbound", KindRule::Always(Kind::OtherMessage)),
    Row {
        exchange: FAXES,
        category: "fax",
        name: "status",
        key: &[Word::Literal("fax"), Word::Name, Word::Account, Word::FaxId],
        kind: KindRule::Always(Kind::FaxStatus),
        owner: OwnerRule::Account,
    },
    Row {
        exchange: CONFERENCE,
        category: "conference",
        name: "event",
        key: &[Word::Category, Word::Name, Word::Event, Word::Account, Word::ConferenceId, Word::CallId],
        kind: KindRule::Always(Kind::ConferenceEvent),
        owner: OwnerRule::AccountOrCall,
    },
    Row {
        exchange: CONFERENCE,
        category: "conference",
        name: "command",
        key: &[Word::Category, Word::Name, Word::ConferenceId],
        kind: KindRule::Always(Kind::ConferenceCommand),
        owner: OwnerRule::Conference,
    },
    presence("dialog_update", &[Word::Literal("dialog"), Word::Realm, Word::CallId], Kind::PresenceDialog),
    presence("update", &[Word::Literal("update"), Word::Realm, Word::CallId], Kind::PresenceUpdate),
    presence("mwi_update", &[Word::Literal("mwi_updates"), Word::Realm, Word::User], Kind::PresenceMwi),
    metaflow("action", &[Word::Category, Word::Name, Word::CallId, Word::Action], Kind::MetaflowAction),
    metaflow("flow", &[Word::Category, Word::Name, Word::CallId], Kind::MetaflowFlow),
];

const fn call(name: &'static str, kind: Kind) -> Row {
    Row {
        exchange: CALLEVT,
        category: "call_event",
        name,
        key: &[Word::Literal("call"), Word::Name, Word::CallId],
        kind: KindRule::Always(kind),
        owner: OwnerRule::Call,
    }
}

const fn change(name: &'static str, kind: KindRule) -> Row {
    Row {
        exchange: CONFIGURATION,
        category: "configuration",
        name,
        key: &[Word::Name, Word::Database, Word::DocType, Word::DocId],
        kind,
        owner: OwnerRule::Database,
    }
}

const fn message(category: &'static str, name: &'static str, kind: KindRule) -> Row {
    Row {
        exchange: IM,
        category,
        name,
        key: &[Word::Category, Word::Name, Word::RouteType, Word::MessageId],
        kind,
        owner: OwnerRule::Account,
    }
}

const fn presence(name: &'static str, key: &'static [Word], kind: Kind) -> Row {
    Row { exchange: PRESENCE, category: "presence", name, key, kind: KindRule::Always(kind), owner: OwnerRule::Realm }
}

const fn metaflow(name: &'static str, key: &'static [Word], kind: Kind) -> Row {
    Row { exchange: METAFLOW, category: "metaflow", name, key, kind: KindRule::Always(kind), owner: OwnerRule::Call }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{ROWS, exchanges, row};

    #[test]
    fn every_row_is_found_by_its_category_and_name_and_its_exchange_is_declared() {
        let pairs: HashSet<_> = ROWS.iter().map(|row| (row.category, row.name)).collect();
        assert_eq!(pairs.len(), ROWS.len());
        for expected in &ROWS {
            assert!(std::ptr::eq(row(expected.category, expected.name).unwrap(), expected));
            assert!(exchanges().contains(&expected.exchange), "{}", expected.exchange);
        }
        assert!(row("call_event", "status").is_none());
    }
}
