//! How it is printed.

use super::subject::Measured;

pub fn head() {
    println!(
        "{:<42}{:>11}{:>10}{:>10}{:>10}{:>10}{:>10}{:>8}",
        "", "frames", "CPU us", "p50 ms", "p99 ms", "peak MiB", "missing", "closed"
    );
    println!("{:<42}{:>11}{:>10}", "", "per second", "each");
}

pub fn row(name: &str, measured: &Measured) {
    let Measured { per_second, cpu_us, p50_ns, p99_ns, peak_kib, missing, closed, .. } = measured;
    let (p50, p99, peak) = (*p50_ns as f64 / 1e6, *p99_ns as f64 / 1e6, *peak_kib as f64 / 1024.0);
    let cpu = or_dash(*cpu_us);
    println!("{name:<42}{per_second:>11.0}{cpu:>10}{p50:>10.2}{p99:>10.2}{peak:>10.1}{missing:>10}{closed:>8}");
}

pub fn ratio(ours: &Measured, other: &Measured) {
    let throughput = ours.per_second / other.per_second;
    let cpu = or_dash(ours.cpu_us.zip(other.cpu_us).map(|(ours, other)| ours / other));
    let p50 = ours.p50_ns as f64 / other.p50_ns as f64;
    let p99 = ours.p99_ns as f64 / other.p99_ns as f64;
    println!("{:<42}{throughput:>11.2}{cpu:>10}{p50:>10.2}{p99:>10.2}", "    ratio");
}

fn or_dash(value: Option<f64>) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.2}"))
}

pub fn idle(sockets: usize, ours_kib: f64, floor_kib: f64) {
    println!(
        "resident memory per idle socket, of {sockets}: floor {floor_kib:.1} KiB, hookswitch {ours_kib:.1} KiB, ratio {:.2}",
        ours_kib / floor_kib
    );
}
