//! Where requests may go: refused hosts and addresses, names with several addresses, TLS.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use actix::spawn;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::AsyncWriteExt;
use tokio::net::UdpSocket;
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

use crate::webhook::allow::AllowList;
use crate::webhook::client::tests::receiver::{Listener, OK, outcome, read_request, send, sender, settings};
use crate::webhook::client::{HttpSender, SendError, SenderSettings};
use crate::webhook::connect::Reach;
use crate::webhook::guard::Refused;
use crate::webhook::outcome::{Outcome, Reason};
use crate::webhook::request::Verb;
use crate::webhook::resolve::Resolver;
use crate::webhook::tls::client_config;

#[actix::test]
async fn inner_hosts_are_refused_at_the_connection_in_every_spelling() {
    let listener = Listener::answering(OK).await;
    let port = listener.address.port();
    let sender = HttpSender::new(&Arc::new(settings(&[])));
    for (host, expected) in [
        ("127.0.0.1", "address 127.0.0.1 is loopback"),
        ("127.1", "address 127.0.0.1 is loopback"),
        ("2130706433", "address 127.0.0.1 is loopback"),
        ("0x7f000001", "address 127.0.0.1 is loopback"),
        ("0", "address 0.0.0.0 is unspecified"),
        ("[::1]", "address ::1 is loopback"),
        ("[::ffff:127.0.0.1]", "address ::ffff:127.0.0.1 leads to 127.0.0.1, which is loopback"),
        ("localhost", "host localhost is loopback"),
        ("localhost.", "host localhost is loopback"),
        ("LOCALHOST", "host localhost is loopback"),
        ("foo.localhost", "host foo.localhost is loopback"),
    ] {
        for scheme in ["http", "https"] {
            let answer = send(&sender, Verb::Post, &format!("{scheme}://{host}:{port}/")).await;
            assert!(matches!(answer.error, Some(SendError::Refused(_))), "{host}: {answer:?}");
            let reason = Reason::Client(expected.to_owned());
            assert_eq!(outcome(&answer), Outcome::Refused { reason }, "{host}");
        }
    }
    assert_eq!(listener.connections.get(), 0);
}

#[actix::test]
async fn a_network_does_not_open_localhost_but_its_name_does() {
    let listener = Listener::answering(OK).await;
    let uri = format!("http://localhost:{}/", listener.address.port());
    let answer = send(&sender(), Verb::Post, &uri).await;
    assert!(matches!(answer.error, Some(SendError::Refused(Refused::Name { .. }))), "{answer:?}");
    let named = HttpSender::new(&Arc::new(settings(&["LocalHost."])));
    assert_eq!(send(&named, Verb::Post, &uri).await.status, Some(200));
}

/// A name server that answers every question for an IPv4 address with `addresses`.
async fn name_server(addresses: &'static [Ipv4Addr]) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap().to_string();
    spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((bytes, peer)) = socket.recv_from(&mut buffer).await {
            // The question ends after the name's final zero, type and class.
            let end = 12 + buffer[12..bytes].iter().position(|byte| *byte == 0).unwrap() + 5;
            let wants_ipv4 = buffer[end - 4..end - 2] == [0, 1];
            let answers = if wants_ipv4 { addresses } else { &[] };
            let mut reply = buffer[..end].to_vec();
            reply[2..4].copy_from_slice(&[0x81, 0x80]);
            reply[6..12].copy_from_slice(&[0, answers.len() as u8, 0, 0, 0, 0]);
            for answer in answers {
                reply.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4]);
                reply.extend(answer.octets());
            }
            socket.send_to(&reply, peer).await.unwrap();
        }
    });
    address
}

async fn sender_asking(server: String, allow: &[&str]) -> HttpSender {
    let resolver = Resolver::new(&[server], Duration::from_secs(5)).unwrap();
    let plain = settings(allow);
    let allow = plain.reach.allow.clone();
    HttpSender::new(&Arc::new(SenderSettings { reach: Arc::new(Reach { allow, resolver }), ..plain }))
}

#[actix::test]
async fn a_name_is_reached_only_at_those_of_its_addresses_that_pass() {
    const MIXED: [Ipv4Addr; 3] = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::LOCALHOST, Ipv4Addr::new(169, 254, 169, 254)];
    let listener = Listener::answering(OK).await;
    let uri = format!("http://receiver.example:{}/", listener.address.port());
    let sender = sender_asking(name_server(&MIXED).await, &["127.0.0.1"]).await;
    let answer = send(&sender, Verb::Post, &uri).await;
    assert_eq!((answer.status, &answer.error), (Some(200), &None));

    let sender = sender_asking(name_server(&MIXED).await, &[]).await;
    let answer = send(&sender, Verb::Post, &uri).await;
    let Some(SendError::Refused(Refused::Address { address, .. })) = answer.error else { panic!("{answer:?}") };
    assert!(MIXED.iter().any(|known| IpAddr::from(*known) == address), "{address}");
    assert_eq!(listener.connections.get(), 1);

    let sender = sender_asking(name_server(&[Ipv4Addr::LOCALHOST]).await, &["receiver.example"]).await;
    assert_eq!(send(&sender, Verb::Post, &uri).await.status, Some(200), "a listed name leads wherever it leads");
}

#[actix::test]
async fn a_name_without_an_address_is_a_failure_worth_a_retry() {
    let sender = sender_asking(name_server(&[]).await, &[]).await;
    let answer = send(&sender, Verb::Post, "http://receiver.example/").await;
    let Some(SendError::Resolve(text)) = &answer.error else { panic!("{answer:?}") };
    assert!(text.contains("receiver.example"), "{text}");
    assert!(matches!(outcome(&answer), Outcome::Retry { .. }));
}

#[actix::test]
async fn https_is_checked_against_the_host_of_the_url_and_the_configured_roots() {
    let ca_key = KeyPair::generate().unwrap();
    let mut ca_params = CertificateParams::new(Vec::new()).unwrap();
    ca_params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca_params, ca_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &ca).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let listener = Listener::new(move |_, stream| {
        let acceptor = acceptor.clone();
        async move {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                while read_request(&mut stream).await.is_some() {
                    stream.write_all(OK.as_bytes()).await.unwrap();
                }
            }
        }
    })
    .await;
    let port = listener.address.port();

    let ca_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca_file.path(), ca.pem()).unwrap();
    let tls = client_config(Some(ca_file.path())).unwrap();
    let allow = ["localhost", "127.0.0.0/8"];
    let trusting = HttpSender::new(&Arc::new(SenderSettings { tls, ..settings(&allow) }));
    for host in ["localhost", "127.0.0.1"] {
        let answer = send(&trusting, Verb::Post, &format!("https://{host}:{port}/")).await;
        assert_eq!((answer.status, &answer.error), (Some(200), &None), "{host}");
    }
    let wrong_name = send(&trusting, Verb::Post, &format!("https://127.0.0.2:{port}/")).await;
    assert!(matches!(wrong_name.error, Some(SendError::Connect(_))), "{wrong_name:?}");

    let distrusting = HttpSender::new(&Arc::new(settings(&allow)));
    let answer = send(&distrusting, Verb::Post, &format!("https://localhost:{port}/")).await;
    let Some(SendError::Connect(text)) = answer.error else { panic!("{answer:?}") };
    assert!(text.contains("certificate"), "{text}");
}

#[actix::test]
async fn a_server_that_never_finishes_its_handshake_is_given_up() {
    let listener = Listener::new(|_, stream| async move {
        sleep(Duration::from_secs(60)).await;
        drop(stream);
    })
    .await;
    let impatient = SenderSettings { connect_timeout_ms: 200, ..settings(&["127.0.0.0/8"]) };
    let answer =
        send(&HttpSender::new(&Arc::new(impatient)), Verb::Post, &format!("https://{}/", listener.address)).await;
    assert_eq!(answer.error, Some(SendError::ConnectTimeout(200)));
    assert!(matches!(outcome(&answer), Outcome::Retry { .. }));
}

#[actix::test]
async fn a_name_server_that_never_answers_is_given_up() {
    let silent = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let resolver = Resolver::new(&[silent.local_addr().unwrap().to_string()], Duration::from_secs(5)).unwrap();
    let reach = Arc::new(Reach { allow: AllowList::none(), resolver });
    let impatient = SenderSettings { reach, connect_timeout_ms: 200, ..settings(&[]) };
    let answer = send(&HttpSender::new(&Arc::new(impatient)), Verb::Post, "http://receiver.example/").await;
    assert_eq!(answer.error, Some(SendError::ConnectTimeout(200)));
}
