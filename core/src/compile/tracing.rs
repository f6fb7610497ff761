//! How requests are traced: of Telemetry resources, the command line and the mesh configuration, in this order, setting by
//! setting.
//!
//! Which resources hold is decided in `telemetry`. Of `providers` only the first is used, as in Istio, and of `tracing` only
//! the first entry of each resource.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::clusters::{Clusters, name};
use super::telemetry::{Applicable, Entry};
use super::{Input, Workload};
use crate::config::mesh::{
    ProviderHeaderValue, ProviderKind, TraceProtocol, TraceProvider, TracingServiceName,
};
use crate::config::telemetry::{self, CustomTag};
use crate::config::{Code, Finding};
use crate::message::FieldName;
use crate::snapshot::{
    Address, Alpn, ClientTls, Collector, CollectorAddress, CollectorHeader, CollectorProtocol,
    DestinationCluster, HeaderSource, PeerNames, Propagation, RootsName, Sni, TagValue,
    TlsParameters, TracePolicy, TraceTag, Tracing, Trust,
};
use crate::time::Duration;

/// Istio's `PILOT_TRACE_SAMPLING`: 1 %.
const SAMPLED_OF_10000: u16 = 100;

/// Envoy's `max_path_tag_length`.
const MAX_PATH_TAG_LENGTH: u32 = 256;

/// Istio's time for a collector to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Where OTLP is posted unless something else is said.
const OTLP_PATH: &str = "/v1/traces";

/// Where Zipkin's spans are.
const ZIPKIN_PATH: &str = "/api/v2/spans";

/// What the command line says of traces: it goes before the mesh configuration, and a Telemetry resource before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceFlags {
    /// Where spans go.
    pub collector: Option<CollectorFlag>,
    /// Of 10,000 requests about which nobody has decided, how many are sampled.
    pub sampled_of_10000: Option<u16>,
}

/// A collector that the command line names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectorFlag {
    /// As it was written.
    pub url: String,
    /// Its name or address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Whether the URL says `https`: TLS by the authorities that the machine trusts, with that name, unless the configuration
    /// knows the service and says how it is protected.
    #[serde(default)]
    pub is_https: bool,
    /// What it speaks.
    pub protocol: CollectorProtocol,
}

/// What the sources come to for one direction.
#[derive(Debug, Default)]
struct Spec<'a> {
    provider: Option<&'a str>,
    sampling: Option<u16>,
    is_disabled: bool,
    tags: Option<&'a BTreeMap<String, CustomTag>>,
    by_request_id: Option<bool>,
    istio_tags: Option<bool>,
    no_propagation: bool,
}

/// Compiles both directions.
pub(super) fn tracing<'a>(
    input: &Input<'a>,
    applicable: &Applicable<'a>,
    clusters: &Clusters,
    findings: &mut Vec<Finding>,
) -> Tracing {
    let entries = applicable.entries("tracing", |t| t.tracing.get(..1).unwrap_or_default());
    tell(&entries, input, findings);
    let compiler = Compiler {
        input,
        clusters,
        entries: &entries,
    };
    let outbound = compiler.direction(|entry| entry.mode.is_for_client());
    let inbound = compiler.direction(|entry| entry.mode.is_for_server());
    let outbound = outbound.map(Arc::new);
    Tracing {
        inbound: match (&outbound, inbound) {
            (Some(same), Some(inbound)) if **same == inbound => Some(Arc::clone(same)),
            (_, inbound) => inbound.map(Arc::new),
        },
        outbound,
    }
}

/// What can not be done of what is written.
fn tell(entries: &[Entry<'_, telemetry::Tracing>], input: &Input<'_>, findings: &mut Vec<Finding>) {
    for entry in entries {
        let provider = entry.entry.providers.first();
        let provider = provider.and_then(|name| input.mesh.provider(name));
        if let Some(provider) = provider
            && !matches!(provider.kind, ProviderKind::Traces(_))
        {
            let message = format!(
                "no spans go to `{}`: its kind takes none here",
                provider.name
            );
            let help = "name a provider of kind `opentelemetry` or `zipkin`";
            findings.push(entry.finding("providers[0]", Code::NotInEffect, message, help));
        }
        for (name, tag) in entry.entry.custom_tags.iter().flatten() {
            let field = format!("customTags[\"{name}\"]");
            match tag {
                CustomTag::Header { name: header, .. } if FieldName::new(header).is_none() => {
                    let message = format!("`{header}` is no header name");
                    let code = Code::InvalidHeaderName;
                    findings.push(entry.finding(&field, code, message, ""));
                }
                CustomTag::Header { .. }
                | CustomTag::Literal(_)
                | CustomTag::Environment { .. }
                | CustomTag::Formatter(..) => {}
            }
        }
    }
}

struct Compiler<'c, 'a> {
    input: &'c Input<'a>,
    clusters: &'c Clusters,
    entries: &'c [Entry<'a, telemetry::Tracing>],
}

impl<'a> Compiler<'_, 'a> {
    fn direction(&self, is_for: impl Fn(&telemetry::Tracing) -> bool) -> Option<TracePolicy> {
        let spec = self.spec(is_for);
        if spec.is_disabled {
            return None;
        }
        let (provider, propagation, collector) = self.collector(&spec)?;
        let mesh = &self.input.mesh.default_config.tracing;
        let flags = &self.input.workload.trace;
        let sampled_of_10000 = spec.sampling.or(flags.sampled_of_10000);
        let of_mesh = mesh.sampled_of_10000.filter(|share| *share > 0);
        let max_path = provider.and_then(|provider| provider.max_tag_length);
        let max_path = [max_path, mesh.max_path_tag_length];
        let max_path = max_path.into_iter().flatten().find(|length| *length > 0);
        Some(TracePolicy {
            sampled_of_10000: sampled_of_10000.or(of_mesh).unwrap_or(SAMPLED_OF_10000),
            by_request_id: spec.by_request_id.unwrap_or(true),
            propagation: match spec.no_propagation {
                true => Propagation::Off,
                false => propagation,
            },
            tags: self.tags(&spec),
            max_path_tag_length: max_path.unwrap_or(MAX_PATH_TAG_LENGTH) as usize,
            service: self.service().into(),
            collector: Arc::new(collector),
        })
    }

    fn spec(&self, is_for: impl Fn(&telemetry::Tracing) -> bool) -> Spec<'a> {
        let mut spec = Spec::default();
        for entry in self.entries {
            let written = entry.entry;
            // Providers hold for both directions, whatever the entry matches (Istio).
            if let Some(name) = written.providers.first() {
                spec.provider = Some(name);
            }
            if !is_for(written) {
                continue;
            }
            let share = written.random_sampling_percentage;
            spec.sampling = share.map(telemetry::of_10000).or(spec.sampling);
            spec.is_disabled = written.disable_span_reporting.unwrap_or(spec.is_disabled);
            spec.tags = written.custom_tags.as_ref().or(spec.tags);
            spec.by_request_id = (written.use_request_id_for_trace_sampling).or(spec.by_request_id);
            spec.istio_tags = written.enable_istio_tags.or(spec.istio_tags);
            let off = written.disable_context_propagation;
            spec.no_propagation = off.unwrap_or(spec.no_propagation);
        }
        spec
    }

    /// Who takes spans: the provider that a resource names, the command line's collector, the mesh's default provider, or
    /// the Zipkin of its default configuration.
    fn collector(
        &self,
        spec: &Spec<'_>,
    ) -> Option<(Option<&'a TraceProvider>, Propagation, Collector)> {
        let mesh = self.input.mesh;
        if let Some(name) = spec.provider {
            return self.provider(name);
        }
        if let Some(flag) = &self.input.workload.trace.collector {
            let propagation = propagation(&flag.protocol, false, false);
            let (host, port) = (flag.host.as_str(), flag.port);
            let mut collector = self.at(&flag.url, host, port, flag.protocol.clone());
            if flag.is_https {
                protect(&mut collector, host);
            }
            return Some((None, propagation, collector));
        }
        if let Some(name) = mesh.default_providers.tracing.first() {
            return self.provider(name);
        }
        let is_on = mesh.enable_tracing || !self.entries.is_empty();
        let (host, port) = mesh
            .default_config
            .tracing
            .zipkin
            .as_ref()
            .filter(|_| is_on)?;
        let protocol = CollectorProtocol::Zipkin {
            path: ZIPKIN_PATH.into(),
        };
        let propagation = propagation(&protocol, false, false);
        let collector = self.at(&format!("{host}:{port}"), host, *port, protocol);
        Some((None, propagation, collector))
    }

    fn provider(&self, name: &str) -> Option<(Option<&'a TraceProvider>, Propagation, Collector)> {
        let provider = self.input.mesh.provider(name)?;
        let ProviderKind::Traces(traces) = &provider.kind else {
            return None;
        };
        let or = |path: &str, usual: &str| match path {
            "" => usual.into(),
            path => path.into(),
        };
        let (protocol, is_short, with_w3c) = match &traces.protocol {
            TraceProtocol::Zipkin {
                path,
                is_short,
                with_w3c,
            } => {
                let path = or(path, ZIPKIN_PATH);
                (CollectorProtocol::Zipkin { path }, *is_short, *with_w3c)
            }
            TraceProtocol::OtlpGrpc => (CollectorProtocol::OtlpGrpc, false, false),
            TraceProtocol::OtlpHttp { path } => {
                let path = or(path, OTLP_PATH);
                (CollectorProtocol::OtlpHttp { path }, false, false)
            }
        };
        let propagation = propagation(&protocol, is_short, with_w3c);
        let mut collector = self.at(&provider.name, &traces.service, traces.port, protocol);
        collector.timeout = traces.timeout.unwrap_or(TIMEOUT);
        let headers = traces.headers.iter().map(|header| CollectorHeader {
            name: header.name.clone(),
            value: match &header.value {
                ProviderHeaderValue::Literal(text) => HeaderSource::Literal((&**text).into()),
                ProviderHeaderValue::Environment(name) => {
                    HeaderSource::Environment((&**name).into())
                }
            },
        });
        collector.headers = headers.collect();
        Some((Some(traces), propagation, collector))
    }

    /// A collector at the endpoints of its service, where the registry knows that, and at its name otherwise.
    fn at(&self, of: &str, host: &str, port: u16, protocol: CollectorProtocol) -> Collector {
        let addresses = match self.clusters.by_name(name(port, "", host)) {
            DestinationCluster::Known(id) => {
                let cluster = &self.clusters.list[id.0 as usize];
                let endpoints = cluster.endpoints.iter();
                let found = endpoints.map(|endpoint| CollectorAddress {
                    address: endpoint.address.clone(),
                    tls: cluster.tls_to(endpoint).cloned(),
                });
                found.collect()
            }
            DestinationCluster::Missing(_) | DestinationCluster::Passthrough => Vec::new(),
        };
        let named = || CollectorAddress {
            address: match host.parse() {
                Ok(ip) => Address::Socket(core::net::SocketAddr::new(ip, port)),
                Err(_) => Address::Name(host.into(), port),
            },
            tls: None,
        };
        let authority = match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        Collector {
            name: of.into(),
            protocol,
            authority: authority.into(),
            addresses: match addresses.is_empty() {
                true => Box::new([named()]),
                false => addresses.into(),
            },
            headers: Box::default(),
            timeout: TIMEOUT,
        }
    }

    /// Istio's tags and the user's, sorted; the user's own go before Istio's of the same name.
    fn tags(&self, spec: &Spec<'_>) -> Box<[TraceTag]> {
        let mesh = &self.input.mesh.default_config.tracing;
        let mut tags = BTreeMap::new();
        let on = spec.istio_tags.or(mesh.enable_istio_tags).unwrap_or(true);
        if on {
            tags.extend(istio_tags(self.input.workload));
        }
        let written = spec.tags.filter(|tags| !tags.is_empty());
        let written = written.or(mesh.custom_tags.as_ref());
        for (name, tag) in written.into_iter().flatten() {
            if let Some(value) = value(tag) {
                tags.insert(name.clone(), value);
            }
        }
        let tags = tags.into_iter().map(|(name, value)| TraceTag {
            name: name.into(),
            value,
        });
        tags.collect()
    }

    /// What the workload is called (`tracingServiceName`).
    fn service(&self) -> String {
        let Workload {
            namespace, labels, ..
        } = self.input.workload;
        let canonical = || canonical_name(labels).unwrap_or("istio-proxy");
        match self.input.mesh.default_config.tracing_service_name {
            TracingServiceName::AppLabelAndNamespace => {
                let app = labels.get("app").map(String::as_str);
                format!("{}.{namespace}", app.unwrap_or_else(canonical))
            }
            TracingServiceName::CanonicalNameOnly => canonical().to_owned(),
            TracingServiceName::CanonicalNameAndNamespace => {
                format!("{}.{namespace}", canonical())
            }
        }
    }
}

/// Has TLS beneath HTTP where the configuration says nothing of it: whom the machine trusts for that name.
fn protect(collector: &mut Collector, host: &str) {
    let outside = Arc::new(ClientTls {
        identity: None,
        trust: Trust::Chain {
            roots: RootsName::System,
            crl: None,
            names: PeerNames::Wanted,
        },
        sni: Sni::Name(host.into()),
        alpn: Alpn::Plain,
        parameters: TlsParameters::default(),
    });
    for address in &mut collector.addresses {
        address.tls.get_or_insert_with(|| Arc::clone(&outside));
    }
}

const fn propagation(protocol: &CollectorProtocol, is_short: bool, with_w3c: bool) -> Propagation {
    match protocol {
        CollectorProtocol::OtlpGrpc | CollectorProtocol::OtlpHttp { .. } => Propagation::W3c,
        CollectorProtocol::Zipkin { .. } => Propagation::B3 { is_short, with_w3c },
    }
}

fn value(tag: &CustomTag) -> Option<TagValue> {
    Some(match tag {
        CustomTag::Literal(text) => TagValue::Literal(text.as_str().into()),
        CustomTag::Header { name, default } => TagValue::Header {
            name: FieldName::new(name)?,
            default: default.as_str().into(),
        },
        CustomTag::Environment { name, default } => TagValue::Environment {
            name: name.as_str().into(),
            default: default.as_str().into(),
        },
        CustomTag::Formatter(written, text) => TagValue::Formatted {
            text: text.clone(),
            written: written.as_str().into(),
        },
    })
}

/// The name by which Istio shows a workload, as its injector finds it.
fn canonical_name(labels: &BTreeMap<String, String>) -> Option<&str> {
    first(
        labels,
        [
            "service.istio.io/canonical-name",
            "app.kubernetes.io/name",
            "app",
        ],
    )
}

fn first<'l>(labels: &'l BTreeMap<String, String>, keys: [&str; 3]) -> Option<&'l str> {
    let mut values = keys.iter().filter_map(|key| labels.get(*key));
    values.find(|value| !value.is_empty()).map(String::as_str)
}

fn istio_tags(workload: &Workload) -> impl Iterator<Item = (String, TagValue)> {
    let Workload {
        namespace, labels, ..
    } = workload;
    let revision = first(
        labels,
        [
            "service.istio.io/canonical-revision",
            "app.kubernetes.io/version",
            "version",
        ],
    );
    let literal = |text: &str| TagValue::Literal(text.into());
    let variable = |name: &str| TagValue::Environment {
        name: name.into(),
        default: "unknown".into(),
    };
    [
        (
            "istio.canonical_revision",
            literal(revision.unwrap_or("latest")),
        ),
        (
            "istio.canonical_service",
            literal(canonical_name(labels).unwrap_or("unknown")),
        ),
        ("istio.cluster_id", variable("ISTIO_META_CLUSTER_ID")),
        ("istio.mesh_id", variable("ISTIO_META_MESH_ID")),
        ("istio.namespace", literal(namespace)),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
}

#[cfg(test)]
mod tests;
