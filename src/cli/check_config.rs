//! `hookswitch check-config`: the settings in force, from defaults, file and environment. It starts nothing.

use serde_json::Value;

use super::{Config, Outcome};

/// Prints JSON on stdout. The broker's password stays out of it.
pub fn run(config: &Config) -> Outcome {
    let mut shown = serde_json::to_value(config)?;
    if config.has_broker() {
        shown["amqp"]["uri"] = Value::from(without_password(&config.amqp.uri));
    }
    println!("{}", serde_json::to_string_pretty(&shown)?);
    Ok(())
}

fn without_password(uri: &str) -> String {
    match url::Url::parse(uri) {
        Ok(mut url) if url.password().is_some() => {
            // An AMQP URI always has a host, so that a password can be set.
            let _ = url.set_password(Some("***"));
            url.into()
        }
        _ => uri.to_owned(),
    }
}
