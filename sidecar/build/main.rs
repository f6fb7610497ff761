//! Says which commit is built, for `outrigger version`.
//!
//! `OUTRIGGER_COMMIT` goes before what the repository says. Debug builds know none from there: they are built again and again, and each
//! commit would have all of the package and its tests compiled and linked anew, though nothing in it has changed.

mod commit;

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-env-changed=OUTRIGGER_COMMIT");
    let is_said = env::var_os("OUTRIGGER_COMMIT").is_some_and(|commit| !commit.is_empty());
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    if is_said || !is_release {
        return;
    }
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default();
    // Of the workspace's own repository and of no other: the sources may lie in somebody else's.
    let Some(root) = Path::new(&package).parent() else {
        return;
    };
    let Some(head) = commit::Head::of(root) else {
        return;
    };
    for path in head.watched() {
        println!("cargo::rerun-if-changed={}", path.display());
    }
    if let Some(commit) = head.commit() {
        println!("cargo::rustc-env=OUTRIGGER_COMMIT={commit}");
    }
}
