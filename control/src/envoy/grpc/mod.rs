//! What clients of gRPC without a proxy are told besides endpoints: a listener by the name of a service, its routes, and its clusters, as
//! istiod's `grpc` generator names them.
//!
//! Owns that what gRPC cannot do is never done otherwise in silence. Where that would decide whom a call reaches or whether it is answered,
//! the call fails; of the rest it is told what is not done.

mod clusters;
mod listeners;
mod matches;
mod routes;

pub(super) use clusters::cluster;
pub(super) use listeners::{Target, listener};
pub(super) use routes::routes;

/// What gRPC cannot do, in words.
#[derive(Debug, Default)]
pub(super) struct Notes(pub(super) Vec<String>);

impl Notes {
    /// Of this, `what` cannot be done, and so `therefore`.
    fn note(&mut self, of: &str, what: &str, therefore: &str) {
        self.0
            .push(format!("{of}: gRPC does not know {what}; {therefore}"));
    }
}

#[cfg(test)]
mod tests;
