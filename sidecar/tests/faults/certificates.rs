//! Certificates for rows of `docs/faults.md` that speak TLS: one authority, one server with the names of all rows.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig};
use rustls_pki_types::{PrivateKeyDer, ServerName};

pub(crate) struct Certificates {
    pub(crate) client: Arc<ClientConfig>,
    pub(crate) server: Arc<ServerConfig>,
}

impl Certificates {
    /// Makes them, and writes what the proxy is to have of them: `roots.pem`, `chain.pem`, `key.pem`.
    pub(crate) fn new(folder: &Path, names: Vec<String>) -> Self {
        let key = || KeyPair::generate().unwrap();
        let (root_key, leaf_key) = (key(), key());
        let mut root = CertificateParams::new(Vec::new()).unwrap();
        root.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root_certificate = root.self_signed(&root_key).unwrap();
        let issuer = Issuer::new(root, root_key);
        let leaf = CertificateParams::new(names).unwrap();
        let leaf = leaf.signed_by(&leaf_key, &issuer).unwrap();
        let write = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            // A key that others can read is no key.
            std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        };
        write("roots.pem", root_certificate.pem());
        write("chain.pem", leaf.pem());
        write("key.pem", leaf_key.serialize_pem());

        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(root_certificate.der().clone()).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let client = client.with_safe_default_protocol_versions().unwrap();
        let server = ServerConfig::builder_with_provider(provider);
        let server = server.with_safe_default_protocol_versions().unwrap();
        let own = PrivateKeyDer::try_from(leaf_key.serialize_der()).unwrap();
        let server = server.with_no_client_auth();
        Self {
            client: Arc::new(client.with_root_certificates(roots).with_no_client_auth()),
            server: Arc::new(
                server
                    .with_single_cert(vec![leaf.der().clone()], own)
                    .unwrap(),
            ),
        }
    }

    /// The name that a client of a service asks for.
    pub(crate) fn name(&self, host: &str) -> ServerName<'static> {
        ServerName::try_from(host.to_owned()).unwrap()
    }

    /// What a client of a service says first.
    pub(crate) fn hello(&self, host: &str) -> Vec<u8> {
        let mut client = ClientConnection::new(Arc::clone(&self.client), self.name(host)).unwrap();
        let mut said = Vec::new();
        client.write_tls(&mut said).unwrap();
        said
    }
}
