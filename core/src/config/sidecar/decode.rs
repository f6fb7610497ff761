//! Reading a Sidecar.

use super::{CaptureMode, EgressListener, IngressListener, Sidecar, outbound};
use crate::config::decode::Object;
use crate::config::destination_rule::decode::connection_pool;
use crate::config::meta::Meta;
use crate::config::server_tls;
use crate::config::service_entry::decode_port;

const CAPTURE_MODES: &[(&str, i32, CaptureMode)] = &[
    ("DEFAULT", 0, CaptureMode::Default),
    ("IPTABLES", 1, CaptureMode::IpTables),
    ("NONE", 2, CaptureMode::None),
];

/// Reads the `spec`.
pub(in crate::config) fn decode(meta: Meta, spec: &mut Object<'_, '_>) -> Sidecar {
    Sidecar {
        meta,
        workload_selector: spec
            .message("workloadSelector", |selector| selector.string_map("labels")),
        ingress: spec.messages("ingress", decode_ingress),
        egress: spec.messages("egress", decode_egress),
        inbound_connection_pool: spec.message("inboundConnectionPool", connection_pool),
        outbound_traffic_policy: spec.message("outboundTrafficPolicy", outbound::decode),
    }
}

fn decode_ingress(listener: &mut Object<'_, '_>) -> IngressListener {
    IngressListener {
        port: listener.message("port", decode_port),
        bind: listener.string("bind"),
        capture_mode: listener
            .symbol("captureMode", CAPTURE_MODES)
            .unwrap_or_default(),
        default_endpoint: listener.string("defaultEndpoint"),
        tls: listener.message("tls", server_tls::decode),
        connection_pool: listener.message("connectionPool", connection_pool),
    }
}

fn decode_egress(listener: &mut Object<'_, '_>) -> EgressListener {
    EgressListener {
        port: listener.message("port", decode_port),
        bind: listener.string("bind"),
        capture_mode: listener
            .symbol("captureMode", CAPTURE_MODES)
            .unwrap_or_default(),
        hosts: listener.strings("hosts"),
    }
}
