//! Reading the TLS settings of a server.

use super::{ServerTls, ServerTlsMode, TlsCertificate, TlsVersion};
use crate::config::decode::Object;

const MODES: &[(&str, i32, ServerTlsMode)] = &[
    ("PASSTHROUGH", 0, ServerTlsMode::Passthrough),
    ("SIMPLE", 1, ServerTlsMode::Simple),
    ("MUTUAL", 2, ServerTlsMode::Mutual),
    ("AUTO_PASSTHROUGH", 3, ServerTlsMode::AutoPassthrough),
    ("ISTIO_MUTUAL", 4, ServerTlsMode::IstioMutual),
    ("OPTIONAL_MUTUAL", 5, ServerTlsMode::OptionalMutual),
];

const VERSIONS: &[(&str, i32, TlsVersion)] = &[
    ("TLS_AUTO", 0, TlsVersion::Auto),
    ("TLSV1_0", 1, TlsVersion::V1_0),
    ("TLSV1_1", 2, TlsVersion::V1_1),
    ("TLSV1_2", 3, TlsVersion::V1_2),
    ("TLSV1_3", 4, TlsVersion::V1_3),
];

/// Reads `tls`.
pub(in crate::config) fn decode(tls: &mut Object<'_, '_>) -> ServerTls {
    ServerTls {
        https_redirect: tls.boolean("httpsRedirect"),
        mode: tls.symbol("mode", MODES).unwrap_or_default(),
        server_certificate: tls.string("serverCertificate"),
        private_key: tls.string("privateKey"),
        ca_certificates: tls.string("caCertificates"),
        ca_crl: tls.string("caCrl"),
        tls_certificates: tls.messages("tlsCertificates", |pair| TlsCertificate {
            server_certificate: pair.string("serverCertificate"),
            private_key: pair.string("privateKey"),
            ca_certificates: pair.string("caCertificates"),
        }),
        credential_name: tls.string("credentialName"),
        credential_names: tls.strings("credentialNames"),
        ca_cert_credential_name: tls.string("caCertCredentialName"),
        subject_alt_names: tls.strings("subjectAltNames"),
        verify_certificate_spki: tls.strings("verifyCertificateSpki"),
        verify_certificate_hash: tls.strings("verifyCertificateHash"),
        min_protocol_version: tls
            .symbol("minProtocolVersion", VERSIONS)
            .unwrap_or_default(),
        max_protocol_version: tls
            .symbol("maxProtocolVersion", VERSIONS)
            .unwrap_or_default(),
        cipher_suites: tls.strings("cipherSuites"),
        ecdh_curves: tls.strings("ecdhCurves"),
        insecure_skip_verify: tls.boolean("insecureSkipVerify"),
    }
}
