//! What those said of a request who were asked about it, as data.

use serde::{Deserialize, Serialize};

use crate::time::Duration;

/// What a provider said.
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
}

/// A provider was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The position of the provider among those that are asked.
    pub check: u32,
    /// What it said.
    pub word: Word,
    /// How long that took.
    pub took: Duration,
}
