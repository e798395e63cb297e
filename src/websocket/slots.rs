//! The numbers of a session's subscriptions, which also tell how its events come.

use crate::routing::subscriptions::Slot;

const WITH_POSITIONS: Slot = 1;

/// The nth slot of a session.
pub fn slot(number: u32, positions: Positions) -> Slot {
    (number << 1) | if positions == Positions::Sent { WITH_POSITIONS } else { 0 }
}

/// Whether the client asked for epoch and offset of each event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    Sent,
    LeftOut,
}

pub fn wants_positions(slot: Slot) -> bool {
    positions(slot) == Positions::Sent
}

pub fn positions(slot: Slot) -> Positions {
    if slot & WITH_POSITIONS != 0 { Positions::Sent } else { Positions::LeftOut }
}
