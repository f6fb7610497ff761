//! TLS as a server terminates it, in Gateway servers and Sidecar ingress listeners (Istio ServerTLSSettings).

mod decode;
mod validate;

pub(super) use decode::decode;
pub(super) use validate::validate;

/// `tls` of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerTls {
    /// Answer 301 to plain HTTP; only on HTTP ports.
    pub https_redirect: bool,
    /// What is terminated, and who must show a certificate.
    pub mode: ServerTlsMode,
    /// File of the certificate.
    pub server_certificate: String,
    /// File of the private key.
    pub private_key: String,
    /// File of the authorities of client certificates.
    pub ca_certificates: String,
    /// File of revoked client certificates.
    pub ca_crl: String,
    /// Several certificates instead of one.
    pub tls_certificates: Vec<TlsCertificate>,
    /// A secret that holds certificate and key.
    pub credential_name: String,
    /// Secrets, one for each certificate.
    pub credential_names: Vec<String>,
    /// A secret with the authorities of client certificates.
    pub ca_cert_credential_name: String,
    /// Names that client certificates may have.
    pub subject_alt_names: Vec<String>,
    /// SPKI hashes of client certificates.
    pub verify_certificate_spki: Vec<String>,
    /// Hashes of client certificates.
    pub verify_certificate_hash: Vec<String>,
    /// Oldest version of TLS.
    pub min_protocol_version: TlsVersion,
    /// Newest version of TLS.
    pub max_protocol_version: TlsVersion,
    /// Ciphers in OpenSSL's names.
    pub cipher_suites: Vec<String>,
    /// Curves for the key exchange.
    pub ecdh_curves: Vec<String>,
    /// Accept any client certificate.
    pub insecure_skip_verify: bool,
}

/// A certificate and its key, by file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsCertificate {
    /// File of the certificate.
    pub server_certificate: String,
    /// File of the private key.
    pub private_key: String,
    /// File of the authorities of client certificates.
    pub ca_certificates: String,
}

/// `mode` of a server's TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ServerTlsMode {
    /// `PASSTHROUGH`: route by SNI, terminate nothing.
    #[default]
    Passthrough,
    /// `SIMPLE`.
    Simple,
    /// `MUTUAL`: clients must show a certificate.
    Mutual,
    /// `AUTO_PASSTHROUGH`: the SNI names the service.
    AutoPassthrough,
    /// `ISTIO_MUTUAL`: with the mesh's certificates.
    IstioMutual,
    /// `OPTIONAL_MUTUAL`: clients may show a certificate.
    OptionalMutual,
}

impl ServerTlsMode {
    /// Istio's spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passthrough => "PASSTHROUGH",
            Self::Simple => "SIMPLE",
            Self::Mutual => "MUTUAL",
            Self::AutoPassthrough => "AUTO_PASSTHROUGH",
            Self::IstioMutual => "ISTIO_MUTUAL",
            Self::OptionalMutual => "OPTIONAL_MUTUAL",
        }
    }

    const fn is_passthrough(self) -> bool {
        matches!(self, Self::Passthrough | Self::AutoPassthrough)
    }

    const fn is_mutual(self) -> bool {
        matches!(self, Self::Mutual | Self::OptionalMutual)
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// `TLS_AUTO`: the default.
    #[default]
    Auto,
    /// `TLSV1_0`.
    V1_0,
    /// `TLSV1_1`.
    V1_1,
    /// `TLSV1_2`.
    V1_2,
    /// `TLSV1_3`.
    V1_3,
}

impl ServerTls {
    fn has_any_certificate(&self) -> bool {
        !(self.server_certificate.is_empty()
            && self.private_key.is_empty()
            && self.ca_certificates.is_empty()
            && self.ca_crl.is_empty()
            && self.tls_certificates.is_empty()
            && self.credential_name.is_empty()
            && self.credential_names.is_empty())
    }

    /// Where the certificate comes from; more than one is an error.
    fn sources(&self) -> Vec<&'static str> {
        [
            (
                !self.server_certificate.is_empty() && !self.private_key.is_empty(),
                "serverCertificate with privateKey",
            ),
            (!self.credential_name.is_empty(), "credentialName"),
            (!self.credential_names.is_empty(), "credentialNames"),
            (!self.tls_certificates.is_empty(), "tlsCertificates"),
        ]
        .into_iter()
        .filter_map(|(is_set, name)| is_set.then_some(name))
        .collect()
    }
}
