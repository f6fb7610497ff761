//! What asks a workload for an identity that it does not have.
//!
//! Only whoever runs a sidecar knows whether it has one; a command that judges files does not ask. What is refused then is
//! the business of the connections: without an identity nobody comes in where TLS is asked for.

use super::peer_authentication::PeerPolicies;
use super::{Inbound, Input, Workload};
use crate::config::destination_rule::{ClientTlsMode, DestinationRule};
use crate::config::mesh::MeshConfig;
use crate::config::peer_authentication::{PeerAuthentication, PeerMode};
use crate::config::{Code, Finding, Resources};
use crate::snapshot::MutualTls;

/// What these resources ask of a workload without an identity: an error for a listener that nobody could come in by, a
/// warning for each rule whose connections would fail. Nothing for one that has one.
#[must_use]
pub fn identity_demands(
    resources: &Resources,
    workload: &Workload,
    mesh: &MeshConfig,
    inbound: &[Inbound],
) -> Vec<Finding> {
    if workload.spiffe_id.is_some() {
        return Vec::new();
    }
    let input = Input {
        resources,
        workload,
        mesh,
    };
    let mut findings: Vec<Finding> = strict(&input, inbound).into_iter().collect();
    for rule in input.destination_rules() {
        findings.extend(of_rule(rule));
    }
    findings
}

/// The policy that lets nobody in, if a listener has one.
fn strict(input: &Input<'_>, inbound: &[Inbound]) -> Option<Finding> {
    let workload = input.workload;
    let (namespace, labels) = (&workload.namespace, &workload.labels);
    let policies = PeerPolicies::new(input);
    let applied = policies.of(namespace, labels);
    let is_strict =
        |listener: &&Inbound| applied.mode(listener.application.port()) == MutualTls::Strict;
    let listener = inbound.iter().find(is_strict)?;
    let says_so = |one: &PeerAuthentication| {
        let mut modes = one.ports.values().chain([&one.mode]);
        modes.any(|mode| *mode == PeerMode::Strict)
    };
    let mut narrowest_first = policies
        .selecting(namespace, labels)
        .take(1)
        .chain(policies.of_all(namespace));
    let policy = narrowest_first.find(|policy| says_so(policy))?;
    let clients = match listener.is_virtual() {
        true => "clients".to_owned(),
        false => format!("clients of port {}", listener.application.port()),
    };
    Some(Finding::about(
        Code::NoIdentity,
        "PeerAuthentication",
        &policy.meta,
        "spec",
        format!("{clients} must speak TLS of the mesh, and this workload has no identity to do so"),
        "give it one with `--identity`",
    ))
}

fn of_rule(rule: &DestinationRule) -> impl Iterator<Item = Finding> {
    rule.tls_places()
        .filter(|(_, tls)| tls.mode == ClientTlsMode::IstioMutual)
        .map(|(path, _)| {
            Finding::about(
                Code::TlsWithoutIdentity,
                "DestinationRule",
                &rule.meta,
                &path,
                "TLS of the mesh is asked for, and this workload has no identity: connections fail",
                "give it one with `--identity`",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, load};

    #[test]
    fn what_needs_an_identity_is_told() {
        let policy = |namespace: &str, spec: &str| {
            format!(
                "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n\
                 metadata: {{name: p, namespace: {namespace}}}\nspec: {spec}\n"
            )
        };
        let rule = |spec: &str| {
            format!(
                "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n\
                 metadata: {{name: r}}\nspec: {{host: x, {spec}}}\n"
            )
        };
        let port = "{selector: {matchLabels: {app: shop}}, portLevelMtls: {8080: {mode: STRICT}}}";
        let other = port.replace("8080", "9090");
        let tls = "tls: {mode: ISTIO_MUTUAL}";
        for (yaml, expected) in [
            (policy("shop", "{mtls: {mode: PERMISSIVE}}"), &[][..]),
            (policy("other", "{mtls: {mode: STRICT}}"), &[]),
            (policy("shop", &other), &[]),
            (
                policy("shop", "{mtls: {mode: STRICT}}"),
                &["no-identity spec"],
            ),
            (
                policy("istio-system", "{mtls: {mode: STRICT}}"),
                &["no-identity spec"],
            ),
            (policy("shop", port), &["no-identity spec"]),
            (rule("trafficPolicy: {tls: {mode: SIMPLE}}"), &[]),
            (
                rule(&format!(
                    "trafficPolicy: {{{tls}, portLevelSettings: [{{port: {{number: 80}}, {tls}}}]}}"
                )),
                &[
                    "tls-without-identity spec.trafficPolicy.portLevelSettings[0].tls",
                    "tls-without-identity spec.trafficPolicy.tls",
                ],
            ),
            (
                rule(&format!(
                    "subsets: [{{name: a}}, {{name: b, trafficPolicy: {{{tls}}}}}]"
                )),
                &["tls-without-identity spec.subsets[1].trafficPolicy.tls"],
            ),
        ] {
            let source = Source {
                name: "f",
                bytes: yaml.as_bytes(),
            };
            let resources = load(&[source], "shop").resources;
            let without = Workload {
                namespace: "shop".into(),
                labels: [("app".to_owned(), "shop".to_owned())].into(),
                ..Workload::default()
            };
            let inbound = [Inbound {
                listen: ([127, 0, 0, 1], 15006).into(),
                application: ([127, 0, 0, 1], 8080).into(),
            }];
            let mesh = MeshConfig::default();
            let found = identity_demands(&resources, &without, &mesh, &inbound);
            let told: Vec<String> = found
                .iter()
                .map(|finding| format!("{} {}", finding.code, finding.path))
                .collect();
            assert_eq!(told, expected, "{yaml}");
            let with = Workload {
                spiffe_id: Some("spiffe://td/ns/shop/sa/shop".into()),
                ..without
            };
            assert_eq!(identity_demands(&resources, &with, &mesh, &inbound), []);
        }
    }
}
