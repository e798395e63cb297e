//! The notification names, one row each. Used by classification, binding, routing and the catalogue alike.
//!
//! A name that is not listed here is no notification to this server.

/// The exchange, and the first word of every notification's routing key.
pub const EXCHANGE: &str = "notifications";

/// The `Event-Category` of every notification.
pub const EVENT_CATEGORY: &str = "notification";

/// The notification that carries a one-off hook of its own.
pub const ONE_OFF: &str = "webhook";

/// One notification; its routing key is `notifications.{category}.{key_word}`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct NotificationRow {
    /// The `Event-Name`, and the `custom_data.type` of a hook that takes it.
    pub name: &'static str,
    pub category: &'static str,
    /// The last word of the routing key.
    pub key_word: &'static str,
    pub audience: Audience,
}

/// Whose hooks may ask for a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Audience {
    Everyone,
    Administrators,
}

impl NotificationRow {
    pub fn admin_only(&self) -> bool {
        self.audience == Audience::Administrators
    }

    pub fn routing_key(&self) -> String {
        format!("{EXCHANGE}.{}.{}", self.category, self.key_word)
    }
}

/// The row of an `Event-Name`.
pub fn by_name(name: &str) -> Option<&'static NotificationRow> {
    ROWS.iter().find(|row| row.name == name)
}

pub static ROWS: [NotificationRow; 39] = [
    named("account", "account_zone_change", "zone_change"),
    named("account", "bill_reminder", "reminder"),
    plain("account", "low_balance"),
    named("account", "new_account", "new"),
    plain("account", "service_added"),
    plain("account", "topup"),
    plain("account", "transaction"),
    plain("account", "cf_notification"),
    plain("account", "number_feature_manual_action"),
    named("fax", "inbound_fax", "inbound"),
    named("fax", "inbound_fax_error", "inbound_error"),
    named("fax", "outbound_fax", "outbound"),
    named("fax", "outbound_fax_error", "outbound_error"),
    named("fax", "outbound_smtp_fax_error", "outbound_smtp_error"),
    plain("number", "cnam_request"),
    plain("number", "port_cancel"),
    plain("number", "port_comment"),
    plain("number", "port_pending"),
    plain("number", "port_rejected"),
    plain("number", "port_request"),
    plain("number", "port_scheduled"),
    plain("number", "port_unconfirmed"),
    plain("number", "ported"),
    plain("registration", "denied_emergency_bridge"),
    plain("registration", "emergency_bridge"),
    plain("sip", "deregister"),
    plain("sip", "first_occurrence"),
    plain("sip", "missed_call"),
    plain("sip", "register"),
    for_administrators(named("system", "system_alert", "alert")),
    plain("user", "customer_update"),
    named("user", "new_user", "new"),
    plain("user", "password_recovery"),
    named("voicemail", "voicemail_full", "full"),
    named("voicemail", "voicemail_new", "new"),
    named("voicemail", "voicemail_saved", "saved"),
    named("voicemail", "voicemail_deleted", "deleted"),
    named("webhook", ONE_OFF, "callflow"),
    for_administrators(named("webhook", "webhook_disabled", "disabled")),
];

const fn plain(category: &'static str, name: &'static str) -> NotificationRow {
    named(category, name, name)
}

const fn named(category: &'static str, name: &'static str, key_word: &'static str) -> NotificationRow {
    NotificationRow { name, category, key_word, audience: Audience::Everyone }
}

const fn for_administrators(row: NotificationRow) -> NotificationRow {
    NotificationRow { audience: Audience::Administrators, ..row }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{ROWS, by_name};

    #[test]
    fn names_and_routing_keys_are_unique() {
        let names: HashSet<_> = ROWS.iter().map(|row| row.name).collect();
        let keys: HashSet<_> = ROWS.iter().map(super::NotificationRow::routing_key).collect();
        assert_eq!((names.len(), keys.len()), (ROWS.len(), ROWS.len()));
    }

    #[track_caller]
    fn check(name: &str, routing_key: &str, admin_only: bool) {
        let row = by_name(name).unwrap();
        assert_eq!((row.routing_key().as_str(), row.admin_only()), (routing_key, admin_only));
    }

    #[test]
    fn last_word_differs_from_the_name_where_kazoo_says_so() {
        check("account_zone_change", "notifications.account.zone_change", false);
        check("low_balance", "notifications.account.low_balance", false);
        check("outbound_smtp_fax_error", "notifications.fax.outbound_smtp_error", false);
        check("voicemail_new", "notifications.voicemail.new", false);
        check("webhook", "notifications.webhook.callflow", false);
        check("webhook_disabled", "notifications.webhook.disabled", true);
        check("system_alert", "notifications.system.alert", true);
        assert_eq!(by_name("skel"), None);
        assert_eq!(by_name("inbound"), None);
    }
}
