//! What is put into pods where they do not say: the image, the addresses of `control`, resources.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::yaml;

/// How connections come to the sidecar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Interception {
    /// The kernel sends them to its ports.
    Redirect,
    /// Those from outside come as they are, with both addresses.
    Tproxy,
    /// Not at all: applications know of it.
    None,
}

impl Interception {
    /// As annotations and flags write it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Redirect => "REDIRECT",
            Self::Tproxy => "TPROXY",
            Self::None => "NONE",
        }
    }

    /// By that word, in any case.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        [Self::Redirect, Self::Tproxy, Self::None]
            .into_iter()
            .find(|mode| mode.word().eq_ignore_ascii_case(word))
    }
}

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
}
