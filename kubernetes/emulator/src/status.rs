//! Refusals in the words of Kubernetes (`meta/v1 Status`).

use serde_json::{Value, json};

/// Why a request is not done.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: u16,
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    /// Seconds of `Retry-After`.
    pub(crate) retry_after: Option<u64>,
}

impl Failure {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            code,
            reason,
            message,
            retry_after: None,
        }
    }

    pub(crate) fn expired() -> Self {
        Self::new(
            410,
            "Expired",
            "the provided version is too old, list again",
        )
    }

    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(404, "NotFound", format!("{what} not found"))
    }

    pub(crate) fn conflict(what: &str) -> Self {
        Self::new(
            409,
            "Conflict",
            format!("{what} has been modified; apply your changes to the latest version"),
        )
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        })
    }
}
