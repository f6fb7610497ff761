//! What a VirtualService may say beyond Istio's fields, by annotation (`docs/extensions.md`). It holds for all its HTTP
//! rules.

use crate::config::annotations::Annotations;
use crate::time::Duration;

/// The annotations of a VirtualService; what is absent is off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// `outrigger.dev/retry-after`: a response's `retry-after` sets the wait before a retry, if it asks for no more than
    /// this (Envoy's `rate_limited_retry_back_off`).
    pub retry_after: Option<Duration>,
    /// `outrigger.dev/idle-timeout`: for how long nothing of a request or its response may move; zero is for ever.
    pub idle_timeout: Option<Duration>,
}

/// Reads them.
pub(super) fn read(all: &mut Annotations<'_, '_>) -> Extensions {
    Extensions {
        retry_after: all
            .read("retry-after", |setting| setting.lone_duration())
            .flatten(),
        idle_timeout: all
            .read("idle-timeout", |setting| setting.lone_duration_or_zero())
            .flatten(),
    }
}
