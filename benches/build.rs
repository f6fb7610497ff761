//! Says what compiles this: counts of instructions are compared only with those of the same compiler.

use std::env;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let told = Command::new(rustc).arg("--version").output();
    let version = told.map(|told| String::from_utf8_lossy(&told.stdout).into_owned());
    let version = version.unwrap_or_default();
    println!("cargo::rustc-env=BUDGET_RUSTC={}", version.trim());
    let target = env::var("TARGET").unwrap_or_default();
    println!("cargo::rustc-env=BUDGET_TARGET={target}");
}
