//! `Monster`: a client that treats its socket as Monster UI does. It sends all its bindings before it reads any reply,
//! tells events apart by `subscribed_key` alone, logs in again when an error says so, comes back whatever the code of
//! the close, and then binds everything anew. It never pings.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::http::Method;
use hookswitch::ids::AccountId;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use super::app::TestApp;
use super::ws_client::WsClient;

/// The real one begins with 250 ms, and doubles up to a minute; tests have less time.
const BACK_OFF_MIN: Duration = Duration::from_millis(10);
const BACK_OFF_MAX: Duration = Duration::from_millis(500);

/// What makes it log in again.
const TOKEN_ERROR: &str = "failed to authenticate token";

/// Where it logs in, and with what.
#[derive(Clone)]
struct Account {
    api: SocketAddr,
    id: String,
    key: String,
}

pub struct Monster {
    account: Account,
    sockets: SocketAddr,
    token: String,
    /// By their bindings, in the order in which they came.
    listeners: Vec<(String, String)>,
    /// What the server says to hold.
    held: HashSet<String>,
    client: Option<WsClient>,
    /// Whether an error that answers none of its requests counts, too.
    pub heeds_news: bool,
    pub logins: usize,
    /// It has no token, and cannot get one.
    pub logged_out: bool,
    /// Of each connection that ended.
    pub closes: Vec<Option<u16>>,
    requests: u64,
    /// Errors that were no token errors.
    pub errors: Vec<String>,
}

impl Monster {
    /// Logged in, and connected.
    pub async fn start(app: &TestApp, account: AccountId) -> Self {
        let path = format!("/v2/accounts/{account}/api_key");
        let made = app.call(Method::PUT, &path, None).await;
        let key = made.data("api_key").as_str().unwrap().to_owned();
        let mut monster = Self::new(Account { api: app.address, id: account.to_string(), key }, app.socket_address);
        monster.log_in().await;
        monster.client = Some(WsClient::connect(monster.sockets).await);
        monster
    }

    fn new(account: Account, sockets: SocketAddr) -> Self {
        Self {
            account,
            sockets,
            token: String::new(),
            listeners: Vec::new(),
            held: HashSet::new(),
            client: None,
            heeds_news: true,
            logins: 0,
            logged_out: false,
            closes: Vec::new(),
            requests: 0,
            errors: Vec::new(),
        }
    }

    /// Another tab of the same browser: the same token, another socket.
    pub async fn tab(&self) -> Self {
        let mut tab = Self::new(self.account.clone(), self.sockets);
        tab.token.clone_from(&self.token);
        tab.client = Some(WsClient::connect(tab.sockets).await);
        tab
    }

    /// As if it had got this one when it logged in.
    pub fn has_token(&mut self, token: String) {
        self.token = token;
    }

    /// The server has got other addresses.
    pub fn finds(&mut self, app: &TestApp) {
        (self.account.api, self.sockets) = (app.address, app.socket_address);
    }

    /// Asks for events of its own account, and reads nothing.
    pub async fn bind(&mut self, binding: &str) {
        let account = self.account.id.clone();
        self.bind_for(&account, binding).await;
    }

    pub async fn bind_for(&mut self, account: &str, binding: &str) {
        self.listeners.push((account.to_owned(), binding.to_owned()));
        self.ask("subscribe", account, binding).await;
    }

    /// Asks for them no longer, and reads nothing.
    pub async fn unbind(&mut self, binding: &str) {
        let at = self.listeners.iter().position(|(_, other)| other == binding).unwrap();
        let (account, binding) = self.listeners.remove(at);
        self.ask("unsubscribe", &account, &binding).await;
    }

    /// Goes on until every listener's binding holds, and nothing else.
    pub async fn settle(&mut self) {
        while !self.is_settled() {
            self.step().await;
        }
    }

    /// Goes on until there is an event for one of its listeners: its binding, and its `data`.
    pub async fn event(&mut self) -> (String, Value) {
        loop {
            if let Some(event) = self.step().await {
                return event;
            }
        }
    }

    /// The `call_id` of the next event.
    pub async fn call(&mut self) -> String {
        self.event().await.1["call_id"].as_str().unwrap().to_owned()
    }

    /// Goes on until so many connections have ended, and stays away.
    pub async fn lose(&mut self, connections: usize) {
        while self.closes.len() < connections {
            self.take().await;
        }
    }

    /// Goes on until it has logged in so often.
    pub async fn log_in_again(&mut self, logins: usize) {
        while self.logins < logins {
            self.step().await;
        }
    }

    /// The user has logged in by hand.
    pub async fn sign_in(&mut self) {
        self.logged_out = false;
        self.log_in().await;
        self.bind_all().await;
    }

    /// Goes on until it has no token any more, and cannot get one.
    pub async fn log_out(&mut self) {
        while !self.logged_out {
            self.step().await;
        }
    }

    fn is_settled(&self) -> bool {
        let wanted: HashSet<&String> = self.listeners.iter().map(|(_, binding)| binding).collect();
        self.client.is_some() && self.held.iter().collect::<HashSet<_>>() == wanted
    }

    /// What its own code would do next.
    async fn step(&mut self) -> Option<(String, Value)> {
        if self.client.is_none() {
            self.come_back().await;
        }
        self.take().await
    }

    async fn take(&mut self) -> Option<(String, Value)> {
        let frame = match self.client.as_mut().unwrap().next_message().await {
            Some(Message::Text(text)) => serde_json::from_str::<Value>(&text).unwrap(),
            Some(Message::Close(close)) => {
                self.end(close.map(|close| close.code.into()));
                return None;
            }
            None => {
                self.end(None);
                return None;
            }
            Some(other) => panic!("{other:?} is nothing that it knows"),
        };
        // It looks into the data of every frame.
        let data = frame["data"].as_object().unwrap();
        for list in ["errors", "subscribed", "unsubscribed"] {
            assert!(data.get(list).is_none_or(Value::is_array), "{frame}");
        }
        if frame["action"] == "reply" {
            self.take_reply(&frame).await;
            return None;
        }
        let key = frame["subscribed_key"].as_str().unwrap().to_owned();
        self.listeners.iter().any(|(_, binding)| *binding == key).then(|| (key, frame["data"].clone()))
    }

    async fn take_reply(&mut self, reply: &Value) {
        let data = &reply["data"];
        if let Some(subscribed) = data["subscribed"].as_array() {
            self.held = subscribed.iter().map(|key| key.as_str().unwrap().to_owned()).collect();
        }
        let errors = data["errors"].as_array().into_iter().flatten().map(|error| error.as_str().unwrap());
        let (refused, other): (Vec<&str>, Vec<&str>) = errors.partition(|error| error.starts_with(TOKEN_ERROR));
        self.errors.extend(other.into_iter().map(str::to_owned));
        let asked = reply["request_id"].is_string();
        // Of several bindings with the same old token each is refused: one login is enough.
        if !refused.is_empty() && (asked || self.heeds_news) && !self.logged_out && self.is_latest(reply) {
            self.log_in().await;
            self.bind_all().await;
        }
    }

    /// Whether there is no later request whose reply is still to come.
    fn is_latest(&self, reply: &Value) -> bool {
        reply["request_id"].as_str().is_none_or(|id| id == self.requests.to_string())
    }

    async fn log_in(&mut self) {
        let body = json!({ "data": { "api_key": self.account.key } });
        let request = awc::Client::default().put(format!("http://{}/v2/api_auth", self.account.api));
        let mut response = request.send_json(&body).await.unwrap();
        if response.status() == 401 {
            self.logged_out = true;
            return;
        }
        let answer: Value = response.json().await.unwrap();
        self.token = answer["auth_token"].as_str().unwrap().to_owned();
        self.logins += 1;
    }

    /// Comes back until there is somebody.
    async fn come_back(&mut self) {
        let mut back_off = BACK_OFF_MIN;
        loop {
            tokio::time::sleep(back_off).await;
            if let Some(client) = WsClient::connect_if_open(self.sockets).await {
                self.client = Some(client);
                return self.bind_all().await;
            }
            back_off = (2 * back_off).min(BACK_OFF_MAX);
        }
    }

    /// Whether there is nobody where the server was.
    pub async fn finds_nobody(&self) -> bool {
        WsClient::connect_if_open(self.sockets).await.is_none()
    }

    fn end(&mut self, code: Option<u16>) {
        self.client = None;
        self.held.clear();
        self.closes.push(code);
    }

    async fn bind_all(&mut self) {
        for (account, binding) in self.listeners.clone() {
            self.ask("subscribe", &account, &binding).await;
        }
    }

    async fn ask(&mut self, action: &str, account: &str, binding: &str) {
        self.requests += 1;
        let data = json!({ "account_id": account, "binding": binding });
        let request = json!({ "action": action, "auth_token": self.token, "request_id": self.requests.to_string(),
            "data": data });
        if let Some(client) = &mut self.client {
            client.try_send(&request).await;
        }
    }
}
