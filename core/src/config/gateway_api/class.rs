//! GatewayClasses: which of them are carried by gateways like this one.

use super::Pieces;
use crate::config::decode::Object;
use crate::config::meta::Meta;

/// Whose Gateways this proxy carries: those that istiod deploys.
const CONTROLLER: &str = "istio.io/gateway-controller";

/// A GatewayClass.
#[derive(Debug)]
pub(super) struct Class {
    name: String,
    controller: String,
}

/// Reads the `spec`.
pub(super) fn read(spec: &mut Object<'_, '_>, meta: Meta) -> Class {
    Class {
        name: meta.name,
        controller: spec.string("controllerName"),
    }
}

/// Who carries the Gateways of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner<'p> {
    Ours,
    Foreign(&'p str),
    /// The class was not read.
    Unknown,
}

impl Pieces {
    /// Whose a class is.
    pub(super) fn owner(&self, class: &str) -> Owner<'_> {
        match self.classes.iter().find(|read| read.name == class) {
            Some(found) if found.controller == CONTROLLER => Owner::Ours,
            Some(found) => Owner::Foreign(&found.controller),
            None => Owner::Unknown,
        }
    }
}
