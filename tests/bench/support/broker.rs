//! The private RabbitMQ of a run.

use std::process::Command;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use tempfile::TempDir;

pub struct Broker {
    dir: TempDir,
    pub uri: String,
}

impl Broker {
    pub fn start() -> Self {
        let dir = TempDir::new().unwrap();
        let started = script().arg("start").arg(dir.path()).output().unwrap();
        assert!(started.status.success(), "{}", String::from_utf8_lossy(&started.stderr));
        let uri = String::from_utf8(started.stdout).unwrap().trim().to_owned();
        Self { dir, uri }
    }

    /// A further virtual host: exchanges and queues of its own. Its URI.
    pub fn virtual_host(&self, name: &str) -> String {
        self.control(&["add_vhost", name]);
        self.control(&["set_permissions", "-p", name, "guest", ".*", ".*", ".*"]);
        format!("{}/{name}", self.uri.rsplit_once('/').unwrap().0)
    }

    fn control(&self, arguments: &[&str]) {
        let done = script().arg("ctl").arg(self.dir.path()).args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = script().arg("stop").arg(self.dir.path()).status();
    }
}

fn script() -> Command {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/rabbitmq"))
}

pub async fn depth(uri: &str, queue: &str) -> u32 {
    let connection = Connection::connect(uri, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let passive = QueueDeclareOptions { passive: true, ..Default::default() };
    channel.queue_declare(queue.into(), passive, FieldTable::default()).await.unwrap().message_count()
}

pub async fn delete_queue(uri: &str, queue: &str) {
    let connection = Connection::connect(uri, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.queue_delete(queue.into(), Default::default()).await.unwrap();
}
