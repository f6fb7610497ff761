//! xxHash64, the hash that Envoy's consistent hashing is made of. The one file that knows the library.

use twox_hash::XxHash64;

/// The hash of some bytes.
#[must_use]
pub(crate) fn xxh64(bytes: &[u8], seed: u64) -> u64 {
    XxHash64::oneshot(seed, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of the reference implementation (xxHash 0.8, `XXH64`).
    #[test]
    fn known_values() {
        for (text, seed, want) in [
            ("", 0, 0xef46_db37_51d8_e999),
            ("", 1, 0xd5af_ba13_36a3_be4b),
            ("a", 0, 0xd24e_c4f1_a98c_6e5b),
            ("abc", 0, 0x44bc_2cf5_ad77_0999),
            (
                "Nobody inspects the spammish repetition",
                0,
                0xfbce_a83c_8a37_8bf1,
            ),
        ] {
            assert_eq!(xxh64(text.as_bytes(), seed), want, "{text:?} {seed}");
        }
    }
}
