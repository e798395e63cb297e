//! The bytes of a message: its size and content encoding; and when it was published. Pure.

use std::io::Read;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use lapin::BasicProperties;
use lapin::types::AMQPValue;

use crate::metrics::RejectReason;

/// The header in which RabbitMQ's message interceptor says when a message reached it, in Unix milliseconds.
const TIMESTAMP_IN_MS: &str = "timestamp_in_ms";

/// Why a message is thrown out unread.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("it has more than {max} bytes")]
    Oversized { max: usize },
    #[error("its content encoding {0:?} is not known")]
    UnknownEncoding(String),
    #[error("its gzip encoding is damaged: {0}")]
    Damaged(#[from] std::io::Error),
}

impl DecodeError {
    pub fn reason(&self) -> RejectReason {
        match self {
            Self::Oversized { .. } => RejectReason::Oversized,
            Self::UnknownEncoding(_) | Self::Damaged(_) => RejectReason::BadEncoding,
        }
    }
}

/// The plain body. The limit holds for what was sent and for what it unpacks to.
pub fn decode(body: Vec<u8>, encoding: Option<&str>, bytes_max: usize) -> Result<Bytes, DecodeError> {
    if body.len() > bytes_max {
        return Err(DecodeError::Oversized { max: bytes_max });
    }
    match encoding {
        None | Some("" | "identity" | "utf-8" | "UTF-8") => Ok(body.into()),
        Some("gzip") => {
            let mut plain = Vec::new();
            // One byte more than allowed tells "too much" from "just enough".
            MultiGzDecoder::new(body.as_slice()).take(bytes_max as u64 + 1).read_to_end(&mut plain)?;
            if plain.len() > bytes_max {
                return Err(DecodeError::Oversized { max: bytes_max });
            }
            Ok(plain.into())
        }
        Some(other) => Err(DecodeError::UnknownEncoding(other.to_owned())),
    }
}

/// When the message was published, in Unix milliseconds. The property `timestamp` has seconds, as has the `Timestamp` in
/// Kazoo's messages: what comes within milliseconds is not measured with those.
pub fn published_ms(properties: &BasicProperties) -> Option<u64> {
    match properties.headers().as_ref()?.inner().get(TIMESTAMP_IN_MS)? {
        AMQPValue::LongLongInt(ms) => u64::try_from(*ms).ok(),
        AMQPValue::Timestamp(ms) => Some(*ms),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use lapin::BasicProperties;
    use lapin::types::{AMQPValue, FieldTable};

    use super::{DecodeError, decode, published_ms};

    fn gzip(plain: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn gzip_is_unpacked_up_to_the_limit() {
        assert_eq!(decode(gzip(b"{}"), Some("gzip"), 100).unwrap(), "{}");
        assert_eq!(decode(gzip(&[b'x'; 100]), Some("gzip"), 100).unwrap().len(), 100);
        let bomb = gzip(&[b'x'; 1 << 20]);
        assert!(matches!(decode(bomb, Some("gzip"), 10_000), Err(DecodeError::Oversized { max: 10_000 })));
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        assert!(matches!(decode(vec![b'x'; 11], None, 10), Err(DecodeError::Oversized { max: 10 })));
        assert!(matches!(decode(b"{}".to_vec(), Some("gzip"), 10), Err(DecodeError::Damaged(_))));
        let unknown = decode(b"{}".to_vec(), Some("br"), 10).unwrap_err();
        assert_eq!(unknown.to_string(), "its content encoding \"br\" is not known");
        assert_eq!(decode(b"{}".to_vec(), Some("identity"), 10).unwrap(), "{}");
    }

    #[test]
    fn the_moment_of_publishing_is_the_brokers_to_the_millisecond() {
        let with = |name: &str, value| {
            let mut headers = FieldTable::default();
            headers.insert(name.into(), value);
            published_ms(&BasicProperties::default().with_timestamp(1_700_000_000).with_headers(headers))
        };
        assert_eq!(with("timestamp_in_ms", AMQPValue::LongLongInt(1_700_000_000_123)), Some(1_700_000_000_123));
        assert_eq!(with("timestamp_in_ms", AMQPValue::Timestamp(1_700_000_000_123)), Some(1_700_000_000_123));
        assert_eq!(with("timestamp_in_ms", AMQPValue::LongLongInt(-1)), None);
        assert_eq!(with("timestamp_in_ms", AMQPValue::Boolean(true)), None);
        assert_eq!(with("other", AMQPValue::LongLongInt(1)), None);
        assert_eq!(published_ms(&BasicProperties::default().with_timestamp(1_700_000_000)), None);
    }
}
