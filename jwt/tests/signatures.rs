//! Tokens that were really signed, by every algorithm, and what becomes of them when one bit is another one.
//!
//! Keys are made on the spot, so nothing here is a secret of anybody's.

use aws_lc_rs::encoding::AsBigEndian;
use aws_lc_rs::encoding::EcPublicKeyUncompressedBin;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaEncoding,
    RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use outrigger_core::jose::{KeySet, Token, TokenFault};
use outrigger_jwt::check_signature;
use proptest::prelude::*;
use std::sync::LazyLock;

/// A token, and the set of keys of whoever signed it.
struct Signed {
    algorithm: &'static str,
    token: String,
    keys: KeySet,
}

fn text(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn signed(algorithm: &'static str, key: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Signed {
    let header = text(format!(r#"{{"alg":"{algorithm}","kid":"k"}}"#));
    let payload = text(r#"{"iss":"https://issuer.test","sub":"jo","exp":4102444799}"#);
    let message = format!("{header}.{payload}");
    let signature = text(sign(message.as_bytes()));
    let set = format!(r#"{{"keys":[{{"kid":"k",{key}}}]}}"#);
    Signed {
        algorithm,
        token: format!("{message}.{signature}"),
        keys: KeySet::read(set.as_bytes()).expect("a set of one key"),
    }
}

fn rsa(key: &RsaKeyPair, algorithm: &'static str, by: &'static dyn RsaEncoding) -> Signed {
    let public = key.public_key();
    // RFC 8017 §A.1.1: a modulus of 256 bytes, and behind it the number 65537 in five.
    let end = public.as_ref().len() - 5;
    let (n, e) = (text(&public.as_ref()[end - 256..end]), "AQAB");
    signed(
        algorithm,
        &format!(r#""kty":"RSA","n":"{n}","e":"{e}""#),
        |message| {
            let mut signature = vec![0; key.public_modulus_len()];
            let random = SystemRandom::new();
            key.sign(by, &random, message, &mut signature)
                .expect("a signature");
            signature
        },
    )
}

fn ec(algorithm: &'static str, crv: &str, by: &'static EcdsaSigningAlgorithm) -> Signed {
    let key = EcdsaKeyPair::generate(by).expect("a key");
    let public: EcPublicKeyUncompressedBin<'_> = key.public_key().as_be_bytes().expect("a point");
    let (x, y) = public.as_ref()[1..].split_at((public.as_ref().len() - 1) / 2);
    let (x, y) = (text(x), text(y));
    let written = format!(r#""kty":"EC","crv":"{crv}","x":"{x}","y":"{y}""#);
    signed(algorithm, &written, |message| {
        let signature = key.sign(&SystemRandom::new(), message);
        signature.expect("a signature").as_ref().to_vec()
    })
}

fn hs(algorithm: &'static str, by: hmac::Algorithm) -> Signed {
    let secret = [7; 64];
    let written = format!(r#""kty":"oct","k":"{}""#, text(secret));
    let key = hmac::Key::new(by, &secret);
    signed(algorithm, &written, |message| {
        hmac::sign(&key, message).as_ref().to_vec()
    })
}

static ALL: LazyLock<Vec<Signed>> = LazyLock::new(|| {
    let key = RsaKeyPair::generate(KeySize::Rsa2048).expect("a key");
    let ed = Ed25519KeyPair::generate().expect("a key");
    let x = text(ed.public_key().as_ref());
    vec![
        rsa(&key, "RS256", &signature::RSA_PKCS1_SHA256),
        rsa(&key, "RS384", &signature::RSA_PKCS1_SHA384),
        rsa(&key, "RS512", &signature::RSA_PKCS1_SHA512),
        rsa(&key, "PS256", &signature::RSA_PSS_SHA256),
        rsa(&key, "PS384", &signature::RSA_PSS_SHA384),
        rsa(&key, "PS512", &signature::RSA_PSS_SHA512),
        ec(
            "ES256",
            "P-256",
            &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        ),
        ec(
            "ES384",
            "P-384",
            &signature::ECDSA_P384_SHA384_FIXED_SIGNING,
        ),
        ec(
            "ES512",
            "P-521",
            &signature::ECDSA_P521_SHA512_FIXED_SIGNING,
        ),
        signed(
            "EdDSA",
            &format!(r#""kty":"OKP","crv":"Ed25519","x":"{x}""#),
            |message| ed.sign(message).as_ref().to_vec(),
        ),
        hs("HS256", hmac::HMAC_SHA256),
        hs("HS384", hmac::HMAC_SHA384),
        hs("HS512", hmac::HMAC_SHA512),
    ]
});

fn verdict(token: &[u8], keys: &KeySet) -> Result<(), TokenFault> {
    let read = Token::read(token)?;
    keys.check(&read, token, check_signature)
}

#[test]
fn every_algorithm_is_checked_and_no_key_is_another_ones() {
    assert_eq!(ALL.len(), outrigger_core::jose::Algorithm::ALL.len());
    for one in &*ALL {
        for other in &*ALL {
            let got = verdict(one.token.as_bytes(), &other.keys);
            // The RSA keys are one key, and so are the secrets.
            let family = |algorithm: &'static str| match &algorithm[1..2] {
                "S" if algorithm.starts_with('R') || algorithm.starts_with('P') => "RSA",
                "S" if algorithm.starts_with('H') => "HS",
                _ => algorithm,
            };
            let want = family(one.algorithm) == family(other.algorithm);
            let want = if want {
                Ok(())
            } else {
                Err(TokenFault::SignatureWrong)
            };
            assert_eq!(got, want, "{} by {}", one.algorithm, other.algorithm);
        }
    }
}

/// RS256 taken for HS256, with the public key as everybody can write it as the secret.
#[test]
fn a_public_key_is_nobodys_secret() {
    let rsa = &ALL[0];
    let outrigger_core::jose::Material::Rsa { n, .. } = &rsa.keys.keys[0].material else {
        panic!("an RSA key");
    };
    let forged = signed(
        "HS256",
        r#""kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA""#,
        |message| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, n);
            hmac::sign(&key, message).as_ref().to_vec()
        },
    );
    let got = verdict(forged.token.as_bytes(), &rsa.keys);
    assert_eq!(got, Err(TokenFault::SignatureWrong));
}

#[test]
fn a_signature_of_another_length_is_none() {
    for one in &*ALL {
        let (message, _) = one.token.rsplit_once('.').expect("three parts");
        for length in [1, 31, 32, 63, 64, 65, 72, 96, 132, 255, 257, 512] {
            for fill in [0, 0xff] {
                let forged = format!("{message}.{}", text(vec![fill; length]));
                let got = verdict(forged.as_bytes(), &one.keys);
                assert_eq!(
                    got,
                    Err(TokenFault::SignatureWrong),
                    "{} {length}",
                    one.algorithm
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_token_with_another_bit_is_refused(which in 0..13usize, at in any::<prop::sample::Index>(), bit in 0..8u32) {
        let one = &ALL[which];
        let mut token = one.token.clone().into_bytes();
        let at = at.index(token.len());
        token[at] ^= 1u8 << bit;
        prop_assert!(verdict(&token, &one.keys).is_err());
    }

    #[test]
    fn whatever_is_no_token_is_refused_in_peace(which in 0..13usize, token in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(verdict(&token, &ALL[which].keys).is_err());
    }

    #[test]
    fn whatever_stands_in_three_parts_is_refused_in_peace(which in 0..13usize, header in ".{0,40}", payload in ".{0,40}", signature in prop::collection::vec(any::<u8>(), 0..80)) {
        let token = [text(header), text(payload), text(signature)].join(".");
        prop_assert!(verdict(token.as_bytes(), &ALL[which].keys).is_err());
    }
}
