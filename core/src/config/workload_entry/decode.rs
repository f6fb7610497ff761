//! Reading a WorkloadEntry.

use super::Workload;
use crate::config::decode::Object;
use crate::config::scalar;

/// Reads the `spec`, or an endpoint of a ServiceEntry.
pub(in crate::config) fn decode(spec: &mut Object<'_, '_>) -> Workload {
    Workload {
        address: spec.string("address"),
        ports: spec.map("ports", |report, entry| {
            scalar::integer(report, &entry.value)
        }),
        labels: spec.string_map("labels"),
        network: spec.string("network"),
        locality: spec.string("locality"),
        weight: spec.integer("weight"),
        service_account: spec.string("serviceAccount"),
    }
}
