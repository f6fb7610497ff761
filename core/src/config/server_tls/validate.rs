//! Which parts of a server's TLS settings go together.

use super::{ServerTls, ServerTlsMode, TlsVersion};
use crate::config::code::Code;
use crate::config::report::Report;

/// Checks the `tls` block at which the report stands; whether the port may have one is the caller's concern.
pub(in crate::config) fn validate(tls: &ServerTls, report: &mut Report) {
    check_versions(tls, report);
    check_ciphers(&tls.cipher_suites, report);
    if tls.mode == ServerTlsMode::IstioMutual {
        return check_istio_mutual(tls, report);
    }
    if tls.mode.is_passthrough() && tls.has_any_certificate() {
        report.raise(
            Code::CertificateIgnored,
            format!(
                "mode `{}` uses no certificate; those given here are ignored",
                tls.mode.as_str()
            ),
            "remove them, or choose a mode that terminates TLS",
        );
    }
    let sources = tls.sources();
    if sources.len() > 1 {
        report.raise(
            Code::InvalidTls,
            format!(
                "the certificate is given more than once: {}",
                sources.join(", ")
            ),
            "keep one of them",
        );
    }
    let is_remote = !tls.credential_name.is_empty() || !tls.credential_names.is_empty();
    if !tls.mode.is_passthrough() && is_remote {
        return;
    }
    if !tls.mode.is_passthrough() {
        check_certificates(tls, report);
    }
    check_crl(tls, report);
}

fn check_versions(tls: &ServerTls, report: &mut Report) {
    if matches!(
        tls.min_protocol_version,
        TlsVersion::V1_0 | TlsVersion::V1_1
    ) && tls.cipher_suites.is_empty()
    {
        report.raise_in(
            "minProtocolVersion",
            Code::OldTlsVersion,
            "no default cipher works with a version of TLS below 1.2",
            "name old ciphers in `cipherSuites`, or raise the version",
        );
    }
}

fn check_istio_mutual(tls: &ServerTls, report: &mut Report) {
    let given = [
        ("serverCertificate", !tls.server_certificate.is_empty()),
        ("privateKey", !tls.private_key.is_empty()),
        ("caCertificates", !tls.ca_certificates.is_empty()),
        ("tlsCertificates", !tls.tls_certificates.is_empty()),
        ("credentialName", !tls.credential_name.is_empty()),
        ("credentialNames", !tls.credential_names.is_empty()),
    ];
    for (field, _) in given.into_iter().filter(|(_, is_set)| *is_set) {
        report.raise_in(
            field,
            Code::InvalidTls,
            "mode `ISTIO_MUTUAL` uses the mesh's own certificates",
            format!("remove `{field}`"),
        );
    }
}

fn check_certificates(tls: &ServerTls, report: &mut Report) {
    let mode = tls.mode.as_str();
    if tls.mode.is_mutual() && tls.ca_certificates.is_empty() {
        report.raise(
            Code::InvalidTls,
            format!("mode `{mode}` needs `caCertificates` to check clients with"),
            "set `caCertificates` or `credentialName`",
        );
    }
    if tls.tls_certificates.len() > 2 {
        report.raise_in(
            "tlsCertificates",
            Code::TooManyCertificates,
            "only the first two certificates are used",
            "",
        );
    }
    let check = |certificate: &str, key: &str, report: &mut Report| {
        for (field, value) in [("serverCertificate", certificate), ("privateKey", key)] {
            if value.is_empty() {
                report.raise(
                    Code::InvalidTls,
                    format!("mode `{mode}` needs `{field}`"),
                    format!("set `{field}` or `credentialName`"),
                );
            }
        }
    };
    if tls.tls_certificates.is_empty() {
        check(&tls.server_certificate, &tls.private_key, report);
    }
    report.each("tlsCertificates", &tls.tls_certificates, |report, pair| {
        check(&pair.server_certificate, &pair.private_key, report);
    });
}

fn check_crl(tls: &ServerTls, report: &mut Report) {
    if tls.ca_crl.is_empty() {
        return;
    }
    if !tls.credential_name.is_empty() {
        report.raise_in(
            "caCrl",
            Code::InvalidTls,
            "revoked certificates belong into the secret that `credentialName` names",
            "remove `caCrl`",
        );
    }
    if tls.mode == ServerTlsMode::Simple {
        report.raise_in(
            "caCrl",
            Code::InvalidTls,
            "mode `SIMPLE` checks no client certificate, so none can be revoked",
            "remove `caCrl`",
        );
    }
}

/// The ciphers Envoy's TLS library knows, in OpenSSL's names.
const CIPHERS: [&str; 15] = [
    "AES128-GCM-SHA256",
    "AES128-SHA",
    "AES256-GCM-SHA384",
    "AES256-SHA",
    "DES-CBC3-SHA",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-SHA",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-SHA",
    "ECDHE-RSA-CHACHA20-POLY1305",
];

fn check_ciphers(ciphers: &[String], report: &mut Report) {
    // An expression such as `-ALL` or `[A|B]` is left to the TLS library.
    let is_expression =
        |c: &str| c.is_empty() || c == "ALL" || !c.starts_with(|c: char| c.is_alphanumeric());
    report.field("cipherSuites", |report| {
        for (at, cipher) in ciphers.iter().enumerate() {
            let message = if !is_expression(cipher) && !CIPHERS.contains(&cipher.as_str()) {
                format!("`{cipher}` is no cipher suite that can be used; it is ignored")
            } else if ciphers[..at].contains(cipher) {
                format!("`{cipher}` stands twice")
            } else {
                continue;
            };
            report.index(at, |report| report.raise(Code::CipherSuite, message, ""));
        }
    });
}
