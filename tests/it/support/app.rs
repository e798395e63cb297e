//! `TestApp`: a server of its own for a test, in the test's own process, on a free port, with its data in a temporary
//! directory. Whoever needs a process to kill takes `ServerProcess`.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::http::Method;
use actix_web::rt::System;
use awc::http::header::HeaderMap;
use hookswitch::app::App;
use hookswitch::auth::keys::NodeIdentity;
use hookswitch::auth::tokens::Tokens;
use hookswitch::config::Config;
use hookswitch::ids::AccountId;
use hookswitch::store::{Loaded, Store, StoreSettings};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::process::ServerProcess;

/// What the server answered.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
    /// The envelope; the text itself where it is no JSON, `Null` where there is none.
    pub body: Value,
}

impl Answer {
    /// A field of the envelope's `data`; `Null` when absent.
    pub fn data(&self, field: &str) -> &Value {
        &self.body["data"][field]
    }

    /// Empty when absent.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

pub struct TestApp {
    pub address: SocketAddr,
    /// Where sockets have a port of their own.
    pub socket_address: SocketAddr,
    pub admin_token: String,
    pub system_account: AccountId,
    tokens: Tokens,
    config: Config,
    app: Option<App>,
    data: TempDir,
}

impl Drop for TestApp {
    fn drop(&mut self) {
        // At the end of a test that failed there may be no system any more, and nothing to stop.
        if let (Some(app), Some(_)) = (self.app.take(), System::try_current()) {
            actix_web::rt::spawn(app.stop());
        }
    }
}

/// The API's, and the one for sockets; the API takes sockets too.
fn addresses(app: &App) -> (SocketAddr, SocketAddr) {
    (app.http_address(), app.socket_address().unwrap_or(app.http_address()))
}

impl TestApp {
    pub async fn spawn() -> Self {
        Self::with(|_| {}).await
    }

    /// With other settings than the defaults. Requests may go to this host.
    pub async fn with(configure: impl FnOnce(&mut Config)) -> Self {
        let data = TempDir::new().unwrap();
        let mut config = Config::default();
        config.node.data_dir = data.path().into();
        config.http.bind = "127.0.0.1:0".into();
        config.http.workers = 1;
        config.websockets.bind = "127.0.0.1:0".into();
        config.websockets.workers = 1;
        config.webhooks.allow_hosts = vec!["127.0.0.0/8".into()];
        config.store.cache_bytes = 4 << 20;
        configure(&mut config);

        let app = App::start(config.clone()).await.unwrap();
        let identity = NodeIdentity::load_or_create(&config.node.data_dir).unwrap();
        let tokens = Tokens::new(&identity, Vec::new()).unwrap();
        let system_account = identity.system_account;
        let admin_token = tokens.sign(system_account, Duration::from_secs(600));
        let (address, socket_address) = addresses(&app);
        Self { address, socket_address, admin_token, system_account, tokens, config, app: Some(app), data }
    }

    /// Stops the server in the orderly way and starts it again on the same data.
    pub async fn restart(&mut self) {
        self.stop().await;
        let app = App::start(self.config.clone()).await.unwrap();
        (self.address, self.socket_address) = addresses(&app);
        self.app = Some(app);
    }

    pub async fn stop(&mut self) {
        self.app.take().unwrap().stop().await;
    }

    /// Starts the server again on the same data, with settings changed; it must have been stopped.
    pub async fn start_with(&mut self, configure: impl FnOnce(&mut Config)) {
        assert!(self.app.is_none());
        configure(&mut self.config);
        let app = App::start(self.config.clone()).await.unwrap();
        (self.address, self.socket_address) = addresses(&app);
        self.app = Some(app);
    }

    /// Has the real binary serve the same data, with these settings and no others: for what only a process can show.
    /// The server of this process must have been stopped; calls go to the other one until [`Self::start_with`].
    pub async fn serve_by_process(&mut self, settings: &[(&str, &str)]) -> ServerProcess {
        assert!(self.app.is_none());
        let data_dir = self.data_dir().to_str().unwrap();
        let settings = [&[("node.data_dir", data_dir)], settings].concat();
        let server = ServerProcess::start(self.data_dir(), &settings).await;
        self.address = server.url("").await.strip_prefix("http://").unwrap().parse().unwrap();
        server
    }

    /// How many hooks have deliveries in the store, hooks that are gone included. The server must be stopped.
    pub fn hooks_with_deliveries_on_disk(&self) -> usize {
        self.open_store().1.pending.len()
    }

    /// The same for logged attempts.
    pub fn attempts_on_disk(&self) -> u64 {
        self.open_store().0.stats().attempts
    }

    fn open_store(&self) -> (Store, Loaded) {
        let (config, webhooks) = (&self.config.store, &self.config.webhooks);
        let settings = StoreSettings {
            cache_bytes: config.cache_bytes,
            group_max: config.group_max,
            flush_idle_ms: config.flush_idle_ms,
            queue_max: config.queue_max,
            journal_bytes_min: config.journal_bytes_min,
            journal_growth: config.journal_growth,
            dead_max: webhooks.dead_max,
            dead_hours: webhooks.dead_hours,
            attempts_max: webhooks.attempts_max,
            attempts_hours: webhooks.attempts_hours,
        };
        Store::open(self.data.path(), settings).unwrap()
    }

    pub fn data_dir(&self) -> &std::path::Path {
        self.data.path()
    }

    pub fn token_for(&self, account: AccountId) -> String {
        self.tokens.sign(account, Duration::from_secs(600))
    }

    /// A token that expires soon.
    pub fn short_token_for(&self, account: AccountId, ttl: Duration) -> String {
        self.tokens.sign(account, ttl)
    }

    /// Below the system account when no parent is given.
    pub async fn create_account(&self, name: &str, parent: Option<AccountId>) -> AccountId {
        let parent = parent.unwrap_or(self.system_account);
        let body = json!({ "data": { "name": name } });
        let answer = self.call(Method::PUT, &format!("/v2/accounts/{parent}"), Some(body)).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.data("id").as_str().unwrap().parse().unwrap()
    }

    /// A hook for everything, with other fields as given; answers its id.
    pub async fn put_hook(&self, account: AccountId, fields: &Value) -> String {
        let mut hook = json!({ "name": "hook", "uri": "http://hooks.example.com/", "hook": "all" });
        for (key, value) in fields.as_object().unwrap() {
            hook[key] = value.clone();
        }
        let path = format!("/v2/accounts/{account}/webhooks");
        let answer = self.call(Method::PUT, &path, Some(json!({ "data": hook }))).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.data("id").as_str().unwrap().to_owned()
    }

    pub async fn hook(&self, account: AccountId, id: &str) -> Value {
        let answer = self.get(&format!("/v2/accounts/{account}/webhooks/{id}")).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body["data"].clone()
    }

    /// Posts events of an account; every one of them must be accepted.
    pub async fn publish(&self, account: AccountId, payloads: &[Value]) {
        let events: Vec<Value> = payloads.iter().map(|payload| json!({ "payload": payload })).collect();
        let path = format!("/v2/accounts/{account}/events");
        let answer = self.call(Method::POST, &path, Some(json!({ "data": events }))).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
    }

    /// The figures of one hook's actor.
    pub async fn actor(&self, hook: &str) -> Value {
        let actors = self.get("/v2/actors").await.body;
        let found = actors["data"]["webhooks"].as_array().unwrap().iter().find(|actor| actor["id"] == hook);
        found.cloned().unwrap_or_default()
    }

    /// A counter or gauge of `/metrics`, with its labels as written there; 0 when absent.
    pub async fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").await.text;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// As a system administrator.
    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    /// As a system administrator.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.call_as(&self.admin_token, method, path, body).await
    }

    pub async fn call_as(&self, token: &str, method: Method, path: &str, body: Option<Value>) -> Answer {
        self.send(method, path, token, body.map_or_else(String::new, |body| body.to_string())).await
    }

    /// Any bytes; without a token when it is empty.
    pub async fn send(&self, method: Method, path: &str, token: &str, body: impl Into<Vec<u8>>) -> Answer {
        let token = [("X-Auth-Token", token)];
        self.send_with(method, path, if token[0].1.is_empty() { &[] } else { &token }, body).await
    }

    pub async fn send_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Vec<u8>>,
    ) -> Answer {
        let client = awc::Client::builder().timeout(Duration::from_secs(20)).finish();
        let mut request = client.request(method, format!("http://{}{path}", self.address));
        for header in headers {
            request = request.insert_header(*header);
        }
        let body: Vec<u8> = body.into();
        let mut response = if body.is_empty() { request.send().await } else { request.send_body(body).await }.unwrap();
        let text = String::from_utf8(response.body().limit(64 << 20).await.unwrap().to_vec()).unwrap();
        let body = match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        };
        Answer { status: response.status().as_u16(), headers: response.headers().clone(), text, body }
    }
}
