//! The processes of a run: hookswitch, and the receiver.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// A process that ends with this value.
pub struct Running {
    child: Child,
    _data: Option<TempDir>,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl From<Child> for Running {
    fn from(child: Child) -> Self {
        Self { child, _data: None }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub struct Settings<'a> {
    pub uri: &'a str,
    pub queue: &'a str,
    pub queue_type: &'a str,
}

/// hookswitch with its defaults, but for where it listens, where it may send, and its queue.
pub async fn hookswitch(settings: &Settings<'_>) -> (Running, Api) {
    let data = TempDir::new().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_hookswitch"))
        .env_clear()
        .current_dir(data.path())
        .env("HOOKSWITCH__HTTP__BIND", "127.0.0.1:0")
        .env("HOOKSWITCH__WEBHOOKS__ALLOW_HOSTS", "127.0.0.0/8")
        .env("HOOKSWITCH__AMQP__URI", settings.uri)
        .env("HOOKSWITCH__AMQP__QUEUE", settings.queue)
        .env("HOOKSWITCH__AMQP__QUEUE_TYPE", settings.queue_type)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut address = String::new();
    let mut line = String::new();
    while !line.contains("consuming queue") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "the server ended");
        if let Some((_, rest)) = line.split_once("listening http=") {
            address = rest.trim().to_owned();
        }
    }
    // A full pipe would stop the server.
    std::thread::spawn(move || log.lines().for_each(drop));
    let key = std::fs::read_to_string(data.path().join("data/api_key")).unwrap();
    let api = Api::authenticate(&address, key.trim()).await;
    (Running { child, _data: Some(data) }, api)
}

/// The part of the API that a run needs.
pub struct Api {
    base: String,
    token: String,
    pub account: String,
}

impl Api {
    async fn authenticate(address: &str, key: &str) -> Self {
        let mut api = Self { base: format!("http://{address}/v2"), token: String::new(), account: String::new() };
        let answer = api.put("/api_auth", json!({"api_key": key})).await;
        api.token = answer["auth_token"].as_str().unwrap().to_owned();
        let account = api.put("/accounts", json!({"name": "bench"})).await;
        api.account = account["data"]["id"].as_str().unwrap().to_owned();
        api
    }

    pub async fn put_hook(&self, uri: &str) {
        let hook = json!({"name": "bench", "uri": uri, "hook": "channel_create"});
        self.put(&format!("/accounts/{}/webhooks", self.account), hook).await;
    }

    async fn put(&self, path: &str, data: Value) -> Value {
        let request = awc::Client::default().put(format!("{}{path}", self.base));
        let request = request.insert_header(("x-auth-token", self.token.as_str()));
        let mut response = request.send_json(&json!({"data": data})).await.unwrap();
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["status"], "success", "{answer}");
        answer
    }
}

pub struct Receiver {
    _running: Running,
    pub url: String,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// How long the deliveries were on their way.
pub struct Delays {
    pub p50_ns: u64,
    pub p99_ns: u64,
    pub body: String,
}

impl Receiver {
    pub fn start() -> Self {
        let mut child = myself().arg("receiver").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let orders = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        let mut receiver = Self { _running: child.into(), url: String::new(), orders, answers };
        let address = receiver.answer();
        receiver.url = format!("http://{address}");
        receiver
    }

    pub fn reset(&mut self) {
        writeln!(self.orders, "reset").unwrap();
        self.answer();
    }

    pub fn wait(&mut self, count: usize) -> Delays {
        writeln!(self.orders, "wait {count}").unwrap();
        let answer = self.answer();
        let fields: Vec<&str> = answer.splitn(4, ' ').collect();
        Delays { p50_ns: fields[1].parse().unwrap(), p99_ns: fields[2].parse().unwrap(), body: fields[3].to_owned() }
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        assert!(self.answers.read_line(&mut line).unwrap() > 0, "the receiver ended");
        line.trim_end().to_owned()
    }
}

/// The other processes of a run are the benchmark's binary too.
pub fn myself() -> Command {
    Command::new(std::env::current_exe().unwrap())
}
