//! Whatever is said on a socket is answered, in the shape of a reply, and the socket goes on: any text, valid requests
//! with something wrong in them, and the corpus of what was thought up or once went wrong.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};

use crate::support::app::TestApp;
use crate::support::ws_client::WsClient;

const CORPUS: &str = include_str!("../fuzz/corpus/requests.txt");

const CASES: usize = 1_500;

const FRAME_BYTES_MAX: usize = 16 << 10;

/// What stands for an account and its token in texts that are made up.
const ACCOUNT: &str = "ACCOUNT";
const TOKEN: &str = "TOKEN";

const KEYS: [&str; 14] = [
    "action",
    "data",
    "auth_token",
    "request_id",
    "account_id",
    "binding",
    "bindings",
    "name",
    "metadata",
    "resume",
    "call_id",
    "module",
    "epoch",
    "offset",
];

const WORDS: [&str; 24] = [
    "subscribe",
    "unsubscribe",
    "ping",
    "command",
    "dance",
    "",
    "*",
    "#",
    ACCOUNT,
    TOKEN,
    "call.CHANNEL_CREATE.*",
    "call.*.*",
    "object.*.*",
    "fax.status.*",
    "conference.command.k",
    "conference.event.*.*",
    "presence.dialog.*",
    "notifications.*",
    "doc_edited.*.user.*",
    "call",
    "hangup",
    "\u{0}",
    "é\u{202e}\u{feff}",
    "__proto__",
];

fn key() -> impl Strategy<Value = String> {
    prop_oneof![9 => prop::sample::select(&KEYS[..]).prop_map(str::to_owned), 1 => ".{0,6}"]
}

fn any_value() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        2 => Just(Value::Null),
        2 => any::<bool>().prop_map(Value::from),
        2 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        6 => prop::sample::select(&WORDS[..]).prop_map(Value::from),
        1 => ".{0,20}".prop_map(Value::from),
    ];
    scalar.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// A request that asks for something, with other members thrown in.
fn near_request() -> impl Strategy<Value = String> {
    let action = prop::sample::select(vec!["subscribe", "unsubscribe", "ping", "command", "dance"]);
    let members = || prop::collection::vec((key(), any_value()), 0..5);
    (action, prop::sample::select(&WORDS[8..]), members(), members()).prop_map(|(action, binding, beside, within)| {
        let mut request = json!({ "action": action, "request_id": "r",
            "data": { "account_id": ACCOUNT, "binding": binding } });
        request.as_object_mut().unwrap().extend(beside);
        if let Some(data) = request["data"].as_object_mut() {
            data.extend(within);
        }
        request.to_string()
    })
}

/// What a careless hand does to a text: it is cut off, doubled, or something is put into it.
fn damaged() -> impl Strategy<Value = String> {
    let scraps = prop::sample::select(vec![
        "",
        "{",
        "}",
        "[",
        "\"",
        "\\",
        "\\ud800",
        "\\u0000",
        ",",
        ":",
        "null",
        "1e999",
        "-0",
        "\n",
        "\u{7f}",
        "é",
        "\"action\":\"ping\",",
        "\"data\":{},",
        "\"auth_token\":\"x\",",
        "//",
        "NaN",
    ]);
    (near_request(), any::<prop::sample::Index>(), 0..12usize, scraps).prop_map(|(text, at, removed, scrap)| {
        let characters: Vec<char> = text.chars().collect();
        let at = at.index(characters.len());
        let after = &characters[(at + removed).min(characters.len())..];
        characters[..at].iter().collect::<String>() + scrap + &after.iter().collect::<String>()
    })
}

/// Long lists and texts, and things deep within each other.
fn vast() -> impl Strategy<Value = String> {
    (prop::sample::select(vec!["binding", "bindings", "name", "metadata", "request_id", "auth_token"]), 1..3_000usize)
        .prop_flat_map(|(key, size)| {
            prop_oneof![
                Just(json!({ "action": "subscribe", key: "a".repeat(size * 8) }).to_string()),
                Just(
                    json!({ "action": "subscribe", "data": { "account_id": ACCOUNT, key: vec!["call.*.x"; size] } })
                        .to_string()
                ),
                Just(format!("{{\"action\":\"ping\",\"{key}\":{}1{}}}", "[".repeat(size), "]".repeat(size))),
                Just(format!("{{\"{key}\":").repeat(size)),
                Just("[".repeat(size)),
            ]
        })
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![1 => ".{0,40}", 4 => any_value().prop_map(|value| value.to_string()), 6 => near_request(), 6 => damaged(), 1 => vast()]
}

fn texts() -> Vec<String> {
    let lines = CORPUS.lines().filter(|line| !line.is_empty() && !line.starts_with("//")).map(str::to_owned);
    let mut runner = TestRunner::default();
    let any = any_text();
    let nothing = std::iter::once(String::new());
    nothing.chain(lines).chain((0..CASES).map(|_| any.new_tree(&mut runner).unwrap().current())).collect()
}

/// The number or text under which the request must be answered, where it can be told.
fn request_id(text: &str) -> Option<Value> {
    let envelope: Value = serde_json::from_str(text).ok()?;
    envelope.get("request_id").filter(|id| id.is_string() || id.is_number()).cloned()
}

struct Speaker {
    client: WsClient,
    token: String,
    authenticated: bool,
}

impl Speaker {
    async fn start(app: &TestApp, token: &str, authenticated: bool) -> Self {
        let mut client = WsClient::connect(app.socket_address).await;
        if authenticated {
            let pong = client.ask(&json!({ "action": "ping", "auth_token": token })).await;
            assert_eq!(pong["data"]["response"], "pong");
        }
        Self { client, token: token.to_owned(), authenticated }
    }

    /// `false`: the socket was closed, as it has to be.
    async fn say(&mut self, text: &str) -> bool {
        self.client.send_text(text).await;
        if text.len() > FRAME_BYTES_MAX {
            assert_eq!(self.client.expect_close().await, 1009, "{} bytes", text.len());
            return false;
        }
        let reply = self.client.next().await;
        assert_eq!(reply["action"], "reply", "{reply} to {text}");
        assert!(reply["status"] == "success" || reply["status"] == "error", "{reply} to {text}");
        let data = reply["data"].as_object().unwrap_or_else(|| panic!("{reply} to {text}"));
        let errors = data.get("errors").map(|errors| errors.as_array().unwrap().clone()).unwrap_or_default();
        assert!(errors.iter().all(|error| error.as_str().is_some_and(|error| !error.is_empty())), "{reply} to {text}");
        assert!(reply["status"] == "success" || !errors.is_empty(), "{reply} to {text}");
        let refusal = errors.iter().filter_map(Value::as_str).find(|error| error.starts_with("failed to"));
        assert!(refusal.is_none_or(|error| !error.contains(&self.token)), "{text} got the token back");
        match request_id(text) {
            Some(id) => assert_eq!(reply["request_id"], id, "{text}"),
            None => assert!(reply["request_id"].is_string(), "{reply} to {text}"),
        }
        if !self.authenticated {
            assert_eq!(reply["status"], "error", "{reply} to {text}");
            let text = errors[0].as_str().unwrap();
            assert!(text == "authentication token required" || text.starts_with("failed to authenticate"), "{text}");
        }
        true
    }
}

#[actix_web::test]
async fn whatever_is_said_is_answered_and_the_socket_goes_on() {
    let app = TestApp::with(|config| {
        config.websockets.requests_burst_max = 1_000_000;
        config.websockets.frame_bytes_max = FRAME_BYTES_MAX;
        config.websockets.frame_bytes_max_unauthenticated = FRAME_BYTES_MAX;
    })
    .await;
    let account = app.create_account("own", None).await;
    let token = app.token_for(account);
    let mut known = Speaker::start(&app, &token, true).await;
    let mut stranger = Speaker::start(&app, &token, false).await;
    for text in texts() {
        let named = text.replace(ACCOUNT, &account.to_string());
        if !known.say(&named.replace(TOKEN, "no.token.atall")).await {
            known = Speaker::start(&app, &token, true).await;
        }
        if !stranger.say(&named.replace(TOKEN, "no.token.atall")).await {
            stranger = Speaker::start(&app, &token, false).await;
        }
        if text.contains(TOKEN) && !known.say(&named.replace(TOKEN, &token)).await {
            known = Speaker::start(&app, &token, true).await;
        }
    }
    // Each is asked once more: nothing was answered twice, and nobody has been cut off.
    let pong = known.client.ask(&json!({ "action": "ping", "request_id": "last" })).await;
    assert_eq!((&pong["request_id"], &pong["data"]), (&json!("last"), &json!({ "response": "pong" })));
    let refused = stranger.client.ask(&json!({ "action": "ping", "request_id": "last" })).await;
    assert_eq!((&refused["request_id"], &refused["status"]), (&json!("last"), &json!("error")));
    assert_eq!(app.metric("hookswitch_websocket_ends_total{reason=\"panicked\"}").await, 0.0);
}
