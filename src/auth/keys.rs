//! The keys of this server and of the Kazoo cluster beside it, and who this server is.
//!
//! Called at start by the server, and by `hookswitch token` while a server runs: everything here lives in plain files
//! of the data directory. It never opens the store.

use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::rsa;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{DecodingKey, EncodingKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::auth::api_key::ApiKey;
use crate::auth::files::read_or_create;
use crate::ids::AccountId;

const SIGNING_KEY: &str = "signing_key.pem";
const NODE: &str = "node.json";
const API_KEY: &str = "api_key";
/// What the verifier takes, in bytes: 2048 to 8192 bits.
const RSA_MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// A key file is missing, unusable, or given twice.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("cannot read or make {}: {cause}", path.display())]
    File { path: PathBuf, cause: std::io::Error },
    #[error("{} is not an Ed25519 private key in PEM", path.display())]
    SigningKey { path: PathBuf },
    #[error("{} does not hold a node's identity: {cause}", path.display())]
    Node { path: PathBuf, cause: String },
    #[error("{} does not hold an API key of 64 hex digits", path.display())]
    ApiKey { path: PathBuf },
    #[error("cannot read the public key {kid:?} from {}: {cause}", path.display())]
    KazooFile { kid: String, path: PathBuf, cause: std::io::Error },
    #[error("the public key {kid:?} in {} is unusable: {cause}", path.display())]
    KazooKey { kid: String, path: PathBuf, cause: &'static str },
    #[error("the key id {kid:?} of {} is taken by another key", path.display())]
    DuplicateKid { kid: String, path: PathBuf },
}

/// Who this server is, as kept in its data directory.
pub struct NodeIdentity {
    pub(super) signing: EncodingKey,
    pub(super) verifying: DecodingKey,
    /// Names our key in the tokens that it signs.
    pub(super) kid: String,
    /// 32 hex digits, in every payload. The configuration may give another.
    pub cluster_id: String,
    /// The root of the account tree.
    pub system_account: AccountId,
}

impl NodeIdentity {
    /// Reads the identity, making it where there is none.
    pub fn load_or_create(data_dir: &Path) -> Result<Self, KeyError> {
        let file = |name: &str, make: fn() -> String| {
            read_or_create(data_dir, name, make).map_err(|cause| KeyError::File { path: data_dir.join(name), cause })
        };
        let pem = file(SIGNING_KEY, new_signing_key)?;
        let bad_key = || KeyError::SigningKey { path: data_dir.join(SIGNING_KEY) };
        let signing = EncodingKey::from_ed_pem(pem.as_bytes()).map_err(|_| bad_key())?;
        let pair = Ed25519KeyPair::from_pkcs8(signing.as_bytes()).map_err(|_| bad_key())?;
        let public = pair.public_key().as_ref();

        let bad_node = |cause: String| KeyError::Node { path: data_dir.join(NODE), cause };
        let node: Node = serde_json::from_str(&file(NODE, new_node)?).map_err(|error| bad_node(error.to_string()))?;
        if !is_hex(&node.cluster_id, 32) {
            return Err(bad_node("cluster_id is not 32 lower-case hex digits".to_owned()));
        }
        Ok(Self {
            kid: format!("hookswitch-{}", hex::encode(&Sha256::digest(public)[..8])),
            verifying: DecodingKey::from_ed_der(public),
            signing,
            cluster_id: node.cluster_id,
            system_account: node.system_account,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Node {
    cluster_id: String,
    system_account: AccountId,
}

fn new_node() -> String {
    let node = Node { cluster_id: hex::encode(rand::random::<[u8; 16]>()), system_account: AccountId::random() };
    serde_json::to_string_pretty(&node).expect("two texts are always JSON") + "\n"
}

fn new_signing_key() -> String {
    let pair = Ed25519KeyPair::generate().expect("key generation fails only without memory or randomness");
    let der = pair.to_pkcs8v1().expect("a key that was just made can be written");
    // 48 bytes, so the text fits one line of PEM.
    format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()))
}

/// The first API key of the system account and the file that tells the operator: only the key and a line end. Made
/// where there is none, so a start that was cut short before the account was stored goes on with the same key.
pub fn first_api_key(data_dir: &Path) -> Result<(PathBuf, ApiKey), KeyError> {
    let path = data_dir.join(API_KEY);
    match read_or_create(data_dir, API_KEY, || ApiKey::random().as_str().to_owned() + "\n") {
        Err(cause) => Err(KeyError::File { path, cause }),
        Ok(text) => match ApiKey::parse(text.trim_end()) {
            Some(key) => Ok((path, key)),
            None => Err(KeyError::ApiKey { path }),
        },
    }
}

/// A public key of the Kazoo cluster whose tokens are accepted.
#[derive(Debug)]
pub struct KazooKey {
    pub(super) kid: String,
    pub(super) path: PathBuf,
    pub(super) key: DecodingKey,
}

impl KazooKey {
    /// Reads an RSA public key, as `PUBLIC KEY` (SPKI) or `RSA PUBLIC KEY` (PKCS#1).
    pub fn read(kid: &str, path: &Path) -> Result<Self, KeyError> {
        match fs::read_to_string(path) {
            Ok(pem) => Self::parse(kid, path, &pem),
            Err(cause) => Err(KeyError::KazooFile { kid: kid.to_owned(), path: path.to_owned(), cause }),
        }
    }

    fn parse(kid: &str, path: &Path, pem: &str) -> Result<Self, KeyError> {
        let (kid, path) = (kid.to_owned(), path.to_owned());
        match rsa_public_key(pem) {
            Ok(key) => Ok(Self { kid, path, key }),
            Err(cause) => Err(KeyError::KazooKey { kid, path, cause }),
        }
    }
}

fn rsa_public_key(pem: &str) -> Result<DecodingKey, &'static str> {
    // The parser behind `from_rsa_pem` would also take a certificate, and a private key for a public one.
    if pem.contains("PRIVATE KEY-----") {
        return Err("it is a private key");
    }
    if !["-----BEGIN PUBLIC KEY-----", "-----BEGIN RSA PUBLIC KEY-----"].iter().any(|begin| pem.contains(begin)) {
        return Err("it is not a public key in PEM");
    }
    let unusable = "it is not an RSA key";
    let key = DecodingKey::from_rsa_pem(pem.as_bytes()).map_err(|_| unusable)?;
    let der = key.try_get_as_bytes().map_err(|_| unusable)?;
    let modulus_bytes = rsa::PublicKey::from_der(der).map_err(|_| unusable)?.modulus_len();
    if !RSA_MODULUS_BYTES.contains(&modulus_bytes) {
        return Err("it has fewer than 2048 or more than 8192 bits");
    }
    Ok(key)
}

pub(super) fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use crate::auth::keys::{KazooKey, NodeIdentity, first_api_key};

    #[test]
    fn an_identity_stays_the_same() {
        let dir = TempDir::new().unwrap();
        let first = NodeIdentity::load_or_create(dir.path()).unwrap();
        let second = NodeIdentity::load_or_create(dir.path()).unwrap();
        assert_eq!(
            (&first.kid, &first.cluster_id, first.system_account),
            (&second.kid, &second.cluster_id, second.system_account)
        );
        let other = NodeIdentity::load_or_create(&dir.path().join("other")).unwrap();
        assert_ne!((first.kid, first.cluster_id), (other.kid, other.cluster_id));
    }

    #[test]
    fn the_first_api_key_is_a_line_of_a_file_and_stays_the_same() {
        let dir = TempDir::new().unwrap();
        let (path, key) = first_api_key(dir.path()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", key.as_str()));
        assert_eq!(first_api_key(dir.path()).unwrap().1.as_str(), key.as_str());
        fs::write(&path, "secret").unwrap();
        let error = first_api_key(dir.path()).unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()) && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_damaged_file_is_named() {
        for (name, content) in [
            ("signing_key.pem", ""),
            ("signing_key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
            ("node.json", "{}"),
            ("node.json", r#"{"cluster_id": "x", "system_account": "0123456789abcdef0123456789abcdef"}"#),
        ] {
            let dir = TempDir::new().unwrap();
            fs::write(dir.path().join(name), content).unwrap();
            let Err(error) = NodeIdentity::load_or_create(dir.path()) else { panic!("{name}: {content:?} was taken") };
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn an_unusable_kazoo_key_is_named_with_its_file() {
        let dir = TempDir::new().unwrap();
        NodeIdentity::load_or_create(dir.path()).unwrap();
        let file = dir.path().join("kazoo.pem");
        // A 1024-bit key, made with `openssl genrsa 1024`.
        let short = "-----BEGIN PUBLIC KEY-----\n\
            MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDt7M8fP2+2e5p/Ru2W4ej1JZpK\n\
            L62y0xkYDbwThfuKtYWVgw/6zZ+TR96VJFANJX2LK2RDQRP4/d4zkebnSOdUbu4+\n\
            aCKe0KaPfRDEXNGSuXBUhMtB2LI0RDHIjLvMhDFjU5BZzLQrCelelWWOcGgrrnRz\n\
            BQd/JDFdjuB0iUo9ywIDAQAB\n\
            -----END PUBLIC KEY-----\n";
        let private = fs::read_to_string(dir.path().join("signing_key.pem")).unwrap();
        for (pem, cause) in [
            ("", "not a public key"),
            ("-----BEGIN CERTIFICATE-----\n", "not a public key"),
            ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "not an RSA key"),
            (private.as_str(), "a private key"),
            (short, "2048"),
        ] {
            fs::write(&file, pem).unwrap();
            let error = KazooKey::read("key-1", &file).unwrap_err().to_string();
            assert!(error.contains("key-1") && error.contains("kazoo.pem") && error.contains(cause), "{error}");
        }
        let error = KazooKey::read("key-1", &dir.path().join("missing.pem")).unwrap_err().to_string();
        assert!(error.contains("key-1") && error.contains("missing.pem"), "{error}");
    }
}
