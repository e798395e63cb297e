//! The command line: one file per group of commands. Called by `main`, calls into app; decides exit codes.

mod check_config;
mod import_kazoo;
mod serve;
mod token;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, load};

/// Turns RabbitMQ events into reliable webhooks.
#[derive(Parser)]
#[command(name = "hookswitch", version, about)]
struct CommandLine {
    /// Read this configuration instead of ./config.toml
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server (the default)
    Serve,
    /// Print a token for the API
    Token(token::Arguments),
    /// Take over accounts, API keys and webhooks from dumps of Kazoo's databases
    ImportKazoo(import_kazoo::Arguments),
    /// Check the configuration and print it as it is in force
    CheckConfig,
}

/// Runs the program; the result is its exit code.
pub fn run() -> ExitCode {
    let CommandLine { config, command } = CommandLine::parse();
    let config = match load(config.as_deref()) {
        Ok(config) => config,
        Err(error) => return fail(&error),
    };
    let result = match command.unwrap_or(Command::Serve) {
        Command::Serve => serve::run(config),
        Command::Token(arguments) => token::run(&config, &arguments),
        Command::ImportKazoo(arguments) => import_kazoo::run(&config, &arguments),
        Command::CheckConfig => check_config::run(&config),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error.as_ref()),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("hookswitch: {error}");
    ExitCode::FAILURE
}

/// What any command may fail with: shown, never matched on.
type Outcome = Result<(), Box<dyn std::error::Error>>;
