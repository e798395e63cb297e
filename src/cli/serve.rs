//! `hookswitch serve`: the server, until SIGTERM or SIGINT.

use std::time::Duration;

use env_logger::Env;
use log::info;
use tokio::signal::unix::{SignalKind, signal};

use super::{Config, Outcome};
use crate::app::App;

/// Without RUST_LOG. What the broker's client and the HTTP server log at these levels, we log in our own words.
const LOG_FILTER: &str = "info,actix_server=warn,lapin=off,tracing=off";

pub fn run(config: Config) -> Outcome {
    env_logger::Builder::from_env(Env::default().default_filter_or(LOG_FILTER)).init();
    actix::System::new().block_on(async move {
        let grace = Duration::from_millis(config.node.shutdown_grace_ms);
        // Before the start: a signal during it must not be lost.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let app = App::start(config).await?;
        // In a task: what this future waits for by itself is looked at in every turn of the loop.
        let signalled = actix::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            }
        });
        let name = signalled.await?;
        info!("got {name}");
        exit_at_the_latest(grace);
        app.stop().await;
        Ok(())
    })
}

/// Should anything hang, nothing accepted is lost by ending: what is not on disk is still at its sender.
fn exit_at_the_latest(grace: Duration) {
    std::thread::spawn(move || {
        std::thread::sleep(grace);
        std::process::exit(0);
    });
}
