//! What every package of the workspace says in its manifest.

use crate::source::{Faults, read};

#[test]
fn packages_share_lints_and_versions() {
    let mut faults = Faults::default();
    let manifest = read("Cargo.toml");
    let (_, members) = manifest
        .split_once("members = [")
        .expect("the root manifest lists its members");
    let (members, _) = members.split_once(']').expect("the list ends");
    let members: Vec<&str> = members
        .split(',')
        .map(|member| member.trim().trim_matches('"'))
        .filter(|member| !member.is_empty())
        .collect();
    assert!(members.len() > 15, "the members are found: {members:?}");
    for member in members {
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
