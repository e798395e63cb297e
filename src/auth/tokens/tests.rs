//! Which tokens are taken and which are not, and under which name.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize};
use aws_lc_rs::signature::KeyPair;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::auth::keys::{KazooKey, KeyError, NodeIdentity};
use crate::auth::tokens::{Claims, TokenError, Tokens};
use crate::ids::AccountId;

const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";

/// A Kazoo cluster's key in the three forms that matter here.
struct Rsa {
    private: String,
    spki: String,
    pkcs1: String,
}

static KAZOO: LazyLock<Rsa> = LazyLock::new(new_rsa);
static OTHER: LazyLock<Rsa> = LazyLock::new(new_rsa);

fn new_rsa() -> Rsa {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = pair.public_key();
    Rsa {
        private: pem("PRIVATE KEY", pair.as_der().unwrap().as_ref()),
        spki: pem("PUBLIC KEY", public.as_der().unwrap().as_ref()),
        pkcs1: pem("RSA PUBLIC KEY", public.as_ref()),
    }
}

fn pem(tag: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {tag}-----\n{}\n-----END {tag}-----\n", lines.join("\n"))
}

struct Server {
    dir: TempDir,
    identity: NodeIdentity,
    tokens: Tokens,
}

/// Trusts the Kazoo key as `spki` and as `pkcs1`.
fn server() -> Server {
    let dir = TempDir::new().unwrap();
    let identity = NodeIdentity::load_or_create(dir.path()).unwrap();
    let keys = [("spki", &KAZOO.spki), ("pkcs1", &KAZOO.pkcs1)].map(|(kid, pem)| kazoo_key(&dir, kid, pem));
    let tokens = Tokens::new(&identity, keys.into()).unwrap();
    Server { dir, identity, tokens }
}

fn kazoo_key(dir: &TempDir, kid: &str, pem: &str) -> KazooKey {
    let path: PathBuf = dir.path().join(kid);
    fs::write(&path, pem).unwrap();
    KazooKey::read(kid, &path).unwrap()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn claims() -> Value {
    json!({
        "account_id": ACCOUNT, "owner_id": ACCOUNT, "iss": "kazoo", "exp": now() + 60, "iat": now(),
        "identity_sig": "x", "jti": "y",
    })
}

fn signed(algorithm: Algorithm, kid: Option<&str>, claims: &Value, key: &EncodingKey) -> String {
    encode(&Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) }, claims, key).unwrap()
}

fn by_kazoo(claims: &Value) -> String {
    signed(Algorithm::RS256, Some("spki"), claims, &private(&KAZOO))
}

fn private(rsa: &Rsa) -> EncodingKey {
    EncodingKey::from_rsa_pem(rsa.private.as_bytes()).unwrap()
}

fn unsigned(header: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(header), part(&claims()))
}

#[track_caller]
fn check(tokens: &Tokens, token: &str, expected: TokenError) {
    let error = tokens.verify(token).unwrap_err();
    assert_eq!(error, expected);
    let text = format!("{error} {error:?}");
    assert!(token.len() < 20 || !text.contains(&token[..20]), "{text}");
}

#[test]
fn own_tokens_are_taken_and_each_is_different() {
    let tokens = server().tokens;
    let account = AccountId::parse(ACCOUNT).unwrap();
    let token = tokens.sign(account, Duration::from_secs(3600));
    let Claims { account: found, expires_ms, issuer } = tokens.verify(&token).unwrap();
    assert_eq!((found, issuer.as_deref()), (account, Some("hookswitch")));
    assert!((3_590_000..=3_600_000).contains(&(expires_ms - now() * 1000)), "{expires_ms}");
    assert_ne!(tokens.sign(account, Duration::from_secs(3600)), token);
    tokens.verify(&tokens.sign(account, Duration::MAX)).unwrap();
}

#[test]
fn kazoos_tokens_are_taken_with_each_algorithm_and_form_of_key() {
    let tokens = server().tokens;
    for algorithm in [Algorithm::RS256, Algorithm::RS384, Algorithm::RS512] {
        for kid in ["spki", "pkcs1"] {
            let claims = tokens.verify(&signed(algorithm, Some(kid), &claims(), &private(&KAZOO))).unwrap();
            assert_eq!((claims.account.to_string().as_str(), claims.issuer.as_deref()), (ACCOUNT, Some("kazoo")));
        }
    }
}

#[test]
fn the_key_decides_which_algorithms_are_allowed() {
    let server = server();
    let (tokens, own) = (&server.tokens, server.identity.kid.as_str());
    let secret = EncodingKey::from_secret(KAZOO.spki.as_bytes());
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        check(tokens, &signed(algorithm, Some("spki"), &claims(), &secret), TokenError::Algorithm);
        check(tokens, &signed(algorithm, Some(own), &claims(), &secret), TokenError::Algorithm);
    }
    check(tokens, &signed(Algorithm::PS256, Some("spki"), &claims(), &private(&KAZOO)), TokenError::Algorithm);
    check(tokens, &signed(Algorithm::RS256, Some(own), &claims(), &private(&KAZOO)), TokenError::Algorithm);
    let own_key = &server.identity.signing;
    check(tokens, &signed(Algorithm::EdDSA, Some("spki"), &claims(), own_key), TokenError::Algorithm);
    check(tokens, &unsigned(&json!({"alg": "RS1", "kid": "spki"})), TokenError::Algorithm);
    for none in ["none", "None", "NONE"] {
        check(tokens, &unsigned(&json!({"alg": none, "kid": "spki"})), TokenError::Unsigned);
    }
}

#[test]
fn a_token_by_another_key_is_refused() {
    let server = server();
    let tokens = &server.tokens;
    check(tokens, &signed(Algorithm::RS256, Some("spki"), &claims(), &private(&OTHER)), TokenError::Signature);
    check(tokens, &signed(Algorithm::RS256, Some("other"), &claims(), &private(&KAZOO)), TokenError::UnknownKey);
    check(tokens, &signed(Algorithm::RS256, None, &claims(), &private(&KAZOO)), TokenError::UnknownKey);
    let elsewhere = TempDir::new().unwrap();
    let identity = NodeIdentity::load_or_create(elsewhere.path()).unwrap();
    let kid = Some(server.identity.kid.as_str());
    check(tokens, &signed(Algorithm::EdDSA, kid, &claims(), &identity.signing), TokenError::Signature);
    // With a key of its own in the header, which must not be used.
    let header = json!({"alg": "RS256", "kid": "other", "jwk": {"kty": "RSA", "n": "AQAB", "e": "AQAB"}});
    check(tokens, &unsigned(&header), TokenError::UnknownKey);
}

#[test]
fn a_changed_token_is_refused() {
    let tokens = server().tokens;
    let token = by_kazoo(&claims());
    let parts: Vec<&str> = token.split('.').collect();
    let forged = URL_SAFE_NO_PAD.encode(json!({"account_id": "f".repeat(32), "exp": now() + 60}).to_string());
    check(&tokens, &[parts[0], &forged, parts[2]].join("."), TokenError::Signature);
    check(&tokens, &format!("{}.{}.", parts[0], parts[1]), TokenError::Signature);
    check(&tokens, &format!("{}.{}", parts[0], parts[1]), TokenError::Malformed);
    check(&tokens, &format!("{token}.x"), TokenError::Malformed);
    for malformed in ["", ".", "..", "a.b.c", "ö.ö.ö", "e30.e30.e30"] {
        check(&tokens, malformed, TokenError::Malformed);
    }
    check(&tokens, &format!("{token}{}", "A".repeat(8192)), TokenError::TooLong);
    check(&tokens, &unsigned(&json!({"alg": "RS256", "kid": "spki", "crit": ["exp"]})), TokenError::Extension);
}

#[test]
fn what_a_token_says_is_checked() {
    let tokens = server().tokens;
    let with = |key: &str, value: Value| {
        let mut claims = claims();
        claims[key] = value;
        by_kazoo(&claims)
    };
    let without_expiry = by_kazoo(&json!({"account_id": ACCOUNT}));
    check(&tokens, &without_expiry, TokenError::NoExpiry);
    check(&tokens, &with("exp", json!(null)), TokenError::NoExpiry);
    check(&tokens, &with("exp", json!("tomorrow")), TokenError::NoExpiry);
    check(&tokens, &with("exp", json!(1e300)), TokenError::NoExpiry);
    check(&tokens, &with("exp", json!(now() - 10)), TokenError::Expired);
    check(&tokens, &with("exp", json!(0)), TokenError::Expired);
    check(&tokens, &with("nbf", json!(now() + 60)), TokenError::NotYetValid);
    check(&tokens, &with("aud", json!("others")), TokenError::Audience);
    check(&tokens, &by_kazoo(&json!({"exp": now() + 60})), TokenError::NoAccount);
    check(&tokens, &with("account_id", json!(7)), TokenError::NoAccount);
    check(&tokens, &with("account_id", json!("../../etc")), TokenError::NoAccount);

    tokens.verify(&with("exp", json!(now() - 1))).expect("within the leeway");
    assert_eq!(tokens.verify(&with("exp", json!(u64::MAX))).unwrap().expires_ms, u64::MAX);
    assert_eq!(tokens.verify(&with("iss", json!(7))).unwrap().issuer, None);
}

#[test]
fn a_key_id_cannot_be_given_twice() {
    let server = server();
    let twice = || kazoo_key(&server.dir, "twice", &KAZOO.spki);
    let error = Tokens::new(&server.identity, vec![twice(), twice()]).err().unwrap();
    assert!(matches!(&error, KeyError::DuplicateKid { kid, .. } if kid == "twice"), "{error}");
    let ours = kazoo_key(&server.dir, &server.identity.kid, &KAZOO.spki);
    assert!(Tokens::new(&server.identity, vec![ours]).is_err());
}
