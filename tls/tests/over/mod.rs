//! What holds on every runtime over real sockets. Each runtime's test file mounts these beside a `start` of its own.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

mod authority;
mod bodies;
mod handshakes;
mod mesh;
mod openssl;
mod peers;
mod rotation;
