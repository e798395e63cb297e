//! `Bridge`: the real server as a process that a test ends, in whatever way, and starts again on the same data.

use std::cell::RefCell;
use std::ops::Deref;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tempfile::TempDir;

use super::api::Api;
use super::process::{ServerProcess, run};

pub struct Bridge {
    settings: Vec<(String, String)>,
    api: Rc<Api>,
    pub server: ServerProcess,
    dir: TempDir,
}

impl Bridge {
    pub async fn start(settings: &[(&str, &str)]) -> Self {
        Self::start_in(TempDir::new().unwrap(), settings).await
    }

    /// Starts it a second time: the first time it was killed after so long, wherever it had got to.
    pub async fn start_after_kill(settings: &[(&str, &str)], after: Duration) -> Self {
        let dir = TempDir::new().unwrap();
        kill_after(ServerProcess::spawn(dir.path(), settings), after).await;
        Self::start_in(dir, settings).await
    }

    async fn start_in(dir: TempDir, settings: &[(&str, &str)]) -> Self {
        let server = ServerProcess::start(dir.path(), settings).await;
        let token = run(dir.path(), settings, &["token"]).await;
        let api = Api {
            address: RefCell::new(server.url("").await),
            token: String::from_utf8(token.stdout).unwrap().trim().to_owned(),
        };
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Self { settings, api: Rc::new(api), server, dir }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn settings(&self) -> Vec<(&str, &str)> {
        self.settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }

    /// For those who use it while others end the server and start it again.
    pub fn api(&self) -> Rc<Api> {
        Rc::clone(&self.api)
    }

    /// After the server was ended.
    pub async fn start_again(&mut self) {
        self.server = ServerProcess::start(self.dir.path(), &self.settings()).await;
        self.api.address.replace(self.server.url("").await);
    }

    /// Starts the server and ends it after that time, wherever it has got to.
    pub async fn start_and_kill(&mut self, after: Duration) {
        kill_after(ServerProcess::spawn(self.dir.path(), &self.settings()), after).await;
    }
}

async fn kill_after(mut server: ServerProcess, after: Duration) {
    tokio::time::sleep(after).await;
    server.sigkill();
}

impl Deref for Bridge {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}
