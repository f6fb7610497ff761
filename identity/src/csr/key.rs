//! Keys, and the requests that they sign.

use rcgen::{
    CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256,
    RsaKeySize, SanType,
};
use rustls_pki_types::PrivateKeyDer;

/// The kind of a workload's key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA with P-256, as Istio's `ECC_SIGNATURE_ALGORITHM=ECDSA`. A handshake costs a tenth of that with RSA.
    #[default]
    Ecdsa,
    /// RSA with 2048 bits, for peers that know nothing else.
    Rsa,
}

/// A new key, and a request for a certificate that it has signed, in PEM.
pub(super) fn request(
    kind: KeyKind,
    id: Option<&str>,
) -> Result<(String, PrivateKeyDer<'static>), String> {
    let key = match kind {
        KeyKind::Ecdsa => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        KeyKind::Rsa => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
    };
    let key = key.map_err(|error| error.to_string())?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    if let Some(id) = id {
        let id = id
            .try_into()
            .map_err(|error: rcgen::Error| error.to_string())?;
        params.subject_alt_names = vec![SanType::URI(id)];
    }
    let request = params
        .serialize_request(&key)
        .and_then(|request| request.pem());
    let request = request.map_err(|error| error.to_string())?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(str::to_owned)?;
    Ok((request, key))
}
