//! Listeners with the connection manager that Istio gives a sidecar.

use outrigger_core::http2::Limits;
use outrigger_core::snapshot::{
    ForwardMode, ForwardedClientCert, PathNormalization, Place as LimitPlace, Snapshot,
};
use outrigger_core::worker::WorkerSettings;
use serde_json::{Value, json};

use super::words::{duration_or_none, extension};
use super::{Derived, access, external, rate_limits, routes, tokens, transport};

/// What `server` says. The name is a setting of Envoy, so that cases need not tell whose answer it is.
const SERVER: &str = "outrigger";

/// The cache of addresses that hosts nobody knows are looked up in.
pub(super) fn dns_cache() -> Value {
    json!({ "name": "passthrough", "dns_lookup_family": "V4_PREFERRED" })
}

/// Which listener, and where it finds what it needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) name: &'a str,
    /// On 127.0.0.1.
    pub(super) port: u16,
    pub(super) is_inbound: bool,
    /// The file with its routes, which have its name.
    pub(super) routes: &'a str,
    /// Where the folder of the identity is.
    pub(super) folder: &'a str,
}

/// A listener.
pub(super) fn listener(
    place: Place<'_>,
    snapshot: &Snapshot,
    settings: &WorkerSettings,
) -> Derived<Value> {
    let manager = extension(
        "envoy.filters.network.http_connection_manager",
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        manager(place, snapshot, settings)?,
    );
    let tls = snapshot.inbound_tls.first().filter(|_| place.is_inbound);
    let tls = tls.map(|tls| &**tls);
    let (chains, inspectors) = transport::inbound(tls, &json!([manager]), place.folder)?;
    Ok(json!({
        "name": place.name,
        "address": { "socket_address": { "address": "127.0.0.1", "port_value": place.port } },
        "listener_filters": inspectors,
        "filter_chains": chains,
    }))
}

fn manager(place: Place<'_>, snapshot: &Snapshot, settings: &WorkerSettings) -> Derived<Value> {
    let Place {
        name,
        is_inbound,
        routes,
        ..
    } = place;
    if settings.max_request_body.is_some() {
        return Err("Envoy limits request bodies only where it buffers them whole");
    }
    let mut manager = json!({
        "stat_prefix": name,
        "codec_type": "AUTO",
        "rds": {
            "route_config_name": name,
            "config_source": { "path_config_source": { "path": routes } },
        },
        "http_filters": filters(is_inbound, snapshot)?,
        "server_name": SERVER,
        "use_remote_address": false,
        "proxy_100_continue": true,
        "upgrade_configs": [{ "upgrade_type": "websocket" }],
        // Istio turns these on where it is asked to; without the second nothing with HTTP/1.0 could be compared.
        "http_protocol_options": { "enable_trailers": true, "accept_http_10": true },
        "http2_protocol_options": http2(&settings.client_streams),
        "stream_idle_timeout": duration_or_none(settings.stream_idle_timeout),
        "common_http_protocol_options": {
            "idle_timeout": duration_or_none(settings.idle_timeout),
        },
        "request_headers_timeout": duration_or_none(settings.request_head_timeout),
    });
    let (normalize, merge, unescape) = match snapshot.settings.path_normalization {
        PathNormalization::None => (false, false, false),
        PathNormalization::Base => (true, false, false),
        PathNormalization::MergeSlashes => (true, true, false),
        PathNormalization::DecodeAndMergeSlashes => (true, true, true),
    };
    manager["normalize_path"] = normalize.into();
    manager["merge_slashes"] = merge.into();
    if is_inbound {
        forward_client_cert(snapshot.settings.client_certs, &mut manager);
    }
    if unescape {
        manager["path_with_escaped_slashes_action"] = "UNESCAPE_AND_FORWARD".into();
    }
    Ok(manager)
}

fn forward_client_cert(told: ForwardedClientCert, manager: &mut Value) {
    manager["forward_client_cert_details"] = match told.mode {
        ForwardMode::Sanitize => "SANITIZE",
        ForwardMode::ForwardOnly => "FORWARD_ONLY",
        ForwardMode::AppendForward => "APPEND_FORWARD",
        ForwardMode::SanitizeSet => "SANITIZE_SET",
        ForwardMode::AlwaysForwardOnly => "ALWAYS_FORWARD_ONLY",
    }
    .into();
    manager["set_current_client_cert_details"] =
        json!({ "subject": told.subject, "uri": told.uri, "dns": told.dns });
}

/// Istio allows websockets to come on streams. How many streams and bytes there may be is not its to say: as we do.
fn http2(limits: &Limits) -> Value {
    json!({
        "allow_connect": true,
        "max_concurrent_streams": limits.concurrent_streams,
        "initial_stream_window_size": limits.stream_window,
        "initial_connection_window_size": limits.connection_window,
    })
}

/// In Istio's order: rate limits wherever they stand, who may ask, gRPC-Web where a port speaks that, faults, CORS, forwarding.
fn filters(is_inbound: bool, snapshot: &Snapshot) -> Derived<Vec<Value>> {
    let limits = |place| rate_limits::filters(snapshot, place);
    let mut filters = limits(LimitPlace::First)?;
    filters.extend(limits(LimitPlace::BeforeTokens)?);
    if let Some(auth) = snapshot.request_authentication.as_ref()
        && is_inbound
    {
        filters.push(tokens::filter(auth));
    }
    filters.extend(limits(LimitPlace::BeforeAccess)?);
    if is_inbound {
        filters.extend(external::filters(snapshot)?);
        filters.extend(access::filters(snapshot)?);
    }
    filters.extend(limits(LimitPlace::BeforeFaults)?);
    if snapshot.translates_bodies() {
        filters.push(extension(
            "envoy.filters.http.grpc_web",
            "envoy.extensions.filters.http.grpc_web.v3.GrpcWeb",
            json!({}),
        ));
    }
    filters.push(extension(
        routes::FAULT,
        "envoy.extensions.filters.http.fault.v3.HTTPFault",
        json!({}),
    ));
    filters.extend(limits(LimitPlace::BeforeCors)?);
    filters.push(extension(
        routes::CORS,
        "envoy.extensions.filters.http.cors.v3.Cors",
        json!({}),
    ));
    filters.extend(limits(LimitPlace::BeforeRouter)?);
    filters.push(extension(
        "envoy.filters.http.dynamic_forward_proxy",
        "envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig",
        json!({ "dns_cache_config": dns_cache() }),
    ));
    filters.push(extension(
        "envoy.filters.http.router",
        "envoy.extensions.filters.http.router.v3.Router",
        json!({}),
    ));
    Ok(filters)
}
