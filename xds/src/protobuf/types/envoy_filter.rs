//! EnvoyFilter (`networking/v1alpha3/envoy_filter.proto`).

use super::security::POLICY_TARGET_REFERENCE;
use super::workloads::LABELS_OF_WORKLOADS;
use crate::protobuf::table::{
    Kind, Message, Symbols, free, int32, map, message, symbol, text, uint32,
};

pub(super) static ENVOY_FILTER: Message = Message::new(
    "EnvoyFilter",
    &[
        message(3, "workloadSelector", &LABELS_OF_WORKLOADS),
        message(4, "configPatches", &ENVOY_CONFIG_OBJECT_PATCH).list(),
        int32(5, "priority"),
        message(6, "targetRefs", &POLICY_TARGET_REFERENCE).list(),
    ],
);

static ENVOY_CONFIG_OBJECT_PATCH: Message = Message::new(
    "EnvoyFilter.EnvoyConfigObjectPatch",
    &[
        symbol(1, "applyTo", ENVOY_FILTER_APPLY_TO),
        message(2, "match", &ENVOY_CONFIG_OBJECT_MATCH),
        message(3, "patch", &PATCH),
    ],
);

static ENVOY_CONFIG_OBJECT_MATCH: Message = Message::new(
    "EnvoyFilter.EnvoyConfigObjectMatch",
    &[
        symbol(1, "context", ENVOY_FILTER_PATCH_CONTEXT),
        message(2, "proxy", &PROXY_MATCH),
        message(3, "listener", &LISTENER_MATCH),
        message(4, "routeConfiguration", &ROUTE_CONFIGURATION_MATCH),
        message(5, "cluster", &CLUSTER_MATCH),
        message(6, "waypoint", &WAYPOINT_MATCH),
    ],
);

static PROXY_MATCH: Message = Message::new(
    "EnvoyFilter.ProxyMatch",
    &[text(1, "proxyVersion"), map(2, "metadata", &Kind::Text)],
);

static LISTENER_MATCH: Message = Message::new(
    "EnvoyFilter.ListenerMatch",
    &[
        uint32(1, "portNumber"),
        text(2, "portName"),
        message(3, "filterChain", &FILTER_CHAIN_MATCH),
        text(4, "name"),
        text(5, "listenerFilter"),
    ],
);

static FILTER_CHAIN_MATCH: Message = Message::new(
    "EnvoyFilter.ListenerMatch.FilterChainMatch",
    &[
        text(1, "name"),
        text(2, "sni"),
        text(3, "transportProtocol"),
        text(4, "applicationProtocols"),
        message(5, "filter", &LISTENER_MATCH_FILTER_MATCH),
        uint32(6, "destinationPort"),
    ],
);

static LISTENER_MATCH_FILTER_MATCH: Message = Message::new(
    "EnvoyFilter.ListenerMatch.FilterMatch",
    &[
        text(1, "name"),
        message(2, "subFilter", &LISTENER_MATCH_SUB_FILTER_MATCH),
    ],
);

static LISTENER_MATCH_SUB_FILTER_MATCH: Message = Message::new(
    "EnvoyFilter.ListenerMatch.SubFilterMatch",
    &[text(1, "name")],
);

static ROUTE_CONFIGURATION_MATCH: Message = Message::new(
    "EnvoyFilter.RouteConfigurationMatch",
    &[
        uint32(1, "portNumber"),
        text(2, "portName"),
        text(3, "gateway"),
        message(4, "vhost", &VIRTUAL_HOST_MATCH),
        text(5, "name"),
    ],
);

static VIRTUAL_HOST_MATCH: Message = Message::new(
    "EnvoyFilter.RouteConfigurationMatch.VirtualHostMatch",
    &[
        text(1, "name"),
        message(2, "route", &ROUTE_CONFIGURATION_MATCH_ROUTE_MATCH),
        text(3, "domainName"),
    ],
);

static ROUTE_CONFIGURATION_MATCH_ROUTE_MATCH: Message = Message::new(
    "EnvoyFilter.RouteConfigurationMatch.RouteMatch",
    &[text(1, "name"), symbol(2, "action", ROUTE_MATCH_ACTION)],
);

static CLUSTER_MATCH: Message = Message::new(
    "EnvoyFilter.ClusterMatch",
    &[
        uint32(1, "portNumber"),
        text(2, "service"),
        text(3, "subset"),
        text(4, "name"),
    ],
);

static WAYPOINT_MATCH: Message = Message::new(
    "EnvoyFilter.WaypointMatch",
    &[
        uint32(1, "portNumber"),
        message(2, "route", &WAYPOINT_MATCH_ROUTE_MATCH),
        message(3, "filter", &WAYPOINT_MATCH_FILTER_MATCH),
    ],
);

static WAYPOINT_MATCH_ROUTE_MATCH: Message =
    Message::new("EnvoyFilter.WaypointMatch.RouteMatch", &[text(1, "name")]);

static WAYPOINT_MATCH_FILTER_MATCH: Message = Message::new(
    "EnvoyFilter.WaypointMatch.FilterMatch",
    &[
        text(1, "name"),
        message(2, "subFilter", &FILTER_MATCH_SUB_FILTER_MATCH),
    ],
);

static FILTER_MATCH_SUB_FILTER_MATCH: Message = Message::new(
    "EnvoyFilter.WaypointMatch.FilterMatch.SubFilterMatch",
    &[text(1, "name")],
);

static PATCH: Message = Message::new(
    "EnvoyFilter.Patch",
    &[
        symbol(1, "operation", PATCH_OPERATION),
        free(2, "value"),
        symbol(3, "filterClass", PATCH_FILTER_CLASS),
    ],
);

const ENVOY_FILTER_APPLY_TO: Symbols = &[
    (0, "INVALID"),
    (1, "LISTENER"),
    (2, "FILTER_CHAIN"),
    (3, "NETWORK_FILTER"),
    (4, "HTTP_FILTER"),
    (5, "ROUTE_CONFIGURATION"),
    (6, "VIRTUAL_HOST"),
    (7, "HTTP_ROUTE"),
    (8, "CLUSTER"),
    (9, "EXTENSION_CONFIG"),
    (10, "BOOTSTRAP"),
    (11, "LISTENER_FILTER"),
];

const ENVOY_FILTER_PATCH_CONTEXT: Symbols = &[
    (0, "ANY"),
    (1, "SIDECAR_INBOUND"),
    (2, "SIDECAR_OUTBOUND"),
    (3, "GATEWAY"),
    (4, "WAYPOINT"),
];

const ROUTE_MATCH_ACTION: Symbols = &[
    (0, "ANY"),
    (1, "ROUTE"),
    (2, "REDIRECT"),
    (3, "DIRECT_RESPONSE"),
];

const PATCH_OPERATION: Symbols = &[
    (0, "INVALID"),
    (1, "MERGE"),
    (2, "ADD"),
    (3, "REMOVE"),
    (4, "INSERT_BEFORE"),
    (5, "INSERT_AFTER"),
    (6, "INSERT_FIRST"),
    (7, "REPLACE"),
    (8, "MERGE_AND_REPLACE_LIST"),
];

const PATCH_FILTER_CLASS: Symbols = &[(0, "UNSPECIFIED"), (1, "AUTHN"), (2, "AUTHZ"), (3, "STATS")];
