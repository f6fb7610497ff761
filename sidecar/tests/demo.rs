//! The demo as a user runs it: services, sidecars, sockets and all.

use std::process::Command;

#[test]
fn every_step_shows_what_it_should() {
    let output = Command::new(env!("CARGO_BIN_EXE_outrigger"))
        .args(["demo", "--requests", "200", "--format", "json"])
        .output()
        .expect("the program runs");
    let told = String::from_utf8_lossy(&output.stderr);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{shown}\n{told}");
    let outcome: serde_json::Value = serde_json::from_str(&shown).expect("one JSON document");
    assert_eq!(outcome["ok"], true);
    assert!(told.is_empty(), "nothing to warn of: {told}");
}
