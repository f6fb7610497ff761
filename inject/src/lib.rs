//! What `control` says when Kubernetes asks before it stores something: which pods get a sidecar, and whether configuration is
//! well.
//!
//! Owns injection ([`inject()`], a function over JSON, and [`inject_text`], over files of it), admission reviews ([`answer()`], a
//! function over bytes), and a small server around them ([`serve()`]). Nothing here knows Kubernetes' API server, certificates or files.
//!
//! ```no_run
//! # async fn webhooks(file: &str, mesh: &str, roots: String) -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use outrigger_inject::{Counts, Settings, serve};
//!
//! let settings = Settings::read(file)?.in_mesh(mesh)?;
//! let settings = Arc::new(Settings { roots: Some(roots), ..settings });
//! let listener = tokio::net::TcpListener::bind("0.0.0.0:15017").await?;
//! // Or whatever else makes streams, such as a listener with TLS.
//! let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
//! let counts = Arc::new(Counts::default());
//! serve(Arc::new(move || Arc::clone(&settings)), counts, incoming).await;
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod annotations;
mod capture;
mod container;
mod counts;
mod init;
mod interception;
mod names;
mod overlay;
mod patch;
mod probes;
mod prometheus;
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

pub use counts::Counts;
pub use interception::Interception;
pub use patch::Operation;
pub use proxy_config::ProxyConfig;
pub use refused::Refused;
pub use review::{INJECT, MAX_REVIEW_BYTES, VALIDATE, answer};
pub use server::serve;
pub use settings::Settings;
pub use text::{Document, Text, inject_text, namespaces};
pub use verdict::Why;
pub use workload::{Around, Injection, Told, inject};
