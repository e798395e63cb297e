//! Identifiers: 128-bit values that are written as 32 lower-case hex digits everywhere outside the process.
//!
//! They are parsed once at the edge; a value of one of these types is always valid.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The text is not 32 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an identifier of 32 lower-case hex digits")]
pub struct BadId(pub String);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name([u8; 16]);

        /// As the one number that it is: as bytes it would be hashed piece by piece, with its length.
        impl Hash for $name {
            fn hash<H: Hasher>(&self, state: &mut H) {
                state.write_u128(u128::from_ne_bytes(self.0));
            }
        }

        impl $name {
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// A new one, from the operating system's randomness by way of the thread's generator.
            pub fn random() -> Self {
                Self(rand::random())
            }

            /// Accepts exactly 32 lower-case hex digits.
            pub fn parse(text: &str) -> Result<Self, BadId> {
                parse_hex(text).map(Self).ok_or_else(|| BadId(shortened(text)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut digits = [0; 32];
                hex::encode_to_slice(self.0, &mut digits).map_err(|_| fmt::Error)?;
                f.pad(std::str::from_utf8(&digits).map_err(|_| fmt::Error)?)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                Self::parse(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

id! {
    /// An account of the tree.
    AccountId
}
id! {
    /// A registered hook, or the identity made up for a one-off hook.
    HookId
}
id! {
    /// An event: the same across redelivery, retries and restarts.
    EventId
}

fn parse_hex(text: &str) -> Option<[u8; 16]> {
    let lower = text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let mut bytes = [0; 16];
    (lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

/// Error texts quote what was given; a megabyte of it helps nobody.
fn shortened(text: &str) -> String {
    text.chars().take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::AccountId;

    #[test]
    fn only_32_lower_case_hex_digits_are_an_identifier() {
        let text = "0123456789abcdef0123456789abcdef";
        assert_eq!(AccountId::parse(text).unwrap().to_string(), text);
        for bad in
            ["", "0123", "0123456789ABCDEF0123456789abcdef", &format!("{text}0"), "g123456789abcdef0123456789abcdef"]
        {
            assert!(AccountId::parse(bad).is_err(), "{bad}");
        }
    }
}
