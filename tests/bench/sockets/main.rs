//! `scripts/bench sockets`: what a frame on a websocket costs, beside a floor of ours in the same run.
//!
//! Everything is real and in processes of its own: RabbitMQ, the publisher (this process), the server under test, the
//! clients. The floor does the least that the job takes with the same crates: it consumes a queue like the live one and
//! writes the very bytes that hookswitch writes to as many sockets. Timings are noisy; what counts is the ratio of CPU
//! time per frame to the floor of the same run. Whoever reads must get every frame: what is missing, and who was cut
//! off, stands in the table.

mod clients;
mod floor;
mod scenario;
mod stalled;
mod subject;
#[path = "../support/mod.rs"]
mod support;
mod table;

use std::process::ExitCode;

/// As hookswitch has it, so that the floor differs in what it does only.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        // The other processes of a run are this binary too.
        ["clients", settings] => clients::run(settings),
        ["floor", settings] => floor::run(settings),
        selection => scenario::run_all(selection),
    }
    ExitCode::SUCCESS
}
