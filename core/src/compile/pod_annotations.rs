//! What annotations of the workload's own Pod would have a sidecar of Istio's do with its stats, and this one does not: told, so that
//! nobody waits for it.

use super::Input;
use super::labels::is_subset;
use crate::config::kubernetes::Pod;
use crate::config::{Code, Finding};

/// Settings of stats, with what is there in their place.
const OF_STATS: [(&str, &str); 8] = [
    (
        "sidecar.istio.io/statsHistogramBuckets",
        "Prometheus is told Istio's own buckets; `/stats` has quantiles of any value",
    ),
    ("sidecar.istio.io/statsInclusionPrefixes", ALL),
    ("sidecar.istio.io/statsInclusionSuffixes", ALL),
    ("sidecar.istio.io/statsInclusionRegexps", ALL),
    (
        "sidecar.istio.io/extraStatTags",
        "a `Telemetry` resource's `tagOverrides` add labels",
    ),
    (
        "sidecar.istio.io/statsCompression",
        "pages of metrics are not compressed",
    ),
    (
        "sidecar.istio.io/statsEvictionInterval",
        "`--metric-series-idle` says when series end that nothing is counted in",
    ),
    (
        "proxy.istio.io/config",
        "its settings can stand in the `defaultConfig` of the mesh configuration, where each that is not in effect is told",
    ),
];

const ALL: &str = "all stats are told; `?filter=` of `/stats` says which are wanted";

/// Tells those of Pods that have all labels of the workload. Without labels nobody knows whose a Pod is.
pub(super) fn tell(input: &Input<'_>, findings: &mut Vec<Finding>) {
    let workload = input.workload;
    if workload.labels.is_empty() {
        return;
    }
    let is_ours = |pod: &&Pod| {
        pod.meta.namespace == workload.namespace && is_subset(&workload.labels, &pod.meta.labels)
    };
    for pod in input.pods().into_iter().filter(is_ours) {
        for (name, help) in OF_STATS {
            if pod.meta.annotations.contains_key(name) {
                let path = format!("metadata.annotations[\"{name}\"]");
                let message = format!("annotation `{name}` is not in effect in this proxy");
                findings.push(Finding::about(
                    Code::NotInEffect,
                    "Pod",
                    &pod.meta,
                    &path,
                    message,
                    help,
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::cluster::Registry;
    use crate::compile::{Answers, Workload, compile};
    use crate::config::{MeshConfig, Source, load};

    const PODS: &str = "
apiVersion: v1
kind: Pod
metadata:
  name: web-1
  labels: {app: web, version: v1}
  annotations:
    sidecar.istio.io/statsHistogramBuckets: '{\"istiocustom\":[1,5]}'
    sidecar.istio.io/status: '{}'
    proxy.istio.io/config: 'proxyStatsMatcher: {}'
---
apiVersion: v1
kind: Pod
metadata: {name: other, labels: {app: other}, annotations: {sidecar.istio.io/statsInclusionPrefixes: cluster}}
";

    fn told(labels: &[(&str, &str)]) -> Vec<String> {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let workload = Workload {
            labels: labels.iter().map(pair).collect(),
            ..Workload::default()
        };
        let source = Source {
            name: "pods.yaml",
            bytes: PODS.as_bytes(),
        };
        let resources = load(&[source], &workload.namespace).resources;
        let (mesh, answers) = (MeshConfig::default(), Answers::new());
        let registry = &mut Registry::default();
        let compiled = compile(&resources, &workload, &mesh, &[], &answers, registry, 0);
        let findings = compiled.findings.iter();
        findings
            .map(|f| format!("{} {} {}", f.code, f.line, f.path))
            .collect()
    }

    #[test]
    fn those_of_our_own_pod_are_told() {
        assert_eq!(
            told(&[("app", "web")]),
            [
                "not-in-effect 8 metadata.annotations[\"sidecar.istio.io/statsHistogramBuckets\"]",
                "not-in-effect 10 metadata.annotations[\"proxy.istio.io/config\"]",
            ]
        );
        assert_eq!(told(&[("app", "nobody")]), [""; 0]);
        assert_eq!(told(&[]), [""; 0]);
    }
}
