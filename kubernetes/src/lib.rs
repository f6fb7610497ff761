//! What a mesh has to do with Kubernetes: its objects are watched ([`watch()`]), tokens reviewed ([`TokenReviews`]), and what others
//! look for there is written ([`authority`], [`roots`], [`bundle`]), as is what people are told ([`Words`], [`tell`]). The only package that knows of a client.
//!
//! Owns how the API is spoken to: which version of a kind is taken, pages, what happens when a stream breaks, and how long the cluster is
//! left alone when it fails. What objects mean is the business of `outrigger_core::config`, who is told of them that of
//! `outrigger_control`.
//!
//! ```no_run
//! # async fn start() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use outrigger_kubernetes::{Selection, connect, watch};
//!
//! // As a pod's service account, or by a kubeconfig.
//! let client = connect(None).await?;
//! let (sender, mut changes) = tokio::sync::mpsc::channel(1024);
//! tokio::spawn(watch(client, Selection::of("istio-system"), Arc::default(), sender));
//! while let Some(change) = changes.recv().await {
//!     if let outrigger_xds::Change::All(kind, objects) = change {
//!         println!("{} of {}", objects.len(), kind.plural);
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod backoff;
mod board;
mod client;
mod request;
mod review;
mod status;
mod trim;
mod watch;
mod words;
mod write;

pub use board::{Board, Fares};
pub use client::{Unreachable, connect};
pub use kube::Client;
pub use review::{AUDIENCE, TokenReviews};
pub use status::{Condition, Wanted, When, changed, tell};
pub use watch::{Selection, Timing, watch};
pub use words::{Word, Words};
pub use write::{NotWritten, Webhooks, authority, bundle, roots};
