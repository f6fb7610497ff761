//! Identities: where a workload's certificate, its key and the roots of the mesh come from, and whether they are any good.
//!
//! Owns reading PEM, the checks that come before anything is used, and the time that is left. What TLS makes of it is the
//! business of whoever speaks TLS; when it is read again that of whoever runs. They lie in files, or an
//! authority gives them over the network ([`csr`]). Beside it stands a throw-away authority ([`authority`]) to try all of it with.

pub mod authority;
mod certificate;
mod check;
pub mod csr;
mod expiry;
mod fault;
mod files;
mod material;
mod pem;
mod source;

pub use certificate::{Certificate, names_are_der};
pub use check::{Allowed, check};
pub use expiry::{Remaining, Stage};
pub use fault::Fault;
pub use files::{Files, Layout, Paths, read_certificates, read_key, read_revoked};
pub use material::{Identity, Material};
pub use pem::{certificates as pem_certificates, key as pem_key, material as pem_material};
pub use source::Source;
