//! The rules that hook documents are checked against: the catalogue's lists, the configured limits, and on whose behalf.

use std::sync::LazyLock;

use super::call::Call;
use super::error::ApiError;
use crate::auth::Caller;
use crate::auth::directory::Rank;
use crate::kazoo::catalogue;
use crate::kazoo::notifications::{self, Audience};
use crate::kazoo::table::{OBJECT_ACTIONS, OBJECT_TYPES};
use crate::validation::Faults;
use crate::webhook::document::{HookRules, Requester};
use crate::webhook::hook::Hook;

/// What the catalogue offers, every event, and what older versions of Kazoo called some notifications.
static HOOK_IDS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let offered = catalogue::hooks(Audience::Everyone);
    let offered = offered.iter().filter_map(|hook| hook["id"].as_str());
    offered.chain(["all", "callflow", "inbound_fax", "outbound_fax"]).map(String::from).collect()
});

static NOTIFICATIONS: LazyLock<Vec<(&'static str, bool)>> =
    LazyLock::new(|| notifications::ROWS.iter().map(|row| (row.name, row.admin_only())).collect());

/// Runs a validation with the rules that hold for this caller.
pub fn with_rules(
    call: &Call,
    caller: &Caller,
    validate: impl FnOnce(&HookRules<'_>) -> Result<Hook, Faults>,
) -> Result<Hook, ApiError> {
    let hook_ids: Vec<&str> = HOOK_IDS.iter().map(String::as_str).collect();
    let rules = HookRules {
        requester: match caller.rank {
            Rank::Administrator => Requester::Administrator,
            Rank::Ordinary => Requester::Tenant,
        },
        allow: &call.state.allow,
        hook_ids: &hook_ids,
        object_types: &OBJECT_TYPES,
        object_actions: &OBJECT_ACTIONS,
        notification_names: &NOTIFICATIONS,
        document_bytes_max: call.state.config.webhooks.document_bytes_max,
        uri_bytes_max: call.state.config.webhooks.uri_bytes_max,
        custom_data_bytes_max: call.state.config.webhooks.custom_data_bytes_max,
    };
    Ok(validate(&rules)?)
}
