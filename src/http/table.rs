//! Every route of the API: path, verbs, who may use it, and what answers. The first that fits a path is taken.

use super::route::Access::{Above, Account, Administrator, Open, Token};
use super::route::Verb::{Delete, Get, Patch, Post, Put};
use super::route::{Access, Route, Verb};
use super::{
    accounts, actors, api_auth, api_keys, attempts, catalogue, channels, configs, dead, events, health, metrics,
    streams, tree, webhooks, websockets,
};

const fn route(pattern: &'static str, endpoints: &'static [(Verb, Access)]) -> Route {
    Route { pattern, endpoints }
}

/// One endpoint: `on!(Get, Open, health::live)`.
macro_rules! on {
    ($verb:ident, $access:ident, $module:ident::$function:ident) => {
        ($verb, $access(|call| Box::pin($module::$function(call))))
    };
}

pub const TABLE: &[Route] = &[
    route("/healthz", &[on!(Get, Open, health::live)]),
    route("/readyz", &[on!(Get, Open, health::ready)]),
    route("/metrics", &[on!(Get, Open, metrics::show)]),
    route("/v2/actors", &[on!(Get, Administrator, actors::list)]),
    route("/v2/api_auth", &[on!(Put, Open, api_auth::trade)]),
    route("/v2/webhooks", &[on!(Get, Open, catalogue::list)]),
    route("/v2/webhooks/samples", &[on!(Get, Open, catalogue::samples)]),
    route("/v2/webhooks/samples/{id}", &[on!(Get, Open, catalogue::sample)]),
    route("/v2/websockets", &[on!(Get, Open, websockets::bindings)]),
    route("/v2/accounts", &[on!(Put, Token, accounts::create_below_token)]),
    route(
        "/v2/accounts/{account}",
        &[
            on!(Get, Account, accounts::show),
            on!(Put, Account, accounts::create),
            on!(Post, Account, accounts::replace),
            on!(Patch, Account, accounts::patch),
            on!(Delete, Account, accounts::delete),
        ],
    ),
    route("/v2/accounts/{account}/children", &[on!(Get, Account, tree::children)]),
    route("/v2/accounts/{account}/descendants", &[on!(Get, Account, tree::descendants)]),
    route("/v2/accounts/{account}/parents", &[on!(Get, Account, tree::parents)]),
    route("/v2/accounts/{account}/api_key", &[on!(Get, Account, api_keys::show), on!(Put, Account, api_keys::create)]),
    route(
        "/v2/accounts/{account}/configs/webhooks",
        &[on!(Get, Above, configs::show), on!(Post, Above, configs::replace), on!(Patch, Above, configs::patch)],
    ),
    route(
        "/v2/accounts/{account}/events",
        &[(Get, Access::Stream(streams::listen)), on!(Post, Account, events::publish)],
    ),
    route("/v2/accounts/{account}/channels", &[on!(Get, Account, channels::list)]),
    route(
        "/v2/accounts/{account}/channels/{id}",
        &[
            on!(Get, Account, channels::show),
            on!(Put, Account, channels::send_flow),
            on!(Post, Account, channels::send_action),
        ],
    ),
    route("/v2/accounts/{account}/websockets", &[on!(Get, Account, websockets::list)]),
    route(
        "/v2/accounts/{account}/websockets/{id}",
        &[on!(Get, Account, websockets::show), on!(Delete, Account, websockets::dismiss)],
    ),
    route("/v2/accounts/{account}/descendants/webhooks", &[on!(Patch, Account, webhooks::enable_descendants)]),
    route(
        "/v2/accounts/{account}/webhooks",
        &[
            on!(Get, Account, webhooks::list),
            on!(Put, Account, webhooks::create),
            on!(Patch, Account, webhooks::enable_all),
        ],
    ),
    route("/v2/accounts/{account}/webhooks/attempts", &[on!(Get, Account, attempts::of_account)]),
    route(
        "/v2/accounts/{account}/webhooks/{id}",
        &[
            on!(Get, Account, webhooks::show),
            on!(Post, Account, webhooks::replace),
            on!(Patch, Account, webhooks::patch),
            on!(Delete, Account, webhooks::delete),
        ],
    ),
    route("/v2/accounts/{account}/webhooks/{id}/attempts", &[on!(Get, Account, attempts::of_hook)]),
    route(
        "/v2/accounts/{account}/webhooks/{id}/dead",
        &[on!(Get, Account, dead::list), on!(Patch, Account, dead::resend)],
    ),
];
