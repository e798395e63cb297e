//! The rules that hook documents are checked against: the catalogue's lists, the configured limits, and on whose behalf.
//!
//! Put together by whoever takes in hooks: the HTTP API and the importer.

use std::sync::LazyLock;

use crate::config::Webhooks;
use crate::kazoo::catalogue;
use crate::kazoo::notifications;
use crate::kazoo::table::{OBJECT_ACTIONS, OBJECT_TYPES};
use crate::webhook::allow::AllowList;
use crate::webhook::document::{HookRules, Requester};

/// What the catalogue offers, every event, and what older versions of Kazoo called some notifications.
static HOOK_IDS: LazyLock<Vec<&str>> =
    LazyLock::new(|| catalogue::hook_ids().chain(["all", "callflow", "inbound_fax", "outbound_fax"]).collect());

static NOTIFICATIONS: LazyLock<Vec<(&str, bool)>> =
    LazyLock::new(|| notifications::ROWS.iter().map(|row| (row.name, row.admin_only())).collect());

/// The rules that hold for this requester.
pub fn rules<'a>(config: &Webhooks, allow: &'a AllowList, requester: Requester) -> HookRules<'a> {
    HookRules {
        requester,
        allow,
        hook_ids: &HOOK_IDS,
        object_types: &OBJECT_TYPES,
        object_actions: &OBJECT_ACTIONS,
        notification_names: &NOTIFICATIONS,
        document_bytes_max: config.document_bytes_max,
        uri_bytes_max: config.uri_bytes_max,
        custom_data_bytes_max: config.custom_data_bytes_max,
    }
}
