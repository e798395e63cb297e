//! `hookswitch import-kazoo`: a Kazoo's accounts, API keys and hooks come over, and work.

use std::process::Output;

use actix_web::http::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::hook_server::HookServer;
use crate::support::process::{ServerProcess, run};

const ACCOUNTS: &str = include_str!("dumps/accounts.json");
const WEBHOOKS: &str = include_str!("dumps/webhooks.json");
/// Where most hooks of the dump go.
const RECEIVER: &str = "http://receiver.example.net";

// Accounts of the dump: below the first come Northwind and Southwind, and below these the rest.
const TELECOM: &str = "2eb553c02984151b80e65f3d70ed62bd";
const NORTHWIND: &str = "d35ae2791c3fdd6c07dabc06ef9333f0";
const BAKERY: &str = "50982abe55aa9c1d7ea521594867a17d";
const AIRPORT: &str = "769cf6774e88a93fd6bb1e040f1a30e6";
const CLOSED: &str = "5011565c50cebcea445c72735c7a6810";
const TWIN: &str = "1d5591932fb66d1b182cfe7160db81b1";
const SOUTHWIND: &str = "0446fc7cc3be09b0988f074c323fea83";
const GONE: &str = "0fe80b36c154e31c48795bd8e34aa598";
const ORPHAN: &str = "2d224470192eef50c4be0f3718e17cd1";
const OLD: &str = "a8a25f8fe2519fd8b2b3195e42265f3a";

const TELECOM_KEY: &str = "4e80b6cd71e25541bf50a502f96ffd13c8bab9f1ba0d3d9243dec81ddc57dad2";
const NORTHWIND_KEY: &str = "33ea1ed4ff58e568fa7d616e02bf649854abeb78df841bb994dddf26b5995f4f";
const CLOSED_KEY: &str = "191dea927eb8742dd821cedea3afa64fef4548a3423e2f0f6f1500639eda4a00";

const NEW_CALLS: &str = "4cec849db4fee7b3e6c3a7394f5c8834";
const CALLFLOW: &str = "e70db0e3efe34cdc188161db6dba6666";
const FAX_IN: &str = "3bc6d3c28d11713d14247243ace0cef9";
const FAX_OUT: &str = "b56c92c990146fddfc0d78a10741aaaa";
const GAVE_UP: &str = "f4c7d24753a817776b4435f9b452ad2c";
const PRIVATE_ADDRESS: &str = "def78c321a19094e75cde5af31898fef";
const WITH_A_LOGIN: &str = "594a5a85d93594d31bfa436630157d1e";

/// Figures of a first and of a second import of both dumps.
const FIRST: &str = "accounts: 11 imported, 0 replaced, 0 unchanged, 3 skipped\n\
    API keys: 8 imported, 0 replaced, 0 unchanged, 2 skipped\n\
    hooks: 14 imported, 0 replaced, 0 unchanged, 9 skipped\n\
    other documents: 1 skipped\n";
const SECOND: &str = "accounts: 0 imported, 0 replaced, 11 unchanged, 3 skipped\n\
    API keys: 0 imported, 0 replaced, 8 unchanged, 2 skipped\n\
    hooks: 0 imported, 0 replaced, 14 unchanged, 9 skipped\n\
    other documents: 1 skipped\n";

/// A directory with dumps, and the data of a server.
struct Site {
    dir: TempDir,
    settings: Vec<(&'static str, &'static str)>,
}

impl Site {
    /// With both dumps in it.
    fn new() -> Self {
        let site = Self { dir: TempDir::new().unwrap(), settings: Vec::new() };
        site.write("accounts.json", ACCOUNTS);
        site.write("webhooks.json", WEBHOOKS);
        site
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    async fn import(&self, arguments: &[&str]) -> Output {
        let arguments = [&["import-kazoo"], arguments].concat();
        run(self.dir.path(), &self.settings, &arguments).await
    }

    /// Both dumps; it must end well, with these figures.
    async fn import_both(&self, options: &[&str], expected: &str) -> Output {
        let output = self.import(&[&["accounts.json", "webhooks.json"], options].concat()).await;
        assert!(output.status.success(), "{}", stderr(&output));
        assert_eq!(stdout(&output), expected, "{}", stderr(&output));
        output
    }

    async fn start(&self) -> ServerProcess {
        ServerProcess::start(self.dir.path(), &self.settings).await
    }

    fn has_data(&self) -> bool {
        self.dir.path().join("data").exists()
    }
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// The one line about this id.
#[track_caller]
fn line_about<'a>(output: &'a Output, subject: &str) -> &'a str {
    let start = format!("hookswitch: {subject}: ");
    let mut lines = stderr(output).lines().filter_map(|line| line.strip_prefix(&start));
    let line = lines.next().unwrap_or_else(|| panic!("nothing about {subject}:\n{}", stderr(output)));
    assert_eq!(lines.next(), None, "one line each");
    line
}

/// The API of a server, on behalf of whoever has an API key.
struct Api<'a> {
    server: &'a ServerProcess,
    token: String,
}

impl<'a> Api<'a> {
    async fn with_key(server: &'a ServerProcess, key: &str) -> Self {
        let nobody = Self { server, token: String::new() };
        let answer = nobody.call(Method::PUT, "/v2/api_auth", Some(json!({ "api_key": key }))).await;
        Self { server, token: answer["auth_token"].as_str().unwrap_or_default().to_owned() }
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.call(Method::GET, path, None).await;
        assert_eq!(answer["status"], "success", "{path}: {answer}");
        answer["data"].clone()
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let request = awc::Client::new().request(method, self.server.url(path).await);
        let request = request.insert_header(("X-Auth-Token", self.token.as_str()));
        let body = body.map_or_else(String::new, |data| json!({ "data": data }).to_string());
        request.send_body(body).await.unwrap().json().limit(4 << 20).await.unwrap()
    }

    /// The ids in a listing, in any order.
    async fn ids(&self, path: &str) -> Vec<String> {
        let listing = self.get(path).await;
        let mut ids: Vec<String> =
            listing.as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap().to_owned()).collect();
        ids.sort_unstable();
        ids
    }
}

fn sorted(mut ids: Vec<&str>) -> Vec<&str> {
    ids.sort_unstable();
    ids
}

#[actix_web::test]
async fn the_tree_comes_over_with_its_keys_and_ranks() {
    let site = Site::new();
    site.import_both(&[], FIRST).await;
    let server = site.start().await;
    let telecom = Api::with_key(&server, TELECOM_KEY).await;
    telecom.get("/v2/actors").await; // Which is for system administrators.

    let northwind = Api::with_key(&server, NORTHWIND_KEY).await;
    let below = northwind.ids(&format!("/v2/accounts/{NORTHWIND}/descendants")).await;
    assert_eq!(below, sorted(vec![BAKERY, AIRPORT, CLOSED, TWIN]));
    let refused = northwind.call(Method::GET, &format!("/v2/accounts/{SOUTHWIND}"), None).await;
    assert_eq!(refused["error"], "403");
    let actors = northwind.call(Method::GET, "/v2/actors", None).await;
    assert_eq!(actors["error"], "403");

    let bakery = northwind.get(&format!("/v2/accounts/{BAKERY}")).await;
    for (key, expected) in [
        ("name", json!("Bäckerei Sonnenschein")),
        ("realm", json!("bakery_01.northwind.example.com")),
        ("parent", json!(NORTHWIND)),
        ("enabled", json!(true)),
        ("superduper_admin", json!(false)),
        ("created", json!(63_700_172_800_u64)),
        ("dial_plan", json!({"system": ["de"]})),
        ("pvt_tree", Value::Null),
    ] {
        assert_eq!(bakery[key], expected, "{key}");
    }
    let parents = telecom.ids(&format!("/v2/accounts/{AIRPORT}/parents")).await;
    assert!([TELECOM, NORTHWIND, BAKERY].iter().all(|id| parents.iter().any(|parent| parent == id)), "{parents:?}");
    // A rank that a customer wrote into their own document is none.
    let twin = northwind.get(&format!("/v2/accounts/{TWIN}")).await;
    assert_eq!((&twin["superduper_admin"], &twin["api_key"]), (&json!(false), &Value::Null));
    assert_eq!(Api::with_key(&server, CLOSED_KEY).await.token, "", "a disabled account gets no token");
}

#[actix_web::test]
async fn hooks_come_over_as_they_were() {
    let site = Site::new();
    site.import_both(&[], FIRST).await;
    let server = site.start().await;
    let telecom = Api::with_key(&server, TELECOM_KEY).await;
    let hook = async |account: &str, id: &str| telecom.get(&format!("/v2/accounts/{account}/webhooks/{id}")).await;

    let mut new_calls = hook(NORTHWIND, NEW_CALLS).await;
    new_calls.sort_all_objects();
    let expected = json!({
        "custom_data": {"crm": "northwind", "queue": "7"}, "enabled": true, "format": "json", "hook": "channel_create",
        "http_verb": "post", "id": NEW_CALLS, "include_internal_legs": true, "include_subaccounts": true,
        "name": "CRM: new calls", "retries": 3, "uri": format!("{RECEIVER}/crm?tenant=north"),
        "x_monster": {"icon": "phone"},
    });
    assert_eq!(new_calls, expected);
    let callflow = hook(OLD, CALLFLOW).await;
    assert_eq!((&callflow["hook"], &callflow["http_verb"]), (&json!("callflow"), &json!("get")));
    assert_eq!(hook(OLD, FAX_IN).await["retries"], 4);
    let fax_out = hook(OLD, FAX_OUT).await;
    assert_eq!((&fax_out["enabled"], &fax_out["disable_reason"]), (&json!(false), &Value::Null));
    assert_eq!(hook(SOUTHWIND, GAVE_UP).await["disable_reason"], "too many failed attempts");

    let reenable = Some(json!({ "re-enable": true }));
    let path = format!("/v2/accounts/{TELECOM}/descendants/webhooks");
    assert_eq!(telecom.call(Method::PATCH, &path, reenable).await["status"], "success");
    assert_eq!(hook(SOUTHWIND, GAVE_UP).await["enabled"], true);
    assert_eq!(hook(OLD, FAX_OUT).await["enabled"], false, "it was disabled by hand");
}

#[actix_web::test]
async fn an_event_reaches_the_hook_that_came_over() {
    let receiver = HookServer::start();
    let site = Site::new();
    site.write("webhooks.json", &WEBHOOKS.replace(RECEIVER, &receiver.url("")));
    site.import_both(&[], FIRST).await;
    let server = site.start().await;
    let northwind = Api::with_key(&server, NORTHWIND_KEY).await;
    let event = json!({
        "Event-Category": "call_event", "Event-Name": "CHANNEL_CREATE", "Call-ID": "c", "Msg-ID": "m",
        "Custom-Channel-Vars": {"Account-ID": AIRPORT},
    });
    let path = format!("/v2/accounts/{AIRPORT}/events");
    let answer = northwind.call(Method::POST, &path, Some(json!({ "payload": event }))).await;
    assert_eq!(answer["status"], "success", "{answer}");
    let received = receiver.expect_delivery().await;
    assert_eq!(received.target, "/crm?tenant=north");
    assert_eq!((received.header("x-hook-id"), received.header("x-account-id")), (Some(NEW_CALLS), Some(NORTHWIND)));
    let payload = received.json();
    assert_eq!((&payload["account_id"], &payload["crm"]), (&json!(AIRPORT), &json!("northwind")));
}

#[tokio::test]
async fn everything_that_is_not_taken_as_it_is_has_a_line() {
    let site = Site::new();
    let output = site.import_both(&[], FIRST).await;
    for (subject, expected) in [
        (format!("account {GONE}"), "left out: it is deleted"),
        (format!("account {ORPHAN}"), &format!("its parent \"{GONE}\" is not here, and it goes below {SOUTHWIND}")),
        (format!("account {AIRPORT}"), "it gets the realm \"769cf677.hookswitch.localhost\", since its own"),
        ("account Test-Account".into(), "left out: \"Test-Account\" is not an identifier"),
        ("API key of account c4bc16490f000a44d2bf5a20ba6e07ba".into(), "left out: it is not 64 lower-case hex digits"),
        ("API key of account ff35b222ec2a0157ffbb6f1d643dbd58".into(), "left out: another account has the same one"),
        (format!("hook {FAX_IN}"), "its retries are 4 now and were 9"),
        (format!("hook {NEW_CALLS}"), "custom_data.queue is text now"),
        (
            format!("hook {PRIVATE_ADDRESS}"),
            "it is disabled, since requests may not go there: address 10.20.30.40 is private",
        ),
        (format!("hook {WITH_A_LOGIN}"), "left out: uri: the URI carries user information"),
        ("hook 5c51233758b84530408c5c082d9651d6".into(), &format!("left out: its account {GONE} is not here")),
        ("hook webhook-by-hand".into(), "left out: \"webhook-by-hand\" is not an identifier"),
        ("document port_requests_view".into(), "left out: it is neither an account nor a webhook"),
    ] {
        let line = line_about(&output, &subject);
        assert!(line.starts_with(expected), "{subject}: {line}");
    }
    assert!(!stderr(&output).contains("_design") && !stderr(&output).contains("secret"), "{}", stderr(&output));
}

#[tokio::test]
async fn lines_beyond_the_limit_are_counted() {
    let mut site = Site::new();
    site.settings.push(("import.reports_max", "2"));
    let output = site.import_both(&[], FIRST).await;
    let lines: Vec<&str> = stderr(&output).lines().filter(|line| line.starts_with("hookswitch: ")).collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[2], "hookswitch: … and 18 more lines than import.reports_max allows");
}

#[tokio::test]
async fn an_import_can_be_repeated_in_any_order_and_form() {
    let site = Site::new();
    site.import_both(&[], FIRST).await;
    site.import_both(&[], SECOND).await;
    site.import_both(&["--overwrite"], SECOND).await;
    site.write("both.json", &format!("{WEBHOOKS}{ACCOUNTS}"));
    let output = site.import(&["both.json"]).await;
    assert_eq!(stdout(&output), SECOND, "{}", stderr(&output));
    let documents = |dump: &str| {
        let dump: Value = serde_json::from_str(dump).unwrap();
        let rows = dump["rows"].as_array().unwrap().iter();
        rows.map(|row| row["doc"].to_string() + "\n").collect::<String>()
    };
    site.write("lines.json", &(documents(WEBHOOKS) + &documents(ACCOUNTS)));
    assert_eq!(stdout(&site.import(&["lines.json"]).await), SECOND);
}

#[tokio::test]
async fn what_is_here_and_differs_is_kept_unless_told_otherwise() {
    let site = Site::new();
    site.import_both(&[], FIRST).await;
    let other_key = NORTHWIND_KEY.replace("33ea", "aaaa");
    site.write("accounts.json", &ACCOUNTS.replace("Northwind Voice", "Westwind").replace(TELECOM_KEY, &other_key));
    site.write("webhooks.json", &WEBHOOKS.replace("CRM: new calls", "CRM"));
    let kept = "accounts: 0 imported, 0 replaced, 10 unchanged, 4 skipped\n\
        API keys: 0 imported, 0 replaced, 7 unchanged, 3 skipped\n\
        hooks: 0 imported, 0 replaced, 13 unchanged, 10 skipped\n\
        other documents: 1 skipped\n";
    let output = site.import_both(&[], kept).await;
    let reason = "left out: it is here already and differs in name; --overwrite replaces it";
    assert_eq!(line_about(&output, &format!("account {NORTHWIND}")), reason);
    assert_eq!(line_about(&output, &format!("hook {NEW_CALLS}")), reason);
    line_about(&output, &format!("API key of account {TELECOM}"));
    let replaced = "accounts: 0 imported, 1 replaced, 10 unchanged, 3 skipped\n\
        API keys: 0 imported, 1 replaced, 7 unchanged, 2 skipped\n\
        hooks: 0 imported, 1 replaced, 13 unchanged, 9 skipped\n\
        other documents: 1 skipped\n";
    site.import_both(&["--overwrite"], replaced).await;
    site.import_both(&[], SECOND).await;
}

#[tokio::test]
async fn a_dry_run_reports_the_same_and_writes_nothing() {
    let site = Site::new();
    let dry = |figures: &str| format!("dry run: nothing is written\n{figures}");
    site.import_both(&["--dry-run"], &dry(FIRST)).await;
    assert!(!site.has_data());
    site.import_both(&[], FIRST).await;
    site.import_both(&["--dry-run"], &dry(SECOND)).await;
    site.write("webhooks.json", &WEBHOOKS.replace("CRM: new calls", "CRM"));
    site.import_both(&["--dry-run", "--overwrite"], &dry(&SECOND.replace("0 replaced, 14", "1 replaced, 13"))).await;
    site.write("webhooks.json", WEBHOOKS);
    site.import_both(&[], SECOND).await;
}

#[tokio::test]
async fn a_limit_leaves_hooks_out_until_it_is_raised() {
    let mut site = Site::new();
    site.settings.push(("webhooks.hooks_per_account_max", "1"));
    let output = site.import(&["accounts.json", "webhooks.json"]).await;
    assert!(stdout(&output).contains("hooks: 7 imported, 0 replaced, 0 unchanged, 16 skipped"), "{}", stdout(&output));
    assert!(stderr(&output).contains("webhooks.hooks_per_account_max allows no more"));
    site.settings.clear();
    let output = site.import(&["webhooks.json"]).await;
    assert!(stdout(&output).contains("hooks: 7 imported, 0 replaced, 7 unchanged, 9 skipped"), "{}", stdout(&output));
}

#[track_caller]
fn check_failure(output: &Output, expected: &str) {
    assert!(!output.status.success());
    assert_eq!(stdout(output), "");
    assert!(stderr(output).contains(expected), "{}", stderr(output));
}

#[tokio::test]
async fn a_file_that_is_no_dump_is_named_with_its_place_and_nothing_is_written() {
    let site = Site::new();
    site.write("cut.json", &WEBHOOKS[..WEBHOOKS.len() / 2]);
    check_failure(
        &site.import(&["accounts.json", "cut.json"]).await,
        "cut.json is no dump of CouchDB: EOF while parsing",
    );
    site.write("page.html", "<html>\n");
    check_failure(
        &site.import(&["page.html"]).await,
        "page.html is no dump of CouchDB: expected value at line 1 column 1",
    );
    check_failure(&site.import(&["absent.json"]).await, "cannot read absent.json: No such file");
    check_failure(&site.import(&["."]).await, ". is not a regular file");
    assert!(!site.has_data());
}

#[tokio::test]
async fn nothing_is_imported_while_a_server_runs_on_the_directory() {
    let site = Site::new();
    let server = site.start().await;
    let output = site.import(&["accounts.json", "webhooks.json"]).await;
    check_failure(&output, "data directory data is in use by another server");
    drop(server);
    site.import_both(&[], FIRST).await;
}
