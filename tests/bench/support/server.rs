//! The processes of a run: hookswitch, and the receiver and other helpers.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use actix_web::http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A process that ends with this value.
pub struct Running {
    child: Child,
    data: Option<TempDir>,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Of the server.
    pub fn data_dir(&self) -> PathBuf {
        self.data.as_ref().unwrap().path().join("data")
    }
}

impl From<Child> for Running {
    fn from(child: Child) -> Self {
        Self { child, data: None }
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
    let directory = TempDir::new().unwrap();
    let mut command = command(directory.path());
    command
        .env("HOOKSWITCH__AMQP__URI", settings.uri)
        .env("HOOKSWITCH__AMQP__QUEUE", settings.queue)
        .env("HOOKSWITCH__AMQP__QUEUE_TYPE", settings.queue_type)
        // It would take each call event a second time, for the listing of live calls: another job than the floor's.
        .env("HOOKSWITCH__CHANNELS__TRACK", "false");
    let (running, listening) = start(command, directory, "consuming queue");
    let api = Api::authenticate(&listening.http, &running).await;
    (running, api)
}

/// In that directory, listening on any port, and allowed to send to this machine.
pub fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookswitch"));
    command
        .env_clear()
        .current_dir(directory)
        .env("HOOKSWITCH__HTTP__BIND", "127.0.0.1:0")
        .env("HOOKSWITCH__WEBSOCKETS__BIND", "")
        .env("HOOKSWITCH__WEBHOOKS__ALLOW_HOSTS", "127.0.0.0/8");
    command
}

/// Where a server listens. The port of its own for sockets is empty when it has none.
#[derive(Default)]
pub struct Listening {
    pub http: String,
    pub websockets: String,
}

/// Starts the server in its directory, and waits for the line of its log that has this text.
pub fn start(mut command: Command, directory: TempDir, text: &str) -> (Running, Listening) {
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut listening = Listening::default();
    let mut line = String::new();
    while !line.contains(text) {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "the server ended");
        for (name, address) in
            [("listening http=", &mut listening.http), ("listening websockets=", &mut listening.websockets)]
        {
            if let Some((_, rest)) = line.split_once(name) {
                *address = rest.trim().to_owned();
            }
        }
    }
    // A full pipe would stop the server.
    std::thread::spawn(move || log.lines().for_each(drop));
    (Running { child, data: Some(directory) }, listening)
}

/// The part of the API that a run needs.
pub struct Api {
    base: String,
    pub token: String,
    pub account: String,
}

impl Api {
    /// By the server's first API key, with an account of its own.
    pub async fn authenticate(address: &str, running: &Running) -> Self {
        let key = std::fs::read_to_string(running.data_dir().join("api_key")).unwrap();
        let mut api = Self { base: format!("http://{address}/v2"), token: String::new(), account: String::new() };
        let answer = api.put("/api_auth", json!({"api_key": key.trim()})).await;
        api.token = answer["auth_token"].as_str().unwrap().to_owned();
        api.account = api.create_account("bench").await;
        api
    }

    pub async fn create_account(&self, name: &str) -> String {
        let account = self.put("/accounts", json!({"name": name})).await;
        account["data"]["id"].as_str().unwrap().to_owned()
    }

    pub async fn put_hook(&self, uri: &str) {
        let hook = json!({"name": "bench", "uri": uri, "hook": "channel_create"});
        self.put(&format!("/accounts/{}/webhooks", self.account), hook).await;
    }

    async fn put(&self, path: &str, data: Value) -> Value {
        self.call(Method::PUT, path, data).await.unwrap()
    }

    /// The answer's envelope; as an error where that says that it is one.
    pub async fn call(&self, method: Method, path: &str, data: Value) -> Result<Value, Value> {
        let request = awc::Client::default().request(method, format!("{}{path}", self.base));
        let request = request.timeout(Duration::from_secs(30)).insert_header(("x-auth-token", self.token.as_str()));
        let body = json!({"data": data}).to_string();
        let request = request.insert_header(("content-type", "application/json"));
        let mut response = request.send_body(body).await.map_err(|error| Value::from(error.to_string()))?;
        let answer = response.json::<Value>().limit(64 << 20).await;
        let answer = answer.map_err(|error| Value::from(error.to_string()))?;
        if answer["status"] == "success" { Ok(answer) } else { Err(answer) }
    }

    pub async fn metrics(&self) -> String {
        let url = format!("{}/metrics", self.base.trim_end_matches("/v2"));
        let mut response = awc::Client::default().get(url).send().await.unwrap();
        String::from_utf8(response.body().await.unwrap().to_vec()).unwrap()
    }
}

/// A process of the benchmark's own binary, which answers lines of its stdin by lines of its stdout.
pub struct Helper {
    running: Running,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Helper {
    pub fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let orders = child.stdin.take().unwrap();
        let answers = BufReader::new(child.stdout.take().unwrap());
        Self { running: child.into(), orders, answers }
    }

    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    pub fn ask(&mut self, order: &str) -> String {
        writeln!(self.orders, "{order}").unwrap();
        self.answer()
    }

    /// Its next line, which may have been asked for or not.
    pub fn answer(&mut self) -> String {
        let mut line = String::new();
        assert!(self.answers.read_line(&mut line).unwrap() > 0, "a helper ended");
        line.trim_end().to_owned()
    }
}

pub struct Receiver {
    helper: Helper,
    pub url: String,
}

/// How long the deliveries were on their way.
pub struct Delays {
    pub p50_ns: u64,
    pub p99_ns: u64,
    pub body: String,
}

impl Receiver {
    pub fn start() -> Self {
        let mut helper = Helper::start(&["receiver"]);
        let url = format!("http://{}", helper.answer());
        Self { helper, url }
    }

    pub fn reset(&mut self) {
        self.helper.ask("reset");
    }

    pub fn wait(&mut self, count: usize) -> Delays {
        let answer = self.helper.ask(&format!("wait {count}"));
        let fields: Vec<&str> = answer.splitn(4, ' ').collect();
        Delays { p50_ns: fields[1].parse().unwrap(), p99_ns: fields[2].parse().unwrap(), body: fields[3].to_owned() }
    }
}
