//! API keys: shown once when they are made, kept as a hash from then on.
//!
//! Called by `keys` for the first one, by the HTTP API for the rest, and by the directory, which finds the account of
//! a key by its hash.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::auth::keys::is_hex;

/// The key itself: 64 hex digits, 256 random bits.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    pub fn random() -> Self {
        Self(hex::encode(rand::random::<[u8; 32]>()))
    }

    /// `None` for what cannot be one.
    pub fn parse(text: &str) -> Option<Self> {
        is_hex(text, 64).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn hash(&self) -> KeyHash {
        // Without salt or stretching: nobody guesses 256 random bits, and the account is found by the hash.
        KeyHash(Sha256::digest(self.0.as_bytes()).into())
    }
}

/// Never the key: it may stand in a log line by mistake.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}

/// The SHA-256 of a key's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash([u8; 32]);

impl Serialize for KeyHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(self.0))
    }
}

impl<'de> Deserialize<'de> for KeyHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut hash = [0; 32];
        let text = String::deserialize(deserializer)?;
        hex::decode_to_slice(text, &mut hash).map_err(serde::de::Error::custom)?;
        Ok(Self(hash))
    }
}

/// What is kept of an account's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKeyRecord {
    pub hash: KeyHash,
    /// The key's last four digits, for people to tell keys apart.
    pub last4: String,
    /// Unix milliseconds.
    pub created_ms: u64,
}

impl ApiKeyRecord {
    pub fn new(key: &ApiKey, created_ms: u64) -> Self {
        let last4 = key.0.chars().skip(60).collect();
        Self { hash: key.hash(), last4, created_ms }
    }

    /// For the store.
    pub fn to_record(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("texts and a number are always JSON")
    }

    pub fn from_record(record: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(record)
    }
}

#[cfg(test)]
mod tests {
    use crate::auth::api_key::{ApiKey, ApiKeyRecord};

    #[test]
    fn a_key_is_found_again_by_its_hash_and_not_kept() {
        let key = ApiKey::random();
        let record = ApiKeyRecord::new(&key, 7);
        let bytes = record.to_record();
        assert_eq!(ApiKeyRecord::from_record(&bytes).unwrap(), record);
        assert_eq!(ApiKey::parse(key.as_str()).unwrap().hash(), record.hash);
        assert!(key.as_str().ends_with(&record.last4) && record.last4.len() == 4);
        assert!(!String::from_utf8(bytes).unwrap().contains(key.as_str()));
        assert!(!format!("{key:?}").contains(key.as_str()));
        assert_ne!(ApiKey::random(), key);
    }

    #[test]
    fn only_64_lower_case_hex_digits_can_be_a_key() {
        let good = "0123456789abcdef".repeat(4);
        assert!(ApiKey::parse(&good).is_some());
        for bad in ["", &good[1..], &good.to_uppercase(), &format!("{good}\n"), &good.replace('0', "g")] {
            assert!(ApiKey::parse(bad).is_none(), "{bad}");
        }
    }
}
