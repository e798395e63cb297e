//! The private RabbitMQ of a run.

use std::process::Command;

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
}

impl Drop for Broker {
    fn drop(&mut self) {
        let _ = script().arg("stop").arg(self.dir.path()).status();
    }
}

fn script() -> Command {
    Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/rabbitmq"))
}
