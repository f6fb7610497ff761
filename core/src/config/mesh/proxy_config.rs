//! `defaultConfig`: what of Istio's ProxyConfig this proxy uses, which is what it says of traces.

use std::collections::BTreeMap;

use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::scalar;
use crate::config::telemetry::{self, CustomTag};
use crate::snapshot::{ForwardMode, ForwardedClientCert};

/// Settings of each proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyConfig {
    /// How requests are traced where no Telemetry resource says.
    pub tracing: ProxyTracing,
    /// What the workload is called in traces.
    pub tracing_service_name: TracingServiceName,
    /// What applications are told of the certificates of their clients (`proxyHeaders`).
    pub client_certs: ForwardedClientCert,
    /// Whether applications ask us for names (`proxyMetadata`, `ISTIO_META_DNS_CAPTURE`).
    pub dns_capture: bool,
    /// Whether services without addresses get some where they do (`ISTIO_META_DNS_AUTO_ALLOCATE`); `None` is Istio's
    /// default, which is yes.
    pub dns_auto_allocate: Option<bool>,
    /// What stands between clients and a gateway (`gatewayTopology`).
    pub topology: GatewayTopology,
}

impl ProxyConfig {
    /// The same with what another one says over it; `says` is which of its fields are written there.
    #[must_use]
    pub fn under(self, over: &Self, says: impl Fn(&str) -> bool) -> Self {
        let pick = |name: &str| says(name);
        Self {
            tracing: self.tracing.under(&over.tracing),
            tracing_service_name: match pick("tracingServiceName") {
                true => over.tracing_service_name,
                false => self.tracing_service_name,
            },
            client_certs: match pick("proxyHeaders") {
                true => over.client_certs,
                false => self.client_certs,
            },
            topology: match pick("gatewayTopology") {
                true => over.topology,
                false => self.topology,
            },
            dns_capture: match pick("proxyMetadata.ISTIO_META_DNS_CAPTURE") {
                true => over.dns_capture,
                false => self.dns_capture,
            },
            dns_auto_allocate: over.dns_auto_allocate.or(self.dns_auto_allocate),
        }
    }
}

/// `gatewayTopology`: what stands before gateways, and is believed in what it says of clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GatewayTopology {
    /// How many proxies are believed in `x-forwarded-for`.
    pub trusted_proxies: u32,
    /// Whether one says on each connection whose it is (PROXY protocol).
    pub proxy_protocol: bool,
}

/// `defaultConfig.tracing`. What is `None` is Istio's default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyTracing {
    /// Where spans go: `host:port` of a Zipkin.
    pub zipkin: Option<(String, u16)>,
    /// Of 10,000 requests, how many are sampled. Zero is written and means Istio's default.
    pub sampled_of_10000: Option<u16>,
    /// Longer paths are cut in the tag `http.url`.
    pub max_path_tag_length: Option<u32>,
    /// Tags of each span beside the usual ones.
    pub custom_tags: Option<BTreeMap<String, CustomTag>>,
    /// Whether spans have Istio's own tags.
    pub enable_istio_tags: Option<bool>,
}

impl ProxyTracing {
    fn under(self, over: &Self) -> Self {
        let over = over.clone();
        Self {
            zipkin: over.zipkin.or(self.zipkin),
            sampled_of_10000: over.sampled_of_10000.or(self.sampled_of_10000),
            max_path_tag_length: over.max_path_tag_length.or(self.max_path_tag_length),
            custom_tags: over.custom_tags.or(self.custom_tags),
            enable_istio_tags: over.enable_istio_tags.or(self.enable_istio_tags),
        }
    }
}

/// How a workload is called in traces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TracingServiceName {
    /// `APP.NAMESPACE`, of the label `app`.
    #[default]
    AppLabelAndNamespace,
    /// The canonical name.
    CanonicalNameOnly,
    /// `NAME.NAMESPACE`, of the canonical name.
    CanonicalNameAndNamespace,
}

const SERVICE_NAMES: &[(&str, i32, TracingServiceName)] = &[
    (
        "APP_LABEL_AND_NAMESPACE",
        0,
        TracingServiceName::AppLabelAndNamespace,
    ),
    (
        "CANONICAL_NAME_ONLY",
        1,
        TracingServiceName::CanonicalNameOnly,
    ),
    (
        "CANONICAL_NAME_AND_NAMESPACE",
        2,
        TracingServiceName::CanonicalNameAndNamespace,
    ),
];

/// Settings of Istio's ProxyConfig that change nothing here.
const UNUSED: &[&str] = &[
    "availabilityZone",
    "binaryPath",
    "caCertificatesPem",
    "concurrency",
    "configPath",
    "connectionSettings",
    "controlPlaneAuthPolicy",
    "customConfigFile",
    "discoveryAddress",
    "discoveryRefreshDelay",
    "drainDuration",
    "envoyAccessLogService",
    "envoyMetricsService",
    "envoyMetricsServiceAddress",
    "extraStatTags",
    "fileFlushInterval",
    "fileFlushMinSizeKb",
    "holdApplicationUntilProxyStarts",
    "image",
    "interceptionMode",
    "meshId",
    "parentShutdownDuration",
    "privateKeyProvider",
    "proxyAdminPort",
    "proxyBootstrapTemplatePath",
    "proxyStatsMatcher",
    "readinessProbe",
    "runtimeValues",
    "sds",
    "serviceCluster",
    "statNameLength",
    "statsCompression",
    "statsdUdpAddress",
    "statusPort",
    "terminationDrainDuration",
    "zipkinAddress",
];

const FORWARD_MODES: &[(&str, i32, Option<ForwardMode>)] = &[
    ("UNDEFINED", 0, None),
    ("SANITIZE", 1, Some(ForwardMode::Sanitize)),
    ("FORWARD_ONLY", 2, Some(ForwardMode::ForwardOnly)),
    ("APPEND_FORWARD", 3, Some(ForwardMode::AppendForward)),
    ("SANITIZE_SET", 4, Some(ForwardMode::SanitizeSet)),
    (
        "ALWAYS_FORWARD_ONLY",
        5,
        Some(ForwardMode::AlwaysForwardOnly),
    ),
];

/// Other headers of `proxyHeaders`.
const UNUSED_OF_HEADERS: &[&str] = &[
    "attemptCount",
    "envoyDebugHeaders",
    "metadataExchangeHeaders",
    "preserveHttp1HeaderCase",
    "requestId",
    "server",
    "xForwardedHost",
    "xForwardedPort",
];

/// Tracers of `tracing` other than Zipkin, and what else of it changes nothing here.
const UNUSED_OF_TRACING: &[&str] = &[
    "datadog",
    "lightstep",
    "openCensusAgent",
    "stackdriver",
    "tlsSettings",
];

/// Reads `defaultConfig`.
pub(super) fn decode(o: &mut Object<'_, '_>) -> ProxyConfig {
    tell_unused(o, UNUSED);
    let (dns_capture, dns_auto_allocate) = proxy_metadata(o);
    ProxyConfig {
        dns_capture,
        dns_auto_allocate,
        tracing: o.message("tracing", tracing).unwrap_or_default(),
        client_certs: o.message("proxyHeaders", client_certs).unwrap_or_default(),
        topology: o.message("gatewayTopology", topology).unwrap_or_default(),
        tracing_service_name: o
            .symbol("tracingServiceName", SERVICE_NAMES)
            .unwrap_or_default(),
    }
}

/// Variables of Istio's agent that are in effect.
const DNS_CAPTURE: &str = "ISTIO_META_DNS_CAPTURE";
const DNS_AUTO_ALLOCATE: &str = "ISTIO_META_DNS_AUTO_ALLOCATE";

/// `proxyMetadata`, as far as it is about names: whether we are asked for them, and whether services get addresses.
fn proxy_metadata(o: &mut Object<'_, '_>) -> (bool, Option<bool>) {
    let known = o.map("proxyMetadata", |report, entry| {
        let key = &*entry.key.text;
        if key != DNS_CAPTURE && key != DNS_AUTO_ALLOCATE {
            let message = format!("`{key}` is not in effect in this proxy");
            report.raise_at(entry.at, Code::NotInEffect, message, "");
            return None;
        }
        scalar::string(report, &entry.value).map(|text| text == "true")
    });
    let value = |name| known.get(name).copied();
    (
        value(DNS_CAPTURE).unwrap_or(false),
        value(DNS_AUTO_ALLOCATE),
    )
}

/// `gatewayTopology`, as far as it is about who a client is.
fn topology(o: &mut Object<'_, '_>) -> GatewayTopology {
    tell_unused(o, &["forwardClientCertDetails"]);
    GatewayTopology {
        trusted_proxies: o.optional_integer("numTrustedProxies").unwrap_or_default(),
        proxy_protocol: o.message("proxyProtocol", |_| ()).is_some(),
    }
}

fn tell_unused(o: &mut Object<'_, '_>, names: &[&'static str]) {
    for name in names {
        if o.take(name).is_some() {
            let message = format!("`{name}` is not in effect in this proxy");
            o.report().raise_in(name, Code::NotInEffect, message, "");
        }
    }
}

/// `proxyHeaders`, as far as it is about certificates. Where a part of it is not written, Istio's default holds.
fn client_certs(o: &mut Object<'_, '_>) -> ForwardedClientCert {
    tell_unused(o, UNUSED_OF_HEADERS);
    let default = ForwardedClientCert::default();
    let mode = o.symbol("forwardedClientCert", FORWARD_MODES).flatten();
    let details = o.message("setCurrentClientCertDetails", |o| {
        tell_unused(o, &["cert", "chain"]);
        let mut is_told = |name| o.optional_boolean(name).unwrap_or(false);
        ForwardedClientCert {
            subject: is_told("subject"),
            uri: is_told("uri"),
            dns: is_told("dns"),
            ..default
        }
    });
    ForwardedClientCert {
        mode: mode.unwrap_or(default.mode),
        ..details.unwrap_or(default)
    }
}

fn tracing(o: &mut Object<'_, '_>) -> ProxyTracing {
    tell_unused(o, UNUSED_OF_TRACING);
    ProxyTracing {
        zipkin: o.message("zipkin", zipkin).flatten(),
        sampled_of_10000: telemetry::percentage(o, "sampling").map(telemetry::of_10000),
        max_path_tag_length: o.optional_integer("maxPathTagLength"),
        custom_tags: telemetry::custom_tags(o),
        enable_istio_tags: o.optional_boolean("enableIstioTags"),
    }
}

fn zipkin(o: &mut Object<'_, '_>) -> Option<(String, u16)> {
    let address = o.string("address");
    let split = address.rsplit_once(':');
    let split = split.and_then(|(host, port)| Some((host, port.parse().ok()?)));
    match split {
        Some((host, port)) if !host.is_empty() && port > 0 => Some((host.to_owned(), port)),
        Some(_) | None => {
            let message = format!("`{address}` is no address such as `zipkin.istio-system:9411`");
            o.report()
                .raise_in("address", Code::InvalidAddress, message, "");
            None
        }
    }
}
