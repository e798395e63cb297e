//! `scripts/bench webhooks`: what a delivery costs, beside two floors of ours in the same run.
//!
//! Everything is real and in processes of its own: RabbitMQ, the publisher (this process), the server under test, the
//! receiver. The floors do the least that the job takes with the same crates: `bridge` consumes, posts the very bytes
//! that hookswitch posts, 64 in flight, and acknowledges; `ack` consumes and acknowledges. Timings are noisy; what counts
//! is the ratio of CPU time per delivery to the floor of the same run.

mod floor;
mod scenario;
#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        // The other processes of a run are this binary too.
        ["receiver"] => support::receiver::run(),
        ["floor", kind, settings] => floor::run(kind, settings),
        selection => scenario::run_all(selection),
    }
    ExitCode::SUCCESS
}
