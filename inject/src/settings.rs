//! What is put into pods where they do not say: the image, the addresses of `control`, resources.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::interception::Interception;
use crate::proxy_config;
use crate::yaml;

/// Settings of injection. As text they are YAML with the names in camel case, all of them optional ([`Settings::read`]).
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    /// The image of the sidecar.
    pub image: String,
    /// The image whose `outrigger intercept` captures connections: it has `nft` or iptables, too.
    pub init_image: String,
    /// `Always`, `IfNotPresent` or `Never`; Kubernetes' own default where none is said.
    pub image_pull_policy: Option<String>,
    /// Who injects (`istio.io/rev`).
    pub revision: String,
    /// Where sidecars get their configuration, `HOST:PORT`.
    pub discovery_address: String,
    /// Where they get their certificates, `HOST:PORT`.
    pub ca_address: String,
    /// The name of the cluster.
    pub cluster_id: String,
    /// The mesh's own name in identities.
    pub trust_domain: String,
    /// The ConfigMap of each namespace whose `root-cert.pem` says whom to believe.
    pub root_config_map: String,
    /// The same as PEM, where `control` knows it: it goes into the pod, and the ConfigMap may be absent.
    pub roots: Option<String>,
    /// How connections come to the sidecar.
    pub interception: Interception,
    /// A CNI plugin captures connections; no container does.
    pub cni: bool,
    /// Questions for names go to the sidecar, too.
    pub dns_capture: bool,
    /// Connections over IPv6 are captured, too.
    pub ipv6: bool,
    /// The sidecar is an init container that restarts always (Kubernetes 1.29), so that it is there before and after all
    /// others, and Jobs end.
    pub native_sidecar: bool,
    /// Without the above: the application starts once the sidecar is ready.
    pub hold_application_until_proxy_starts: bool,
    /// The application's probes go by way of the sidecar.
    pub rewrite_probes: bool,
    /// Who scrapes a pod by its annotations finds its metrics and the sidecar's on one page.
    pub merge_metrics: bool,
    /// Pods that say nothing get one, in a namespace whose labels are not known here.
    pub enabled: bool,
    /// Namespaces whose pods never get one.
    pub never: Vec<String>,
    /// `resources` of the sidecar.
    pub resources: Value,
    /// `resources` of what captures connections.
    pub init_resources: Value,
    /// `seccompProfile` of both; null is as the node has it. Pods that are held to be restricted need one, and io_uring
    /// (`--runtime glommio`) needs one that lets it through, which `RuntimeDefault` does not.
    pub seccomp_profile: Value,
    /// Worker threads of a sidecar; one for each core where it is not said, or 0.
    pub concurrency: Option<u32>,
    /// How long its drain may take, in seconds; the program's own default where it is not said.
    pub drain_time: Option<u64>,
    /// How long connections of a listener that is gone may go on, in seconds; as long as the drain where it is not said.
    pub listener_drain_time: Option<u64>,
    /// Further arguments of `outrigger run`.
    pub arguments: Vec<String>,
    /// Further variables of the sidecar.
    pub environment: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        let version = env!("CARGO_PKG_VERSION");
        let address = "outrigger.outrigger-system.svc:15012";
        Self {
            image: format!("outrigger:{version}"),
            init_image: format!("outrigger-init:{version}"),
            image_pull_policy: None,
            revision: "default".into(),
            discovery_address: address.into(),
            ca_address: address.into(),
            cluster_id: "Kubernetes".into(),
            trust_domain: "cluster.local".into(),
            root_config_map: "istio-ca-root-cert".into(),
            roots: None,
            interception: Interception::Redirect,
            cni: false,
            dns_capture: false,
            ipv6: false,
            native_sidecar: true,
            hold_application_until_proxy_starts: true,
            rewrite_probes: true,
            merge_metrics: true,
            enabled: true,
            never: ["kube-system", "kube-public", "kube-node-lease"]
                .map(str::to_owned)
                .into(),
            resources: json!({
                "requests": {"cpu": "50m", "memory": "64Mi"},
                "limits": {"memory": "512Mi"},
            }),
            init_resources: json!({
                "requests": {"cpu": "10m", "memory": "32Mi"},
                "limits": {"memory": "128Mi"},
            }),
            seccomp_profile: json!({"type": "RuntimeDefault"}),
            concurrency: None,
            drain_time: None,
            listener_drain_time: None,
            arguments: Vec::new(),
            environment: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// Reads them; what is not said is as by default.
    ///
    /// # Errors
    /// The text is no YAML, or says something that is no setting: what, and where.
    pub fn read(text: &str) -> Result<Self, String> {
        let documents = yaml::read("settings", text.as_bytes())?;
        match documents.into_iter().next() {
            None => Ok(Self::default()),
            Some(document) => {
                serde_json::from_value(document.to_json()).map_err(|error| error.to_string())
            }
        }
    }
}

impl Settings {
    /// The same where the mesh configuration (Istio's ConfigMap, or the text of its key `mesh`) says more, by its `defaultConfig`: as if
    /// every pod had that in `proxy.istio.io/config`. Its `discoveryAddress` is that of Istio's own control plane, and not taken.
    ///
    /// # Errors
    /// The text is no YAML, or a field of it has a value that it cannot have.
    pub fn in_mesh(self, mesh: &str) -> Result<Self, String> {
        let documents = yaml::read("mesh", mesh.as_bytes())?;
        let mesh = documents.first().map(yaml::Tree::to_json);
        if let Some(map) = mesh.as_ref().filter(|map| map["kind"] == "ConfigMap") {
            return self.in_mesh(map["data"]["mesh"].as_str().unwrap_or_default());
        }
        let Some(config) = mesh.as_ref().and_then(|mesh| mesh.get("defaultConfig")) else {
            return Ok(self);
        };
        let mut all = self;
        let config = proxy_config::of(config).map_err(|why| format!("defaultConfig: {why}"))?;
        let hold = &mut all.hold_application_until_proxy_starts;
        *hold = config.hold.unwrap_or(*hold);
        all.interception = config.interception.unwrap_or(all.interception);
        all.concurrency = config.concurrency.or(all.concurrency);
        all.drain_time = config.drain.or(all.drain_time);
        all.listener_drain_time = config.listener_drain.or(all.listener_drain_time);
        // What is set for injection itself is nearer.
        for (name, value) in config.metadata {
            all.environment.entry(name).or_insert(value);
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_as_by_default() {
        assert_eq!(Settings::read("").unwrap(), Settings::default());
        let some = Settings::read("image: mine:1\ninterception: TPROXY\nnever: [a]\n").unwrap();
        assert_eq!(some.image, "mine:1");
        assert_eq!(some.interception, Interception::Tproxy);
        assert_eq!(some.never, ["a"]);
        assert_eq!(some.init_image, Settings::default().init_image);
    }

    #[test]
    fn what_is_no_setting_is_told() {
        for (text, want) in [
            ("imge: mine", "unknown field `imge`"),
            ("cni: maybe", "invalid type"),
            ("a: [", "settings:"),
        ] {
            let told = Settings::read(text).unwrap_err();
            assert!(told.contains(want), "{told}");
        }
    }

    #[test]
    fn the_mesh_says_what_holds_for_all() {
        let mesh = "trustDomain: a\ndefaultConfig:\n  holdApplicationUntilProxyStarts: false\n  concurrency: 2\n  \
                    terminationDrainDuration: 10s\n  drainDuration: 4s\n  interceptionMode: TPROXY\n  discoveryAddress: istiod:15012\n  \
                    proxyMetadata: {A: mesh, B: mesh}\n";
        let own = Settings::read("environment: {A: own}\ndrainTime: 3\n").unwrap();
        let got = own.clone().in_mesh(mesh).unwrap();
        let want = Settings {
            hold_application_until_proxy_starts: false,
            concurrency: Some(2),
            drain_time: Some(10),
            listener_drain_time: Some(4),
            interception: Interception::Tproxy,
            environment: [("A", "own"), ("B", "mesh")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            ..Settings::default()
        };
        assert_eq!(got, want);
        let map = serde_json::json!({"kind": "ConfigMap", "data": {"mesh": mesh}});
        assert_eq!(own.in_mesh(&map.to_string()), Ok(want));
        for nothing in ["", "{}", "defaultConfig: {}", "defaultConfig: null"] {
            assert_eq!(
                Settings::default().in_mesh(nothing),
                Ok(Settings::default())
            );
        }
        for (mesh, want) in [
            (
                "defaultConfig: {concurrency: many}",
                "defaultConfig: `concurrency` cannot be \"many\"",
            ),
            ("defaultConfig: [1]", "defaultConfig: it is no mapping"),
            ("a: [", "mesh:"),
        ] {
            let told = Settings::default().in_mesh(mesh).unwrap_err();
            assert!(told.starts_with(want), "{told}");
        }
    }
}
