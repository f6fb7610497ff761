//! The real Envoy under the cases: what it is configured with, derived from a case's compiled snapshot.
//!
//! Istio's control plane turns YAML into what Envoy reads; here core's compiler does the first half, and these files the
//! second: listeners and clusters as Istio gives them to a sidecar. What Envoy has no words for is an obstacle with a
//! reason, and never left out. How a case is played is the same as for any program.

mod access;
pub(super) mod admin;
pub(super) mod bootstrap;
mod clusters;
mod endpoints;
mod external;
mod fields;
mod global_rate_limits;
mod hosts;
mod listener;
mod matching;
mod rate_limits;
mod resilience;
mod routes;
mod tokens;
mod transport;
mod words;
mod zones;

#[cfg(test)]
mod tests;

/// Something derived, or why Envoy can not be told it.
type Derived<T> = Result<T, &'static str>;
