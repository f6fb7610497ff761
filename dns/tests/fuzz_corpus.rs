//! Replays the fuzz corpus of messages, with another bit in each, too.

#[path = "../../fuzz/src/corpus.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod corpus;
#[path = "../../fuzz/src/dns.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz target, where it is a library"
)]
mod dns;

#[test]
fn dns_message() {
    let mut count = 0_usize;
    corpus::replay(env!("CARGO_MANIFEST_DIR"), "dns_message", |message| {
        let mut message = message.to_vec();
        dns::message(&message);
        let at = (count * 97) % message.len().max(1);
        if let Some(byte) = message.get_mut(at) {
            *byte ^= 1;
        }
        dns::message(&message);
        count += 1;
    });
}
