//! Envoy's `type.v3.TokenBucket`, which a local rate limit and each of its descriptors may have.

use crate::config::decode::Object;
use crate::time::Duration;

/// `envoy.type.v3.TokenBucket`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TokenBucket {
    /// What it holds at most, and at first.
    pub max_tokens: u32,
    /// How much is added for every interval; absent is 1.
    pub tokens_per_fill: Option<u32>,
    /// The interval.
    pub fill_interval: Duration,
}

pub(super) fn token_bucket(o: &mut Object<'_, '_>) -> TokenBucket {
    TokenBucket {
        max_tokens: o.integer("maxTokens"),
        tokens_per_fill: o.optional_integer("tokensPerFill"),
        fill_interval: o.duration("fillInterval").unwrap_or_default(),
    }
}
