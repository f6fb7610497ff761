//! Replays the fuzz corpus of tokens, with another bit in each, too.

use std::fs;
use std::path::Path;

#[path = "../../fuzz/src/jwt.rs"]
#[expect(
    unreachable_pub,
    reason = "shared with the fuzz target, where it is a library"
)]
mod jwt;

#[test]
fn jwt() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/jwt");
    let mut count = 0_usize;
    for entry in fs::read_dir(&folder).expect("the corpus is part of the repository") {
        let path = entry.expect("the corpus can be listed").path();
        let mut token = fs::read(path).expect("a corpus file can be read");
        jwt::accepted_tokens_were_signed(&token);
        let at = (count * 97) % token.len().max(1);
        if let Some(byte) = token.get_mut(at) {
            *byte ^= 1;
        }
        jwt::accepted_tokens_were_signed(&token);
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}
