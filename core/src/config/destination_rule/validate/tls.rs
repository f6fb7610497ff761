//! TLS settings of a client: what each mode needs and what it excludes.

use crate::config::code::Code;
use crate::config::destination_rule::{ClientTlsMode, ClientTlsSettings};
use crate::config::report::Report;

/// Checks `tls`; the report stands at it.
pub(super) fn check(tls: &ClientTlsSettings, report: &mut Report) {
    match tls.mode {
        ClientTlsMode::Disable => {}
        ClientTlsMode::Simple => {
            check_unverified(tls, report);
            check_credential(tls, report);
        }
        ClientTlsMode::Mutual => {
            check_unverified(tls, report);
            if !check_credential(tls, report) {
                require(tls, report);
            }
        }
        ClientTlsMode::IstioMutual => refuse(
            tls,
            &[
                "clientCertificate",
                "privateKey",
                "caCertificates",
                "credentialName",
                "caCrl",
            ],
            "`mode: ISTIO_MUTUAL` uses the mesh's certificates",
            report,
        ),
    }
}

/// The fields that name certificates, and whether they are set.
fn is_set(tls: &ClientTlsSettings, field: &str) -> bool {
    match field {
        "clientCertificate" => !tls.client_certificate.is_empty(),
        "privateKey" => !tls.private_key.is_empty(),
        "caCertificates" => !tls.ca_certificates.is_empty(),
        "credentialName" => !tls.credential_name.is_empty(),
        "caCrl" => !tls.ca_crl.is_empty(),
        "subjectAltNames" => !tls.subject_alt_names.is_empty(),
        _ => false,
    }
}

fn refuse(tls: &ClientTlsSettings, fields: &[&str], why: &str, report: &mut Report) {
    for field in fields.iter().filter(|field| is_set(tls, field)) {
        let message = format!("`{field}` may not be set: {why}");
        report.raise_in(field, Code::InvalidTls, message, "remove one of them");
    }
}

/// Without verification there is nothing to verify against.
fn check_unverified(tls: &ClientTlsSettings, report: &mut Report) {
    if tls.insecure_skip_verify != Some(true) {
        return;
    }
    // A mutual credential holds the client's own certificate too, so it may stay.
    let fields: &[&str] = match tls.mode {
        ClientTlsMode::Simple => &["caCertificates", "credentialName", "subjectAltNames"],
        ClientTlsMode::Mutual | ClientTlsMode::Disable | ClientTlsMode::IstioMutual => {
            &["caCertificates", "subjectAltNames"]
        }
    };
    refuse(tls, fields, "`insecureSkipVerify` is set", report);
}

/// A credential excludes files. Whether there is one.
fn check_credential(tls: &ClientTlsSettings, report: &mut Report) -> bool {
    let has_credential = is_set(tls, "credentialName");
    if has_credential {
        let files = ["clientCertificate", "privateKey", "caCertificates", "caCrl"];
        refuse(tls, &files, "`credentialName` is set", report);
    }
    has_credential
}

fn require(tls: &ClientTlsSettings, report: &mut Report) {
    for field in ["clientCertificate", "privateKey"] {
        if !is_set(tls, field) {
            report.raise(
                Code::InvalidTls,
                format!("`mode: MUTUAL` needs `{field}`"),
                "set it, or `credentialName`",
            );
        }
    }
}
