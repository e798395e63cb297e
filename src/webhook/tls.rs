//! One TLS configuration for the requests of every hook: public roots, and the operator's own where there are any.
//!
//! Built once at start, since the root store is large. HTTP/1.1 only: one hook has few requests under way at once.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{Error as PemError, PemObject};
use rustls::{ClientConfig, RootCertStore};

/// TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read certificates from {path:?}: {error}")]
    CaFile { path: PathBuf, error: PemError },
    #[error("{path:?} holds no certificate")]
    EmptyCaFile { path: PathBuf },
    #[error("{path:?} holds a certificate that cannot be a root: {error}")]
    BadRoot { path: PathBuf, error: rustls::Error },
    #[error("cannot set up TLS: {0}")]
    Provider(#[source] rustls::Error),
}

/// `ca_file` is a PEM file of further roots.
pub fn client_config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(path) = ca_file {
        add_roots(&mut roots, path)?;
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Provider)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn add_roots(roots: &mut RootCertStore, path: &Path) -> Result<(), TlsError> {
    let unreadable = |error| TlsError::CaFile { path: path.to_owned(), error };
    let certificates: Vec<CertificateDer> =
        CertificateDer::pem_file_iter(path).and_then(Iterator::collect).map_err(unreadable)?;
    if certificates.is_empty() {
        return Err(TlsError::EmptyCaFile { path: path.to_owned() });
    }
    certificates
        .into_iter()
        .try_for_each(|certificate| roots.add(certificate))
        .map_err(|error| TlsError::BadRoot { path: path.to_owned(), error })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use super::client_config;

    #[test]
    fn a_useless_ca_file_is_an_error_that_names_it() {
        let missing = client_config(Some(Path::new("/nonexistent/ca.pem"))).unwrap_err().to_string();
        assert!(missing.starts_with("cannot read certificates from \"/nonexistent/ca.pem\""), "{missing}");
        let mut empty = tempfile::NamedTempFile::new().unwrap();
        empty.write_all(b"no certificate\n").unwrap();
        let error = client_config(Some(empty.path())).unwrap_err().to_string();
        assert_eq!(error, format!("{:?} holds no certificate", empty.path()));
    }

    #[test]
    fn only_http_1_1_is_offered() {
        assert_eq!(client_config(None).unwrap().alpn_protocols, [b"http/1.1".to_vec()]);
    }
}
