//! `hookswitch token`: a token on stdout and nothing else, also while a server runs on the same data directory.

use std::time::Duration;

use clap::Args;

use super::{Config, Outcome};
use crate::auth::keys::NodeIdentity;
use crate::auth::tokens::Tokens;
use crate::ids::AccountId;

#[derive(Args)]
pub struct Arguments {
    /// The account it is for; without it, the system account
    #[arg(long, value_name = "ID")]
    account: Option<AccountId>,
    /// How long it is valid, in seconds; without it, as long as `auth.token_ttl_s` says
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=315_360_000))]
    ttl: Option<u64>,
}

pub fn run(config: &Config, arguments: &Arguments) -> Outcome {
    let identity = NodeIdentity::load_or_create(&config.node.data_dir)?;
    let tokens = Tokens::new(&identity, Vec::new())?;
    let account = arguments.account.unwrap_or(identity.system_account);
    println!("{}", tokens.sign(account, Duration::from_secs(arguments.ttl.unwrap_or(config.auth.token_ttl_s))));
    Ok(())
}
