//! The order of the checks: what is wrong first decides the answer, whatever else is wrong.

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};

/// The limit of bodies in these tests.
const BODY_BYTES_MAX: usize = 2_048;

const NO_ID: &str = "0123456789abcdef0123456789abcdef";

async fn app() -> TestApp {
    TestApp::with(|config| config.http.body_bytes_max = BODY_BYTES_MAX).await
}

fn too_large() -> String {
    format!("{{\"data\":\"{}\"}}", "x".repeat(BODY_BYTES_MAX))
}

#[track_caller]
fn check(answer: &Answer, status: u16, message: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.body["message"], message, "{}", answer.body);
    assert_eq!(answer.body["error"], status.to_string());
    assert_eq!(answer.body["status"], if status >= 500 { "fatal" } else { "error" });
}

#[actix_web::test]
async fn first_fault_decides_the_answer() {
    let app = app().await;
    let mine = app.create_account("mine", None).await;
    let other = app.create_account("other", None).await;
    let token = app.token_for(mine);
    let hook = app.put_hook(other, &json!({})).await;
    let (large, broken) = (too_large(), "{".to_owned());
    let good = "{}".to_owned();

    for (method, path, token, body, status, message) in [
        // Everything is wrong: the route is unknown.
        (Method::TRACE, "/v2/nothing".to_owned(), "bad", &large, 404, "not_found"),
        (Method::PUT, "/v2/nothing".to_owned(), "bad", &broken, 404, "not_found"),
        // The verb.
        (Method::PUT, format!("/v2/accounts/{other}/webhooks/{NO_ID}"), "bad", &large, 405, "invalid_method"),
        (Method::DELETE, "/v2/webhooks".to_owned(), "bad", &broken, 405, "invalid_method"),
        (Method::POST, format!("/v2/accounts/{other}/webhooks"), "bad", &large, 405, "invalid_method"),
        (Method::POST, format!("/v2/accounts/{other}/webhooks"), "bad", &broken, 405, "invalid_method"),
        (Method::POST, format!("/v2/accounts/{other}/webhooks?verb=GET"), "bad", &good, 405, "invalid_method"),
        // The size.
        (Method::PUT, format!("/v2/accounts/{other}/webhooks"), "bad", &large, 413, "request_too_large"),
        // The JSON.
        (Method::PUT, format!("/v2/accounts/{other}/webhooks"), "bad", &broken, 400, "parse_error"),
        (Method::PUT, format!("/v2/accounts/{other}/webhooks"), "", &"[]".to_owned(), 400, "parse_error"),
        // The token.
        (Method::PUT, format!("/v2/accounts/{other}/webhooks"), "bad", &good, 401, "invalid_credentials"),
        (Method::PUT, format!("/v2/accounts/{other}/webhooks"), "", &good, 401, "invalid_credentials"),
        (Method::GET, "/v2/accounts/not-an-id/webhooks/x".to_owned(), "", &good, 401, "invalid_credentials"),
        // The account, whether it exists, does not, or could not.
        (Method::PUT, format!("/v2/accounts/{other}/webhooks"), &token, &good, 403, "forbidden"),
        (Method::GET, format!("/v2/accounts/{NO_ID}/webhooks/x"), &token, &good, 403, "forbidden"),
        (Method::GET, "/v2/accounts/not-an-id/webhooks".to_owned(), &token, &good, 403, "forbidden"),
        (Method::GET, format!("/v2/accounts/{NO_ID}/webhooks"), &app.admin_token, &good, 404, "bad_identifier"),
        (Method::GET, "/v2/accounts/not-an-id/webhooks".to_owned(), &app.admin_token, &good, 404, "bad_identifier"),
        // Other ids.
        (Method::PATCH, format!("/v2/accounts/{mine}/webhooks/{NO_ID}"), &token, &good, 404, "bad_identifier"),
        (Method::POST, format!("/v2/accounts/{mine}/webhooks/not-an-id"), &token, &good, 404, "bad_identifier"),
        (Method::POST, format!("/v2/accounts/{mine}/webhooks/{hook}"), &token, &good, 404, "bad_identifier"),
        (
            Method::GET,
            format!("/v2/accounts/{mine}/webhooks/{hook}/dead?page_size=x"),
            &token,
            &good,
            404,
            "bad_identifier",
        ),
        // What is asked for.
        (Method::PUT, format!("/v2/accounts/{mine}/webhooks"), &token, &good, 400, "validation error"),
        (Method::GET, format!("/v2/accounts/{mine}/webhooks?page_size=x"), &token, &good, 400, "validation error"),
    ] {
        let answer = app.send(method.clone(), &path, token, body.clone()).await;
        println!("{method} {path}");
        check(&answer, status, message);
    }
}

#[actix_web::test]
async fn wrong_verb_is_told_the_right_ones() {
    let app = app().await;
    let answer = app.call(Method::PUT, "/v2/webhooks", None).await;
    check(&answer, 405, "invalid_method");
    assert_eq!(answer.header("allow"), "GET, HEAD, OPTIONS");
    let answer = app.call(Method::OPTIONS, "/v2/webhooks", None).await;
    assert_eq!((answer.status, answer.header("allow")), (200, "GET, HEAD, OPTIONS"));
    check(&app.call(Method::OPTIONS, "/v2/nothing", None).await, 404, "not_found");
}

#[actix_web::test]
async fn head_is_a_get_without_a_body() {
    let app = app().await;
    let answer = app.call(Method::HEAD, "/v2/webhooks", None).await;
    assert_eq!((answer.status, &answer.body), (200, &Value::Null));
    assert!(!answer.header("x-request-id").is_empty());
}

#[actix_web::test]
async fn post_tunnels_other_verbs() {
    let app = app().await;
    let account = app.create_account("mine", None).await;
    let hooks = format!("/v2/accounts/{account}/webhooks");
    let document = json!({ "name": "n", "uri": "http://example.com/", "hook": "all" });

    let in_envelope = app.call(Method::POST, &hooks, Some(json!({ "data": document, "verb": "put" }))).await;
    assert_eq!(in_envelope.status, 201, "{}", in_envelope.body);
    let in_query = app.call(Method::POST, &format!("{hooks}?verb=PUT"), Some(json!({ "data": document }))).await;
    assert_eq!(in_query.status, 201, "{}", in_query.body);

    let hook = format!("{hooks}/{}", in_query.data("id").as_str().unwrap());
    let patched = app.call(Method::POST, &hook, Some(json!({ "data": { "name": "m" }, "verb": "PATCH" }))).await;
    assert_eq!((patched.status, patched.data("name")), (200, &json!("m")));
    let deleted = app.call(Method::POST, &format!("{hook}?verb=delete"), None).await;
    assert_eq!((deleted.status, deleted.data("name")), (200, &json!("m")));
    check(&app.get(&hook).await, 404, "bad_identifier");

    // Only a POST is a tunnel, and only for verbs that the route has.
    assert_eq!(app.get(&format!("{hooks}?verb=PUT")).await.status, 200);
    check(&app.call(Method::POST, &format!("{hooks}?verb=DELETE"), None).await, 405, "invalid_method");
    check(&app.call(Method::POST, &hooks, Some(json!({ "verb": "GET" }))).await, 405, "invalid_method");
    check(&app.call(Method::POST, &format!("{hooks}?verb=BREW"), None).await, 405, "invalid_method");
}

#[actix_web::test]
async fn token_is_read_from_header_bearer_query_and_envelope_in_this_order() {
    let app = app().await;
    let token = app.admin_token.clone();
    let path = format!("/v2/accounts/{}", app.system_account);
    let bearer = format!("Bearer {token}");
    for (headers, query, envelope, status) in [
        (vec![("X-Auth-Token", token.as_str())], "", "", 200),
        (vec![("Authorization", bearer.as_str())], "", "", 200),
        (vec![], token.as_str(), "", 200),
        (vec![], "", token.as_str(), 200),
        (vec![("X-Auth-Token", &token), ("Authorization", "Bearer bad")], "bad", "bad", 200),
        (vec![("X-Auth-Token", "bad"), ("Authorization", &bearer)], &token, &token, 401),
        (vec![("Authorization", "Bearer bad")], &token, &token, 401),
        (vec![], "bad", &token, 401),
        (vec![("Authorization", "Basic dTpw")], "", "", 401),
        (vec![], "", "", 401),
    ] {
        let path = if query.is_empty() { path.clone() } else { format!("{path}?auth_token={query}") };
        let body = if envelope.is_empty() { String::new() } else { json!({ "auth_token": envelope }).to_string() };
        let answer = app.send_with(Method::GET, &path, &headers, body).await;
        assert_eq!(answer.status, status, "{headers:?} {}", answer.body);
        let repeated = answer.body.get("auth_token").and_then(Value::as_str);
        assert_eq!(repeated, (status == 200).then_some(token.as_str()));
        assert_eq!(answer.body.get("version").is_some(), status == 200);
    }
}
