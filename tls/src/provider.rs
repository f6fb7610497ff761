//! Which cryptography: the one place that names the library. Nothing of it is installed for the whole process.

use std::sync::{Arc, LazyLock};

use outrigger_core::peer::TlsVersion;
use outrigger_core::snapshot::{CipherSuite, KeyExchange, TlsParameters};
use rustls::crypto::aws_lc_rs::{self, cipher_suite, kx_group};
use rustls::crypto::{CryptoProvider, SupportedKxGroup};
use rustls::{SupportedCipherSuite, SupportedProtocolVersion, version};

/// All that is spoken where nobody says otherwise: what Istio's sidecars speak, without what has no forward secrecy.
static ALL: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(with(&TlsParameters::default())));

static NEW_ONLY: [&SupportedProtocolVersion; 1] = [&version::TLS13];
static BOTH: [&SupportedProtocolVersion; 2] = [&version::TLS13, &version::TLS12];

/// The provider with all that is spoken.
pub(crate) fn all() -> Arc<CryptoProvider> {
    Arc::clone(&ALL)
}

/// The provider with what these parameters name.
pub(crate) fn of(parameters: &TlsParameters) -> Arc<CryptoProvider> {
    match parameters.cipher_suites.is_empty() && parameters.key_exchanges.is_empty() {
        true => all(),
        false => Arc::new(with(parameters)),
    }
}

/// The versions that are agreed to.
pub(crate) fn versions(parameters: &TlsParameters) -> &'static [&'static SupportedProtocolVersion] {
    match parameters.min_version {
        Some(TlsVersion::Tls13) => &NEW_ONLY,
        Some(TlsVersion::Tls12) | None => &BOTH,
    }
}

fn with(parameters: &TlsParameters) -> CryptoProvider {
    let mut suites = vec![
        cipher_suite::TLS13_AES_128_GCM_SHA256,
        cipher_suite::TLS13_AES_256_GCM_SHA384,
        cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
    match &*parameters.cipher_suites {
        [] => suites.extend([
            suite(CipherSuite::EcdsaAes256Gcm),
            suite(CipherSuite::RsaAes256Gcm),
            suite(CipherSuite::EcdsaAes128Gcm),
            suite(CipherSuite::RsaAes128Gcm),
        ]),
        named => suites.extend(named.iter().map(|name| suite(*name))),
    }
    let groups = match &*parameters.key_exchanges {
        [] => vec![
            group(KeyExchange::X25519),
            group(KeyExchange::P256),
            group(KeyExchange::P384),
        ],
        named => named.iter().map(|name| group(*name)).collect(),
    };
    CryptoProvider {
        cipher_suites: suites,
        kx_groups: groups,
        ..aws_lc_rs::default_provider()
    }
}

const fn suite(name: CipherSuite) -> SupportedCipherSuite {
    match name {
        CipherSuite::EcdsaAes128Gcm => cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::EcdsaAes256Gcm => cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::EcdsaChaCha20 => cipher_suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        CipherSuite::RsaAes128Gcm => cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::RsaAes256Gcm => cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::RsaChaCha20 => cipher_suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    }
}

fn group(name: KeyExchange) -> &'static dyn SupportedKxGroup {
    match name {
        KeyExchange::X25519 => kx_group::X25519,
        KeyExchange::P256 => kx_group::SECP256R1,
        KeyExchange::P384 => kx_group::SECP384R1,
        KeyExchange::X25519MlKem768 => kx_group::X25519MLKEM768,
    }
}

/// The name of a suite as OpenSSL spells it: of TLS 1.3 that of the registry, of TLS 1.2 without `TLS` and `WITH`, and with the
/// length of a key beside its cipher.
pub(crate) fn openssl_name(suite: SupportedCipherSuite) -> Box<str> {
    let name = format!("{:?}", suite.suite());
    match name.strip_prefix("TLS13_") {
        Some(rest) => format!("TLS_{rest}").into(),
        None => {
            let name = name.trim_start_matches("TLS_").replace("_WITH_", "_");
            let name = name.replace("AES_", "AES").replace('_', "-");
            name.replace("POLY1305-SHA256", "POLY1305").into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suites_are_called_as_logs_know_them() {
        let names: Vec<_> = all()
            .cipher_suites
            .iter()
            .map(|s| openssl_name(*s))
            .collect();
        assert_eq!(
            names.join(" "),
            "TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256 \
             ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-RSA-AES256-GCM-SHA384 \
             ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-RSA-AES128-GCM-SHA256"
        );
        let chacha = openssl_name(suite(CipherSuite::EcdsaChaCha20));
        assert_eq!(&*chacha, "ECDHE-ECDSA-CHACHA20-POLY1305");
    }

    #[test]
    fn what_is_named_is_all_there_is_besides_tls_13() {
        let parameters = TlsParameters {
            min_version: Some(TlsVersion::Tls13),
            cipher_suites: [CipherSuite::RsaAes128Gcm].into(),
            key_exchanges: [KeyExchange::P256, KeyExchange::X25519MlKem768].into(),
        };
        let provider = of(&parameters);
        assert_eq!(provider.cipher_suites.len(), 4);
        let groups: Vec<_> = provider
            .kx_groups
            .iter()
            .map(|group| group.name())
            .collect();
        assert_eq!(format!("{groups:?}"), "[secp256r1, X25519MLKEM768]");
        assert_eq!(versions(&parameters).len(), 1);
        assert_eq!(versions(&TlsParameters::default()).len(), 2);
    }
}
