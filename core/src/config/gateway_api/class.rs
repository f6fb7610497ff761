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

impl Pieces {
    /// The controller of a class, where it is not the one whose Gateways are carried. A class that was not read may be.
    pub(super) fn foreign_controller(&self, class: &str) -> Option<&str> {
        let found = self.classes.iter().find(|read| read.name == class)?;
        (found.controller != CONTROLLER).then_some(&found.controller)
    }
}
