//! What is set for proxies: ProxyConfig of the mesh (`mesh/v1alpha1/proxy.proto`), and the kind of that name (`networking/v1beta1`).

use super::destination_rule::{CLIENT_TLS_SETTINGS, TCP_KEEPALIVE};
use super::security::WORKLOAD_SELECTOR;
use super::workloads::READINESS_PROBE;
use crate::protobuf::table::{
    Kind, Message, Symbols, double, duration, flag, int32, int64, map, message, symbol, text,
    uint32,
};

pub(super) static PROXY_CONFIG: Message = Message::new(
    "ProxyConfig",
    &[
        text(1, "configPath"),
        text(2, "binaryPath"),
        text(3, "serviceCluster"),
        duration(4, "drainDuration"),
        text(6, "discoveryAddress"),
        duration(7, "discoveryRefreshDelay"),
        text(8, "zipkinAddress"),
        text(10, "statsdUdpAddress"),
        int32(11, "proxyAdminPort"),
        text(12, "availabilityZone"),
        symbol(13, "controlPlaneAuthPolicy", AUTHENTICATION_POLICY),
        text(14, "customConfigFile"),
        int32(15, "statNameLength"),
        int32(16, "concurrency").wrapped(),
        text(17, "proxyBootstrapTemplatePath"),
        symbol(
            18,
            "interceptionMode",
            PROXY_CONFIG_INBOUND_INTERCEPTION_MODE,
        ),
        message(19, "tracing", &MESH_TRACING),
        text(20, "envoyMetricsServiceAddress"),
        message(21, "sds", &SDS),
        message(22, "envoyAccessLogService", &REMOTE_SERVICE),
        message(23, "envoyMetricsService", &REMOTE_SERVICE),
        map(24, "proxyMetadata", &Kind::Text),
        int32(26, "statusPort"),
        text(27, "extraStatTags").list(),
        message(28, "gatewayTopology", &TOPOLOGY),
        duration(29, "terminationDrainDuration"),
        text(30, "meshId"),
        message(31, "readinessProbe", &READINESS_PROBE),
        message(32, "proxyStatsMatcher", &PROXY_STATS_MATCHER),
        flag(33, "holdApplicationUntilProxyStarts").wrapped(),
        text(34, "caCertificatesPem").list(),
        message(35, "image", &PROXY_IMAGE),
        symbol(36, "tracingServiceName", PROXY_CONFIG_TRACING_SERVICE_NAME),
        map(37, "runtimeValues", &Kind::Text),
        message(38, "privateKeyProvider", &PRIVATE_KEY_PROVIDER),
        message(39, "proxyHeaders", &PROXY_HEADERS),
        duration(40, "fileFlushInterval"),
        uint32(41, "fileFlushMinSizeKb"),
        flag(42, "statsCompression").wrapped(),
        message(43, "connectionSettings", &CONNECTION_SETTINGS),
    ],
);

static MESH_TRACING: Message = Message::new(
    "Tracing",
    &[
        message(1, "zipkin", &ZIPKIN),
        message(2, "lightstep", &LIGHTSTEP),
        message(3, "datadog", &DATADOG),
        message(4, "stackdriver", &STACKDRIVER),
        map(5, "customTags", &Kind::Message(&MESH_TRACING_CUSTOM_TAG)),
        uint32(6, "maxPathTagLength"),
        double(7, "sampling"),
        message(8, "tlsSettings", &CLIENT_TLS_SETTINGS),
        message(9, "openCensusAgent", &OPEN_CENSUS_AGENT),
        flag(10, "enableIstioTags").wrapped(),
    ],
);

static ZIPKIN: Message = Message::new("Tracing.Zipkin", &[text(1, "address")]);

static LIGHTSTEP: Message = Message::new(
    "Tracing.Lightstep",
    &[text(1, "address"), text(2, "accessToken")],
);

static DATADOG: Message = Message::new("Tracing.Datadog", &[text(1, "address")]);

static STACKDRIVER: Message = Message::new(
    "Tracing.Stackdriver",
    &[
        flag(1, "debug"),
        int64(2, "maxNumberOfAttributes").wrapped(),
        int64(3, "maxNumberOfAnnotations").wrapped(),
        int64(4, "maxNumberOfMessageEvents").wrapped(),
    ],
);

static OPEN_CENSUS_AGENT: Message = Message::new(
    "Tracing.OpenCensusAgent",
    &[
        text(1, "address"),
        symbol(2, "context", OPEN_CENSUS_AGENT_TRACE_CONTEXT).list(),
    ],
);

static MESH_TRACING_CUSTOM_TAG: Message = Message::new(
    "Tracing.CustomTag",
    &[
        message(1, "literal", &MESH_TRACING_LITERAL),
        message(2, "environment", &MESH_TRACING_ENVIRONMENT),
        message(3, "header", &MESH_TRACING_REQUEST_HEADER),
    ],
);

static MESH_TRACING_LITERAL: Message = Message::new("Tracing.Literal", &[text(1, "value")]);

static MESH_TRACING_ENVIRONMENT: Message = Message::new(
    "Tracing.Environment",
    &[text(1, "name"), text(2, "defaultValue")],
);

static MESH_TRACING_REQUEST_HEADER: Message = Message::new(
    "Tracing.RequestHeader",
    &[text(1, "name"), text(2, "defaultValue")],
);

static SDS: Message = Message::new("SDS", &[flag(1, "enabled"), text(2, "k8sSaJwtPath")]);

static REMOTE_SERVICE: Message = Message::new(
    "RemoteService",
    &[
        text(1, "address"),
        message(2, "tlsSettings", &CLIENT_TLS_SETTINGS),
        message(3, "tcpKeepalive", &TCP_KEEPALIVE),
    ],
);

static TOPOLOGY: Message = Message::new(
    "Topology",
    &[
        uint32(1, "numTrustedProxies"),
        symbol(2, "forwardClientCertDetails", FORWARD_CLIENT_CERT_DETAILS),
        message(3, "proxyProtocol", &PROXY_PROTOCOL_CONFIGURATION),
    ],
);

static PROXY_PROTOCOL_CONFIGURATION: Message =
    Message::new("Topology.ProxyProtocolConfiguration", &[]);

static PROXY_STATS_MATCHER: Message = Message::new(
    "ProxyConfig.ProxyStatsMatcher",
    &[
        text(1, "inclusionPrefixes").list(),
        text(2, "inclusionSuffixes").list(),
        text(3, "inclusionRegexps").list(),
    ],
);

static PRIVATE_KEY_PROVIDER: Message = Message::new(
    "PrivateKeyProvider",
    &[message(2, "cryptomb", &CRYPTO_MB), message(3, "qat", &QAT)],
);

static CRYPTO_MB: Message = Message::new(
    "PrivateKeyProvider.CryptoMb",
    &[duration(1, "pollDelay"), flag(2, "fallback").wrapped()],
);

static QAT: Message = Message::new(
    "PrivateKeyProvider.QAT",
    &[duration(1, "pollDelay"), flag(2, "fallback").wrapped()],
);

static PROXY_HEADERS: Message = Message::new(
    "ProxyConfig.ProxyHeaders",
    &[
        symbol(1, "forwardedClientCert", FORWARD_CLIENT_CERT_DETAILS),
        message(2, "server", &PROXY_HEADERS_SERVER),
        message(3, "requestId", &REQUEST_ID),
        message(4, "attemptCount", &ATTEMPT_COUNT),
        message(5, "envoyDebugHeaders", &ENVOY_DEBUG_HEADERS),
        message(6, "metadataExchangeHeaders", &METADATA_EXCHANGE_HEADERS),
        message(
            7,
            "setCurrentClientCertDetails",
            &SET_CURRENT_CLIENT_CERT_DETAILS,
        ),
        flag(40, "preserveHttp1HeaderCase").wrapped(),
        message(41, "xForwardedHost", &X_FORWARDED_HOST),
        message(42, "xForwardedPort", &X_FORWARDED_PORT),
    ],
);

static SET_CURRENT_CLIENT_CERT_DETAILS: Message = Message::new(
    "ProxyConfig.ProxyHeaders.SetCurrentClientCertDetails",
    &[
        flag(1, "subject").wrapped(),
        flag(2, "cert").wrapped(),
        flag(3, "chain").wrapped(),
        flag(4, "dns").wrapped(),
        flag(5, "uri").wrapped(),
    ],
);

static REQUEST_ID: Message = Message::new(
    "ProxyConfig.ProxyHeaders.RequestId",
    &[flag(1, "disabled").wrapped()],
);

static PROXY_HEADERS_SERVER: Message = Message::new(
    "ProxyConfig.ProxyHeaders.Server",
    &[flag(1, "disabled").wrapped(), text(2, "value")],
);

static ATTEMPT_COUNT: Message = Message::new(
    "ProxyConfig.ProxyHeaders.AttemptCount",
    &[flag(1, "disabled").wrapped()],
);

static ENVOY_DEBUG_HEADERS: Message = Message::new(
    "ProxyConfig.ProxyHeaders.EnvoyDebugHeaders",
    &[flag(1, "disabled").wrapped()],
);

static METADATA_EXCHANGE_HEADERS: Message = Message::new(
    "ProxyConfig.ProxyHeaders.MetadataExchangeHeaders",
    &[symbol(1, "mode", PROXY_HEADERS_METADATA_EXCHANGE_MODE)],
);

static X_FORWARDED_HOST: Message = Message::new(
    "ProxyConfig.ProxyHeaders.XForwardedHost",
    &[flag(1, "enabled").wrapped()],
);

static X_FORWARDED_PORT: Message = Message::new(
    "ProxyConfig.ProxyHeaders.XForwardedPort",
    &[flag(1, "enabled").wrapped()],
);

static CONNECTION_SETTINGS: Message = Message::new(
    "ProxyConfig.ConnectionSettings",
    &[
        symbol(1, "profile", CONNECTION_SETTINGS_PROFILE),
        int32(2, "listenerPerConnectionBufferLimitBytes").wrapped(),
        int32(3, "clusterPerConnectionBufferLimitBytes").wrapped(),
        duration(4, "httpIdleTimeout"),
        duration(5, "httpMaxConnectionDuration"),
        duration(6, "httpDrainTimeout"),
        duration(7, "httpRequestTimeout"),
        duration(8, "httpRequestHeadersTimeout"),
        duration(9, "httpStreamIdleTimeout"),
        duration(10, "httpMaxStreamDuration"),
        int32(11, "httpMaxConcurrentStreams").wrapped(),
        int32(12, "http2InitialStreamWindowSize").wrapped(),
        int32(13, "http2InitialConnectionWindowSize").wrapped(),
        symbol(
            14,
            "httpHeadersWithUnderscoresAction",
            CONNECTION_SETTINGS_HEADERS_WITH_UNDERSCORES_ACTION,
        ),
        flag(15, "httpMergeSlashes").wrapped(),
        symbol(
            16,
            "httpPathWithEscapedSlashesAction",
            CONNECTION_SETTINGS_PATH_WITH_ESCAPED_SLASHES_ACTION,
        ),
        int32(17, "listenerConnectionLimit").wrapped(),
        int32(18, "globalDownstreamConnectionLimit").wrapped(),
    ],
);

pub(super) static PROXY_CONFIG_RESOURCE: Message = Message::new(
    "ProxyConfig",
    &[
        message(1, "selector", &WORKLOAD_SELECTOR),
        int32(2, "concurrency").wrapped(),
        map(3, "environmentVariables", &Kind::Text),
        message(4, "image", &PROXY_IMAGE),
    ],
);

static PROXY_IMAGE: Message = Message::new("ProxyImage", &[text(1, "imageType")]);

const PROXY_CONFIG_TRACING_SERVICE_NAME: Symbols = &[
    (0, "APP_LABEL_AND_NAMESPACE"),
    (1, "CANONICAL_NAME_ONLY"),
    (2, "CANONICAL_NAME_AND_NAMESPACE"),
];

const AUTHENTICATION_POLICY: Symbols = &[(0, "NONE"), (1, "MUTUAL_TLS"), (1000, "INHERIT")];

const PROXY_CONFIG_INBOUND_INTERCEPTION_MODE: Symbols =
    &[(0, "REDIRECT"), (1, "TPROXY"), (2, "NONE")];

const OPEN_CENSUS_AGENT_TRACE_CONTEXT: Symbols = &[
    (0, "UNSPECIFIED"),
    (1, "W3C_TRACE_CONTEXT"),
    (2, "GRPC_BIN"),
    (3, "CLOUD_TRACE_CONTEXT"),
    (4, "B3"),
];

const FORWARD_CLIENT_CERT_DETAILS: Symbols = &[
    (0, "UNDEFINED"),
    (1, "SANITIZE"),
    (2, "FORWARD_ONLY"),
    (3, "APPEND_FORWARD"),
    (4, "SANITIZE_SET"),
    (5, "ALWAYS_FORWARD_ONLY"),
];

const PROXY_HEADERS_METADATA_EXCHANGE_MODE: Symbols = &[(0, "UNDEFINED"), (1, "IN_MESH")];

const CONNECTION_SETTINGS_PROFILE: Symbols = &[(0, "SIDECAR"), (1, "EDGE")];

const CONNECTION_SETTINGS_HEADERS_WITH_UNDERSCORES_ACTION: Symbols = &[
    (0, "HEADERS_WITH_UNDERSCORES_UNSPECIFIED"),
    (1, "HEADERS_WITH_UNDERSCORES_ALLOW"),
    (2, "HEADERS_WITH_UNDERSCORES_REJECT_REQUEST"),
    (3, "HEADERS_WITH_UNDERSCORES_DROP_HEADER"),
];

const CONNECTION_SETTINGS_PATH_WITH_ESCAPED_SLASHES_ACTION: Symbols = &[
    (0, "PATH_WITH_ESCAPED_SLASHES_UNSPECIFIED"),
    (1, "KEEP_UNCHANGED"),
    (2, "REJECT_REQUEST"),
    (3, "UNESCAPE_AND_REDIRECT"),
    (4, "UNESCAPE_AND_FORWARD"),
];
