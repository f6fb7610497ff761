//! TLS in the mesh configuration: whose identities count (`trustDomain`), and what is agreed to (`meshMTLS`,
//! `tlsDefaults`).
//!
//! Owns the names of suites and groups, as OpenSSL spells them. A list of which nothing is left is an error: it would stand
//! for everything that we speak.

use super::DEFAULT_TRUST_DOMAIN;
use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::report::Report;
use crate::peer::{TlsVersion, is_trust_domain};
use crate::snapshot::{CipherSuite, KeyExchange, TlsParameters};

const VERSIONS: &[(&str, i32, Option<TlsVersion>)] = &[
    ("TLS_AUTO", 0, None),
    ("TLSV1_2", 1, Some(TlsVersion::Tls12)),
    ("TLSV1_3", 2, Some(TlsVersion::Tls13)),
];

const CIPHER_SUITES: &[(&str, CipherSuite)] = &[
    ("ECDHE-ECDSA-AES128-GCM-SHA256", CipherSuite::EcdsaAes128Gcm),
    ("ECDHE-ECDSA-AES256-GCM-SHA384", CipherSuite::EcdsaAes256Gcm),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", CipherSuite::EcdsaChaCha20),
    ("ECDHE-RSA-AES128-GCM-SHA256", CipherSuite::RsaAes128Gcm),
    ("ECDHE-RSA-AES256-GCM-SHA384", CipherSuite::RsaAes256Gcm),
    ("ECDHE-RSA-CHACHA20-POLY1305", CipherSuite::RsaChaCha20),
];

const KEY_EXCHANGES: &[(&str, KeyExchange)] = &[
    ("X25519", KeyExchange::X25519),
    ("P-256", KeyExchange::P256),
    ("P-384", KeyExchange::P384),
    ("X25519MLKEM768", KeyExchange::X25519MlKem768),
];

/// The suite that OpenSSL calls so, if it is spoken.
#[must_use]
pub fn cipher_suite(name: &str) -> Option<CipherSuite> {
    let mut all = CIPHER_SUITES.iter();
    all.find(|(known, _)| *known == name).map(|(_, one)| *one)
}

/// The group that is called so, if it is spoken.
#[must_use]
pub fn key_exchange(name: &str) -> Option<KeyExchange> {
    let mut all = KEY_EXCHANGES.iter();
    all.find(|(known, _)| *known == name).map(|(_, one)| *one)
}

/// `trustDomain`.
pub(super) fn trust_domain(o: &mut Object<'_, '_>) -> String {
    let domain = o.string("trustDomain");
    if domain.is_empty() {
        return DEFAULT_TRUST_DOMAIN.to_owned();
    }
    o.report()
        .field("trustDomain", |report| check(&domain, report));
    domain
}

/// `trustDomainAliases`, each once.
pub(super) fn trust_domain_aliases(o: &mut Object<'_, '_>) -> Vec<String> {
    let mut aliases = o.strings("trustDomainAliases");
    o.report()
        .each("trustDomainAliases", &aliases, |report, alias| {
            check(alias, report);
        });
    aliases.sort();
    aliases.dedup();
    aliases
}

fn check(domain: &str, report: &mut Report) {
    if !is_trust_domain(domain) {
        let message = format!("`{domain}` is no trust domain");
        let help = "use lower-case letters, digits, dots, hyphens and underscores";
        report.raise(Code::InvalidTrustDomain, message, help);
    }
}

/// `meshMTLS` or `tlsDefaults`.
pub(super) fn parameters(o: &mut Object<'_, '_>, field: &'static str) -> TlsParameters {
    o.message(field, |o| TlsParameters {
        min_version: o.symbol("minProtocolVersion", VERSIONS).flatten(),
        cipher_suites: named(o, "cipherSuites", "cipher suite", CIPHER_SUITES),
        key_exchanges: named(o, "ecdhCurves", "curve", KEY_EXCHANGES),
    })
    .unwrap_or_default()
}

/// The members of a list that have these names, each once.
fn named<T: Copy + PartialEq>(
    o: &mut Object<'_, '_>,
    field: &'static str,
    what: &str,
    names: &[(&str, T)],
) -> Box<[T]> {
    let written = o.strings(field);
    let mut found = Vec::new();
    o.report().each(field, &written, |report, name| {
        match names.iter().find(|(known, _)| known == name) {
            Some((_, one)) if found.contains(one) => {
                let message = format!("`{name}` stands twice");
                report.raise(Code::CipherSuite, message, "");
            }
            Some((_, one)) => found.push(*one),
            None => {
                let known: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
                let message = format!("`{name}` is no {what} of this proxy; it is left out");
                let help = format!("use some of {}", known.join(", "));
                report.raise(Code::CipherSuite, message, help);
            }
        }
    });
    if !written.is_empty() && found.is_empty() {
        let message = format!("no {what} is left of `{field}`");
        o.report().raise_in(field, Code::InvalidTls, message, "");
    }
    found.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{MeshConfig, Source, load_mesh};

    fn mesh(text: &str) -> (MeshConfig, Vec<String>) {
        let source = Source {
            name: "mesh.yaml",
            bytes: text.as_bytes(),
        };
        let (mesh, findings) = load_mesh(source);
        let said = findings.iter().map(|f| format!("{} {}", f.code, f.path));
        (mesh, said.collect())
    }

    #[test]
    fn parameters_are_read_by_name() {
        let (read, said) = mesh(
            "meshMTLS: {minProtocolVersion: TLSV1_3}\n\
             tlsDefaults: {cipherSuites: [ECDHE-RSA-AES256-GCM-SHA384, ECDHE-RSA-AES128-GCM-SHA256], ecdhCurves: [P-256, X25519MLKEM768]}\n",
        );
        assert!(said.is_empty(), "{said:?}");
        assert_eq!(read.mesh_mtls.min_version, Some(TlsVersion::Tls13));
        let defaults = TlsParameters {
            min_version: None,
            cipher_suites: [CipherSuite::RsaAes256Gcm, CipherSuite::RsaAes128Gcm].into(),
            key_exchanges: [KeyExchange::P256, KeyExchange::X25519MlKem768].into(),
        };
        assert_eq!(read.tls_defaults, defaults);
    }

    #[test]
    fn what_cannot_be_spoken_is_told_and_never_opens_a_list() {
        for (text, expected) in [
            (
                "tlsDefaults: {cipherSuites: [ECDHE-RSA-AES128-GCM-SHA256, AES128-SHA]}",
                &["cipher-suite tlsDefaults.cipherSuites[1]"][..],
            ),
            (
                "tlsDefaults: {cipherSuites: [AES128-SHA]}",
                &[
                    "invalid-tls tlsDefaults.cipherSuites",
                    "cipher-suite tlsDefaults.cipherSuites[0]",
                ],
            ),
            (
                "tlsDefaults: {ecdhCurves: [P-256, P-256, P-521]}",
                &[
                    "cipher-suite tlsDefaults.ecdhCurves[1]",
                    "cipher-suite tlsDefaults.ecdhCurves[2]",
                ],
            ),
            (
                "meshMTLS: {minProtocolVersion: TLSV1_1}",
                &["invalid-enum meshMTLS.minProtocolVersion"],
            ),
            (
                "trustDomain: a/b\ntrustDomainAliases: [td2, 'A B']",
                &[
                    "invalid-trust-domain trustDomain",
                    "invalid-trust-domain trustDomainAliases[1]",
                ],
            ),
        ] {
            assert_eq!(mesh(text).1, expected, "{text}");
        }
    }

    #[test]
    fn the_mesh_has_a_name_and_aliases() {
        let (read, said) =
            mesh("trustDomain: td1\ntrustDomainAliases: [td3, td2, td3]\nenableAutoMtls: false\n");
        assert!(said.is_empty(), "{said:?}");
        assert_eq!(read.trust_domain, "td1");
        assert_eq!(read.trust_domain_aliases, ["td2", "td3"]);
        assert!(!read.enable_auto_mtls);
        let default = mesh("{}").0;
        assert_eq!(default.trust_domain, "cluster.local");
        assert!(default.enable_auto_mtls);
    }
}
