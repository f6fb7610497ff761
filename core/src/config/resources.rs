//! Everything that was read, by kind.

use super::destination_rule::DestinationRule;
use super::virtual_service::VirtualService;

/// Resources in the order of the sources. Those whose `meta.rejected` is set are here too: other resources may name
/// them, and are not to be blamed for it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resources {
    /// networking.istio.io VirtualService.
    pub virtual_services: Vec<VirtualService>,
    /// networking.istio.io DestinationRule.
    pub destination_rules: Vec<DestinationRule>,
}
