//! What a server tells of itself, and the catalogue.

use actix_web::http::Method;
use serde_json::json;

use crate::support::app::TestApp;

#[actix_web::test]
async fn health_and_readiness() {
    let app = TestApp::spawn().await;
    assert_eq!(app.send(Method::GET, "/healthz", "", "").await.status, 200);
    let ready = app.send(Method::GET, "/readyz", "", "").await;
    assert_eq!((ready.status, ready.data("ready")), (200, &json!(true)));
}

#[actix_web::test]
async fn metrics_are_open_metrics() {
    let app = TestApp::spawn().await;
    let answer = app.send(Method::GET, "/metrics", "", "").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").starts_with("application/openmetrics-text"));
    let text = answer.body.as_str().unwrap();
    assert!(text.contains("# TYPE hookswitch_hooks gauge") && text.ends_with("# EOF\n"), "{text}");
}

#[actix_web::test]
async fn actors_are_for_system_administrators() {
    let app = TestApp::spawn().await;
    let account = app.create_account("mine", None).await;
    assert_eq!(app.send(Method::GET, "/v2/actors", "", "").await.status, 401);
    assert_eq!(app.call_as(&app.token_for(account), Method::GET, "/v2/actors", None).await.status, 403);
    app.put_hook(account, &json!({})).await;
    let answer = app.get("/v2/actors").await;
    assert_eq!(answer.status, 200);
    assert!(answer.data("actors").is_array());
    assert_eq!(answer.data("webhooks")[0]["kind"], "WebhookActor");
    assert_eq!(answer.data("webhooks")[0]["account_id"], account.to_string());
}

#[actix_web::test]
async fn catalogue_needs_no_token_and_shows_administrators_more() {
    let app = TestApp::spawn().await;
    let account = app.create_account("mine", None).await;
    let everyone = app.send(Method::GET, "/v2/webhooks", "", "").await;
    assert_eq!((everyone.status, everyone.body["data"].as_array().unwrap().len()), (200, 9));
    // A token that is no good does no harm where none is needed.
    let with_bad_token = app.send(Method::GET, "/v2/webhooks", "bad", "").await;
    assert_eq!(with_bad_token.body["data"], everyone.body["data"]);
    let tenant = app.call_as(&app.token_for(account), Method::GET, "/v2/webhooks", None).await;
    assert_eq!(tenant.body["data"], everyone.body["data"]);
    assert!(!everyone.body["data"].to_string().contains("system_alert"));
    assert!(app.get("/v2/webhooks").await.body["data"].to_string().contains("system_alert"));
}

#[actix_web::test]
async fn samples_are_listed_shown_and_filtered() {
    let app = TestApp::spawn().await;
    let ids = app.send(Method::GET, "/v2/webhooks/samples", "", "").await;
    assert!(ids.body["data"].as_array().unwrap().contains(&json!("webhooks_channel_answer")));
    let path = "/v2/webhooks/samples/webhooks_channel_answer";
    let samples = app.send(Method::GET, path, "", "").await;
    let count = samples.body["data"].as_array().unwrap().len();
    assert!(count > 0);
    assert_eq!(samples.body["page_size"], count);
    let filtered = app.send(Method::GET, &format!("{path}?filter_hook_event=channel_answer"), "", "").await;
    assert_eq!(filtered.body["data"], samples.body["data"]);
    let none = app.send(Method::GET, &format!("{path}?filter_hook_event=channel_create"), "", "").await;
    assert_eq!(none.body["data"], json!([]));
    let unknown = app.send(Method::GET, "/v2/webhooks/samples/webhooks_nothing", "", "").await;
    assert_eq!((unknown.status, unknown.data("cause")), (404, &json!("webhooks_nothing")));
}

#[actix_web::test]
async fn envelope_is_pretty_on_request_and_keeps_the_clients_request_id() {
    let app = TestApp::spawn().await;
    let headers = [("X-Request-ID", "abc-1"), ("X-Pretty-Print", "true")];
    let answer = app.send_with(Method::GET, "/v2/webhooks/", &headers, "").await;
    assert_eq!(answer.body["request_id"], "abc-1");
    assert_eq!(answer.header("x-request-id"), "abc-1");
    assert!(answer.text.starts_with("{\n"));
    let answer = app.send(Method::GET, "/v2/webhooks?pretty_print=true", "", "").await;
    assert!(answer.text.starts_with("{\n"));
    assert_eq!(answer.body["request_id"].as_str().unwrap().len(), 32);
    assert_eq!(answer.header("content-type"), "application/json");
}
