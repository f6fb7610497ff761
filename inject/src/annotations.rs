//! The annotations that injection reads, and those of Istio's that it does not.

use serde_json::Value;

use crate::names::{INJECT, PROXY_CONFIG, STATUS, TEMPLATES};
use crate::refused::Refused;

/// Whether metrics of the application and of the sidecar are on one page.
pub(crate) const MERGE: &str = "prometheus.istio.io/merge-metrics";
pub(crate) const CPU: &str = "sidecar.istio.io/proxyCPU";
pub(crate) const CPU_LIMIT: &str = "sidecar.istio.io/proxyCPULimit";
pub(crate) const MEMORY: &str = "sidecar.istio.io/proxyMemory";
pub(crate) const MEMORY_LIMIT: &str = "sidecar.istio.io/proxyMemoryLimit";
pub(crate) const IMAGE: &str = "sidecar.istio.io/proxyImage";
pub(crate) const NATIVE: &str = "sidecar.istio.io/nativeSidecar";
pub(crate) const MODE: &str = "sidecar.istio.io/interceptionMode";
pub(crate) const REWRITE: &str = "sidecar.istio.io/rewriteAppHTTPProbers";
pub(crate) const LOG_LEVEL: &str = "sidecar.istio.io/logLevel";
pub(crate) const USER_VOLUME: &str = "sidecar.istio.io/userVolume";
pub(crate) const USER_MOUNT: &str = "sidecar.istio.io/userVolumeMount";
pub(crate) const READY_DELAY: &str = "readiness.status.sidecar.istio.io/initialDelaySeconds";
pub(crate) const READY_PERIOD: &str = "readiness.status.sidecar.istio.io/periodSeconds";
pub(crate) const READY_FAILURES: &str = "readiness.status.sidecar.istio.io/failureThreshold";

/// What is captured, with the flag of `outrigger intercept` that says it, and what it may say.
pub(crate) const CAPTURE: &[(&str, &str, Form)] = &[
    (
        "traffic.sidecar.istio.io/includeInboundPorts",
        "--include-inbound-ports",
        Form::PortsOrAll,
    ),
    (
        "traffic.sidecar.istio.io/excludeInboundPorts",
        "--exclude-inbound-ports",
        Form::Ports,
    ),
    (
        "traffic.sidecar.istio.io/includeOutboundPorts",
        "--include-outbound-ports",
        Form::Ports,
    ),
    (
        "traffic.sidecar.istio.io/excludeOutboundPorts",
        "--exclude-outbound-ports",
        Form::Ports,
    ),
    (
        "traffic.sidecar.istio.io/includeOutboundIPRanges",
        "--include-outbound-ip-ranges",
        Form::RangesOrAll,
    ),
    (
        "traffic.sidecar.istio.io/excludeOutboundIPRanges",
        "--exclude-outbound-ip-ranges",
        Form::Ranges,
    ),
    (
        "traffic.sidecar.istio.io/excludeInterfaces",
        "--exclude-interfaces",
        Form::Names,
    ),
    (
        "traffic.sidecar.istio.io/kubevirtInterfaces",
        "--reroute-virtual-interfaces",
        Form::Names,
    ),
    (
        "istio.io/reroute-virtual-interfaces",
        "--reroute-virtual-interfaces",
        Form::Names,
    ),
];

/// What a list with commas has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Ports, or `*`.
    PortsOrAll,
    /// Ports.
    Ports,
    /// Ranges of addresses, or `*`.
    RangesOrAll,
    /// Ranges of addresses.
    Ranges,
    /// Names of interfaces.
    Names,
}

const HONOURED: &[&str] = &[
    INJECT,
    STATUS,
    TEMPLATES,
    PROXY_CONFIG,
    CPU,
    CPU_LIMIT,
    MEMORY,
    MEMORY_LIMIT,
    IMAGE,
    NATIVE,
    MODE,
    REWRITE,
    LOG_LEVEL,
    USER_VOLUME,
    USER_MOUNT,
    READY_DELAY,
    READY_PERIOD,
    READY_FAILURES,
    MERGE,
];

/// Groups of annotations that are about sidecars.
const OF_SIDECARS: &[&str] = &[
    "sidecar.istio.io",
    "traffic.sidecar.istio.io",
    "status.sidecar.istio.io",
    "readiness.status.sidecar.istio.io",
    "proxy.istio.io",
    "inject.istio.io",
    "prometheus.istio.io",
];

/// The annotations of a pod.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Annotations<'a>(pub(crate) Option<&'a Value>);

impl<'a> Annotations<'a> {
    /// What one says; empty is as good as absent where nothing would be meant.
    pub(crate) fn get(self, name: &str) -> Option<&'a str> {
        self.0?.get(name)?.as_str()
    }

    /// `true` or `false`.
    pub(crate) fn flag(self, name: &str) -> Result<Option<bool>, Refused> {
        match self.get(name) {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => Err(refused(name, other, "`true` or `false`")),
        }
    }

    /// A number.
    pub(crate) fn number(self, name: &str, least: u32) -> Result<Option<u32>, Refused> {
        let Some(text) = self.get(name) else {
            return Ok(None);
        };
        match text.parse::<u32>() {
            Ok(number) if number >= least => Ok(Some(number)),
            _ => Err(refused(name, text, &format!("a whole number from {least}"))),
        }
    }

    /// Those about sidecars that nobody reads.
    pub(crate) fn unread(self) -> Vec<&'a str> {
        let all = self.0.and_then(Value::as_object);
        let names = all.into_iter().flat_map(|all| all.keys());
        let is_unread = |name: &&String| {
            let group = name.split_once('/').map_or("", |(group, _)| group);
            OF_SIDECARS.contains(&group)
                && !HONOURED.contains(&name.as_str())
                && !CAPTURE.iter().any(|(known, ..)| *known == name.as_str())
        };
        names.filter(is_unread).map(String::as_str).collect()
    }
}

pub(crate) fn refused(name: &str, value: &str, wanted: &str) -> Refused {
    Refused(format!("annotation `{name}`: `{value}` is not {wanted}"))
}
