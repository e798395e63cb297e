//! Files cut, overwritten, and put back as they were earlier: never does a hook or an account go missing unnoticed.
//!
//! Every trial ends in the right content, in a rebuild that says so, or in a refusal that says why. Set
//! `HOOKSWITCH_TEST_SEED` to repeat a failed run.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::store::tests::model::{Model, unit};
use crate::store::tests::settings;
use crate::store::{Loaded, OpenError, Store, Write};

const TRIALS: u64 = 60;
/// What opening may take at most, on a machine that is busy with other tests.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What of a data directory a trial has damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Store,
    Mark,
    Journal,
}

/// A data directory as a server left it, and as it was some time before.
struct Baseline {
    older: TempDir,
    newest: TempDir,
    model: Model,
}

#[test]
fn damage_to_one_place_is_repaired() {
    trials(0, |rng, baseline, dir| vec![damage(rng, baseline, dir)]);
}

#[test]
fn damage_to_the_store_and_another_place_is_repaired_or_refused() {
    trials(1, |rng, baseline, dir| {
        let file = pick(rng, &files(dir, Part::Store)).clone();
        let store = overwrite(rng, baseline, dir, &file, Part::Store);
        vec![store, damage(rng, baseline, dir)]
    });
}

#[test]
fn damage_to_many_places_is_repaired_or_refused() {
    trials(2, |rng, baseline, dir| (0..rng.random_range(2..=4)).map(|_| damage(rng, baseline, dir)).collect());
}

#[test]
fn files_of_different_times_are_noticed() {
    trials(3, |rng, baseline, dir| {
        let mut parts = vec![Part::Store, Part::Mark, Part::Journal];
        parts.remove(rng.random_range(0..3));
        if rng.random() {
            parts.remove(rng.random_range(0..2));
        }
        for part in &parts {
            restore(baseline, dir, *part);
        }
        // Where two are older, the third is the only witness.
        if parts.len() == 1 {
            parts.push(damage(rng, baseline, dir));
        }
        parts
    });
}

fn trials(stream: u64, harm: impl Fn(&mut StdRng, &Baseline, &Path) -> Vec<Part>) {
    let seed: u64 = std::env::var("HOOKSWITCH_TEST_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("HOOKSWITCH_TEST_SEED={seed}");
    let runtime = Runtime::new().unwrap();
    let mut rng = StdRng::seed_from_u64(seed ^ stream);
    let baseline = runtime.block_on(Baseline::new(rng.random_range(0..1_000)));
    let mut ends = [0; 3];
    for trial in 0..TRIALS {
        let dir = TempDir::new().unwrap();
        copy(baseline.newest.path(), dir.path());
        let damaged: BTreeSet<Part> = harm(&mut rng, &baseline, dir.path()).into_iter().collect();
        let end = match open_in_time(dir.path()) {
            Ok((store, loaded)) => {
                runtime.block_on(check_opened(&baseline.model, (store, loaded), &damaged, dir.path()))
            }
            Err(error) => check_refused(&error, &damaged),
        };
        println!("trial {trial}: {damaged:?}: {end:?}");
        ends[end as usize] += 1;
    }
    println!("right, rebuilt, refused: {ends:?}");
}

#[derive(Debug, Clone, Copy)]
enum End {
    Right,
    Rebuilt,
    Refused,
}

async fn check_opened(model: &Model, opened: (Store, Loaded), damaged: &BTreeSet<Part>, dir: &Path) -> End {
    let (store, loaded) = opened;
    let found = Model::read(&store, &loaded).await;
    assert!(found.durable == model.durable, "{damaged:?}: {:?}", loaded.recovery);
    let end = match &loaded.recovery {
        None => {
            // Without a mark nothing tells that deliveries are missing, which is logged.
            if !(damaged.contains(&Part::Store) && damaged.contains(&Part::Mark)) {
                assert!(found == *model, "{damaged:?}");
            }
            End::Right
        }
        Some(recovery) => {
            assert!(found.pending.is_empty());
            assert!(damaged.contains(&Part::Store), "{damaged:?}: {recovery}");
            assert!(recovery.moved_to.as_ref().unwrap().join("db").exists());
            if !damaged.contains(&Part::Mark) {
                assert_eq!(recovery.lost_deliveries, Some(model.pending.len() as u64));
            }
            println!("{recovery}");
            End::Rebuilt
        }
    };
    // From now on it is a store like any other.
    let mut expected = found;
    let more = unit(3_006);
    store.commit(more.clone()).await.unwrap();
    expected.apply(&more);
    store.close().await.unwrap();
    let (store, loaded) = open_in_time(dir).unwrap();
    assert_eq!(loaded.recovery, None);
    assert!(Model::read(&store, &loaded).await == expected);
    end
}

fn check_refused(error: &OpenError, damaged: &BTreeSet<Part>) -> End {
    println!("{error}");
    assert!(matches!(error, OpenError::BeyondRepair { .. } | OpenError::Unproven { .. }), "{error}");
    assert!(damaged.len() > 1, "{damaged:?}: {error}");
    End::Refused
}

fn open_in_time(dir: &Path) -> Result<(Store, Loaded), OpenError> {
    let (sender, opened) = mpsc::channel();
    let dir = dir.to_owned();
    thread::spawn(move || {
        // Nobody receives what comes too late.
        let _ = sender.send(Store::open(&dir, settings()));
    });
    opened.recv_timeout(TIMEOUT).expect("opening neither hangs nor panics")
}

impl Baseline {
    /// Two lives of a server: `older` is its directory between them.
    async fn new(first: u64) -> Self {
        let (older, newest) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let mut model = Model::default();
        live(newest.path(), first..first + 400, &mut model).await;
        copy(newest.path(), older.path());
        live(newest.path(), first + 400..first + 700, &mut model).await;
        Self { older, newest, model }
    }
}

async fn live(dir: &Path, units: std::ops::Range<u64>, model: &mut Model) {
    let (store, _) = Store::open(dir, settings()).unwrap();
    for n in units {
        let writes: Vec<Write> = unit(n);
        model.apply(&writes);
        // Groups of different sizes.
        if n.is_multiple_of(7) {
            store.commit(writes).await.unwrap();
        } else {
            store.write(writes);
        }
    }
    store.close().await.unwrap();
}

fn damage(rng: &mut StdRng, baseline: &Baseline, dir: &Path) -> Part {
    let part = *pick(rng, &[Part::Store, Part::Store, Part::Mark, Part::Journal]);
    let file = pick(rng, &files(dir, part)).clone();
    if rng.random_range(0..3) > 0 {
        return overwrite(rng, baseline, dir, &file, part);
    }
    let length = fs::metadata(&file).unwrap().len();
    let length = if rng.random_range(0..8) == 0 { 0 } else { rng.random_range(0..=length) };
    println!("{}: cut to {length}", file.display());
    OpenOptions::new().write(true).open(&file).unwrap().set_len(length).unwrap();
    part
}

fn overwrite(rng: &mut StdRng, baseline: &Baseline, dir: &Path, file: &Path, part: Part) -> Part {
    let length = usize::try_from(fs::metadata(file).unwrap().len()).unwrap();
    let mut block = vec![0; (rng.random_range(1..=64) << 10).min(length)];
    let at = rng.random_range(0..=length - block.len()) as u64;
    // An older mark and an older journal are `restore`'s business: here nothing would be left to tell.
    let kinds = if part == Part::Mark { 3 } else { 4 };
    let with = match rng.random_range(0..kinds) {
        0 => {
            rng.fill_bytes(&mut block);
            "garbage"
        }
        1 => "zeros",
        2 => {
            let content = fs::read(file).unwrap();
            let from = rng.random_range(0..=content.len() - block.len());
            block = content[from..from + block.len()].to_vec();
            "another part of it"
        }
        _ => {
            let older = baseline.older.path().join(file.strip_prefix(dir).unwrap());
            let older = fs::read(older).unwrap_or_default();
            let from = older.len().min(usize::try_from(at).unwrap());
            block = older[from..older.len().min(from + block.len())].to_vec();
            "what it was"
        }
    };
    println!("{}: {} bytes at {at} of {length}: {with}", file.display(), block.len());
    OpenOptions::new().write(true).open(file).unwrap().write_all_at(&block, at).unwrap();
    part
}

fn restore(baseline: &Baseline, dir: &Path, part: Part) {
    if part == Part::Store {
        fs::remove_dir_all(dir.join("store")).unwrap();
        copy(&baseline.older.path().join("store"), &dir.join("store"));
    } else {
        let file = &files(dir, part)[0];
        fs::copy(baseline.older.path().join(file.strip_prefix(dir).unwrap()), file).unwrap();
    }
}

fn files(dir: &Path, part: Part) -> Vec<PathBuf> {
    match part {
        // sled's file of records as often as all of its others.
        Part::Store => {
            let all = fs::read_dir(dir.join("store")).unwrap().map(|entry| entry.unwrap().path());
            let all: Vec<PathBuf> = all.filter(|path| path.is_file()).collect();
            let db = dir.join("store/db");
            let more = vec![db; all.len()];
            [all, more].concat()
        }
        Part::Mark => vec![dir.join("store.mark")],
        Part::Journal => vec![dir.join("store.journal")],
    }
}

fn pick<'a, T>(rng: &mut StdRng, from: &'a [T]) -> &'a T {
    &from[rng.random_range(0..from.len())]
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}
