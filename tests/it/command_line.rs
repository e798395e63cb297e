//! The binary from the outside: what its commands print, what it logs at start, and how it refuses to start.

use std::path::Path;
use std::process::Output;

use tempfile::TempDir;

use crate::support::bridge::Bridge;
use crate::support::process::{ServerProcess, run};

/// What a command complained about when it failed.
#[track_caller]
fn complaint(output: &Output) -> String {
    let complaint = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    assert!(output.stdout.is_empty());
    complaint
}

fn write(dir: &Path, file: &str, text: &str) -> String {
    let path = dir.join(file);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[actix_web::test]
async fn log_tells_where_the_server_listens_and_then_that_it_is_ready_broker_or_not() {
    for settings in [&[] as &[_], &[("amqp.uri", "amqp://guest:guest@127.0.0.1:1/%2f")]] {
        let dir = TempDir::new().unwrap();
        let server = ServerProcess::start(dir.path(), settings).await;
        let log = server.log();
        let (listening, ready) = (log.find("] listening http=127.0.0.1:").unwrap(), log.find("] ready").unwrap());
        assert!(listening < ready, "{log}");
        let sockets = log.find("] listening websockets=127.0.0.1:").unwrap();
        assert!(sockets < ready, "{log}");
        assert_eq!(log.matches("] listening ").count(), 2, "{log}");
    }
}

#[actix_web::test]
async fn token_of_a_running_server_is_all_that_is_printed_and_is_good_there() {
    let bridge = Bridge::start(&[]).await;
    let account = bridge.create_account("tokens").await;
    let own = format!("/v2/accounts/{account}");
    for (arguments, expected) in [
        (&["token"] as &[&str], [200, 200]),
        (&["token", "--account", &account], [200, 403]),
        (&["token", "--account", &account, "--ttl", "600"], [200, 403]),
    ] {
        let output = run(bridge.dir(), &bridge.settings(), arguments).await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && output.stderr.is_empty());
        let token = text.strip_suffix('\n').unwrap();
        assert!(!token.contains(char::is_whitespace), "{text:?}");
        let statuses = [bridge.status_with(token, &own).await, bridge.status_with(token, "/v2/actors").await];
        assert_eq!(statuses, expected, "{arguments:?}");
    }
    let output = run(bridge.dir(), &bridge.settings(), &["token", "--ttl", "0"]).await;
    assert!(!output.status.success() && output.stdout.is_empty());
}

#[actix_web::test]
async fn second_server_on_a_data_directory_ends_and_names_it() {
    let first = Bridge::start(&[]).await;
    let data = first.dir().join("data");
    let settings = [("node.data_dir", data.to_str().unwrap())];
    let output = run(first.dir(), &settings, &["serve"]).await;
    assert!(complaint(&output).contains(data.to_str().unwrap()));
    // The first one minds neither that nor where it was started from.
    first.create_account("still there").await;
}

#[actix_web::test]
async fn configuration_that_is_wrong_is_refused_by_name() {
    let dir = TempDir::new().unwrap();
    let missing = dir.path().join("missing.toml");
    let missing = missing.to_str().unwrap();
    assert!(complaint(&run(dir.path(), &[], &["--config", missing]).await).contains(missing));

    let wrong = write(dir.path(), "wrong.toml", "[webhooks]\nretrys = 3\n[http]\nbind = \"here\"\n");
    let complaint_of_file = complaint(&run(dir.path(), &[], &["check-config", "--config", &wrong]).await);
    assert!(complaint_of_file.contains("webhooks.retrys"), "{complaint_of_file}");
    let complaint_of_environment = complaint(&run(dir.path(), &[("amqp.qeue", "mine")], &["serve"]).await);
    assert!(complaint_of_environment.contains("amqp.qeue"), "{complaint_of_environment}");

    // The one of the working directory counts too, and need not be there.
    assert!(run(dir.path(), &[], &["check-config"]).await.status.success());
    write(dir.path(), "config.toml", "[node]\nnaem = \"x\"\n");
    assert!(complaint(&run(dir.path(), &[], &[]).await).contains("node.naem"));
}
