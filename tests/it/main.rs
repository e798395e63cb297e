//! The one integration binary. Each module is an area; `support` speaks the domain.

mod backlog;
mod bindings;
mod broker;
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
mod many_hooks;
mod one_off;
mod receipts;
mod selection;
mod support;
mod support_itself;
mod tenants;
