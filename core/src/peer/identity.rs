//! What a workload is called: the names under which metrics and spans file a side of a request.

use std::collections::BTreeMap;

/// The names of a workload, as far as somebody says them; what nobody says is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// What runs it: a Deployment, a StatefulSet, a WorkloadEntry.
    pub workload: Box<str>,
    /// Its namespace.
    pub namespace: Box<str>,
    /// The service that it is an instance of, by its labels.
    pub canonical_service: Box<str>,
    /// Which revision of that; `latest` where its labels say none.
    pub canonical_revision: Box<str>,
    /// Its label `app`.
    pub app: Box<str>,
    /// Its label `version`.
    pub version: Box<str>,
    /// The Kubernetes cluster that it runs in.
    pub cluster: Box<str>,
}

impl Identity {
    /// The names that labels give a workload (Istio's canonical service, and the classic `app` and `version`). The label
    /// `service.istio.io/workload-name` stands before `workload`.
    #[must_use]
    pub fn of(workload: &str, namespace: &str, labels: &BTreeMap<String, String>) -> Self {
        let label = |names: &[&str]| {
            let mut values = names.iter().filter_map(|name| labels.get(*name));
            values.find(|value| !value.is_empty()).map(String::as_str)
        };
        let text = |names: &[&str], otherwise: &str| label(names).unwrap_or(otherwise).into();
        let workload: Box<str> = text(&["service.istio.io/workload-name"], workload);
        let service = [
            "service.istio.io/canonical-name",
            "app.kubernetes.io/name",
            "app",
        ];
        let revision = [
            "service.istio.io/canonical-revision",
            "app.kubernetes.io/version",
            "version",
        ];
        let canonical_service: Box<str> = text(&service, &workload);
        let otherwise = match canonical_service.is_empty() {
            true => "",
            false => "latest",
        };
        Self {
            canonical_revision: text(&revision, otherwise),
            app: text(&["app"], ""),
            version: text(&["version"], ""),
            cluster: text(&["topology.istio.io/cluster"], ""),
            namespace: namespace.into(),
            canonical_service,
            workload,
        }
    }

    /// The workload behind a pod: what owns it names it, followed by a hash of its template and five letters, or by a number.
    #[must_use]
    pub fn of_pod(pod: &str, namespace: &str, labels: &BTreeMap<String, String>) -> Self {
        let hash = labels.get("pod-template-hash");
        let of_deployment = hash.and_then(|hash| {
            let (owner, _) = pod.rsplit_once('-')?;
            owner.strip_suffix(&**hash)?.strip_suffix('-')
        });
        let is_numbered = labels.contains_key("statefulset.kubernetes.io/pod-name");
        let of_set = || {
            let (owner, _) = pod.rsplit_once('-').filter(|_| is_numbered)?;
            Some(owner)
        };
        let workload = of_deployment.or_else(of_set).unwrap_or(pod);
        Self::of(workload, namespace, labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(all: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        all.iter().map(pair).collect()
    }

    #[test]
    fn labels_name_the_service_and_its_revision() {
        for (all, service, revision, app) in [
            (&[][..], "w", "latest", ""),
            (&[("app", "a")], "a", "latest", "a"),
            (&[("app", "a"), ("version", "v1")], "a", "v1", "a"),
            (
                &[
                    ("app", "a"),
                    ("app.kubernetes.io/name", "b"),
                    ("app.kubernetes.io/version", "2"),
                ],
                "b",
                "2",
                "a",
            ),
            (
                &[
                    ("service.istio.io/canonical-name", "c"),
                    ("service.istio.io/canonical-revision", "3"),
                    ("app.kubernetes.io/name", "b"),
                    ("version", "v1"),
                ],
                "c",
                "3",
                "",
            ),
            (&[("app", "")], "w", "latest", ""),
        ] {
            let named = Identity::of("w", "shop", &labels(all));
            let told = (
                &*named.canonical_service,
                &*named.canonical_revision,
                &*named.app,
            );
            assert_eq!(told, (service, revision, app), "{all:?}");
            assert_eq!((&*named.workload, &*named.namespace), ("w", "shop"));
        }
        let nobody = Identity::of("", "", &labels(&[]));
        assert_eq!(nobody, Identity::default());
    }

    #[test]
    fn a_pod_is_named_by_what_owns_it() {
        for (pod, all, workload) in [
            (
                "cart-v1-7d9f8-abcde",
                &[("pod-template-hash", "7d9f8")][..],
                "cart-v1",
            ),
            (
                "cart-v1-7d9f8-abcde",
                &[("pod-template-hash", "other")],
                "cart-v1-7d9f8-abcde",
            ),
            (
                "db-0",
                &[("statefulset.kubernetes.io/pod-name", "db-0")],
                "db",
            ),
            ("db-0", &[], "db-0"),
            ("x-1-y", &[("service.istio.io/workload-name", "z")], "z"),
        ] {
            let named = Identity::of_pod(pod, "shop", &labels(all));
            assert_eq!(&*named.workload, workload, "{pod}");
        }
    }
}
