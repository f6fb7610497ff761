//! Reading the mesh configuration: the settings a sidecar uses, and a word about each that it does not.

use std::sync::Arc;

use super::{FileAccessLog, MeshConfig, extension_providers, proxy_config, tls};
use crate::config::checks;
use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::destination_rule;
use crate::config::log_format;
use crate::config::names;
use crate::config::sidecar::outbound;
use crate::snapshot::PathNormalization;

const NORMALIZATIONS: &[(&str, i32, PathNormalization)] = &[
    // DEFAULT stands for what Istio does unless told otherwise, which is BASE.
    ("DEFAULT", 0, PathNormalization::Base),
    ("NONE", 1, PathNormalization::None),
    ("BASE", 2, PathNormalization::Base),
    ("MERGE_SLASHES", 3, PathNormalization::MergeSlashes),
    (
        "DECODE_AND_MERGE_SLASHES",
        4,
        PathNormalization::DecodeAndMergeSlashes,
    ),
];

/// Whether each is `JSON`.
const ENCODINGS: &[(&str, i32, bool)] = &[("TEXT", 0, false), ("JSON", 1, true)];

/// Whether each is `UPGRADE`.
const UPGRADES: &[(&str, i32, bool)] = &[("DO_NOT_UPGRADE", 0, false), ("UPGRADE", 1, true)];

/// Settings of Istio's MeshConfig that change nothing here.
const UNUSED: &[&str] = &[
    "ca",
    "caCertificates",
    "certificates",
    "configSources",
    "defaultHttpRetryPolicy",
    "defaultInboundHttpRetryPolicy",
    "defaultTrafficPolicy",
    "disableEnvoyListenerLog",
    "discoverySelectors",
    "dnsRefreshRate",
    "enableEnvoyAccessLogService",
    "enablePrometheusMerge",
    "hboneIdleTimeout",
    "inboundClusterStatName",
    "inboundTrafficPolicy",
    "ingressClass",
    "ingressControllerMode",
    "ingressSelector",
    "ingressService",
    "outboundClusterStatName",
    "proxyHttpPort",
    "proxyInboundListenPort",
    "proxyListenPort",
    "serviceEntryVisibility",
    "serviceScopeConfigs",
    "serviceSettings",
    "verifyCertificateAtClient",
];

/// Reads the settings; the report stands at the top of the file.
pub(in crate::config) fn decode(o: &mut Object<'_, '_>) -> MeshConfig {
    let default = MeshConfig::default();
    for name in UNUSED {
        if o.take(name).is_some() {
            let message = format!("`{name}` is not in effect in this proxy");
            o.report().raise_in(name, Code::NotInEffect, message, "");
        }
    }
    let connect_timeout = o.duration("connectTimeout");
    checks::duration_in("connectTimeout", connect_timeout, o.report());
    let tcp_keepalive = destination_rule::mesh_keepalive(o);
    let protocol_detection = o.duration("protocolDetectionTimeout");
    let root_namespace = o.string("rootNamespace");
    let extension_providers = extension_providers::decode(o);
    let default_providers = o
        .message("defaultProviders", extension_providers::decode_defaults)
        .unwrap_or_default();
    extension_providers::tell_unknown_defaults(
        &default_providers,
        &extension_providers,
        o.report(),
    );
    MeshConfig {
        connect_timeout: connect_timeout.unwrap_or(default.connect_timeout),
        tcp_keepalive,
        protocol_detection_timeout: protocol_detection.filter(|timeout| !timeout.is_zero()),
        outbound_traffic_policy: o.message("outboundTrafficPolicy", outbound::decode_mesh),
        h2_upgrade: o
            .symbol("h2UpgradePolicy", UPGRADES)
            .unwrap_or(default.h2_upgrade),
        path_normalization: o
            .message("pathNormalization", |o| {
                o.symbol("normalization", NORMALIZATIONS)
            })
            .flatten()
            .unwrap_or(default.path_normalization),
        root_namespace: if root_namespace.is_empty() {
            default.root_namespace
        } else {
            root_namespace
        },
        locality_lb_setting: o
            .message("localityLbSetting", destination_rule::mesh_locality)
            .unwrap_or_default(),
        zone_aware_lb_setting: o.message("zoneAwareLbSetting", destination_rule::mesh_zone_aware),
        cluster_domain: names::CLUSTER_DOMAIN.to_owned(),
        access_log: access_log(o),
        extension_providers,
        default_providers,
        enable_tracing: o
            .optional_boolean("enableTracing")
            .unwrap_or(default.enable_tracing),
        trust_domain: tls::trust_domain(o),
        trust_domain_aliases: tls::trust_domain_aliases(o),
        enable_auto_mtls: o
            .optional_boolean("enableAutoMtls")
            .unwrap_or(default.enable_auto_mtls),
        mesh_mtls: tls::parameters(o, "meshMTLS"),
        tls_defaults: tls::parameters(o, "tlsDefaults"),
        default_config: o
            .message("defaultConfig", proxy_config::decode)
            .unwrap_or_default(),
        default_service_export_to: export_to(o, "defaultServiceExportTo", true),
        default_virtual_service_export_to: export_to(o, "defaultVirtualServiceExportTo", false),
        default_destination_rule_export_to: export_to(o, "defaultDestinationRuleExportTo", false),
    }
}

fn access_log(o: &mut Object<'_, '_>) -> Option<FileAccessLog> {
    let (path, format) = (o.string("accessLogFile"), o.string("accessLogFormat"));
    let is_json = o.symbol("accessLogEncoding", ENCODINGS).unwrap_or_default();
    let format = o.report().field("accessLogFormat", |report| {
        match (is_json, format.is_empty()) {
            (false, true) => log_format::istio_text(),
            (true, true) => log_format::istio_json(),
            (false, false) => log_format::read_text(&format, report),
            (true, false) => {
                let mut faults = Vec::new();
                let read = log_format::json_text(&format, &mut faults);
                faults.into_iter().for_each(|fault| fault.tell(report));
                read
            }
        }
    });
    (!path.is_empty()).then(|| FileAccessLog {
        path,
        format: Arc::new(format),
    })
}

fn export_to(o: &mut Object<'_, '_>, field: &'static str, none: bool) -> Vec<String> {
    let list = o.strings(field);
    o.report()
        .field(field, |report| checks::export_to(&list, "", none, report));
    list
}
