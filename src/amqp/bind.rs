//! Brings the bindings of the broker's queue in line with what the hooks need, and writes down what was bound.
//!
//! Called by the consumer, one call at a time: an unbinding must not overtake a binding.

use std::sync::atomic::Ordering;

use log::warn;

use super::consumer::Parts;
use super::topology::{self, ConnectError, Link};
use crate::kazoo::bindings::Binding;
use crate::store::Write;

/// How much of the need is to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// After a reconnect: the broker may have forgotten everything.
    Everything,
    Changes,
}

pub async fn bring_in_line(parts: &Parts, link: &Link, extent: Extent) -> Result<(), ConnectError> {
    let difference = match extent {
        Extent::Everything => parts.bindings.all_needed(),
        Extent::Changes => parts.bindings.difference(),
    };
    parts.readiness.bindings_missing.store(difference.missing.len(), Ordering::Relaxed);
    let (channel, queue) = (&link.control, &link.queue);
    remember(parts, &difference.missing, |exchange, routing_key| Write::PutBinding { exchange, routing_key }).await;
    for binding in difference.missing {
        topology::bind(channel, queue, &binding).await?;
        parts.bindings.set_bound(binding);
    }
    let mut unbound = Vec::new();
    for binding in difference.superfluous {
        // A hook that came meanwhile may need it.
        if !parts.bindings.begin_unbinding(&binding) {
            continue;
        }
        if let Err(error) = topology::unbind(channel, queue, &binding).await {
            // It may still be there, and has to go some day.
            parts.bindings.set_bound(binding);
            return Err(error);
        }
        unbound.push(binding);
    }
    remember(parts, &unbound, |exchange, routing_key| Write::DeleteBinding { exchange, routing_key }).await;
    parts.readiness.bindings_missing.store(parts.bindings.difference().missing.len(), Ordering::Relaxed);
    Ok(())
}

/// Where the queue outlives this server, so do its bindings: what was bound is written down, to be unbound some day.
async fn remember(parts: &Parts, bindings: &[Binding], write: impl Fn(String, String) -> Write) {
    let Some(store) = parts.store.as_ref().filter(|_| !bindings.is_empty()) else {
        return;
    };
    let writes =
        bindings.iter().map(|binding| write(binding.exchange.to_owned(), binding.routing_key.clone())).collect();
    if let Err(error) = store.commit(writes).await {
        // It costs an event too many after a restart, which is dropped.
        warn!("cannot write down the bindings of queue {:?}: {error}", parts.queue.name);
    }
}
