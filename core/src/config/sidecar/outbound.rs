//! `outboundTrafficPolicy`, of a Sidecar or of the mesh: what happens to hosts that no service has.

use crate::config::checks;
use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::names;
use crate::config::report::Report;
use crate::config::virtual_service::Destination;

/// `outboundTrafficPolicy`, of a Sidecar or of the mesh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboundTrafficPolicy {
    /// What happens to unknown hosts.
    pub mode: OutboundMode,
    /// Where requests to unknown hosts go instead of to their original destination; Sidecar only.
    pub egress_proxy: Option<Destination>,
}

/// `outboundTrafficPolicy.mode`. An empty block means `REGISTRY_ONLY`, because that is the enum's zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutboundMode {
    /// `REGISTRY_ONLY`.
    #[default]
    RegistryOnly,
    /// `ALLOW_ANY`.
    AllowAny,
}

const OUTBOUND_MODES: &[(&str, i32, OutboundMode)] = &[
    ("REGISTRY_ONLY", 0, OutboundMode::RegistryOnly),
    ("ALLOW_ANY", 1, OutboundMode::AllowAny),
];

/// The same for the mesh, which knows one mode more: names are looked up here in any case.
const MESH_MODES: &[(&str, i32, OutboundMode)] = &[
    ("REGISTRY_ONLY", 0, OutboundMode::RegistryOnly),
    ("ALLOW_ANY", 1, OutboundMode::AllowAny),
    ("ALLOW_ANY_DYNAMIC_DNS", 3, OutboundMode::AllowAny),
];

/// Reads `outboundTrafficPolicy` of the mesh.
pub(crate) fn decode_mesh(policy: &mut Object<'_, '_>) -> OutboundTrafficPolicy {
    if policy.take("tls").is_some() {
        let message = "`tls` is not in effect in this proxy";
        policy
            .report()
            .raise_in("tls", Code::NotInEffect, message, "");
    }
    OutboundTrafficPolicy {
        mode: policy.symbol("mode", MESH_MODES).unwrap_or_default(),
        egress_proxy: None,
    }
}

/// Reads `outboundTrafficPolicy` of a Sidecar.
pub(crate) fn decode(policy: &mut Object<'_, '_>) -> OutboundTrafficPolicy {
    OutboundTrafficPolicy {
        mode: policy.symbol("mode", OUTBOUND_MODES).unwrap_or_default(),
        egress_proxy: policy.message("egressProxy", decode_destination),
    }
}

fn decode_destination(destination: &mut Object<'_, '_>) -> Destination {
    Destination {
        host: destination.string("host"),
        subset: destination.string("subset"),
        port: destination
            .message("port", |port| port.optional_integer("number"))
            .flatten(),
    }
}

/// Checks the policy of a Sidecar.
pub(in crate::config) fn validate(policy: &OutboundTrafficPolicy, report: &mut Report) {
    let Some(proxy) = &policy.egress_proxy else {
        return;
    };
    report.field("egressProxy", |report| {
        if policy.mode != OutboundMode::AllowAny {
            return report.raise(
                Code::InvalidEgressProxy,
                "unknown hosts are refused, so none reaches the egress proxy",
                "set `mode: ALLOW_ANY`",
            );
        }
        if let Err(why) = names::check_fqdn(&proxy.host) {
            report.raise_in(
                "host",
                Code::InvalidHost,
                format!("`{}` {why}", proxy.host),
                "",
            );
        }
        if !proxy.subset.is_empty()
            && let Err(why) = names::check_dns_label(&proxy.subset)
        {
            report.raise_in(
                "subset",
                Code::InvalidName,
                format!("`{}` {why}", proxy.subset),
                "",
            );
        }
        match proxy.port {
            None => report.raise_in(
                "port",
                Code::RequiredField,
                "an egress proxy needs a port",
                "",
            ),
            Some(port) => report.field("port", |report| {
                report.field("number", |report| checks::port(port, report));
            }),
        }
    });
}
