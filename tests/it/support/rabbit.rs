//! RabbitMQ for tests: one broker that all of them share, and private ones for tests that break them.
//!
//! On the shared broker tests keep apart by names, for virtual hosts take too long to make: each test chooses a queue name
//! of its own (`amqp.queue`), and account ids of its own, since the exchanges are the same for all and an event reaches the
//! server of every test that has a hook for its account. Nobody stops or freezes it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use tempfile::TempDir;

/// Set by scripts/test to the URI of the broker that it started.
const SHARED_URI: &str = "HOOKSWITCH_TEST_AMQP_URI";

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/rabbitmq");

/// The URI of the shared broker. Without scripts/test the first caller starts one for this process.
pub async fn shared_broker_uri() -> String {
    match std::env::var(SHARED_URI) {
        Ok(uri) => uri,
        Err(_) => tokio::task::spawn_blocking(own_broker_uri).await.unwrap(),
    }
}

fn own_broker_uri() -> String {
    static BROKER: OnceLock<Node> = OnceLock::new();
    // Statics are not dropped: the node ends with its keeper, when this process does.
    BROKER.get_or_init(Node::start).uri.clone()
}

/// A node of its own, ended when dropped.
pub struct Rabbit {
    node: Node,
}

impl Rabbit {
    /// Takes about four seconds.
    pub async fn start() -> Self {
        Self { node: tokio::task::spawn_blocking(Node::start).await.unwrap() }
    }

    /// Stays the same over restarts.
    pub fn uri(&self) -> &str {
        &self.node.uri
    }

    /// Ends it in good order, and starts it again.
    pub async fn restart(&self) {
        self.stop().await;
        self.start_again().await;
    }

    /// Ends it in good order. What is durable is there again after [`Self::start_again`].
    pub async fn stop(&self) {
        self.script("stop").await;
    }

    /// Ends it with SIGKILL.
    pub async fn kill(&self) {
        self.script("kill").await;
    }

    pub async fn start_again(&self) {
        self.script("start").await;
    }

    /// Freezes it: connections stay open, and nothing comes back on them.
    pub async fn pause(&self) {
        self.script("pause").await;
    }

    pub async fn resume(&self) {
        self.script("resume").await;
    }

    async fn script(&self, verb: &'static str) {
        let dir = self.node.dir.path().to_owned();
        tokio::task::spawn_blocking(move || script(verb, &dir)).await.unwrap();
    }
}

struct Node {
    uri: String,
    keeper: Child,
    dir: TempDir,
}

impl Node {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let keeper = keeper(dir.path());
        Self { uri: script("start", dir.path()), keeper, dir }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.keeper.stdin.take();
        let _ = self.keeper.wait();
    }
}

/// A process that ends the node of the directory when the pipe to it is closed: by `Drop`, or by the end of this
/// process, whatever ended it.
fn keeper(dir: &Path) -> Child {
    use std::os::unix::process::CommandExt;
    Command::new("sh")
        .args(["-c", r#"cat >/dev/null; "$0" kill "$1"; rm -rf "$1""#, SCRIPT])
        .arg(dir)
        .stdin(Stdio::piped())
        // The standard output is not kept open beyond the tests, or whoever reads it would wait for the node's end.
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // An interrupt at the terminal goes to the whole group; this one has to outlive it.
        .process_group(0)
        .spawn()
        .unwrap()
}

/// What the script printed. Its complaints go to the test's standard error.
#[track_caller]
fn script(verb: &str, dir: &Path) -> String {
    let output = Command::new(SCRIPT).arg(verb).arg(dir).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "scripts/rabbitmq {verb} failed: {}", output.status);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
