//! The one integration binary. Each module is an area; `support` speaks the domain.

mod backlog;
mod bindings;
mod broker;
mod broker_loss;
mod channels;
mod churn;
mod command_line;
mod crash;
mod crash_disabled;
mod crash_http;
mod delivery;
mod disabling;
mod endpoints;
mod http_accounts;
mod http_attempts;
mod http_checks;
mod http_events;
mod http_limits;
mod http_system;
mod http_tenants;
mod http_webhooks;
mod import;
mod kinds;
mod live_queue;
mod many_hooks;
mod one_off;
mod receipts;
mod selection;
mod shutdown;
mod spill;
#[cfg(feature = "faults")]
mod supervision;
mod support;
mod support_itself;
mod tenants;
