//! How configuration travels: which kinds of objects there are, what one is, what is said when it changes, and the words in
//! which a server tells its clients (delta xDS, with the names of istiod's `api` generator).
//!
//! Owns those words and the machines of both sides, without IO and clock ([`client`], [`server`]); the stream itself is
//! tonic's ([`service`]), over a [`channel`] that checks who is at its other end. Beside discovery stands how a workload asks
//! for its certificate ([`certificates`]). Where objects come from is the business of their sources, what they mean that of
//! `outrigger_core::config`.

pub mod assignments;
pub mod carried;
pub mod certificates;
pub mod channel;
pub mod client;
mod codec;
pub mod envoy;
mod kinds;
pub mod messages;
mod object;
pub mod protobuf;
pub mod secrets;
pub mod server;
pub mod service;
pub mod structs;
pub mod whole;
pub mod workload;

pub use kinds::{Asked, KINDS, Kind};
pub use object::{Change, Key, Object, content_version};
