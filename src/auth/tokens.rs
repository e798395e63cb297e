//! Tokens: signs our own, verifies ours and Kazoo's.
//!
//! Called by [`Auth`](crate::auth::Auth), by the resource that trades API keys for tokens, and by `hookswitch token`.
//! The key id in a token's header chooses the key, and the key alone decides which algorithms are allowed. It knows
//! nothing of accounts beyond the id in the token.

use std::collections::HashMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::auth::keys::{KazooKey, KeyError, NodeIdentity};
use crate::ids::AccountId;

/// A longer text is refused before it is looked at.
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// How long an expired token is still taken, for clocks that differ a little.
const LEEWAY_S: u64 = 5;
const ISSUER: &str = "hookswitch";

/// Why a token is not taken. No text contains any of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("the token is longer than {TOKEN_BYTES_MAX} bytes")]
    TooLong,
    #[error("the token is malformed")]
    Malformed,
    #[error("the token is not signed")]
    Unsigned,
    #[error("the token's algorithm is not one of its key's")]
    Algorithm,
    #[error("the token names no key that is known here")]
    UnknownKey,
    #[error("the token asks for an extension that is unknown here")]
    Extension,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the token does not say when it expires")]
    NoExpiry,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token was made for another audience")]
    Audience,
    #[error("the token names no account")]
    NoAccount,
}

/// What a valid token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    pub account: AccountId,
    /// Unix milliseconds.
    pub expires_ms: u64,
    pub issuer: Option<String>,
}

/// All keys, by their ids.
pub struct Tokens {
    kid: String,
    signing: EncodingKey,
    trusted: HashMap<String, TrustedKey>,
}

struct TrustedKey {
    key: DecodingKey,
    validation: Validation,
}

#[derive(Serialize)]
struct OwnClaims {
    account_id: AccountId,
    iss: &'static str,
    iat: u64,
    exp: u64,
    jti: String,
}

/// The parts of a header that decide how the token is verified.
#[derive(Deserialize)]
struct Head {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

/// Everything optional, so that what is missing gets an error of its own.
#[derive(Deserialize)]
struct Payload {
    account_id: Option<Value>,
    exp: Option<Value>,
    iss: Option<Value>,
}

impl Tokens {
    pub fn new(identity: &NodeIdentity, kazoo_keys: Vec<KazooKey>) -> Result<Self, KeyError> {
        let own = TrustedKey::new(identity.verifying.clone(), &[Algorithm::EdDSA]);
        let mut trusted = HashMap::from([(identity.kid.clone(), own)]);
        for KazooKey { kid, path, key } in kazoo_keys {
            if trusted.contains_key(&kid) {
                return Err(KeyError::DuplicateKid { kid, path });
            }
            let key = TrustedKey::new(key, &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512]);
            trusted.insert(kid, key);
        }
        Ok(Self { kid: identity.kid.clone(), signing: identity.signing.clone(), trusted })
    }

    /// A new token of ours for `account`, with an id of its own.
    pub fn sign(&self, account: AccountId, ttl: Duration) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let claims = OwnClaims {
            account_id: account,
            iss: ISSUER,
            iat: now,
            exp: now.saturating_add(ttl.as_secs()),
            jti: hex::encode(rand::random::<[u8; 16]>()),
        };
        let header = Header { kid: Some(self.kid.clone()), ..Header::new(Algorithm::EdDSA) };
        encode(&header, &claims, &self.signing).expect("the key was checked when it was read")
    }

    pub fn verify(&self, token: &str) -> Result<Claims, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        let trusted = self.trusted_key(&Head::of(token)?)?;
        let payload: Payload = decode(token, &trusted.key, &trusted.validation).map_err(token_error)?.claims;
        payload.into_claims()
    }

    fn trusted_key(&self, head: &Head) -> Result<&TrustedKey, TokenError> {
        if head.alg.eq_ignore_ascii_case("none") {
            return Err(TokenError::Unsigned);
        }
        if head.crit.is_some() {
            return Err(TokenError::Extension);
        }
        let trusted = head.kid.as_ref().and_then(|kid| self.trusted.get(kid)).ok_or(TokenError::UnknownKey)?;
        let algorithm: Algorithm = head.alg.parse().map_err(|_| TokenError::Algorithm)?;
        if !trusted.validation.algorithms.contains(&algorithm) {
            return Err(TokenError::Algorithm);
        }
        Ok(trusted)
    }
}

impl TrustedKey {
    fn new(key: DecodingKey, algorithms: &[Algorithm]) -> Self {
        // The defaults are to demand an expiry, and to refuse whatever is for another audience.
        let algorithms = algorithms.to_vec();
        let validation = Validation { algorithms, leeway: LEEWAY_S, validate_nbf: true, ..Validation::default() };
        Self { key, validation }
    }
}

impl Head {
    fn of(token: &str) -> Result<Self, TokenError> {
        let (head, _) = token.split_once('.').ok_or(TokenError::Malformed)?;
        let json = URL_SAFE_NO_PAD.decode(head).map_err(|_| TokenError::Malformed)?;
        serde_json::from_slice(&json).map_err(|_| TokenError::Malformed)
    }
}

impl Payload {
    fn into_claims(self) -> Result<Claims, TokenError> {
        let account = self.account_id.as_ref().and_then(Value::as_str).and_then(|text| AccountId::parse(text).ok());
        let expires_s = self.exp.as_ref().and_then(Value::as_f64).ok_or(TokenError::NoExpiry)?;
        Ok(Claims {
            account: account.ok_or(TokenError::NoAccount)?,
            // The cast saturates, and a time beyond it is as good as the end of it.
            expires_ms: (expires_s as u64).saturating_mul(1000),
            issuer: self.iss.as_ref().and_then(Value::as_str).map(str::to_owned),
        })
    }
}

fn token_error(error: jsonwebtoken::errors::Error) -> TokenError {
    match error.kind() {
        ErrorKind::InvalidSignature => TokenError::Signature,
        ErrorKind::InvalidAlgorithm => TokenError::Algorithm,
        ErrorKind::MissingRequiredClaim(_) => TokenError::NoExpiry,
        ErrorKind::ExpiredSignature => TokenError::Expired,
        ErrorKind::ImmatureSignature => TokenError::NotYetValid,
        ErrorKind::InvalidAudience => TokenError::Audience,
        _ => TokenError::Malformed,
    }
}

#[cfg(test)]
mod tests;
