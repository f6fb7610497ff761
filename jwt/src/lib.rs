//! Whether a key signed a token: the one cryptographic question that core asks.
//!
//! Core reads tokens and keys, binds algorithms to keys and decides; it has no cryptography, so that it stays pure. Whoever runs
//! a worker hands it [`check_signature`] (`WorkerSettings::signatures`). Without it no token is accepted.

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm,
};
use outrigger_core::jose::{Algorithm, Curve, Material};

/// Whether a key made a signature of a message by an algorithm. A key of another kind than the algorithm takes made none.
///
/// This is a [`CheckSignature`](outrigger_core::jose::CheckSignature).
#[must_use]
pub fn check_signature(
    material: &Material,
    algorithm: Algorithm,
    message: &[u8],
    signature: &[u8],
) -> bool {
    match material {
        Material::Rsa { n, e } => rsa(algorithm).is_some_and(|parameters| {
            let key = RsaPublicKeyComponents { n, e };
            key.verify(parameters, message, signature).is_ok()
        }),
        Material::Ec { curve, point } => {
            algorithm.curve() == Some(*curve) && is_signed(ecdsa(*curve), point, message, signature)
        }
        Material::Ed25519(x) => {
            algorithm == Algorithm::EdDsa && is_signed(&ED25519, x, message, signature)
        }
        Material::Secret(secret) => hs(algorithm).is_some_and(|hash| {
            let key = hmac::Key::new(hash, secret);
            hmac::verify(&key, message, signature).is_ok()
        }),
    }
}

fn is_signed(
    by: &'static dyn VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signature: &[u8],
) -> bool {
    UnparsedPublicKey::new(by, key)
        .verify(message, signature)
        .is_ok()
}

/// What an algorithm of the RS and PS families is; `None` for all others.
const fn rsa(algorithm: Algorithm) -> Option<&'static RsaParameters> {
    match algorithm {
        Algorithm::Rs256 => Some(&RSA_PKCS1_2048_8192_SHA256),
        Algorithm::Rs384 => Some(&RSA_PKCS1_2048_8192_SHA384),
        Algorithm::Rs512 => Some(&RSA_PKCS1_2048_8192_SHA512),
        Algorithm::Ps256 => Some(&RSA_PSS_2048_8192_SHA256),
        Algorithm::Ps384 => Some(&RSA_PSS_2048_8192_SHA384),
        Algorithm::Ps512 => Some(&RSA_PSS_2048_8192_SHA512),
        Algorithm::Es256
        | Algorithm::Es384
        | Algorithm::Es512
        | Algorithm::EdDsa
        | Algorithm::Hs256
        | Algorithm::Hs384
        | Algorithm::Hs512 => None,
    }
}

/// ECDSA with the hash that a curve is bound to (RFC 7518 §3.4), with a signature of two numbers one behind the other.
const fn ecdsa(curve: Curve) -> &'static dyn VerificationAlgorithm {
    match curve {
        Curve::P256 => &ECDSA_P256_SHA256_FIXED,
        Curve::P384 => &ECDSA_P384_SHA384_FIXED,
        Curve::P521 => &ECDSA_P521_SHA512_FIXED,
    }
}

const fn hs(algorithm: Algorithm) -> Option<hmac::Algorithm> {
    match algorithm {
        Algorithm::Hs256 => Some(hmac::HMAC_SHA256),
        Algorithm::Hs384 => Some(hmac::HMAC_SHA384),
        Algorithm::Hs512 => Some(hmac::HMAC_SHA512),
        Algorithm::Es256
        | Algorithm::Es384
        | Algorithm::Es512
        | Algorithm::EdDsa
        | Algorithm::Ps256
        | Algorithm::Ps384
        | Algorithm::Ps512
        | Algorithm::Rs256
        | Algorithm::Rs384
        | Algorithm::Rs512 => None,
    }
}
