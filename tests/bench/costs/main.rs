//! `scripts/bench costs`: what many hooks and many accounts cost. `load` or `tree` alone as an argument.
//!
//! `load`: how long a server takes to start with 100 000 hooks of 10 000 accounts, and what memory each hook takes.
//! `tree`: whether an event of one account among 10 000, side by side or in a tree ten deep, takes more CPU time than
//! that of the only account. Both on real data directories, filled by `hookswitch import-kazoo`.

mod load;
mod population;
#[path = "../support/mod.rs"]
mod support;
mod tree;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if arguments == ["receiver"] {
        support::receiver::run();
        return ExitCode::SUCCESS;
    }
    let selected = |name: &str| arguments.is_empty() || arguments.contains(&name);
    if selected("load") {
        load::run();
    }
    if selected("tree") {
        tree::run();
    }
    ExitCode::SUCCESS
}
