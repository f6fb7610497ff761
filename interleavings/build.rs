//! Has the files of `core/src/cluster` that this package compiles use loom's atomics. A flag of this package alone: nothing
//! else in the workspace is built with it, so `cargo test` needs no `RUSTFLAGS`.

fn main() {
    println!("cargo::rustc-cfg=loom");
    println!("cargo::rustc-check-cfg=cfg(loom)");
    println!("cargo::rerun-if-changed=build.rs");
}
