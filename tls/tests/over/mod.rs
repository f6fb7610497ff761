//! What holds on every runtime over real sockets. Each runtime's test file mounts these beside a `start` of its own.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

mod anybody;
mod authority;
mod bodies;
mod by_hand;
mod certificates;
mod handshakes;
mod hellos;
mod mesh;
mod openssl;
mod peers;
mod rotation;
