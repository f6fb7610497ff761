//! What must hold for tokens and sets of keys whatever bytes they are: reading ends, a token that is read has the parts that it
//! says, and a set of keys accepts none that it has not signed. The fuzz target calls [`token_and_keys`]; core's tests replay the
//! corpus through it.

use outrigger_core::jose::{Algorithm, KeySet, MAX_TOKEN, Material, Token};

/// The bytes are a token, and behind the first line end, if there is one, a set of keys.
pub fn token_and_keys(bytes: &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (text, keys) = end.map_or((bytes, &b""[..]), |end| (&bytes[..end], &bytes[end + 1..]));
    let keys = KeySet::read(keys).unwrap_or_default();
    for key in &keys.keys {
        assert!(
            key.algorithm
                .is_none_or(|algorithm| key.material.fits(algorithm))
        );
    }
    let Ok(token) = Token::read(text) else { return };
    assert!(text.len() <= MAX_TOKEN);
    assert_eq!(text[token.signed], b'.');
    assert_eq!(token.payload.end, token.signed);
    assert_eq!(text.iter().filter(|byte| **byte == b'.').count(), 2);
    // A token is one text: whatever else is read as the same one would be a second spelling.
    let padded = [text, b"="].concat();
    assert!(Token::read(&padded).is_err());
    let (never, ever) = (
        keys.check(&token, text, never),
        keys.check(&token, text, fitting),
    );
    assert!(never.is_err());
    let fits = keys
        .keys
        .iter()
        .any(|key| key.material.fits(token.algorithm));
    assert!(fits || ever.is_err());
}

const fn never(_: &Material, _: Algorithm, _: &[u8], _: &[u8]) -> bool {
    false
}

/// Whoever is asked is asked about an algorithm that the key is for.
fn fitting(material: &Material, algorithm: Algorithm, _: &[u8], _: &[u8]) -> bool {
    assert!(material.fits(algorithm));
    true
}
