//! Where the command line says that a control plane is, and what this workload calls itself there.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use outrigger_xds::Asked;
use outrigger_xds::channel::{Address, OwnIdentity, Target};
use outrigger_xds::messages::Node;
use outrigger_xds::structs;
use outrigger_xds::workload::{self, Around};
use serde_json::{Map, Value, json};
use tonic::transport::Channel;

use crate::authority_args::AuthorityArgs;

/// A control plane instead of files.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Control plane")]
pub(crate) struct XdsArgs {
    /// The control plane to learn rules and endpoints from, instead of files: `HOST:PORT` of `outrigger control`, over TLS, believed by
    /// --ca-roots, and told who we are by --token or by the certificate that is in use; with `http://` before it in clear text, which
    /// goes to this machine alone. No traffic is taken before a first configuration has come; without the control plane, what came
    /// last stays in use
    #[arg(
        long,
        value_name = "ADDR",
        env = "OUTRIGGER_XDS",
        conflicts_with_all = ["config", "mesh_config", "ignore", "record"],
        required_unless_present = "config"
    )]
    pub(crate) xds: Option<String>,

    /// What stands at --xds: it says what there is to ask for. `istiod` is Istio's own, by its `api` generator (docs/istiod.md)
    #[arg(
        long,
        value_name = "KIND",
        value_enum,
        default_value = "control",
        env = "OUTRIGGER_XDS_KIND",
        requires = "xds"
    )]
    pub(crate) xds_kind: XdsKind,

    /// Where endpoints come from: `workloads` is the workload API of an istiod that has ambient on (PILOT_ENABLE_AMBIENT), of which
    /// nothing else is taken
    #[arg(
        long,
        value_name = "WHERE",
        value_enum,
        default_value = "told",
        env = "OUTRIGGER_XDS_ENDPOINTS",
        requires = "xds"
    )]
    pub(crate) xds_endpoints: XdsEndpoints,

    /// A service to ask the workload API for, `NAMESPACE/HOST`, instead of all; may be repeated
    #[arg(
        long,
        value_name = "NAMESPACE/HOST",
        value_parser = service,
        requires = "xds_endpoints"
    )]
    pub(crate) xds_service: Vec<String>,

    /// The network that this workload is in, where a mesh has several: others are reached by gateways alone
    #[arg(long, value_name = "NAME", env = "ISTIO_META_NETWORK")]
    pub(crate) network: Option<String>,

    /// What this workload is called there [default: its host name]
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    pub(crate) workload_name: Option<String>,

    /// Its address, for those who look at the control plane
    #[arg(long, value_name = "IP", env = "INSTANCE_IP")]
    pub(crate) workload_ip: Option<IpAddr>,
}

/// What a control plane is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum XdsKind {
    /// `outrigger control`
    #[default]
    Control,
    /// Istio's control plane
    Istiod,
}

/// What istiod calls its cluster where nobody gives it a name.
const ONLY_CLUSTER: &str = "Kubernetes";

/// Where endpoints come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum XdsEndpoints {
    /// As the control plane tells them: with its objects, and those that istiod leaves out by EDS
    #[default]
    Told,
    /// From the workload API
    Workloads,
}

/// The name of a service in the workload API.
fn service(text: &str) -> Result<String, String> {
    match text.split_once('/') {
        Some((namespace, host))
            if !namespace.is_empty() && !host.is_empty() && !host.contains('/') =>
        {
            Ok(text.to_owned())
        }
        _ => {
            Err("a service is `NAMESPACE/HOST`, such as `shop/cart.shop.svc.cluster.local`".into())
        }
    }
}

/// A control plane, and how we show it who we are.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    addr: String,
    asked: Asked,
    workloads: Option<workload::Asked>,
    target: Target,
    token: PathBuf,
}

impl XdsArgs {
    /// The control plane, if there is one.
    ///
    /// # Errors
    /// It is no address, or one that is not to be spoken to in clear text.
    pub(crate) fn server(
        &self,
        authority: &AuthorityArgs,
        identity: Option<OwnIdentity>,
    ) -> Result<Option<Server>, String> {
        let Some(addr) = &self.xds else {
            return Ok(None);
        };
        let asks_for_workloads = self.xds_endpoints == XdsEndpoints::Workloads;
        if asks_for_workloads && self.xds_kind == XdsKind::Control {
            return Err(
                "--xds-endpoints workloads: `outrigger control` has no workload API, and tells of endpoints by its objects; \
                 istiod has one (--xds-kind istiod)"
                    .into(),
            );
        }
        let address = Address::parse(addr).map_err(|why| format!("--xds: {why}"))?;
        let mut target = Target::new(address, authority.roots());
        target.identity = identity;
        Ok(Some(Server {
            addr: addr.clone(),
            asked: match self.xds_kind {
                XdsKind::Control => Asked::Control,
                XdsKind::Istiod => Asked::Istiod,
            },
            workloads: asks_for_workloads.then(|| workload::Asked {
                around: Around {
                    network: self.network.clone().unwrap_or_default(),
                    trust_domain: authority.trust_domain().to_owned(),
                },
                services: self.xds_service.clone(),
            }),
            target,
            token: authority.token().to_owned(),
        }))
    }

    /// Who this workload says it is; which cluster it is in where somebody said so, and to istiod in any case.
    pub(crate) fn node<'a>(
        &self,
        namespace: &str,
        cluster: Option<&str>,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        is_gateway: bool,
    ) -> Node {
        let role = if is_gateway { "router" } else { "sidecar" };
        let ip = self
            .workload_ip
            .map_or_else(|| "0.0.0.0".to_owned(), |ip| ip.to_string());
        let name = self.workload_name.clone().unwrap_or_else(host_name);
        let labels: Map<String, Value> = labels
            .map(|(key, value)| (key.to_owned(), value.into()))
            .collect();
        let mut metadata = json!({"GENERATOR": "api", "NAMESPACE": namespace, "LABELS": labels});
        let istiods = (self.xds_kind == XdsKind::Istiod).then_some(ONLY_CLUSTER);
        if let Some(cluster) = cluster.or(istiods) {
            metadata["CLUSTER_ID"] = cluster.into();
        }
        if let Some(ip) = self.workload_ip {
            metadata["INSTANCE_IPS"] = ip.to_string().into();
        }
        Node {
            id: format!("{role}~{ip}~{name}.{namespace}~{namespace}.svc.cluster.local"),
            cluster: format!("{name}.{namespace}"),
            metadata: Some(structs::from_json(&metadata)),
            user_agent_name: format!("outrigger/{}", env!("CARGO_PKG_VERSION")),
        }
    }
}

impl Server {
    /// For people.
    pub(crate) fn addr(&self) -> &str {
        &self.addr
    }

    /// What stands there.
    pub(crate) const fn asked(&self) -> Asked {
        self.asked
    }

    /// What is asked of its workload API, if anything.
    pub(crate) fn workloads(&self) -> Option<workload::Asked> {
        self.workloads.clone()
    }

    /// Connects.
    ///
    /// # Errors
    /// Why not, in words.
    pub(crate) async fn connect(&self) -> Result<Channel, String> {
        self.target.connect().await
    }

    /// The token that tells who we are, if there is one; in clear text nobody is shown it.
    pub(crate) fn token(&self) -> Option<String> {
        if self.target.address.is_plain() {
            return None;
        }
        let text = std::fs::read_to_string(&self.token).ok()?;
        let token = text.trim();
        (!token.is_empty()).then(|| token.to_owned())
    }
}

fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_called_as_istios_are() {
        let args = XdsArgs {
            workload_name: Some("cart-1".into()),
            workload_ip: Some([10, 0, 0, 7].into()),
            ..XdsArgs::default()
        };
        let node = args.node("shop", None, [("app", "cart")].into_iter(), false);
        assert_eq!(
            node.id,
            "sidecar~10.0.0.7~cart-1.shop~shop.svc.cluster.local"
        );
        let metadata = structs::to_json(node.metadata.unwrap());
        assert_eq!(
            metadata,
            json!({
                "GENERATOR": "api", "NAMESPACE": "shop", "LABELS": {"app": "cart"}, "INSTANCE_IPS": "10.0.0.7"
            })
        );
        assert!(
            args.node("shop", None, [].into_iter(), true)
                .id
                .starts_with("router~")
        );
        let of_istiod = XdsArgs {
            xds_kind: XdsKind::Istiod,
            ..args
        };
        for (cluster, wanted) in [(None, "Kubernetes"), (Some("east"), "east")] {
            let node = of_istiod.node("shop", cluster, [].into_iter(), false);
            let metadata = structs::to_json(node.metadata.unwrap());
            assert_eq!(metadata["CLUSTER_ID"], wanted);
        }
    }
}
