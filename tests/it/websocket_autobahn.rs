//! The cases of the Autobahn test suite, as `kosoku` runs them, against the production session with an echo.

use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use tokio::task::spawn_blocking;

use crate::support::echo::EchoServer;

/// The program; `scripts/test` installs it and says so here.
const KOSOKU: &str = "HOOKSWITCH_TEST_KOSOKU";

#[actix_web::test]
async fn every_case_of_autobahn_passes() {
    let program = std::env::var(KOSOKU).unwrap_or_else(|_| panic!("{KOSOKU} is not set; run scripts/test"));
    // The largest messages of the suite have 16 MiB.
    let server = EchoServer::with(|config| config.frame_bytes_max = 64 << 20);
    let reports = TempDir::new().unwrap();
    let mut command = Command::new(program);
    command.arg(server.address.to_string()).arg("-o").arg(reports.path());
    // 12 and 13 are about compression, which no client of ours asks for.
    command.args(["-x", "12.*", "-x", "13.*"]);
    let output = spawn_blocking(move || command.output()).await.unwrap().unwrap();

    let index = std::fs::read_to_string(reports.path().join("index.json"))
        .unwrap_or_else(|error| panic!("no report: {error}\n{}", String::from_utf8_lossy(&output.stderr)));
    let index: Value = serde_json::from_str(&index).unwrap();
    let cases: Vec<(&String, &Value)> =
        index.as_object().unwrap().values().flat_map(|agent| agent.as_object().unwrap()).collect();
    assert!(cases.len() >= 240, "only {} cases ran", cases.len());
    let passed = |behavior: &Value| matches!(behavior.as_str(), Some("OK" | "NON-STRICT" | "INFORMATIONAL"));
    let failed: Vec<_> =
        cases.iter().filter(|(_, case)| !passed(&case["behavior"]) || !passed(&case["behaviorClose"])).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}
