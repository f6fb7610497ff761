//! Base64url without padding (RFC 7515 §2), strictly: each text has one meaning and each meaning one text.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// What a text stands for; `None` when it is not base64url, is padded, or its last bits are not zero.
pub(super) fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_spelling_is_read() {
        assert_eq!(decode("-_8"), Some(vec![0xfb, 0xff]));
        for bad in ["-_8=", "+/8", "-_9", "-_8 ", "-_8\n", "-", "-_\u{e9}"] {
            assert_eq!(decode(bad), None, "{bad:?}");
        }
    }
}
