//! What the server takes while it works, and whether that grows.

use std::path::Path;
use std::time::Duration;

use super::support::measure::{bytes_in, descriptors, memory_kib, threads};

/// This part of the run fills what has a bound, and does not count.
const WARM_UP: f64 = 0.25;
/// How many rows of samples are shown.
const ROWS: usize = 20;

pub struct Sample {
    at: Duration,
    /// In the order of [`MEASURES`].
    values: [f64; MEASURES.len()],
}

struct Measure {
    name: &'static str,
    /// The last third may have so much more than the first, as a share of it or as a number.
    share: f64,
    number: f64,
}

/// Connections and blocking threads come and go with the load; a file of the store is cleaned up now and then.
const MEASURES: [Measure; 4] = [
    Measure { name: "RSS MiB", share: 0.05, number: 2.0 },
    Measure { name: "files MiB", share: 0.10, number: 4.0 },
    Measure { name: "descriptors", share: 0.10, number: 8.0 },
    Measure { name: "threads", share: 0.10, number: 2.0 },
];

#[derive(Default)]
pub struct Samples(Vec<Sample>);

impl Sample {
    pub fn take(at: Duration, pid: u32, data_dir: &Path) -> Self {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let rss = mib(memory_kib(pid).0 << 10);
        Self { at, values: [rss, mib(bytes_in(data_dir)), descriptors(pid) as f64, threads(pid) as f64] }
    }
}

impl Samples {
    pub fn push(&mut self, sample: Sample) {
        self.0.push(sample);
    }

    /// Whether all is flat.
    pub fn print(&self) -> bool {
        print!("{:>8}", "s");
        MEASURES.iter().for_each(|measure| print!("{:>14}", measure.name));
        println!();
        for sample in self.0.iter().step_by(self.0.len().div_ceil(ROWS).max(1)) {
            print!("{:>8.0}", sample.at.as_secs_f64());
            sample.values.iter().for_each(|value| print!("{value:>14.1}"));
            println!();
        }
        let counted = &self.0[(self.0.len() as f64 * WARM_UP) as usize..];
        if counted.len() < 3 {
            println!("too short to tell");
            return false;
        }
        let third = counted.len() / 3;
        let (first, last) = (&counted[..third], &counted[counted.len() - third..]);
        println!(
            "{:<14}{:>14}{:>14}{:>14}{:>16}",
            "median of the", "first third", "last third", "at most", "growth per min"
        );
        let mut all_flat = true;
        for (index, measure) in MEASURES.iter().enumerate() {
            let (before, after) = (median(first, index), median(last, index));
            let bound = before + measure.number.max(before * measure.share);
            let is_flat = after <= bound;
            all_flat &= is_flat;
            let slope = slope_per_minute(counted, index);
            let verdict = if is_flat { "flat" } else { "GROWS" };
            println!("{:<14}{before:>14.1}{after:>14.1}{bound:>14.1}{slope:>+16.2}  {verdict}", measure.name);
        }
        all_flat
    }
}

fn median(samples: &[Sample], index: usize) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(|sample| sample.values[index]).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Of the line that fits best.
fn slope_per_minute(samples: &[Sample], index: usize) -> f64 {
    let points: Vec<(f64, f64)> =
        samples.iter().map(|sample| (sample.at.as_secs_f64() / 60.0, sample.values[index])).collect();
    let count = points.len() as f64;
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let covariance: f64 = points.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    covariance / variance
}
