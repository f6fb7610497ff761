//! Policies that ask who a client is where clients never say: PeerAuthentication leaves clear text alone to the workloads that
//! they are for.
//!
//! Told is only what holds for each workload that a policy may be for, known or not.

use super::Input;
use super::peer_authentication::PeerPolicies;
use crate::config::authorization_policy::{AuthorizationPolicy, PolicyAction, Rule, Values};
use crate::config::{Code, Finding};

/// What policies ask of a client's certificate and never get to know, each with its place.
#[must_use]
pub(super) fn unknowable(input: &Input<'_>, peers: &PeerPolicies<'_>) -> Vec<Finding> {
    if !peers.disable_somewhere() {
        return Vec::new();
    }
    let policies = input.resources.authorization_policies.iter();
    let used = policies.filter(|policy| !policy.meta.rejected && !policy.is_targeted);
    let in_clear_text =
        used.filter(|policy| peers.is_clear_text(&policy.meta.namespace, &policy.selector));
    in_clear_text.flat_map(of_policy).collect()
}

fn of_policy(policy: &AuthorizationPolicy) -> impl Iterator<Item = Finding> {
    let does = match policy.action {
        PolicyAction::Allow => "allows nothing",
        PolicyAction::Deny => "denies nothing",
        PolicyAction::Audit => "matches nothing",
        PolicyAction::Custom => "asks about nothing",
    };
    let rules = policy.rules.iter().enumerate();
    let places = rules.flat_map(|(at, rule)| of_rule(&format!("spec.rules[{at}]"), rule));
    places.map(move |path| {
        Finding::about(
            Code::IdentityNeverKnown,
            "AuthorizationPolicy",
            &policy.meta,
            &path,
            format!("in clear text nobody has an identity, so this {does}: PeerAuthentication says `DISABLE`"),
            "let clients show certificates (`STRICT` or `PERMISSIVE`), or ask for something else",
        )
    })
}

/// The places of a rule that ask for an identity.
fn of_rule(path: &str, rule: &Rule) -> Vec<String> {
    let asks = |values: &Values| !values.any.is_empty();
    let mut places = Vec::new();
    for (at, source) in rule.from.iter().enumerate() {
        let fields = [
            ("principals", &source.principals),
            ("namespaces", &source.namespaces),
            ("serviceAccounts", &source.service_accounts),
            ("trustDomains", &source.trust_domains),
        ];
        let asking = fields.into_iter().filter(|(_, values)| asks(values));
        places.extend(asking.map(|(name, _)| format!("{path}.from[{at}].source.{name}")));
    }
    for (at, condition) in rule.when.iter().enumerate() {
        let of_identity = matches!(
            condition.key.as_str(),
            "source.principal"
                | "source.namespace"
                | "source.serviceAccount"
                | "source.trustDomain"
        );
        if of_identity && asks(&condition.values) {
            places.push(format!("{path}.when[{at}].values"));
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile::Workload;
    use crate::config::mesh::MeshConfig;
    use crate::config::{Source, load};

    fn peers(namespace: &str, spec: &str) -> String {
        format!(
            "---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\n\
             metadata: {{name: p, namespace: {namespace}}}\nspec: {spec}\n"
        )
    }

    #[test]
    fn what_nobody_can_prove_is_told() {
        let by_name = "{rules: [{from: [{source: {principals: [a]}}]}]}";
        let place = "spec.rules[0].from[0].source.principals";
        let disabled = |namespace| peers(namespace, "{mtls: {mode: DISABLE}}");
        let selected = "{selector: {matchLabels: {app: shop}}, rules: [{from: [{source: {principals: [a]}}]}]}";
        let own = "{selector: {matchLabels: {app: shop}}, mtls: {mode: DISABLE}}";
        let strict = "{selector: {matchLabels: {app: other}}, mtls: {mode: STRICT}}";
        for (policy, others, want) in [
            (by_name, String::new(), &[][..]),
            (by_name, disabled("shop"), &[place]),
            (by_name, disabled("istio-system"), &[place]),
            (by_name, disabled("other"), &[]),
            // What selects some of those whom the policy is for.
            (
                by_name,
                disabled("shop") + &peers("shop", strict).replace("name: p", "name: q"),
                &[],
            ),
            (by_name, peers("shop", own), &[]),
            (selected, peers("shop", own), &[place]),
            (
                selected,
                peers(
                    "shop",
                    "{selector: {matchLabels: {app: shop}}, mtls: {mode: DISABLE}, portLevelMtls: {80: {mode: STRICT}}}",
                ),
                &[],
            ),
            (
                "{action: DENY, rules: [{from: [{source: {notPrincipals: [a], namespaces: [b]}}], when: [{key: source.principal, values: [c]}]}]}",
                disabled("shop"),
                &[
                    "spec.rules[0].from[0].source.namespaces",
                    "spec.rules[0].when[0].values",
                ],
            ),
            (
                "{rules: [{from: [{source: {requestPrincipals: ['*'], ipBlocks: [10.0.0.0/8]}}]}]}",
                disabled("shop"),
                &[],
            ),
        ] {
            let yaml = format!(
                "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n\
                 metadata: {{name: a, namespace: shop}}\nspec: {policy}\n{others}"
            );
            let source = Source {
                name: "f",
                bytes: yaml.as_bytes(),
            };
            let resources = load(&[source], "shop").resources;
            let input = Input {
                resources: &resources,
                workload: &Workload::default(),
                mesh: &MeshConfig::default(),
            };
            let found = unknowable(&input, &PeerPolicies::new(&input));
            let told: Vec<&str> = found
                .iter()
                .map(|finding| {
                    assert_eq!((finding.code, finding.line), (Code::IdentityNeverKnown, 4));
                    finding.path.as_str()
                })
                .collect();
            assert_eq!(told, want, "{yaml}");
        }
    }
}
