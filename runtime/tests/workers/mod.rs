//! What holds on every runtime over real sockets. Each runtime's test file mounts these beside a `start` of its own.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

mod configured;
mod connections;
mod descriptors;
mod draining;
mod due;
mod early;
mod fairness;
mod h2_peers;
mod keeping;
mod late;
mod memory;
mod mirrors;
mod ourselves;
mod recording;
mod streams;
mod support;
mod unknown_hosts;
mod waiting;
mod websockets;
