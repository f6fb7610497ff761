//! TLS towards a control plane: certificates of the Web's kind, by the name that was dialled, under roots of the mesh.

use std::sync::Arc;

use rustls::client::ResolvesClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use super::Target;

/// What is negotiated: gRPC is HTTP/2.
const H2: &[u8] = b"h2";

/// A connector by the roots and the identity that hold now.
pub(super) fn connector(target: &Target) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    for root in (target.roots)()? {
        roots
            .add(root)
            .map_err(|error| format!("a root cannot be used: {error}"))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let identity = target.identity.as_ref().and_then(|identity| identity());
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let key = aws_lc_rs::sign::any_supported_type(&key)
                .map_err(|error| format!("our key cannot be used: {error}"))?;
            let own = Arc::new(CertifiedKey::new(chain, key));
            builder.with_client_cert_resolver(Arc::new(Own(own)))
        }
    };
    config.alpn_protocols = vec![H2.to_vec()];
    // Each connection proves anew who its peer is, by the roots of now.
    config.resumption = rustls::client::Resumption::disabled();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Our certificate, whatever authorities the server hints at: it may know more than it says.
#[derive(Debug)]
struct Own(Arc<CertifiedKey>);

impl ResolvesClientCert for Own {
    fn resolve(&self, _hints: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let fits = self.0.key.choose_scheme(schemes).is_some();
        fits.then(|| Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
