//! What a DestinationRule may say beyond Istio's fields, by annotation (`docs/extensions.md`). It holds for the whole
//! service: every port and subset.

use crate::config::annotations::{Annotations, Setting};
use crate::time::Duration;

/// The annotations of a DestinationRule; what is absent is off.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Extensions {
    /// `outrigger.dev/retry-budget`: retries as a share of requests over time (linkerd, Finagle).
    pub retry_budget: Option<TokenRetryBudget>,
}

/// A budget of retries that requests pay into and retries draw from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TokenRetryBudget {
    /// Retries for each request, 0 to 1000.
    pub ratio: f64,
    /// Retries a second that are allowed whatever the ratio.
    pub min_per_second: u32,
    /// How long a request's deposit lasts.
    pub ttl: Duration,
}

/// Reads them.
pub(super) fn read(all: &mut Annotations<'_, '_>) -> Extensions {
    Extensions {
        retry_budget: all.read("retry-budget", retry_budget),
    }
}

/// Defaults are tower's, which are linkerd's.
fn retry_budget(setting: &mut Setting<'_, '_>) -> TokenRetryBudget {
    TokenRetryBudget {
        ratio: setting.ratio("ratio", 1000.0).unwrap_or(0.2),
        min_per_second: setting.count("min", 0, 1_000_000).unwrap_or(10),
        ttl: setting.duration("ttl").unwrap_or(Duration::from_secs(10)),
    }
}
