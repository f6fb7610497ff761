//! The committed corpus of a target, for the ordinary tests that replay it.

use std::fs;
use std::path::Path;

/// Runs with each file of a target's corpus. `package` is the folder of one of the packages beside it.
///
/// # Panics
/// When there is none, or it cannot be read.
#[allow(
    clippy::disallowed_methods,
    reason = "the ban is for what core ships, which has no files"
)]
pub fn replay(package: &str, target: &str, mut run: impl FnMut(&[u8])) {
    let folder = Path::new(package).join("../fuzz/corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).expect("the corpus is part of the repository") {
        let path = entry.expect("the corpus can be listed").path();
        run(&fs::read(path).expect("a corpus file can be read"));
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}
