//! Hooks over HTTP: their life, what is wrong with their documents, listings.

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::support::app::TestApp;

fn new_calls() -> Value {
    json!({ "name": "New Calls", "uri": "http://hooks.example.com/calls", "hook": "channel_create", "retries": 3 })
}

#[actix_web::test]
async fn hook_is_created_shown_replaced_patched_and_deleted() {
    let app = TestApp::spawn().await;
    let account = app.create_account("mine", None).await;
    let token = app.token_for(account);
    let hooks = format!("/v2/accounts/{account}/webhooks");

    let created = app.call_as(&token, Method::PUT, &hooks, Some(json!({ "data": new_calls() }))).await;
    assert_eq!(created.status, 201, "{}", created.body);
    assert_eq!(created.body["revision"], "1");
    let mut expected = new_calls();
    for (key, value) in [
        ("http_verb", json!("post")),
        ("format", json!("form-data")),
        ("enabled", json!(true)),
        ("include_subaccounts", json!(false)),
        ("include_internal_legs", json!(true)),
        ("id", created.data("id").clone()),
    ] {
        expected[key] = value;
    }
    assert_eq!(created.body["data"], expected);

    let hook = format!("{hooks}/{}", created.data("id").as_str().unwrap());
    let shown = app.call_as(&token, Method::GET, &hook, None).await;
    assert_eq!((shown.status, &shown.body["data"]), (200, &expected));

    // A patch merges at the top level, null removes, unknown keys are kept.
    let patch = json!({ "data": { "custom_data": { "a": "1" }, "retries": null, "mine": { "x": 1 } } });
    let patched = app.call_as(&token, Method::PATCH, &hook, Some(patch)).await;
    assert_eq!((patched.status, patched.data("retries")), (200, &json!(2)));
    let patched =
        app.call_as(&token, Method::PATCH, &hook, Some(json!({ "data": { "custom_data": { "b": "2" } } }))).await;
    assert_eq!((patched.data("custom_data"), patched.data("mine")), (&json!({ "b": "2" }), &json!({ "x": 1 })));
    assert_eq!(patched.body["revision"], "3");

    // A replacement keeps nothing, and counts as enabled.
    app.call_as(&token, Method::PATCH, &hook, Some(json!({ "data": { "enabled": false } }))).await;
    let replaced = app.call_as(&token, Method::POST, &hook, Some(json!({ "data": new_calls() }))).await;
    assert_eq!((replaced.status, &replaced.body["data"]), (200, &expected));

    let deleted = app.call_as(&token, Method::DELETE, &hook, None).await;
    assert_eq!((deleted.status, &deleted.body["data"]), (200, &expected));
    let gone = app.call_as(&token, Method::GET, &hook, None).await;
    assert_eq!((gone.status, gone.data("cause")), (404, &expected["id"]));
}

#[actix_web::test]
async fn every_faulty_field_is_reported_at_once_and_nothing_is_stored() {
    let app = TestApp::spawn().await;
    let account = app.create_account("mine", None).await;
    let hooks = format!("/v2/accounts/{account}/webhooks");
    let document = json!({
        "uri": "ftp://example.com/", "hook": "object", "http_verb": "patch", "retries": 5, "enabled": "yes",
        "custom_data": { "action": "doc_moved", "n": 1 },
    });
    let answer = app.call(Method::PUT, &hooks, Some(json!({ "data": document }))).await;
    assert_eq!((answer.status, &answer.body["message"]), (400, &json!("validation error")));
    for (field, rule) in [
        ("name", "required"),
        ("uri", "format"),
        ("http_verb", "enum"),
        ("retries", "maximum"),
        ("enabled", "type"),
        ("custom_data.action", "enum"),
        ("custom_data.type", "required"),
        ("custom_data.n", "type"),
    ] {
        assert!(answer.data(field)[rule]["message"].is_string(), "{field} {rule}: {}", answer.body);
    }
    assert_eq!(app.get(&hooks).await.body["data"], json!([]));

    let answer = app.call(Method::PUT, &hooks, Some(json!({ "data": [] }))).await;
    assert_eq!((answer.status, answer.data("data")["type"]["target"].as_str()), (400, Some("object")));
}

#[actix_web::test]
async fn private_addresses_are_refused_with_the_reason() {
    let app = TestApp::spawn().await;
    let account = app.create_account("mine", None).await;
    let path = format!("/v2/accounts/{account}/webhooks");
    for uri in
        ["http://10.0.0.1/", "http://[::1]/", "http://169.254.169.254/", "http://localhost/", "http://u:p@example.com/"]
    {
        let mut document = new_calls();
        document["uri"] = uri.into();
        let answer = app.call(Method::PUT, &path, Some(json!({ "data": document }))).await;
        assert_eq!(answer.status, 400, "{uri}");
        assert!(answer.data("uri")["format"]["message"].is_string(), "{uri} {}", answer.body);
    }
}

#[actix_web::test]
async fn names_for_administrators_need_one() {
    let app = TestApp::spawn().await;
    let account = app.create_account("mine", None).await;
    let path = format!("/v2/accounts/{account}/webhooks");
    let document = json!({ "data": {
        "name": "n", "uri": "http://example.com/", "hook": "notifications", "custom_data": { "type": "system_alert" },
    } });
    let refused = app.call_as(&app.token_for(account), Method::PUT, &path, Some(document.clone())).await;
    assert_eq!(refused.status, 400);
    assert!(refused.data("custom_data.type")["enum"]["message"].is_string());
    assert_eq!(app.call(Method::PUT, &path, Some(document)).await.status, 201);
}

#[actix_web::test]
async fn listing_is_paged_newest_first_and_filtered() {
    let app = TestApp::spawn().await;
    let account = app.create_account("mine", None).await;
    let path = format!("/v2/accounts/{account}/webhooks");
    for number in 0..5 {
        let group = if number < 2 { "low" } else { "high" };
        app.put_hook(account, &json!({ "name": format!("hook {number}"), "group": group })).await;
        // Creation times are milliseconds.
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }
    let names = |body: &Value| -> Vec<String> {
        let hooks = body["data"].as_array().unwrap();
        hooks.iter().map(|hook| hook["name"].as_str().unwrap().trim_start_matches("hook ").to_owned()).collect()
    };
    let first = app.get(&format!("{path}?page_size=2")).await.body;
    assert_eq!((names(&first), &first["page_size"]), (vec!["4".into(), "3".into()], &json!(2)));
    let next = first["next_start_key"].as_str().unwrap();
    let second = app.get(&format!("{path}?page_size=2&start_key={next}")).await.body;
    assert_eq!((names(&second), &second["start_key"]), (vec!["2".into(), "1".into()], &json!(next)));
    let next = second["next_start_key"].as_str().unwrap();
    let last = app.get(&format!("{path}?page_size=2&start_key={next}")).await.body;
    assert_eq!((names(&last), last.get("next_start_key")), (vec!["0".into()], None));

    assert_eq!(names(&app.get(&format!("{path}?ascending=true&page_size=1")).await.body), ["0"]);
    assert_eq!(names(&app.get(&format!("{path}?filter_group=low")).await.body), ["1", "0"]);
    assert_eq!(names(&app.get(&format!("{path}?filter_group=low&filter_name=hook+0")).await.body), ["0"]);
    assert_eq!(names(&app.get(&format!("{path}?created_to=1")).await.body), [""; 0]);
    let whole = app.get(&format!("{path}?paginate=false")).await.body;
    assert_eq!((whole["data"].as_array().unwrap().len(), whole.get("next_start_key")), (5, None));

    let summary = &whole["data"][0];
    assert_eq!(summary["name"], "hook 4");
    let keys: Vec<&String> = summary.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["id", "hook", "name", "uri", "group", "enabled"]);
}

#[actix_web::test]
async fn bulk_enable_wants_to_be_told_so() {
    let app = TestApp::spawn().await;
    let account = app.create_account("mine", None).await;
    for path in [format!("/v2/accounts/{account}/webhooks"), format!("/v2/accounts/{account}/descendants/webhooks")] {
        let answer = app.call(Method::PATCH, &path, Some(json!({ "data": { "re-enable": true } }))).await;
        assert_eq!((answer.status, &answer.body["data"]), (200, &json!("hooks updated")));
        for data in [json!({}), json!({ "re-enable": false }), json!({ "re-enable": "true" })] {
            let answer = app.call(Method::PATCH, &path, Some(json!({ "data": data }))).await;
            assert_eq!(answer.status, 400);
            assert!(answer.data("re-enable").is_object(), "{}", answer.body);
        }
    }
}

#[actix_web::test]
async fn hook_disabled_by_hand_stays_so_through_a_bulk_enable() {
    let app = TestApp::spawn().await;
    let account = app.create_account("mine", None).await;
    let hook = app.put_hook(account, &json!({ "enabled": false })).await;
    let path = format!("/v2/accounts/{account}/webhooks");
    app.call(Method::PATCH, &path, Some(json!({ "data": { "re-enable": true } }))).await;
    let answer = app.get(&format!("{path}/{hook}")).await;
    assert_eq!((answer.data("enabled"), answer.data("disable_reason")), (&json!(false), &Value::Null));
}

#[actix_web::test]
async fn concurrent_patches_of_different_fields_all_hold() {
    let app = TestApp::spawn().await;
    let account = app.create_account("mine", None).await;
    let hook = app.put_hook(account, &json!({})).await;
    let path = format!("/v2/accounts/{account}/webhooks/{hook}");
    let keys: Vec<String> = (0..40).map(|number| format!("field_{number}")).collect();
    let patch = async |key: &String| {
        let answer = app.call(Method::PATCH, &path, Some(json!({ "data": { key: true } }))).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    futures_util::future::join_all(keys.iter().map(patch)).await;
    let document = app.get(&path).await;
    assert!(keys.iter().all(|key| document.data(key) == true), "{}", document.body);
}

#[actix_web::test]
async fn attempts_and_dead_letters_of_a_new_hook_are_none() {
    let app = TestApp::spawn().await;
    let account = app.create_account("mine", None).await;
    let hook = app.put_hook(account, &json!({})).await;
    let hooks = format!("/v2/accounts/{account}/webhooks");
    for path in [format!("{hooks}/attempts"), format!("{hooks}/{hook}/attempts"), format!("{hooks}/{hook}/dead")] {
        let answer = app.get(&path).await;
        assert_eq!((answer.status, &answer.body["data"], &answer.body["page_size"]), (200, &json!([]), &json!(0)));
        let answer = app.get(&format!("{path}?created_from=x&page_size=0")).await;
        assert_eq!(answer.status, 400);
        assert!(answer.data("created_from").is_object() && answer.data("page_size").is_object());
    }
    let dead = format!("{hooks}/{hook}/dead");
    let answer = app.call(Method::PATCH, &dead, Some(json!({ "data": { "resend": true } }))).await;
    assert_eq!((answer.status, answer.data("resent")), (200, &json!(0)));
    assert_eq!(app.call(Method::PATCH, &dead, None).await.status, 400);
}

#[actix_web::test]
async fn account_limits_are_read_replaced_and_patched() {
    let app = TestApp::spawn().await;
    let account = app.create_account("mine", None).await;
    let path = format!("/v2/accounts/{account}/configs/webhooks");
    assert_eq!(app.get(&path).await.body["data"], json!({}));
    let both = json!({ "attempt_failure_count": 3, "attempt_failure_expiry_ms": 1_000 });
    let answer = app.call(Method::POST, &path, Some(json!({ "data": both }))).await;
    assert_eq!((answer.status, &answer.body["data"]), (200, &both));
    app.call(Method::PATCH, &path, Some(json!({ "data": { "attempt_failure_count": null } }))).await;
    assert_eq!(app.get(&path).await.body["data"], json!({ "attempt_failure_expiry_ms": 1_000 }));
    let answer = app.call(Method::PATCH, &path, Some(json!({ "data": { "attempt_failure_count": 1_001 } }))).await;
    assert_eq!(answer.status, 400);
    assert!(answer.data("attempt_failure_count")["maximum"].is_object());
}
