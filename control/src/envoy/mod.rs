//! What clients are told that know Envoy's words and not Istio's: Envoy itself, and gRPC without a proxy.
//!
//! Nothing is read twice for them: a client's part of the world is compiled as its sidecar would compile it ([`view`]), and what they are
//! told is written down from that snapshot.

mod endpoints;
mod grpc;
mod view;
mod views;

pub(crate) use view::View;
pub(crate) use views::Views;

#[cfg(test)]
mod tests;
