//! Replays the fuzz corpora of certificates and of the bytes of clients, and plays a few more that nobody chose.

use proptest::prelude::*;

#[path = "../../fuzz/src/corpus.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod corpus;
#[path = "../../fuzz/src/identity.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod identity;
#[path = "../../fuzz/src/tls.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod tls;

fn replay(target: &str, run: impl FnMut(&[u8])) {
    corpus::replay(env!("CARGO_MANIFEST_DIR"), target, run);
}

#[test]
fn identity() {
    replay("identity", identity::names);
}

#[test]
fn tls_first_bytes() {
    replay("tls_first_bytes", tls::first_bytes);
}

#[test]
fn tls_handshake() {
    replay("tls_handshake", tls::handshake);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Handshakes that are cut and changed where nobody chose to.
    #[test]
    fn nobody_is_known_who_has_not_shaken_hands(
        choices in prop::array::uniform2(any::<u8>()),
        at in 0..1_500_u16,
        change in any::<u8>(),
        cuts in prop::collection::vec(any::<u8>(), 0..4),
    ) {
        let [high, low] = at.to_be_bytes();
        let program = [&choices[..], &[high, low, change], &cuts].concat();
        tls::handshake(&program);
    }
}
