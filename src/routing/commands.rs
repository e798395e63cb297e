//! Commands on live calls, on their way to the bus: the same for HTTP and for sockets.

use std::sync::Arc;

use super::channels::{Channel, Teller};
use super::messages::FindChannel;
use crate::event::{Publish, PublishError};
use crate::ids::AccountId;
use crate::kazoo::commands::Command;
use crate::metrics::Metrics;
use crate::supervise::{Away, Door};
use crate::validation::Faults;

/// The ways to the live calls and to the bus.
#[derive(Clone)]
pub struct Commands {
    pub find: Door<FindChannel>,
    /// `None` without a broker.
    pub publish: Option<Door<Publish>>,
    pub node: String,
    pub metrics: Arc<Metrics>,
}

/// Why a command was not sent.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Also for the call of another account, and for one that was only told of over HTTP.
    #[error("bad_identifier: no call {0:?} of the account is known")]
    UnknownCall(String),
    #[error("validation error: {}", .0.clone().into_value())]
    Invalid(Faults),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error("live calls are not known just now; try again")]
    Away(Away),
}

impl From<Faults> for CommandError {
    fn from(faults: Faults) -> Self {
        Self::Invalid(faults)
    }
}

impl Commands {
    /// The call, if it can be commanded. That there is no broker comes first: then nothing is known of any call.
    pub async fn find(&self, account: AccountId, call_id: &str) -> Result<Arc<Channel>, CommandError> {
        if self.publish.is_none() {
            return Err(PublishError::NoBroker.into());
        }
        let found = self.find.ask(FindChannel { account, call_id: call_id.to_owned() }).await;
        let found = found.map_err(CommandError::Away)?.filter(|channel| channel.teller == Teller::Broker);
        found.ok_or_else(|| CommandError::UnknownCall(call_id.to_owned()))
    }

    /// Ends when the broker has confirmed the command; the text is what was begun.
    pub async fn send(&self, command: Command, channel: &Channel) -> Result<String, CommandError> {
        let accepted = command.accepted();
        let message = command.into_message(&channel.call_id, &self.node)?;
        let (exchange, routing_key) = (message.exchange, message.routing_key);
        let publish = Publish { exchange, routing_key, body: message.body.to_string().into() };
        let sent = match &self.publish {
            Some(broker) => broker.ask(publish).await.unwrap_or(Err(PublishError::Disconnected)),
            None => Err(PublishError::NoBroker),
        };
        if sent.is_err() {
            self.metrics.publish_failures.inc();
        }
        sent?;
        Ok(accepted)
    }
}
