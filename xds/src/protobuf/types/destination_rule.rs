//! DestinationRule (`networking/v1alpha3/destination_rule.proto`).

use super::security::WORKLOAD_SELECTOR;
use super::virtual_service::PORT_SELECTOR;
use crate::protobuf::table::{
    Kind, Message, Symbols, double, duration, flag, int32, map, message, symbol, text, uint32,
    uint64,
};

pub(super) static DESTINATION_RULE: Message = Message::new(
    "DestinationRule",
    &[
        text(1, "host"),
        message(2, "trafficPolicy", &TRAFFIC_POLICY),
        message(3, "subsets", &SUBSET).list(),
        text(4, "exportTo").list(),
        message(5, "workloadSelector", &WORKLOAD_SELECTOR),
    ],
);

static TRAFFIC_POLICY: Message = Message::new(
    "TrafficPolicy",
    &[
        message(1, "loadBalancer", &LOAD_BALANCER_SETTINGS),
        message(2, "connectionPool", &CONNECTION_POOL_SETTINGS),
        message(3, "outlierDetection", &OUTLIER_DETECTION),
        message(4, "tls", &CLIENT_TLS_SETTINGS),
        message(5, "portLevelSettings", &PORT_TRAFFIC_POLICY).list(),
        message(6, "tunnel", &TUNNEL_SETTINGS),
        message(7, "proxyProtocol", &PROXY_PROTOCOL),
        message(8, "retryBudget", &RETRY_BUDGET),
    ],
);

static LOAD_BALANCER_SETTINGS: Message = Message::new(
    "LoadBalancerSettings",
    &[
        symbol(1, "simple", LOAD_BALANCER_SETTINGS_SIMPLE_LB),
        message(2, "consistentHash", &CONSISTENT_HASH_LB),
        message(3, "localityLbSetting", &LOCALITY_LOAD_BALANCER_SETTING),
        duration(4, "warmupDurationSecs"),
        message(5, "warmup", &WARMUP_CONFIGURATION),
        message(6, "zoneAwareLbSetting", &ZONE_AWARE_LOAD_BALANCER_SETTING),
    ],
);

static CONSISTENT_HASH_LB: Message = Message::new(
    "LoadBalancerSettings.ConsistentHashLB",
    &[
        text(1, "httpHeaderName"),
        message(2, "httpCookie", &HTTP_COOKIE),
        flag(3, "useSourceIp"),
        uint64(4, "minimumRingSize"),
        text(5, "httpQueryParameterName"),
        message(6, "ringHash", &RING_HASH),
        message(7, "maglev", &MAG_LEV),
    ],
);

static HTTP_COOKIE: Message = Message::new(
    "LoadBalancerSettings.ConsistentHashLB.HTTPCookie",
    &[
        text(1, "name"),
        text(2, "path"),
        duration(3, "ttl"),
        message(4, "attributes", &ATTRIBUTE).list(),
    ],
);

static ATTRIBUTE: Message = Message::new(
    "LoadBalancerSettings.ConsistentHashLB.HTTPCookie.Attribute",
    &[text(1, "name"), text(2, "value")],
);

static RING_HASH: Message = Message::new(
    "LoadBalancerSettings.ConsistentHashLB.RingHash",
    &[uint64(1, "minimumRingSize")],
);

static MAG_LEV: Message = Message::new(
    "LoadBalancerSettings.ConsistentHashLB.MagLev",
    &[uint64(1, "tableSize")],
);

pub(super) static LOCALITY_LOAD_BALANCER_SETTING: Message = Message::new(
    "LocalityLoadBalancerSetting",
    &[
        message(1, "distribute", &DISTRIBUTE).list(),
        message(2, "failover", &LOCALITY_LOAD_BALANCER_SETTING_FAILOVER).list(),
        flag(3, "enabled").wrapped(),
        text(4, "failoverPriority").list(),
    ],
);

static DISTRIBUTE: Message = Message::new(
    "LocalityLoadBalancerSetting.Distribute",
    &[text(1, "from"), map(2, "to", &Kind::Uint32)],
);

static LOCALITY_LOAD_BALANCER_SETTING_FAILOVER: Message = Message::new(
    "LocalityLoadBalancerSetting.Failover",
    &[text(1, "from"), text(2, "to")],
);

pub(super) static ZONE_AWARE_LOAD_BALANCER_SETTING: Message = Message::new(
    "ZoneAwareLoadBalancerSetting",
    &[
        flag(1, "enabled").wrapped(),
        message(2, "failover", &ZONE_AWARE_LOAD_BALANCER_SETTING_FAILOVER).list(),
        text(3, "failoverPriority").list(),
        uint64(4, "minClusterSize").wrapped(),
    ],
);

static ZONE_AWARE_LOAD_BALANCER_SETTING_FAILOVER: Message = Message::new(
    "ZoneAwareLoadBalancerSetting.Failover",
    &[text(1, "from"), text(2, "to")],
);

static WARMUP_CONFIGURATION: Message = Message::new(
    "WarmupConfiguration",
    &[
        duration(1, "duration"),
        double(2, "minimumPercent").wrapped(),
        double(3, "aggression").wrapped(),
    ],
);

pub(super) static CONNECTION_POOL_SETTINGS: Message = Message::new(
    "ConnectionPoolSettings",
    &[
        message(1, "tcp", &TCP_SETTINGS),
        message(2, "http", &HTTP_SETTINGS),
    ],
);

static TCP_SETTINGS: Message = Message::new(
    "ConnectionPoolSettings.TCPSettings",
    &[
        int32(1, "maxConnections"),
        duration(2, "connectTimeout"),
        message(3, "tcpKeepalive", &TCP_KEEPALIVE),
        duration(4, "maxConnectionDuration"),
        duration(5, "idleTimeout"),
    ],
);

pub(super) static TCP_KEEPALIVE: Message = Message::new(
    "ConnectionPoolSettings.TCPSettings.TcpKeepalive",
    &[
        uint32(1, "probes"),
        duration(2, "time"),
        duration(3, "interval"),
    ],
);

static HTTP_SETTINGS: Message = Message::new(
    "ConnectionPoolSettings.HTTPSettings",
    &[
        int32(1, "http1MaxPendingRequests"),
        int32(2, "http2MaxRequests"),
        int32(3, "maxRequestsPerConnection"),
        int32(4, "maxRetries"),
        duration(5, "idleTimeout"),
        symbol(6, "h2UpgradePolicy", HTTP_SETTINGS_H2_UPGRADE_POLICY),
        flag(7, "useClientProtocol"),
        int32(8, "maxConcurrentStreams"),
        message(9, "http2KeepAlive", &CONNECTION_KEEPALIVE),
    ],
);

static CONNECTION_KEEPALIVE: Message = Message::new(
    "ConnectionPoolSettings.HTTPSettings.ConnectionKeepalive",
    &[duration(1, "interval"), duration(2, "timeout")],
);

pub(super) static OUTLIER_DETECTION: Message = Message::new(
    "OutlierDetection",
    &[
        int32(1, "consecutiveErrors"),
        duration(2, "interval"),
        duration(3, "baseEjectionTime"),
        int32(4, "maxEjectionPercent"),
        int32(5, "minHealthPercent"),
        uint32(6, "consecutiveGatewayErrors").wrapped(),
        uint32(7, "consecutive5xxErrors").wrapped(),
        flag(8, "splitExternalLocalOriginErrors"),
        uint32(9, "consecutiveLocalOriginFailures").wrapped(),
        uint32(10, "outlierDetectionHttpErrorCodes").list(),
    ],
);

pub(super) static CLIENT_TLS_SETTINGS: Message = Message::new(
    "ClientTLSSettings",
    &[
        symbol(1, "mode", CLIENT_TLS_SETTINGS_TLS_MODE),
        text(2, "clientCertificate"),
        text(3, "privateKey"),
        text(4, "caCertificates"),
        text(5, "subjectAltNames").list(),
        text(6, "sni"),
        text(7, "credentialName"),
        flag(8, "insecureSkipVerify").wrapped(),
        text(9, "caCrl"),
    ],
);

static PORT_TRAFFIC_POLICY: Message = Message::new(
    "TrafficPolicy.PortTrafficPolicy",
    &[
        message(1, "port", &PORT_SELECTOR),
        message(2, "loadBalancer", &LOAD_BALANCER_SETTINGS),
        message(3, "connectionPool", &CONNECTION_POOL_SETTINGS),
        message(4, "outlierDetection", &OUTLIER_DETECTION),
        message(5, "tls", &CLIENT_TLS_SETTINGS),
    ],
);

static TUNNEL_SETTINGS: Message = Message::new(
    "TrafficPolicy.TunnelSettings",
    &[
        text(1, "protocol"),
        text(2, "targetHost"),
        uint32(3, "targetPort"),
    ],
);

static PROXY_PROTOCOL: Message = Message::new(
    "TrafficPolicy.ProxyProtocol",
    &[symbol(1, "version", PROXY_PROTOCOL_VERSION)],
);

static RETRY_BUDGET: Message = Message::new(
    "TrafficPolicy.RetryBudget",
    &[
        double(1, "percent").wrapped(),
        uint32(2, "minRetryConcurrency"),
        duration(3, "budgetInterval"),
    ],
);

static SUBSET: Message = Message::new(
    "Subset",
    &[
        text(1, "name"),
        map(2, "labels", &Kind::Text),
        message(3, "trafficPolicy", &TRAFFIC_POLICY),
    ],
);

const LOAD_BALANCER_SETTINGS_SIMPLE_LB: Symbols = &[
    (0, "UNSPECIFIED"),
    (1, "LEAST_CONN"),
    (2, "RANDOM"),
    (3, "PASSTHROUGH"),
    (4, "ROUND_ROBIN"),
    (5, "LEAST_REQUEST"),
];

const HTTP_SETTINGS_H2_UPGRADE_POLICY: Symbols =
    &[(0, "DEFAULT"), (1, "DO_NOT_UPGRADE"), (2, "UPGRADE")];

const CLIENT_TLS_SETTINGS_TLS_MODE: Symbols = &[
    (0, "DISABLE"),
    (1, "SIMPLE"),
    (2, "MUTUAL"),
    (3, "ISTIO_MUTUAL"),
];

const PROXY_PROTOCOL_VERSION: Symbols = &[(0, "V1"), (1, "V2")];
