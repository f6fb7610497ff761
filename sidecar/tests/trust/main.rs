//! Trust while it changes and while it is attacked, through the program over real sockets, on each runtime that this machine has:
//! certificates that rotate under load, files that rules name, handshakes that somebody breaks, keys of issuers behind https,
//! identities that an authority gives and renews.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "../../../tls/tests/over/anybody.rs"]
mod anybody;
#[path = "../support/mesh.rs"]
mod mesh;
#[path = "../support/proxy.rs"]
mod proxy;
#[path = "../support/mod.rs"]
mod support;

mod authority;
mod by_hand;
mod files;
mod handshakes;
mod jwks;
mod rotation;

/// The runtimes that can be used here.
fn runtimes() -> Vec<&'static str> {
    #[cfg(all(target_os = "linux", feature = "glommio"))]
    match outrigger_glommio::probe() {
        Ok(()) => return vec!["tokio", "glommio"],
        Err(unavailable) => eprintln!("glommio is not tested: {unavailable}"),
    }
    vec!["tokio"]
}
