//! Sets of keys, and which key may have signed a token.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;

fn encoded(bytes: usize, fill: u8) -> String {
    URL_SAFE_NO_PAD.encode(vec![fill; bytes])
}

fn rsa_key(more: &str) -> String {
    let n = encoded(256, 0xaa);
    format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB"{more}}}"#)
}

fn ec_key(x: usize, more: &str) -> String {
    let (x, y) = (encoded(x, 1), encoded(32, 2));
    format!(r#"{{"kty":"EC","x":"{x}","y":"{y}"{more}}}"#)
}

/// Zeros.
fn secret(length: usize, more: &str) -> String {
    let secret = URL_SAFE_NO_PAD.encode(vec![0; length]);
    format!(r#"{{"kty":"oct","k":"{secret}"{more}}}"#)
}

fn secret_key(more: &str) -> String {
    secret(64, more)
}

fn read(keys: &[String]) -> Result<KeySet, KeySetFault> {
    KeySet::read(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes())
}

/// Why a key is not used, or what it is.
fn one(key: &str) -> String {
    match read(&[key.to_owned(), secret_key("")]) {
        Ok(set) => match set.unusable.first() {
            Some((0, fault)) => format!("{fault:?}"),
            Some(_) | None => format!("{:?}", set.keys[0].material),
        },
        Err(fault) => format!("{fault:?}"),
    }
}

#[test]
fn keys_are_taken_for_what_they_are_for() {
    let okp =
        |crv: &str, x: usize| format!(r#"{{"kty":"OKP","crv":"{crv}","x":"{}"}}"#, encoded(x, 7));
    for (key, want) in [
        (rsa_key(""), "Rsa(2048 bits)"),
        (rsa_key(r#","alg":"PS384","use":"sig""#), "Rsa(2048 bits)"),
        (rsa_key(r#","use":"enc""#), "OtherUse"),
        (rsa_key(r#","key_ops":["sign"]"#), "OtherUse"),
        (rsa_key(r#","key_ops":["verify"]"#), "Rsa(2048 bits)"),
        (rsa_key(r#","alg":"HS256""#), "OtherAlgorithm"),
        (rsa_key(r#","alg":"RSA-OAEP""#), "OtherAlgorithm"),
        (rsa_key("").replace("AQAB", "AQ"), "Malformed"),
        (rsa_key("").replace("\"n\"", "\"m\""), "Malformed"),
        (
            format!(r#"{{"kty":"RSA","n":"{}","e":"AQAB"}}"#, encoded(128, 1)),
            "Malformed",
        ),
        (ec_key(32, r#","crv":"P-256""#), "Ec(P256)"),
        (ec_key(31, r#","crv":"P-256""#), "Ec(P256)"),
        (ec_key(33, r#","crv":"P-256""#), "Malformed"),
        (ec_key(32, ""), "Ec(P256)"),
        (ec_key(32, r#","alg":"ES384""#), "Ec(P384)"),
        (
            ec_key(32, r#","alg":"ES384","crv":"P-256""#),
            "OtherAlgorithm",
        ),
        (ec_key(32, r#","crv":"secp256k1""#), "Unknown"),
        (okp("Ed25519", 32), "Ed25519"),
        (okp("Ed25519", 31), "Malformed"),
        (okp("X25519", 32), "Unknown"),
        (secret_key(""), "Secret"),
        (secret(0, ""), "Malformed"),
        (secret(31, ""), "Malformed"),
        (secret(32, ""), "Secret"),
        (secret(32, r#","alg":"HS256""#), "Secret"),
        (secret(47, r#","alg":"HS384""#), "OtherAlgorithm"),
        (secret(48, r#","alg":"HS384""#), "Secret"),
        (secret(63, r#","alg":"HS512""#), "OtherAlgorithm"),
        (r#"{"kty":"AKP"}"#.to_owned(), "Unknown"),
        ("{}".to_owned(), "NoKey"),
        ("1".to_owned(), "NoKey"),
    ] {
        assert_eq!(one(&key), want, "{key}");
    }
}

#[test]
fn a_set_is_a_list_with_a_key_to_use() {
    let single = KeySet::read(secret_key("").as_bytes()).unwrap();
    assert_eq!(single.keys.len(), 1);
    for (json, want) in [
        ("", KeySetFault::NotJson),
        ("[]", KeySetFault::NotJson),
        ("{}", KeySetFault::NoKeys),
        (
            r#"{"a":"-----BEGIN CERTIFICATE-----\nMII","b":"-----BEGIN CERTIFICATE-----\nMII"}"#,
            KeySetFault::Certificates,
        ),
        (
            r#"{"a":"-----BEGIN CERTIFICATE-----\nMII","b":"x"}"#,
            KeySetFault::NoKeys,
        ),
        (r#"{"keys":{}}"#, KeySetFault::NoKeys),
        (r#"{"keys":[]}"#, KeySetFault::NoValidKey),
        (r#"{"keys":[{}]}"#, KeySetFault::NoValidKey),
        (r#"{"keys":[],"keys":[]}"#, KeySetFault::NotJson),
    ] {
        assert_eq!(KeySet::read(json.as_bytes()), Err(want), "{json}");
    }
    let many = |count: usize| read(&vec![secret_key(""); count]).map(|set| set.keys.len());
    assert_eq!(many(MAX_KEYS), Ok(MAX_KEYS));
    assert_eq!(many(MAX_KEYS + 1), Err(KeySetFault::TooMany));
}

/// A signature that names its key by its first byte, whatever the algorithm.
fn by_first_byte(material: &Material, _: Algorithm, _: &[u8], signature: &[u8]) -> bool {
    let first = match material {
        Material::Secret(secret) => secret.first(),
        Material::Rsa { n, .. } => n.first(),
        Material::Ec { point, .. } => point.get(1),
        Material::Ed25519(x) => x.first(),
    };
    first == signature.first()
}

#[test]
fn the_algorithm_is_bound_to_the_key() {
    let set = read(&[
        secret_key(r#","kid":"hs","alg":"HS384""#),
        rsa_key(r#","kid":"rs""#),
        ec_key(32, r#","crv":"P-256","kid":"es""#),
        secret_key(r#","alg":"HS512""#),
    ])
    .unwrap();
    let check = |alg: &str, kid: &str, signed_by: u8| {
        let header = format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#);
        let [header, payload, signature] =
            [header.as_bytes(), b"{}", &[signed_by]].map(|part| URL_SAFE_NO_PAD.encode(part));
        let text = format!("{header}.{payload}.{signature}");
        let token = Token::read(text.as_bytes()).unwrap();
        set.check(&token, text.as_bytes(), by_first_byte)
    };
    const WRONG: Result<(), TokenFault> = Err(TokenFault::SignatureWrong);
    const NONE: Result<(), TokenFault> = Err(TokenFault::NoKeyMatches);
    for (alg, kid, signed_by, want) in [
        ("RS256", "rs", 0xaa, Ok(())),
        ("PS512", "rs", 0xaa, Ok(())),
        ("RS256", "rs", 0xab, WRONG),
        ("RS256", "", 0xaa, Ok(())),
        ("RS256", "es", 0xaa, WRONG),
        ("RS256", "other", 0xaa, NONE),
        // The public key taken for a secret.
        ("HS256", "rs", 0xaa, WRONG),
        ("HS256", "es", 1, WRONG),
        ("ES256", "es", 1, Ok(())),
        ("ES384", "es", 1, WRONG),
        ("HS384", "hs", 0, Ok(())),
        ("HS256", "hs", 0, NONE),
        // A key without a name is tried for any.
        ("HS512", "whatever", 0, Ok(())),
        ("EdDSA", "rs", 0xaa, WRONG),
    ] {
        assert_eq!(check(alg, kid, signed_by), want, "{alg} {kid}");
    }
}
