//! What those said of a request who were asked about it, as data.

use serde::{Deserialize, Serialize};

use crate::message::Headers;
use crate::snapshot::GlobalRateLimitId;
use crate::time::Duration;

/// Who was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Whom {
    /// The provider of an AuthorizationPolicy, by its position among those that are asked.
    Provider(u32),
    /// The service of a global rate limit.
    RateLimit(GlobalRateLimitId),
}

/// What it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Word {
    /// The request may pass.
    Allowed,
    /// It may not, and this is the answer's status.
    Denied(u16),
    /// Nothing that makes sense, or nothing in time: the request is refused for that.
    Failed,
    /// The same, and the request passes for all that.
    FailedOpen,
    /// It is over a limit, and passes because that is not enforced for it.
    NotEnforced,
}

/// Somebody was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// Who.
    pub whom: Whom,
    /// What it said.
    pub word: Word,
    /// How long that took.
    pub took: Duration,
}

/// What those who were asked say to the client of a request.
#[derive(Clone, Debug, Default)]
pub struct ToldFields {
    /// Fields in the place of those that the response has. They are those of a provider, and lost with its refusal.
    pub set: Headers,
    /// Fields beside those that it has.
    pub added: Headers,
}

impl ToldFields {
    /// Forgets them and keeps the memory.
    pub(crate) fn clear(&mut self) {
        self.set.clear();
        self.added.clear();
    }
}
