//! Parses the command line and hands over to [`hookswitch::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    hookswitch::cli::run()
}
