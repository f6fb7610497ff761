//! Which requests are logged where.

use std::sync::Arc;

use super::{Expression, LogFormat};
use crate::snapshot::PerMillion;
use crate::time::Duration;

/// All access logs of a workload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessLogs {
    /// For requests that the workload sends.
    pub outbound: Box<[AccessLog]>,
    /// For requests that it receives.
    pub inbound: Box<[AccessLog]>,
}

impl AccessLogs {
    /// Those for requests that the workload receives, or sends.
    #[must_use]
    pub fn of(&self, is_inbound: bool) -> &[AccessLog] {
        if is_inbound {
            &self.inbound
        } else {
            &self.outbound
        }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &AccessLog> {
        self.outbound.iter().chain(&self.inbound)
    }

    /// Whether nothing is logged.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.outbound.is_empty() && self.inbound.is_empty()
    }
}

/// One access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// A file, or `/dev/stdout` or `/dev/stderr`.
    pub path: Arc<str>,
    /// How its lines look.
    pub format: Arc<LogFormat>,
    /// True for requests that it takes; `None` takes all.
    pub filter: Option<Arc<Expression>>,
    /// Which of these it takes.
    pub only: Option<OnlySome>,
}

/// Some of the requests: those for which any of this holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OnlySome {
    /// Requests that went wrong: a status from 400 on, none at all, or a response flag.
    pub errors: bool,
    /// Requests that took at least so long.
    pub slow: Option<Duration>,
    /// This share of them, by chance.
    pub sample: Option<PerMillion>,
}
