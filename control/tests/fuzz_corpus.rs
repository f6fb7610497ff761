//! Replays the fuzz corpus of objects of Istio's types, also cut, and with another byte in each.

#[path = "../../fuzz/src/corpus.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod corpus;
#[path = "../../fuzz/src/istio.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz target, where it is a library"
)]
mod istio;

#[test]
fn istio_objects() {
    corpus::replay(env!("CARGO_MANIFEST_DIR"), "istio_objects", |bytes| {
        istio::objects(bytes);
        for at in (0..bytes.len()).step_by(bytes.len() / 24 + 1) {
            istio::objects(&bytes[..at]);
            let mut changed = bytes.to_vec();
            changed[at] ^= 0x15;
            istio::objects(&changed);
        }
    });
}
