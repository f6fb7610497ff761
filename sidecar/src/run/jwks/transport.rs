//! The way to whoever has keys: a connection, in clear text or with TLS.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, crypto};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::failure::Failure;

/// What is read from and written to.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// Who may speak for an address of https: whom the machine trusts, and who signed these certificates.
#[derive(Debug, Default)]
pub(in crate::run) struct Trusted {
    extra: Vec<CertificateDer<'static>>,
    /// Made when the first address of https is asked.
    config: OnceLock<Arc<ClientConfig>>,
}

impl Trusted {
    /// Besides the machine's authorities, those of these files in PEM.
    ///
    /// # Errors
    /// Which file has no certificate to read.
    pub(in crate::run) fn new(files: &[PathBuf]) -> Result<Self, String> {
        let mut extra = Vec::new();
        for path in files {
            let bad = |why: String| format!("{}: {why}", path.display());
            let pem = fs::read(path).map_err(|error| bad(error.to_string()))?;
            let before = extra.len();
            for certificate in CertificateDer::pem_slice_iter(&pem) {
                extra.push(certificate.map_err(|error| bad(error.to_string()))?);
            }
            if extra.len() == before {
                return Err(bad("there is no certificate in it".into()));
            }
        }
        Ok(Self {
            extra,
            config: OnceLock::new(),
        })
    }

    fn config(&self) -> Arc<ClientConfig> {
        let config = self.config.get_or_init(|| {
            let mut roots = RootCertStore::empty();
            let system = rustls_native_certs::load_native_certs().certs;
            roots.add_parsable_certificates(system);
            roots.add_parsable_certificates(self.extra.iter().cloned());
            let provider = Arc::new(crypto::aws_lc_rs::default_provider());
            let config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .expect("the provider has suites for TLS 1.2 and 1.3");
            let mut config = config.with_root_certificates(roots).with_no_client_auth();
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
            Arc::new(config)
        });
        Arc::clone(config)
    }

    /// Connects to a host and a port.
    pub(super) async fn connect(
        &self,
        host: &str,
        port: u16,
        with_tls: bool,
    ) -> Result<Box<dyn Stream>, Failure> {
        let failed = |error: io::Error| Failure::Connection(error.to_string());
        // An address of IPv6 stands in brackets there.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let stream = TcpStream::connect((host, port)).await.map_err(failed)?;
        if !with_tls {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| Failure::Address("its host is no name"))?;
        let connector = TlsConnector::from(self.config());
        let stream = connector.connect(name, stream).await.map_err(failed)?;
        Ok(Box::new(stream))
    }
}
