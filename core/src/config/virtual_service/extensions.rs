//! What a VirtualService may say beyond Istio's fields, by annotation (`docs/extensions.md`). It holds for all its HTTP
//! rules.

use crate::config::annotations::{Annotations, Setting};
use crate::time::Duration;

/// The annotations of a VirtualService; what is absent is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// `outrigger.dev/retry-after`: a response's `retry-after` sets the wait before a retry, if it asks for no more than
    /// this (Envoy's `rate_limited_retry_back_off`).
    pub retry_after: Option<Duration>,
    /// `outrigger.dev/idle-timeout`: for how long nothing of a request or its response may move; zero is for ever.
    pub idle_timeout: Option<Duration>,
    /// `outrigger.dev/header-faults`: requests may ask for faults (Envoy's `header_delay` and `header_abort`).
    pub header_faults: bool,
    /// `outrigger.dev/hedge-on-per-try-timeout`: an attempt that takes longer than `perTryTimeout` goes on, and another one
    /// is made beside it.
    pub hedge_on_per_try_timeout: bool,
    /// `outrigger.dev/local-rate-limit`: how many requests its rules let through, together.
    pub local_rate_limit: Option<RequestRate>,
}

/// So many requests for so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestRate {
    /// How many, at least 1.
    pub requests: u32,
    /// For how much time.
    pub per: Duration,
    /// How many at once after a time of rest, at least 1.
    pub burst: u32,
}

/// Reads them.
pub(super) fn read(all: &mut Annotations<'_, '_>) -> Extensions {
    Extensions {
        retry_after: all
            .read("retry-after", |setting| setting.lone_duration())
            .flatten(),
        hedge_on_per_try_timeout: all.flag("hedge-on-per-try-timeout"),
        idle_timeout: all
            .read("idle-timeout", |setting| setting.lone_duration_or_zero())
            .flatten(),
        header_faults: all.flag("header-faults"),
        local_rate_limit: all.read("local-rate-limit", request_rate).flatten(),
    }
}

fn request_rate(setting: &mut Setting<'_, '_>) -> Option<RequestRate> {
    let (requests, per) = setting.lone_rate()?;
    Some(RequestRate {
        requests,
        per,
        burst: setting.count("burst", 1, u32::MAX).unwrap_or(requests),
    })
}
