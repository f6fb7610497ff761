//! `accessLogging`: which requests are logged, by which providers.

use super::{WorkloadMode, mode, providers};
use crate::config::decode::Object;

/// One entry of `accessLogging`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessLogging {
    /// Whose requests.
    pub mode: WorkloadMode,
    /// Names of the mesh's providers; empty inherits those of the entry before.
    pub providers: Vec<String>,
    /// Whether these providers log nothing.
    pub disabled: Option<bool>,
    /// A CEL expression that is true for requests that are logged (`filter.expression`).
    pub filter: Option<String>,
}

pub(super) fn decode(o: &mut Object<'_, '_>) -> AccessLogging {
    AccessLogging {
        providers: providers(o),
        mode: o.message("match", mode).unwrap_or_default(),
        disabled: o.optional_boolean("disabled"),
        filter: o
            .message("filter", |filter| filter.optional_string("expression"))
            .flatten(),
    }
}
