//! Accounts over HTTP: their life, the tree, who administers, API keys.

use actix_web::http::Method;
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};

async fn put(app: &TestApp, token: &str, path: &str, data: Value) -> Answer {
    app.call_as(token, Method::PUT, path, Some(json!({ "data": data }))).await
}

async fn patch(app: &TestApp, token: &str, path: &str, data: Value) -> Answer {
    app.call_as(token, Method::PATCH, path, Some(json!({ "data": data }))).await
}

#[actix_web::test]
async fn account_is_created_shown_changed_and_deleted() {
    let app = TestApp::spawn().await;
    let created =
        put(&app, &app.admin_token, "/v2/accounts", json!({ "name": "Acme", "realm": "Acme.Example.com" })).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let id = created.data("id").as_str().unwrap().to_owned();
    let path = format!("/v2/accounts/{id}");
    let shown = app.get(&path).await;
    assert_eq!((shown.status, &shown.body["data"]), (200, &created.body["data"]));
    assert_eq!((shown.data("name"), shown.data("enabled")), (&json!("Acme"), &json!(true)));
    assert_eq!(shown.data("parent"), &json!(app.system_account.to_string()));

    let patched = patch(&app, &app.admin_token, &path, json!({ "name": "Acme 2" })).await;
    assert_eq!(
        (patched.status, patched.data("name"), patched.data("realm")),
        (200, &json!("Acme 2"), shown.data("realm"))
    );
    let replaced = app.call(Method::POST, &path, Some(json!({ "data": { "name": "Acme 3" } }))).await;
    assert_eq!((replaced.status, replaced.data("name"), replaced.data("id")), (200, &json!("Acme 3"), &json!(id)));

    let deleted = app.call(Method::DELETE, &path, None).await;
    assert_eq!((deleted.status, deleted.data("name")), (200, &json!("Acme 3")));
    assert_eq!(app.get(&path).await.status, 404);
    // Its token reaches nothing any more that it could harm.
    let hooks = format!("{path}/webhooks");
    let token = app.token_for(id.parse().unwrap());
    let answer = put(&app, &token, &hooks, json!({ "name": "n", "uri": "http://example.com/", "hook": "all" })).await;
    assert!(matches!(answer.status, 400 | 401 | 403), "{}", answer.body);
}

#[actix_web::test]
async fn faulty_accounts_are_refused() {
    let app = TestApp::spawn().await;
    let taken = app.create_account("taken", None).await;
    let realm = app.get(&format!("/v2/accounts/{taken}")).await.data("realm").as_str().unwrap().to_uppercase();
    for (data, field) in [
        (json!({}), "name"),
        (json!({ "name": "" }), "name"),
        (json!({ "name": "x".repeat(129) }), "name"),
        (json!({ "name": 7 }), "name"),
        (json!({ "name": "n", "enabled": "yes" }), "enabled"),
        (json!({ "name": "n", "realm": realm }), "realm"),
        (json!({ "name": "n", "id": "x" }), "id"),
        (json!({ "name": "n", "id": taken.to_string() }), "id"),
    ] {
        let answer = put(&app, &app.admin_token, "/v2/accounts", data.clone()).await;
        assert_eq!((answer.status, &answer.body["message"]), (400, &json!("validation error")), "{data}");
        assert!(answer.data(field).is_object(), "{data}: {}", answer.body);
    }
}

#[actix_web::test]
async fn only_administrators_choose_ids_and_make_administrators() {
    let app = TestApp::spawn().await;
    let reseller = app.create_account("reseller", None).await;
    let token = app.token_for(reseller);
    let id = "0123456789abcdef0123456789abcdef";
    let refused = put(&app, &token, "/v2/accounts", json!({ "name": "n", "id": id })).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert!(refused.data("id").is_object());
    let refused = put(&app, &token, "/v2/accounts", json!({ "name": "n", "superduper_admin": true })).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    let own = format!("/v2/accounts/{reseller}");
    assert_eq!(patch(&app, &token, &own, json!({ "superduper_admin": true })).await.status, 400);
    assert_eq!(app.call_as(&token, Method::GET, "/v2/actors", None).await.status, 403);

    let created = put(&app, &app.admin_token, "/v2/accounts", json!({ "name": "n", "id": id })).await;
    assert_eq!((created.status, created.data("id")), (201, &json!(id)));
    assert_eq!(patch(&app, &app.admin_token, &own, json!({ "superduper_admin": true })).await.status, 200);
    assert_eq!(app.call_as(&token, Method::GET, "/v2/actors", None).await.status, 200);
}

#[actix_web::test]
async fn accounts_come_under_the_token_or_the_path() {
    let app = TestApp::spawn().await;
    let parent = app.create_account("parent", None).await;
    let token = app.token_for(parent);
    let child = put(&app, &token, "/v2/accounts", json!({ "name": "child" })).await;
    assert_eq!((child.status, child.data("parent")), (201, &json!(parent.to_string())));
    let child = child.data("id").as_str().unwrap().to_owned();
    let grandchild = put(&app, &token, &format!("/v2/accounts/{child}"), json!({ "name": "grandchild" })).await;
    assert_eq!((grandchild.status, grandchild.data("parent")), (201, &json!(child)));
    let grandchild = grandchild.data("id").as_str().unwrap().to_owned();

    let names = async |path: &str| -> Vec<String> {
        let answer = app.call_as(&token, Method::GET, path, None).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        let accounts = answer.body["data"].as_array().unwrap();
        accounts.iter().map(|account| account["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&format!("/v2/accounts/{parent}/children")).await, ["child"]);
    let mut descendants = names(&format!("/v2/accounts/{parent}/descendants")).await;
    descendants.sort();
    assert_eq!(descendants, ["child", "grandchild"]);
    assert_eq!(names(&format!("/v2/accounts/{parent}/descendants?filter_name=grandchild")).await, ["grandchild"]);
    assert_eq!(names(&format!("/v2/accounts/{parent}/descendants?page_size=1")).await.len(), 1);
    // What lies above the token's account is not told.
    assert_eq!(names(&format!("/v2/accounts/{grandchild}/parents")).await, ["parent", "child"]);
    assert_eq!(names(&format!("/v2/accounts/{parent}/parents")).await, [""; 0]);

    let refused = app.call_as(&token, Method::DELETE, &format!("/v2/accounts/{child}"), None).await;
    assert_eq!((refused.status, &refused.body["message"]), (400, &json!("account_has_descendants")));
    for id in [&grandchild, &child] {
        assert_eq!(app.call_as(&token, Method::DELETE, &format!("/v2/accounts/{id}"), None).await.status, 200);
    }
    assert_eq!(names(&format!("/v2/accounts/{parent}/children")).await, [""; 0]);
}

#[actix_web::test]
async fn system_account_cannot_be_deleted() {
    let app = TestApp::spawn().await;
    let answer = app.call(Method::DELETE, &format!("/v2/accounts/{}", app.system_account), None).await;
    assert_eq!(answer.status, 403, "{}", answer.body);
    assert_eq!(app.get(&format!("/v2/accounts/{}", app.system_account)).await.status, 200);
}

#[actix_web::test]
async fn hooks_go_with_their_account() {
    let app = TestApp::spawn().await;
    let id = "0123456789abcdef0123456789abcdef";
    let register = json!({ "name": "n", "id": id });
    put(&app, &app.admin_token, "/v2/accounts", register.clone()).await;
    let path = format!("/v2/accounts/{id}");
    let hook = app.put_hook(id.parse().unwrap(), &json!({})).await;
    assert_eq!(app.call(Method::DELETE, &path, None).await.status, 200);
    put(&app, &app.admin_token, "/v2/accounts", register).await;
    assert_eq!(app.get(&format!("{path}/webhooks")).await.body["data"], json!([]));
    assert_eq!(app.get(&format!("{path}/webhooks/{hook}")).await.status, 404);
}

#[actix_web::test]
async fn unregistered_account_sees_itself_alone_and_owns_no_hooks() {
    let app = TestApp::spawn().await;
    let id = "0123456789abcdef0123456789abcdef";
    let token = app.token_for(id.parse().unwrap());
    let hooks = format!("/v2/accounts/{id}/webhooks");
    let listing = app.call_as(&token, Method::GET, &hooks, None).await;
    assert_eq!((listing.status, &listing.body["data"]), (200, &json!([])));
    let refused = put(&app, &token, &hooks, json!({ "name": "n", "uri": "http://example.com/", "hook": "all" })).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert!(refused.data("account_id")["registered"]["message"].is_string(), "{}", refused.body);
    let refused = put(&app, &token, "/v2/accounts", json!({ "name": "n" })).await;
    assert!(refused.data("account_id")["registered"].is_object(), "{}", refused.body);
    let other = app.create_account("other", None).await;
    assert_eq!(app.call_as(&token, Method::GET, &format!("/v2/accounts/{other}"), None).await.status, 403);
}

#[actix_web::test]
async fn api_key_is_shown_once_and_trades_for_a_token() {
    let app = TestApp::spawn().await;
    let account = app.create_account("mine", None).await;
    let path = format!("/v2/accounts/{account}/api_key");
    assert_eq!(app.get(&path).await.status, 404);
    let made = app.call_as(&app.token_for(account), Method::PUT, &path, None).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let key = made.data("api_key").as_str().unwrap().to_owned();
    let shown = app.get(&path).await;
    assert_eq!(shown.data("last4").as_str().unwrap(), &key[key.len() - 4..]);
    assert!(shown.data("created").as_u64().unwrap() > 63_000_000_000);
    assert!(!shown.text.contains(&key));

    let traded = app.send(Method::PUT, "/v2/api_auth", "", json!({ "data": { "api_key": key } }).to_string()).await;
    assert_eq!((traded.status, traded.data("account_id")), (201, &json!(account.to_string())));
    let token = traded.body["auth_token"].as_str().unwrap();
    assert_eq!(app.call_as(token, Method::GET, &format!("/v2/accounts/{account}"), None).await.status, 200);

    // A new key takes the place of the old one.
    let renewed = app.call(Method::PUT, &path, None).await.data("api_key").as_str().unwrap().to_owned();
    for (key, status) in [(&key, 401), (&renewed, 201), (&"0".repeat(64), 401), (&"x".to_owned(), 401)] {
        let body = json!({ "data": { "api_key": key } }).to_string();
        assert_eq!(app.send(Method::PUT, "/v2/api_auth", "", body).await.status, status);
    }
    for data in [json!({}), json!({ "api_key": 7 })] {
        let answer = app.send(Method::PUT, "/v2/api_auth", "", json!({ "data": data }).to_string()).await;
        assert_eq!(answer.status, 400);
        assert!(answer.data("api_key").is_object());
    }
}
