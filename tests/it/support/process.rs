//! `ServerProcess`: the real binary as a process of its own, for tests that kill it or look at what it prints.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;
use tokio::time::timeout;

use super::{PATIENCE, eventually};

/// What the server gets besides what a test sets.
const DEFAULTS: [(&str, &str); 3] =
    [("http.bind", "127.0.0.1:0"), ("websockets.bind", "127.0.0.1:0"), ("webhooks.allow_hosts", "127.0.0.0/8")];

/// A command of the binary, with its data in `dir` and nothing of this process's settings. A setting is named as in
/// `config.toml`: `("amqp.queue", "mine")`. Lists are separated by commas. `faults` is the plan of the fault points.
pub fn hookswitch(dir: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hookswitch"));
    command.env_clear().current_dir(dir).args(arguments).stdin(Stdio::null());
    for (key, value) in DEFAULTS.iter().chain(settings) {
        let name = match *key {
            "faults" => "HOOKSWITCH_FAULTS".to_owned(),
            key => format!("HOOKSWITCH__{}", key.replace('.', "__").to_uppercase()),
        };
        command.env(name, value);
    }
    command
}

/// Runs a command of the binary to its end.
pub async fn run(dir: &Path, settings: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = hookswitch(dir, settings, arguments);
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

/// A running server. Dropping it ends it with SIGKILL.
pub struct ServerProcess {
    child: Child,
    /// All lines of its log so far.
    log: watch::Receiver<Vec<String>>,
}

impl ServerProcess {
    /// Starts the server with its data in `dir` and waits until it is ready; fails the test, with its log, when it is
    /// not within [`PATIENCE`].
    pub async fn start(dir: &Path, settings: &[(&str, &str)]) -> Self {
        let server = Self::spawn(dir, settings);
        server.expect_log("ready").await;
        server
    }

    /// Starts the server and waits for nothing.
    pub fn spawn(dir: &Path, settings: &[(&str, &str)]) -> Self {
        let mut child = hookswitch(dir, settings, &["serve"]).stderr(Stdio::piped()).spawn().unwrap();
        let (lines, log) = watch::channel(Vec::new());
        let stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || collect(stderr, lines));
        Self { child, log }
    }

    /// Waits for a line whose message starts so, and returns the rest of it.
    pub async fn expect_log(&self, message: &str) -> String {
        let find = |lines: &Vec<String>| {
            lines.iter().find_map(|line| message_of(line).strip_prefix(message).map(str::to_owned))
        };
        let mut log = self.log.clone();
        // An error of the wait means that the log has ended.
        let _ = timeout(PATIENCE, log.wait_for(|lines| find(lines).is_some())).await;
        let found = find(&self.log.borrow());
        found.unwrap_or_else(|| panic!("the server did not log {message:?}; its log:\n{}", self.log()))
    }

    pub fn log(&self) -> String {
        self.log.borrow().join("\n")
    }

    /// The URL of a path of the API, which starts with `/`. Waits until the server listens.
    pub async fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.expect_log("listening http=").await)
    }

    /// The most memory that it had resident so far.
    pub fn memory_peak_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let kibibytes: u64 = peak.trim().strip_suffix(" kB").unwrap().parse().unwrap();
        kibibytes << 10
    }

    /// Asks it to end.
    pub fn sigterm(&self) {
        self.signal(Signal::TERM);
    }

    /// Asks it to end, as Ctrl-C does.
    pub fn sigint(&self) {
        self.signal(Signal::INT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it at once, and waits until it is gone.
    pub fn sigkill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for its end; fails the test when it does not end within [`PATIENCE`].
    pub async fn wait(&mut self) -> ExitStatus {
        let child = &mut self.child;
        let mut status = None;
        eventually("the end of the server", async || {
            status = child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        status.unwrap()
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A log line without its time, level and module.
fn message_of(line: &str) -> &str {
    line.split_once("] ").map_or(line, |(_, message)| message)
}

fn collect(stderr: ChildStderr, log: watch::Sender<Vec<String>>) {
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        log.send_modify(|lines| lines.push(line));
    }
}
