//! Hosts for the tests of tables.

use super::share::{Share, shares};

/// Addresses of as many hosts, those that Envoy was asked with.
pub(super) fn keys(count: usize) -> Vec<String> {
    (1..=count)
        .map(|at| format!("127.7.0.{at}:18080"))
        .collect()
}

/// Those hosts with weights.
pub(super) fn hosts<'a>(keys: &'a [String], weights: &'a [u32]) -> Vec<Share<'a>> {
    let pairs = keys.iter().zip(weights);
    shares(pairs.map(|(key, weight)| (key.as_str(), *weight)), 1.0)
}
