//! What `control` says when Kubernetes asks before it stores something: which pods get a sidecar, and whether configuration is
//! well.
//!
//! Owns injection ([`inject()`], a function over JSON, and [`inject_text`], over files of it), admission reviews ([`answer()`], a function over bytes), and a small server
//! around them ([`serve()`]). Nothing here knows Kubernetes' API server, certificates or files.

#![forbid(unsafe_code)]

mod annotations;
mod capture;
mod container;
mod init;
mod interception;
mod names;
mod overlay;
mod patch;
mod probes;
mod proxy_config;
mod refused;
mod review;
mod server;
mod settings;
mod status;
mod template;
mod text;
mod validate;
mod verdict;
mod volumes;
mod wishes;
mod workload;
pub mod yaml;

pub use interception::Interception;
pub use patch::Operation;
pub use refused::Refused;
pub use review::{INJECT, MAX_REVIEW_BYTES, VALIDATE, answer};
pub use server::serve;
pub use settings::Settings;
pub use text::{Document, Text, inject_text, namespaces};
pub use verdict::Why;
pub use workload::{Around, Injection, Told, inject};
