//! What every package of the workspace says in its manifest.

use crate::source::{Faults, read};

#[test]
fn packages_share_lints_and_versions() {
    let mut faults = Faults::default();
    let manifest = read("Cargo.toml");
    let members = manifest
        .lines()
        .find_map(|line| line.strip_prefix("members = ["))
        .expect("the root manifest lists its members on one line");
    for member in members.trim_end_matches(']').split(',') {
        let member = member.trim().trim_matches('"');
        let text = read(&format!("{member}/Cargo.toml"));
        if !text.contains("[lints]\nworkspace = true") {
            faults.text(format!(
                "{member}/Cargo.toml: add `[lints] workspace = true`"
            ));
        }
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            if !text.contains(&format!("\n{key}.workspace = true")) {
                faults.text(format!(
                    "{member}/Cargo.toml: write `{key}.workspace = true`"
                ));
            }
        }
        for (number, line) in text.lines().enumerate() {
            if line.contains("version = \"") {
                faults.text(format!(
                    "{member}/Cargo.toml:{}: versions stand in the root manifest",
                    number + 1
                ));
            }
        }
    }
    faults.none();
}
