//! What a delivery, a dead letter and a hook's failures look like on disk.
//!
//! Each record begins with its version. Hooks, accounts and attempts are bytes that their owners encode; they never
//! pass through here.

use bytes::Bytes;

use crate::ids::{AccountId, EventId};
use crate::store::codec::{BadRecord, Reader, put_text};
use crate::store::keys::DeadLetterKey;

const DELIVERY_VERSION: u8 = 1;
const DEAD_LETTER_VERSION: u8 = 1;

/// Who a delivery goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The hook document registered under the delivery's hook id, as it is at the attempt.
    RegisteredHook,
    /// The hook that the event itself carries.
    OneOffHook,
}

/// One event that one hook has yet to get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDelivery {
    pub event_id: EventId,
    /// The account that the event belongs to.
    pub account: AccountId,
    pub exchange: String,
    pub routing_key: String,
    /// The event's JSON text.
    pub body: Bytes,
    /// When the event came in, in Unix milliseconds.
    pub received_ms: u64,
    /// When the delivery came about, in Unix milliseconds.
    pub created_ms: u64,
    /// Attempts made so far.
    pub attempts: u32,
    pub target: Target,
}

impl StoredDelivery {
    pub(super) fn to_disk(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64 + self.exchange.len() + self.routing_key.len() + self.body.len());
        self.put(&mut bytes);
        bytes
    }

    fn put(&self, bytes: &mut Vec<u8>) {
        let target = match self.target {
            Target::RegisteredHook => 0,
            Target::OneOffHook => 1,
        };
        bytes.extend_from_slice(&[DELIVERY_VERSION, target]);
        bytes.extend_from_slice(&self.created_ms.to_be_bytes());
        bytes.extend_from_slice(&self.received_ms.to_be_bytes());
        bytes.extend_from_slice(&self.attempts.to_be_bytes());
        bytes.extend_from_slice(self.event_id.as_bytes());
        bytes.extend_from_slice(self.account.as_bytes());
        put_text(bytes, &self.exchange);
        put_text(bytes, &self.routing_key);
        bytes.extend_from_slice(&self.body);
    }

    pub(super) fn from_disk(bytes: &[u8]) -> Result<Self, BadRecord> {
        let mut reader = Reader::new(bytes);
        let target = read_delivery_head(&mut reader)?;
        Ok(Self {
            target,
            created_ms: reader.u64()?,
            received_ms: reader.u64()?,
            attempts: reader.u32()?,
            event_id: EventId::from_bytes(reader.array()?),
            account: AccountId::from_bytes(reader.array()?),
            exchange: reader.text()?.to_owned(),
            routing_key: reader.text()?.to_owned(),
            body: Bytes::copy_from_slice(reader.rest()),
        })
    }
}

/// `created_ms` of a delivery's record, without decoding the rest: counting a backlog reads nothing else.
pub(super) fn delivery_created_ms(bytes: &[u8]) -> Result<u64, BadRecord> {
    let mut reader = Reader::new(bytes);
    read_delivery_head(&mut reader)?;
    reader.u64()
}

fn read_delivery_head(reader: &mut Reader<'_>) -> Result<Target, BadRecord> {
    match reader.u8()? {
        DELIVERY_VERSION => (),
        other => return Err(BadRecord::Version(other)),
    }
    match reader.u8()? {
        0 => Ok(Target::RegisteredHook),
        1 => Ok(Target::OneOffHook),
        other => Err(BadRecord::Kind(other)),
    }
}

/// A delivery whose retries are used up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    pub key: DeadLetterKey,
    pub delivery: StoredDelivery,
    /// Why the last attempt failed.
    pub reason: String,
}

impl DeadLetter {
    pub(super) fn to_disk(delivery: &StoredDelivery, reason: &str) -> Vec<u8> {
        let mut bytes = vec![DEAD_LETTER_VERSION];
        put_text(&mut bytes, reason);
        delivery.put(&mut bytes);
        bytes
    }

    pub(super) fn from_disk(key: &[u8], bytes: &[u8]) -> Result<Self, BadRecord> {
        let key = DeadLetterKey::from_disk(key)?;
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            DEAD_LETTER_VERSION => (),
            other => return Err(BadRecord::Version(other)),
        }
        let reason = reader.text()?.to_owned();
        Ok(Self { key, delivery: StoredDelivery::from_disk(reader.rest())?, reason })
    }
}

/// The times of a hook's recent failures, in Unix milliseconds.
pub(super) fn failures_to_disk(times: &[u64]) -> Vec<u8> {
    times.iter().flat_map(|time| time.to_be_bytes()).collect()
}

pub(super) fn failures_from_disk(bytes: &[u8]) -> Result<Vec<u64>, BadRecord> {
    let (times, rest) = bytes.as_chunks::<8>();
    if !rest.is_empty() {
        return Err(BadRecord::Short);
    }
    Ok(times.iter().map(|time| u64::from_be_bytes(*time)).collect())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::{Strategy, any, prop_assert_eq, proptest};

    use crate::ids::{AccountId, EventId, HookId};
    use crate::store::codec::BadRecord;
    use crate::store::keys::DeadLetterKey;
    use crate::store::record::{
        DeadLetter, StoredDelivery, Target, delivery_created_ms, failures_from_disk, failures_to_disk,
    };

    fn deliveries() -> impl Strategy<Value = StoredDelivery> {
        let numbers = any::<([u8; 16], [u8; 16], u64, u64, u32, bool)>();
        (numbers, ".{0,20}", ".{0,60}", any::<Vec<u8>>()).prop_map(|(numbers, exchange, routing_key, body)| {
            let (event, account, received_ms, created_ms, attempts, one_off) = numbers;
            StoredDelivery {
                event_id: EventId::from_bytes(event),
                account: AccountId::from_bytes(account),
                exchange,
                routing_key,
                body: Bytes::from(body),
                received_ms,
                created_ms,
                attempts,
                target: if one_off { Target::OneOffHook } else { Target::RegisteredHook },
            }
        })
    }

    proptest! {
        #[test]
        fn deliveries_come_back_as_they_went(delivery in deliveries()) {
            let bytes = delivery.to_disk();
            prop_assert_eq!(delivery_created_ms(&bytes).unwrap(), delivery.created_ms);
            prop_assert_eq!(StoredDelivery::from_disk(&bytes).unwrap(), delivery);
        }

        #[test]
        fn dead_letters_come_back_as_they_went(delivery in deliveries(), reason in ".{0,40}", hook in any::<[u8; 16]>()) {
            let key = DeadLetterKey { hook: HookId::from_bytes(hook), died_ms: 7, event: delivery.event_id };
            let read = DeadLetter::from_disk(&key.to_disk(), &DeadLetter::to_disk(&delivery, &reason)).unwrap();
            prop_assert_eq!(read, DeadLetter { key, delivery, reason });
        }

        #[test]
        fn failures_come_back_as_they_went(times in any::<Vec<u64>>()) {
            prop_assert_eq!(failures_from_disk(&failures_to_disk(&times)).unwrap(), times);
        }

        #[test]
        fn foreign_bytes_are_an_error_and_no_panic(bytes in any::<Vec<u8>>(), cut in 0..60usize, delivery in deliveries()) {
            let _ = StoredDelivery::from_disk(&bytes);
            prop_assert_eq!(StoredDelivery::from_disk(&delivery.to_disk()[..cut]), Err(BadRecord::Short));
        }
    }

    #[test]
    fn a_later_version_is_named() {
        assert_eq!(StoredDelivery::from_disk(&[2, 0]), Err(BadRecord::Version(2)));
    }
}
