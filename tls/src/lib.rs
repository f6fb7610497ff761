//! TLS beneath connections: a [`System`](outrigger_runtime::System) around any other one, whose streams are plain or protected.
//!
//! Core says what is wanted and what a peer must prove ([`Handshake`](outrigger_core::worker::Handshake),
//! [`ServerTls`](outrigger_core::snapshot::ServerTls)) and learns facts; runtimes know nothing of this. Handshakes, records and
//! certificates are rustls's, with the cryptography of aws-lc, which is chosen here and nowhere else. What proves something (keys,
//! roots, lists of what was revoked) is brought by whoever reads it ([`Identities`]).
//!
//! | module | owns |
//! |---|---|
//! | `identities` | what proves something, by name, and how it is swapped |
//! | `provider` | suites, groups and versions |
//! | `certificate` | what a certificate says |
//! | `verify` | whom to believe |
//! | `contexts` | what handshakes of one kind share, tickets included, kept until something is swapped |
//! | `fault` | what went wrong, in core's words |
//! | `facts` | what a handshake has proved, in core's words |
//! | `session` | one protected connection: records in and out of boxes |
//! | `scratch` | memory that all connections of a thread lend each other |
//! | `stream` | a stream that is plain or protected |
//! | `hello` | the first bytes of a client, and what may be among them |
//! | `handshake` | how a stream becomes one of both |
//! | `clients` | handshakes of the process's own connections |
//! | `system` | the system around a system |

#![forbid(unsafe_code)]

mod certificate;
mod clients;
mod contexts;
mod facts;
mod fault;
mod handshake;
mod hello;
mod identities;
mod provider;
mod scratch;
mod session;
mod stream;
mod system;
#[cfg(test)]
mod tests;
mod verify;

pub use certificate::peer;
pub use clients::ClientContexts;
pub use fault::alert_name;
pub use handshake::accept;
pub use hello::LONGEST_HELLO;
pub use identities::{Identities, Proofs};
pub use stream::Secured;
pub use system::{Protected, protect};
