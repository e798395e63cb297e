//! Parses the command line and hands over to [`hookswitch::cli`].

use std::process::ExitCode;

// An event is many small values that live for a moment: the system's allocator took a fifth of the time of a delivery.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    hookswitch::cli::run()
}
