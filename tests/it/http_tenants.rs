//! Who may do what: every route against every kind of token.

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::support::app::TestApp;

const NO_ID: &str = "0123456789abcdef0123456789abcdef";

/// What a token meets on a route of an account. The rest is the handlers' business.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gate {
    Unauthorized,
    Forbidden,
    Passed,
}

fn gate(status: u16) -> Gate {
    match status {
        401 => Gate::Unauthorized,
        403 => Gate::Forbidden,
        _ => Gate::Passed,
    }
}

/// Every route of an account, with a body that does no harm.
fn routes(account: &str, hook: &str) -> Vec<(Method, String, Value)> {
    let base = format!("/v2/accounts/{account}");
    let nothing = || json!({ "data": { "name": 7 } });
    vec![
        (Method::GET, base.clone(), json!({})),
        (Method::PUT, base.clone(), nothing()),
        (Method::POST, base.clone(), nothing()),
        (Method::PATCH, base.clone(), nothing()),
        (Method::GET, format!("{base}/children"), json!({})),
        (Method::GET, format!("{base}/descendants"), json!({})),
        (Method::GET, format!("{base}/parents"), json!({})),
        (Method::GET, format!("{base}/api_key"), json!({})),
        (Method::POST, format!("{base}/events"), json!({ "data": {} })),
        (Method::PATCH, format!("{base}/descendants/webhooks"), json!({})),
        (Method::GET, format!("{base}/webhooks"), json!({})),
        (Method::PUT, format!("{base}/webhooks"), nothing()),
        (Method::PATCH, format!("{base}/webhooks"), json!({})),
        (Method::GET, format!("{base}/webhooks/attempts"), json!({})),
        (Method::GET, format!("{base}/webhooks/{hook}"), json!({})),
        (Method::POST, format!("{base}/webhooks/{hook}"), nothing()),
        (Method::PATCH, format!("{base}/webhooks/{hook}"), nothing()),
        (Method::GET, format!("{base}/webhooks/{hook}/attempts"), json!({})),
        (Method::GET, format!("{base}/webhooks/{hook}/dead"), json!({})),
        (Method::PATCH, format!("{base}/webhooks/{hook}/dead"), json!({})),
        // Last, for what they do when they are let through.
        (Method::PUT, format!("{base}/api_key"), json!({})),
        (Method::DELETE, format!("{base}/webhooks/{hook}"), json!({})),
        (Method::DELETE, base, json!({})),
    ]
}

fn configs(account: &str) -> Vec<(Method, String, Value)> {
    let path = format!("/v2/accounts/{account}/configs/webhooks");
    vec![
        (Method::GET, path.clone(), json!({})),
        (Method::POST, path.clone(), json!({ "data": { "attempt_failure_count": 0 } })),
        (Method::PATCH, path, json!({ "data": { "attempt_failure_count": 0 } })),
    ]
}

async fn check(app: &TestApp, routes: &[(Method, String, Value)], token: &str, expected: Gate) {
    for (method, path, body) in routes {
        let answer = app.send(method.clone(), path, token, body.to_string()).await;
        assert_eq!(gate(answer.status), expected, "{method} {path}: {}", answer.body);
        if expected != Gate::Passed {
            assert_eq!(answer.body["data"], json!({}));
        }
    }
}

#[actix_web::test]
async fn every_route_is_closed_to_all_but_the_account_and_those_above() {
    let app = TestApp::spawn().await;
    let parent = app.create_account("parent", None).await;
    let account = app.create_account("account", Some(parent)).await;
    let child = app.create_account("child", Some(account)).await;
    let sibling = app.create_account("sibling", Some(parent)).await;
    let hook = app.put_hook(account, &json!({})).await;
    let routes = routes(&account.to_string(), &hook);
    let (own, above) = (app.token_for(account), app.token_for(parent));

    check(&app, &routes, "", Gate::Unauthorized).await;
    check(&app, &routes, "bad", Gate::Unauthorized).await;
    let (head, signature) = own.rsplit_once('.').unwrap();
    check(&app, &routes, &format!("{head}.{}", signature.chars().rev().collect::<String>()), Gate::Unauthorized).await;
    check(&app, &routes, &app.token_for(child), Gate::Forbidden).await;
    check(&app, &routes, &app.token_for(sibling), Gate::Forbidden).await;

    // Nothing happened.
    let path = format!("/v2/accounts/{account}/webhooks/{hook}");
    assert_eq!(app.get(&path).await.status, 200);
    assert_eq!(app.get(&format!("/v2/accounts/{account}/api_key")).await.status, 404);

    let harmless = &routes[..routes.len() - 3];
    for token in [&own, &above, &app.admin_token] {
        check(&app, harmless, token, Gate::Passed).await;
    }
    assert_eq!(app.call_as(&above, Method::DELETE, &path, None).await.status, 200);
}

#[actix_web::test]
async fn configuration_is_closed_to_the_account_itself() {
    let app = TestApp::spawn().await;
    let parent = app.create_account("parent", None).await;
    let account = app.create_account("account", Some(parent)).await;
    let child = app.create_account("child", Some(account)).await;
    let sibling = app.create_account("sibling", Some(parent)).await;
    let routes = configs(&account.to_string());
    check(&app, &routes, "", Gate::Unauthorized).await;
    for token in [app.token_for(account), app.token_for(child), app.token_for(sibling)] {
        check(&app, &routes, &token, Gate::Forbidden).await;
    }
    for token in [app.token_for(parent), app.admin_token.clone()] {
        check(&app, &routes, &token, Gate::Passed).await;
    }
    // An administrator may set his own.
    check(&app, &configs(&app.system_account.to_string()), &app.admin_token, Gate::Passed).await;
}

#[actix_web::test]
async fn unknown_account_is_forbidden_to_all_but_administrators() {
    let app = TestApp::spawn().await;
    let account = app.create_account("account", None).await;
    let token = app.token_for(account);
    for id in [NO_ID, "not-an-id", "0123456789ABCDEF0123456789ABCDEF"] {
        let mut routes = routes(id, NO_ID);
        routes.extend(configs(id));
        check(&app, &routes, &token, Gate::Forbidden).await;
        for (method, path, body) in routes {
            let answer = app.send(method.clone(), &path, &app.admin_token, body.to_string()).await;
            assert_eq!((answer.status, answer.data("cause")), (404, &json!(id)), "{method} {path}: {}", answer.body);
        }
    }
}

#[actix_web::test]
async fn hook_of_another_account_is_unknown_even_to_an_administrator() {
    let app = TestApp::spawn().await;
    let parent = app.create_account("parent", None).await;
    let account = app.create_account("account", Some(parent)).await;
    let hook = app.put_hook(account, &json!({})).await;
    for token in [app.token_for(parent), app.admin_token.clone()] {
        for (method, path, body) in routes(&parent.to_string(), &hook) {
            if !path.contains(&hook) {
                continue;
            }
            let answer = app.send(method.clone(), &path, &token, body.to_string()).await;
            assert_eq!((answer.status, &answer.body["message"]), (404, &json!("bad_identifier")), "{method} {path}");
            assert_eq!(answer.data("cause"), &json!(hook));
        }
    }
    assert_eq!(app.get(&format!("/v2/accounts/{account}/webhooks/{hook}")).await.status, 200);
}
