//! `hookswitch import-kazoo`: takes over accounts, API keys and hooks from dumps of Kazoo's databases.
//!
//! It reads the files twice: first for the accounts, which hooks need, and which shows that every file can be read
//! before anything is written; then for the hooks, which go to the store as they come. What is here already stays as it
//! is unless told otherwise, so that an import can be repeated. What cannot be taken is named, and the rest is taken.

mod accounts;
mod hooks;
mod report;
mod target;

use std::fs::File;
use std::io::{self, BufReader};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use clap::Args;
use env_logger::Env;
use serde_json::{Map, Value};

use self::accounts::DumpedAccounts;
use self::hooks::Hooks;
use self::report::{Report, Topic};
use self::target::{Mode, Opened, Target};
use super::{Config, Outcome};
use crate::app::error::StartError;
use crate::auth::directory::Directory;
use crate::kazoo::dump::{self, Document, Entry, Kind};
use crate::store::StoreError;
use crate::webhook::allow::AllowList;

/// Why only one of several equal ids counts.
const REPEATED: &str = "it stands in the dump more than once; the first one counts";

/// The server must not run: two on one data directory would not know of each other's changes.
#[derive(Args)]
pub struct Arguments {
    /// What CouchDB answered to _all_docs?include_docs=true of `accounts`, of `webhooks`, or of both behind each other
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Replace accounts, API keys and hooks that are here already and differ
    #[arg(long)]
    overwrite: bool,
    /// Report what an import would do, and do nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error("cannot read {}: {cause}", path.display())]
    Read { path: PathBuf, cause: io::Error },
    #[error("{} is not a regular file, and it has to be read twice", path.display())]
    NotAFile { path: PathBuf },
    #[error("{} is no dump of CouchDB: {cause}", path.display())]
    NotADump { path: PathBuf, cause: serde_json::Error },
    #[error("cannot start a runtime: {0}")]
    Runtime(io::Error),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What becomes of things that are here already and differ from the dump.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Existing {
    Keep,
    Replace,
}

struct Import<'a> {
    config: &'a Config,
    existing: Existing,
    target: Target,
    /// The accounts as they are at this point of the import.
    directory: Directory,
    report: Report,
}

pub fn run(config: &Config, arguments: &Arguments) -> Outcome {
    env_logger::Builder::from_env(Env::default().default_filter_or("info")).init();
    let allow = AllowList::parse(&config.webhooks.allow_hosts)?;
    let mut report = Report::new(config.import.reports_max);
    let accounts = collect_accounts(config, &arguments.files, &mut report)?;
    let mode = if arguments.dry_run { Mode::DryRun } else { Mode::Write };
    let Opened { target, directory, hooks } = Target::open(config, mode)?;
    let existing = if arguments.overwrite { Existing::Replace } else { Existing::Keep };
    let mut import = Import { config, existing, target, directory, report };
    import.accounts(accounts)?;
    let mut hooks = Hooks::new(&config.webhooks, &allow, hooks);
    for path in &arguments.files {
        let take = |entry| match entry {
            Entry::Document(document) if document.kind == Kind::Hook => import.hook(&mut hooks, document),
            _ => Ok(()),
        };
        each_entry(config, path, take)?;
    }
    let Import { target, report, .. } = import;
    target.close()?;
    report.end();
    if mode == Mode::DryRun {
        println!("dry run: nothing is written");
    }
    print!("{report}");
    Ok(())
}

/// The first reading, which also tells of everything that is neither an account nor a hook.
fn collect_accounts(config: &Config, files: &[PathBuf], report: &mut Report) -> Result<DumpedAccounts, ImportError> {
    let mut accounts = DumpedAccounts::default();
    for path in files {
        each_entry(config, path, |entry| {
            match entry {
                Entry::Document(document) => match document.kind {
                    Kind::Account => accounts.add(document, report),
                    Kind::Other => leave_out_other(&document, report),
                    Kind::Hook | Kind::Design => (),
                },
                Entry::Unusable { kind, id, flaw } => report.left_out(topic(kind), id, flaw),
            }
            Ok(())
        })?;
    }
    Ok(accounts)
}

fn leave_out_other(document: &Document, report: &mut Report) {
    let reason = match document.members.get("pvt_type").and_then(Value::as_str) {
        Some(kind) => format!("it is neither an account nor a webhook, but a {kind:?}"),
        None => "it is neither an account nor a webhook".to_owned(),
    };
    report.left_out(Topic::Document, &document.id, reason);
}

fn topic(kind: Kind) -> Topic {
    match kind {
        Kind::Account => Topic::Account,
        Kind::Hook => Topic::Hook,
        Kind::Design | Kind::Other => Topic::Document,
    }
}

fn each_entry(
    config: &Config,
    path: &Path,
    mut take: impl FnMut(Entry) -> Result<(), StoreError>,
) -> Result<(), ImportError> {
    let cannot_read = |cause| ImportError::Read { path: path.to_owned(), cause };
    let file = File::open(path).map_err(cannot_read)?;
    if !file.metadata().map_err(cannot_read)?.is_file() {
        return Err(ImportError::NotAFile { path: path.to_owned() });
    }
    let mut failed = None;
    let read = dump::read(BufReader::new(file), config.import.document_bytes_max, |entry| match take(entry) {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => {
            failed = Some(error);
            ControlFlow::Break(())
        }
    });
    match read {
        Err(cause) if cause.is_io() => Err(cannot_read(cause.into())),
        Err(cause) => Err(ImportError::NotADump { path: path.to_owned(), cause }),
        Ok(()) => failed.map_or(Ok(()), |error| Err(error.into())),
    }
}

/// Why something that is here stays as it is: the keys in which two documents differ.
fn differs(here: &Map<String, Value>, dumped: &Map<String, Value>) -> String {
    let changed = here.iter().filter(|(key, value)| dumped.get(*key) != Some(value)).map(|(key, _)| key.as_str());
    let added = dumped.keys().filter(|key| !here.contains_key(*key)).map(String::as_str);
    let keys: Vec<&str> = changed.chain(added).collect();
    format!("it is here already and differs in {}; --overwrite replaces it", keys.join(", "))
}
