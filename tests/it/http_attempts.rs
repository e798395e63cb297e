//! What became of deliveries, as clients see it: attempts, dead letters, and a great many hooks at once.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use actix_web::http::Method;
use futures_util::StreamExt;
use hookswitch::ids::AccountId;
use serde_json::{Value, json};

use crate::support::app::{Answer, TestApp};

/// A server whose hooks may go to this host, where nobody listens at the address that comes with it.
async fn app() -> (TestApp, String) {
    let app = TestApp::with(|config| config.webhooks.allow_hosts = vec!["127.0.0.0/8".into()]).await;
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    (app, format!("http://{closed}/"))
}

async fn publish(app: &TestApp, account: AccountId, call_id: &str) -> String {
    let payload = json!({ "Event-Category": "call_event", "Event-Name": "CHANNEL_CREATE", "Call-ID": call_id });
    let path = format!("/v2/accounts/{account}/events");
    let answer = app.call(Method::POST, &path, Some(json!({ "data": { "payload": payload } }))).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    answer.data("event_ids")[0].as_str().unwrap().to_owned()
}

/// Asks until the listing has that many items.
async fn listing(app: &TestApp, path: &str, count: usize) -> Answer {
    let started = Instant::now();
    loop {
        let answer = app.get(path).await;
        let found = answer.body["data"].as_array().map(Vec::len);
        if found == Some(count) {
            return answer;
        }
        assert!(started.elapsed() < Duration::from_secs(20), "{path}: {}", answer.text);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[actix_web::test]
async fn failed_attempts_are_listed_for_hook_and_account_and_filtered() {
    let (app, uri) = app().await;
    let account = app.create_account("mine", None).await;
    let fields = json!({ "hook": "channel_create", "uri": uri, "retries": 0, "custom_data": { "k": "v" } });
    let (first, second) = (app.put_hook(account, &fields).await, app.put_hook(account, &fields).await);
    let event = publish(&app, account, "a").await;

    let hooks = format!("/v2/accounts/{account}/webhooks");
    let of_hook = listing(&app, &format!("{hooks}/{first}/attempts"), 1).await;
    let attempt = &of_hook.body["data"][0];
    assert_eq!((&attempt["hook_id"], &attempt["event_id"]), (&json!(first), &json!(event)));
    assert_eq!((&attempt["result"], &attempt["retries_left"]), (&json!("failure"), &json!("retries exceeded")));
    assert!(attempt["client_error"].is_string() && attempt["timestamp"].as_u64().unwrap() > 63_000_000_000);

    let all = format!("{hooks}/attempts");
    listing(&app, &all, 2).await;
    for (query, count) in [
        (format!("filter_hook_id={second}"), 1),
        ("filter_result=failure&filter_custom_data.k=v".to_owned(), 2),
        ("filter_result=success".to_owned(), 0),
        ("created_to=62167219200".to_owned(), 0),
        ("created_from=62167219200".to_owned(), 2),
        ("page_size=1".to_owned(), 1),
    ] {
        let answer = app.get(&format!("{all}?{query}")).await;
        assert_eq!(answer.body["data"].as_array().unwrap().len(), count, "{query}");
    }
    let next = app.get(&format!("{all}?page_size=1")).await.body["next_start_key"].clone();
    let rest = app.get(&format!("{all}?page_size=1&start_key={}", next.as_str().unwrap())).await;
    assert_eq!((rest.body["data"].as_array().unwrap().len(), rest.body.get("next_start_key")), (1, None));
}

#[actix_web::test]
async fn dead_letters_are_listed_and_sent_again() {
    let (app, uri) = app().await;
    let account = app.create_account("mine", None).await;
    let hook = app.put_hook(account, &json!({ "hook": "channel_create", "uri": uri, "retries": 0 })).await;
    let dead = format!("/v2/accounts/{account}/webhooks/{hook}/dead");
    for call_id in ["a", "b", "c"] {
        publish(&app, account, call_id).await;
    }
    let listed = listing(&app, &dead, 3).await;
    let letter = &listed.body["data"][0];
    assert_eq!((&letter["hook_id"], &letter["event"]["Event-Name"]), (&json!(hook), &json!("CHANNEL_CREATE")));
    assert_eq!((&letter["exchange"], &letter["attempts"]), (&json!("callevt"), &json!(1)));

    let mut seen = Vec::new();
    let mut query = String::new();
    loop {
        let page = app.get(&format!("{dead}?page_size=2{query}")).await.body;
        let letters = page["data"].as_array().unwrap();
        seen.extend(letters.iter().map(|letter| letter["event"]["Call-ID"].as_str().unwrap().to_owned()));
        match page["next_start_key"].as_str() {
            Some(key) => query = format!("&start_key={key}"),
            None => break,
        }
    }
    seen.sort();
    assert_eq!(seen, ["a", "b", "c"]);
    assert_eq!(app.get(&format!("{dead}?ascending=true")).await.status, 400);

    let answer = app.call(Method::PATCH, &dead, Some(json!({ "data": { "resend": true } }))).await;
    assert_eq!((answer.status, answer.data("resent")), (200, &json!(3)));
}

#[actix_web::test]
async fn ten_thousand_hooks_of_one_account_can_be_listed() {
    const HOOKS: usize = 10_000;
    let app = TestApp::spawn().await;
    let account = app.create_account("mine", None).await;
    let path = format!("/v2/accounts/{account}/webhooks");
    let hook = json!({ "data": { "name": "n", "uri": "http://hooks.example.com/", "hook": "sms" } }).to_string();
    let client = awc::Client::builder().timeout(Duration::from_secs(60)).finish();
    let create = async |_| {
        let request =
            client.put(format!("http://{}{path}", app.address)).insert_header(("X-Auth-Token", &*app.admin_token));
        let mut response = request.send_body(hook.clone()).await.unwrap();
        assert_eq!(response.status().as_u16(), 201);
        response.body().await.unwrap();
    };
    futures_util::stream::iter(0..HOOKS).map(create).buffer_unordered(64).for_each(async |()| ()).await;

    let whole = app.get(&format!("{path}?paginate=false")).await;
    assert_eq!(whole.body["data"].as_array().unwrap().len(), HOOKS);
    assert_eq!(app.get(&path).await.body["page_size"], 50);
    assert_eq!(app.get(&format!("{path}/attempts")).await.body["data"], json!([]));
    assert_eq!(app.get(&format!("{path}?filter_name=other")).await.body["data"], json!([]));

    // While the whole list is made, over and over, the one worker answers others at once.
    let busy = async {
        for _ in 0..5 {
            app.get(&format!("{path}?paginate=false&filter_name=n")).await;
        }
    };
    let probes = async {
        let mut slowest = Duration::ZERO;
        for _ in 0..50 {
            let started = Instant::now();
            assert_eq!(app.send(Method::GET, "/healthz", "", "").await.status, 200);
            slowest = slowest.max(started.elapsed());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        slowest
    };
    let ((), slowest) = futures_util::future::join(busy, probes).await;
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    let deleted = app.call(Method::DELETE, &format!("/v2/accounts/{account}"), None).await;
    assert_eq!((deleted.status, deleted.body["data"]["name"].clone()), (200, Value::from("mine")));
}
