//! What must hold for tokens and the keys of an issuer: nobody's token is accepted whom the issuer has not given one. The fuzz target
//! calls [`accepted_tokens_were_signed`]; tests of `jwt` replay the corpus through it.

use std::sync::LazyLock;

use outrigger_core::jose::{KeySet, Token};
use outrigger_jwt::check_signature;

/// Cases with the public keys of an issuer, and tokens, good and bad, which somebody else's code has signed.
const PAGE: &str = include_str!("../../conformance/cases/trust/jwt_words.md");

/// The issuer's keys.
static KEYS: LazyLock<KeySet> = LazyLock::new(|| {
    let (_, keys) = PAGE.split_once("jwks: '").expect("the page has keys");
    let (keys, _) = keys.split_once('\'').expect("they end");
    KeySet::read(keys.as_bytes()).expect("they are a set of keys")
});

/// Every token that stands in the page.
static SIGNED: LazyLock<Vec<&'static [u8]>> = LazyLock::new(|| {
    let tokens = PAGE.split("Bearer ").skip(1);
    tokens
        .filter_map(|rest| rest.split_whitespace().next())
        .map(str::as_bytes)
        .collect()
});

/// The bytes are a token.
pub fn accepted_tokens_were_signed(bytes: &[u8]) {
    let Ok(token) = Token::read(bytes) else {
        return;
    };
    let accepted = KEYS.check(&token, bytes, check_signature);
    assert!(
        accepted.is_err() || SIGNED.contains(&bytes),
        "{:?}",
        String::from_utf8_lossy(bytes)
    );
}
