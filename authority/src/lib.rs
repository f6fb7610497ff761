//! The certificate authority of a mesh: who asks, what is signed, and the certificate that the control plane itself shows.
//!
//! Owns the root (plugged in, or made and kept in a folder: [`CaFiles`]), signing ([`Signer`], [`Authority`]), who a caller is
//! ([`Caller`], [`Reviewer`], [`Gate`]) and the connections of the control plane ([`Serving`], [`incoming`]). What is sent is said
//! by `outrigger_xds::certificates`; what Kubernetes knows of a token by who asks it.
//!
//! ```no_run
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use std::time::SystemTime;
//! use outrigger_authority::{
//!     Authority, CaFiles, Door, Follower, Gate, Keeper, KnownTokens, Limits, Serving, Signer, incoming,
//! };
//!
//! let now = SystemTime::now();
//! let files = CaFiles::read_or_make("/var/lib/outrigger/ca".as_ref(), "cluster.local", now)?;
//! let signer = Signer::open(&files, "cluster.local", now)?;
//! let limits = Limits::default();
//! let authority = Arc::new(Authority::new(signer, limits));
//! let reviewer = Arc::new(KnownTokens::of_file("/etc/outrigger/tokens".into()));
//! let counts = Arc::clone(authority.counts());
//! let keeper = Arc::new(Keeper::new(reviewer, limits, counts));
//!
//! let names = vec!["outrigger.outrigger-system.svc".to_owned()];
//! let serving = Arc::new(Serving::new(Arc::clone(&authority), names, now)?);
//! tokio::spawn(Arc::clone(&serving).keep());
//! let folder = "/var/lib/outrigger/ca".into();
//! tokio::spawn(Follower::new(Arc::clone(&authority), folder, files).follow());
//! let listener = tokio::net::TcpListener::bind("0.0.0.0:15012").await?;
//! tonic::transport::Server::builder()
//!     .add_service(Gate::new(authority.service(), keeper))
//!     // Discovery behind another gate finds the caller in its requests' extensions.
//!     .serve_with_incoming(incoming(listener, serving, Door::of_services(&limits)))
//!     .await?;
//! # Ok(())
//! # }
//! ```

mod accept;
mod caller;
mod counts;
mod files;
mod follow;
mod gate;
mod limits;
mod request;
mod reviewed;
mod service;
mod serving;
mod signer;
mod tokens;

pub use accept::{Door, Peer, Stream, incoming};
pub use caller::{Caller, Proof, Refused, Reviewer, Reviewing};
pub use counts::Counts;
pub use files::{CA_CERT, CA_KEY, CERT_CHAIN, CaFiles, ROOT_CERT, ROOT_LIFETIME};
pub use follow::Follower;
pub use gate::{Gate, Keeper, MAX_TOKEN_BYTES};
pub use limits::Limits;
pub use request::{BadRequest, Requested};
pub use service::Authority;
pub use serving::Serving;
pub use signer::{CLOCKS_DIFFER, ForServer, Lifetime, Signed, Signer};
pub use tokens::{KnownTokens, SignedTokens, end_of};
