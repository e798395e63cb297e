//! Killed at random moments: the store comes back with what was answered, and with whole units only.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use futures_util::future::join_all;
use rand::RngExt;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::store::Store;
use crate::store::tests::model::{Model, counter, unit};
use crate::store::tests::settings;

const KILLS: u32 = 50;
/// A new directory after so many, since the first start can be cut short too.
const KILLS_PER_DIRECTORY: u32 = 5;
const DIRECTORY: &str = "HOOKSWITCH_TEST_KILLED";
const TEST: &str = "store::tests::kill::what_was_answered_survives_a_kill_at_any_moment";

/// A kill takes a whole process, so this test runs itself again in one of its own.
#[test]
fn what_was_answered_survives_a_kill_at_any_moment() {
    let runtime = Runtime::new().unwrap();
    if let Some(dir) = std::env::var_os(DIRECTORY) {
        return runtime.block_on(work(Path::new(&dir)));
    }
    let mut rng = rand::rng();
    let mut dir = TempDir::new().unwrap();
    let mut model = Model::default();
    let (mut next, mut units) = (1, 0);
    for kill in 0..KILLS {
        if kill % KILLS_PER_DIRECTORY == 0 {
            dir = TempDir::new().unwrap();
            model = Model::default();
            next = 1;
        }
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", TEST])
            .env(DIRECTORY, dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // The other half is at work when it is killed, however slow the machine.
        if kill % 2 == 1 {
            let before = lines(&dir, "answered");
            while lines(&dir, "answered") == before {
                sleep(Duration::from_millis(1));
            }
        }
        sleep(Duration::from_micros(rng.random_range(1_000..100_000)));
        child.kill().unwrap();
        child.wait().unwrap();

        let (store, loaded) = Store::open(dir.path(), settings()).unwrap();
        assert_eq!(loaded.recovery, None);
        let last = loaded.failures.get(&counter()).map_or(0, |times| times[0]);
        let (begun, answered) = (lines(&dir, "begun"), lines(&dir, "answered"));
        assert!(answered <= last && last <= begun, "{answered} <= {last} <= {begun}");
        for n in next..=last {
            model.apply(&unit(n));
        }
        units += last + 1 - next;
        next = last + 1;
        let found = runtime.block_on(Model::read(&store, &loaded));
        assert!(found == model, "not what it was after unit {last}");
        runtime.block_on(store.close()).unwrap();
    }
    assert!(units >= u64::from(KILLS / 2), "only {units} units were written");
}

/// Writes until it is killed.
async fn work(dir: &Path) {
    let (store, loaded) = Store::open(dir, settings()).unwrap();
    let mut next = loaded.failures.get(&counter()).map_or(1, |times| times[0] + 1);
    let (mut begun, mut answered) = (log(dir, "begun"), log(dir, "answered"));
    loop {
        let units = next..next + 1 + next % 9;
        writeln!(begun, "{}", units.end - 1).unwrap();
        for committed in join_all(units.clone().map(|n| store.commit(unit(n)))).await {
            committed.unwrap();
        }
        writeln!(answered, "{}", units.end - 1).unwrap();
        next = units.end;
    }
}

/// Written without a buffer, so that a kill loses none of it.
fn log(dir: &Path, name: &str) -> File {
    OpenOptions::new().create(true).append(true).open(dir.join(name)).unwrap()
}

/// The number in the last line that is whole.
fn lines(dir: &TempDir, name: &str) -> u64 {
    let text = fs::read_to_string(dir.path().join(name)).unwrap_or_default();
    text.rsplit_once('\n').map_or(0, |(whole, _)| whole.lines().last().unwrap().parse().unwrap())
}
