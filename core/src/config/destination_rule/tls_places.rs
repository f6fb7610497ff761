//! Where a DestinationRule speaks of TLS: of all, of ports, of subsets, and of ports of subsets.

use super::{ClientTlsSettings, DestinationRule, TrafficPolicy};

impl DestinationRule {
    /// All of its `tls` blocks, each with its path, such as `spec.subsets[0].trafficPolicy.portLevelSettings[1].tls`; what is
    /// narrower comes before what it stands in.
    pub fn tls_places(&self) -> impl Iterator<Item = (String, &ClientTlsSettings)> {
        let top = self.traffic_policy.iter();
        let top = top.map(|policy| ("spec.trafficPolicy".to_owned(), policy));
        let subsets = self.subsets.iter().enumerate();
        let subsets = subsets.filter_map(|(at, subset)| {
            let path = format!("spec.subsets[{at}].trafficPolicy");
            Some((path, subset.traffic_policy.as_ref()?))
        });
        top.chain(subsets)
            .flat_map(|(path, policy)| of_policy(path, policy))
    }
}

fn of_policy(
    path: String,
    policy: &TrafficPolicy,
) -> impl Iterator<Item = (String, &ClientTlsSettings)> {
    let own = format!("{path}.tls");
    let ports = policy.port_level_settings.iter().enumerate();
    let ports = ports.filter_map(move |(at, port)| {
        let path = format!("{path}.portLevelSettings[{at}].tls");
        Some((path, port.tls.as_ref()?))
    });
    ports.chain(policy.tls.as_ref().map(|tls| (own, tls)))
}
