//! What is read and checked, and not in effect yet.
//!
//! One table: a row is deleted by the change that makes its field work. Each field that a document uses is told once
//! per occurrence, so nobody relies on a policy that is not there.

use super::code::Code;
use super::node::{Entry, Node};
use super::report::Report;

/// Fields of a VirtualService's `spec` that do nothing yet. `[]` stands for every entry of a list.
const VIRTUAL_SERVICE: &[&str] = &["http[].match[].statPrefix"];

/// Where a DestinationRule has traffic policies.
const TRAFFIC_POLICIES: &[&str] = &[
    "trafficPolicy.",
    "trafficPolicy.portLevelSettings[].",
    "subsets[].trafficPolicy.",
    "subsets[].trafficPolicy.portLevelSettings[].",
];

/// Fields of a traffic policy that do nothing yet.
const TRAFFIC_POLICY: &[&str] = &["tunnel"];

/// Tells the pending fields of a VirtualService; the report stands at its `spec`.
pub(super) fn tell_virtual_service(spec: &Node, report: &mut Report) {
    for path in VIRTUAL_SERVICE {
        tell(spec, path, report);
    }
}

/// Tells the pending fields of a DestinationRule; the report stands at its `spec`.
pub(super) fn tell_destination_rule(spec: &Node, report: &mut Report) {
    for policy in TRAFFIC_POLICIES {
        for field in TRAFFIC_POLICY {
            tell(spec, &format!("{policy}{field}"), report);
        }
    }
}

fn tell(node: &Node, path: &str, report: &mut Report) {
    let (step, rest) = path.split_once('.').unwrap_or((path, ""));
    let (name, is_list) = step
        .strip_suffix("[]")
        .map_or((step, false), |name| (name, true));
    let Some(Entry { value, .. }) = node.field(name).filter(|entry| !entry.value.is_null()) else {
        return;
    };
    report.field(name, |report| {
        if is_list {
            for (index, item) in value.items().iter().enumerate() {
                report.index(index, |report| tell(item, rest, report));
            }
        } else if rest.is_empty() {
            let message = format!("`{name}` is not in effect yet");
            report.raise(
                Code::NotInEffect,
                message,
                "the proxy behaves as if it were not there",
            );
        } else {
            tell(value, rest, report);
        }
    });
}

#[cfg(test)]
mod tests {
    use crate::config::{Source, load};

    #[test]
    fn every_occurrence_is_told() {
        let text = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\nspec:\n  host: a\n  \
                    trafficPolicy:\n    tunnel: {targetHost: b.test, targetPort: 443}\n    connectionPool: {tcp: {connectTimeout: 1s}}\n  \
                    subsets:\n  - name: v1\n    trafficPolicy: {tunnel: {targetHost: b.test, targetPort: 443}}\n";
        let findings = load(
            &[Source {
                name: "a.yaml",
                bytes: text.as_bytes(),
            }],
            "default",
        )
        .findings;
        let told: Vec<_> = findings
            .iter()
            .map(|finding| (finding.code.as_str(), finding.path.as_str(), finding.line))
            .collect();
        assert_eq!(
            told,
            [
                ("not-in-effect", "spec.trafficPolicy.tunnel", 7),
                ("not-in-effect", "spec.subsets[0].trafficPolicy.tunnel", 11),
            ]
        );
    }
}
