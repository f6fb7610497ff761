//! Replays the fuzz corpus of tokens, with another bit in each, too.

#[path = "../../fuzz/src/corpus.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz targets, where it is a library"
)]
mod corpus;
#[path = "../../fuzz/src/jwt.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz target, where it is a library"
)]
mod jwt;

#[test]
fn jwt() {
    let mut count = 0_usize;
    corpus::replay(env!("CARGO_MANIFEST_DIR"), "jwt", |token| {
        let mut token = token.to_vec();
        jwt::accepted_tokens_were_signed(&token);
        let at = (count * 97) % token.len().max(1);
        if let Some(byte) = token.get_mut(at) {
            *byte ^= 1;
        }
        jwt::accepted_tokens_were_signed(&token);
        count += 1;
    });
}
