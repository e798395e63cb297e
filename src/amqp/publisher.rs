//! Messages for the bus: each confirmed by the broker before its sender is told.

use std::time::Duration;

use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Confirmation};
use log::debug;

use crate::event::{Publish, PublishError};

pub async fn publish(channel: Channel, message: Publish, limit: Duration) -> Result<(), PublishError> {
    let properties = BasicProperties::default().with_content_type("application/json".into());
    let confirmed = async {
        let published = channel.basic_publish(
            message.exchange.into(),
            message.routing_key.as_str().into(),
            BasicPublishOptions::default(),
            &message.body,
            properties,
        );
        published.await?.await
    };
    match tokio::time::timeout(limit, confirmed).await {
        Ok(Ok(Confirmation::Ack(_))) => Ok(()),
        Ok(Ok(_)) => Err(PublishError::Refused),
        Ok(Err(error)) => {
            debug!("cannot publish to exchange {:?}: {error}", message.exchange);
            Err(PublishError::Disconnected)
        }
        Err(_) => Err(PublishError::Timeout),
    }
}
