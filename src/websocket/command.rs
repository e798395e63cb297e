//! Commands on live calls that come over a socket: the same as those over HTTP, with the same rights.

use serde_json::Value;

use crate::event::{Publish, PublishError};
use crate::ids::AccountId;
use crate::kazoo::Object;
use crate::kazoo::commands::Command;
use crate::routing::channels::Teller;
use crate::routing::messages::FindChannel;
use crate::supervise::Door;
use crate::validation::Faults;

/// The ways to the live calls and to the bus.
#[derive(Clone)]
pub struct Commands {
    pub find: Door<FindChannel>,
    /// `None` without a broker.
    pub publish: Option<Door<Publish>>,
    pub node: String,
}

/// Why a command was not sent.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Also for the call of another account, and for one that was only told of over HTTP.
    #[error("bad_identifier: no call {0:?} of the account is known")]
    UnknownCall(String),
    #[error("validation error: {0}")]
    Invalid(Value),
    #[error(transparent)]
    Publish(#[from] PublishError),
}

impl From<Faults> for CommandError {
    fn from(faults: Faults) -> Self {
        Self::Invalid(faults.into_value())
    }
}

impl Commands {
    /// Ends when the broker has confirmed the command; the text is what was begun.
    pub async fn send(self, account: AccountId, call_id: String, data: Object) -> Result<String, CommandError> {
        let broker = self.publish.ok_or(PublishError::NoBroker)?;
        let found = self.find.ask(FindChannel { account, call_id: call_id.clone() }).await;
        let channel = found.ok().flatten().filter(|channel| channel.teller == Teller::Broker);
        let channel = channel.ok_or(CommandError::UnknownCall(call_id))?;
        let command = Command::of_socket(data, channel.bridge)?;
        let accepted = command.accepted();
        let message = command.into_message(&channel.call_id, &self.node)?;
        let (exchange, routing_key) = (message.exchange, message.routing_key);
        let publish = Publish { exchange, routing_key, body: message.body.to_string().into() };
        broker.ask(publish).await.unwrap_or(Err(PublishError::Disconnected))?;
        Ok(accepted)
    }
}
