//! `accessLogging`: which requests are logged, by which providers.

use std::sync::Arc;

use super::{WorkloadMode, mode, providers};
use crate::config::cel;
use crate::config::decode::Object;
use crate::snapshot::telemetry::Expression;

/// One entry of `accessLogging`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccessLogging {
    /// Whose requests.
    pub mode: WorkloadMode,
    /// Names of the mesh's providers; empty inherits those of the entry before.
    pub providers: Vec<String>,
    /// Whether these providers log nothing.
    pub disabled: Option<bool>,
    /// What is true for requests that are logged (`filter.expression`).
    pub filter: Option<Arc<Expression>>,
}

pub(super) fn decode(o: &mut Object<'_, '_>) -> AccessLogging {
    AccessLogging {
        providers: providers(o),
        mode: o.message("match", mode).unwrap_or_default(),
        disabled: o.optional_boolean("disabled"),
        filter: o.message("filter", filter).flatten(),
    }
}

fn filter(o: &mut Object<'_, '_>) -> Option<Arc<Expression>> {
    let text = o.optional_string("expression")?;
    match cel::condition(&text) {
        Ok(expression) => Some(Arc::new(expression)),
        Err(fault) => {
            o.report()
                .field("expression", |report| fault.tell(&text, report));
            None
        }
    }
}
