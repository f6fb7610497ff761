//! MeshConfig (`mesh/v1alpha1/config.proto`).

use super::destination_rule::{
    CLIENT_TLS_SETTINGS, CONNECTION_POOL_SETTINGS, LOCALITY_LOAD_BALANCER_SETTING,
    OUTLIER_DETECTION, TCP_KEEPALIVE, ZONE_AWARE_LOAD_BALANCER_SETTING,
};
use super::providers::MESH_CONFIG_EXTENSION_PROVIDER;
use super::proxy_config::PROXY_CONFIG;
use super::virtual_service::HTTP_RETRY;
use crate::protobuf::table::{
    Kind, Message, Symbols, duration, flag, int32, map, message, symbol, text,
};

pub(super) static MESH_CONFIG: Message = Message::new(
    "MeshConfig",
    &[
        int32(4, "proxyListenPort"),
        int32(5, "proxyHttpPort"),
        duration(6, "connectTimeout"),
        text(7, "ingressClass"),
        text(8, "ingressService"),
        symbol(
            9,
            "ingressControllerMode",
            MESH_CONFIG_INGRESS_CONTROLLER_MODE,
        ),
        flag(12, "enableTracing"),
        text(13, "accessLogFile"),
        message(14, "defaultConfig", &PROXY_CONFIG),
        message(
            17,
            "outboundTrafficPolicy",
            &MESH_CONFIG_OUTBOUND_TRAFFIC_POLICY,
        ),
        message(22, "configSources", &CONFIG_SOURCE).list(),
        text(24, "accessLogFormat"),
        text(26, "trustDomain"),
        symbol(27, "accessLogEncoding", MESH_CONFIG_ACCESS_LOG_ENCODING),
        message(28, "tcpKeepalive", &TCP_KEEPALIVE),
        text(31, "defaultServiceExportTo").list(),
        text(32, "defaultVirtualServiceExportTo").list(),
        text(33, "defaultDestinationRuleExportTo").list(),
        text(34, "rootNamespace"),
        message(35, "localityLbSetting", &LOCALITY_LOAD_BALANCER_SETTING),
        duration(36, "dnsRefreshRate"),
        flag(40, "enableEnvoyAccessLogService"),
        symbol(41, "h2UpgradePolicy", MESH_CONFIG_H2_UPGRADE_POLICY),
        duration(42, "protocolDetectionTimeout"),
        flag(43, "enableAutoMtls").wrapped(),
        text(44, "inboundClusterStatName"),
        text(45, "outboundClusterStatName"),
        text(46, "trustDomainAliases").list(),
        message(47, "certificates", &CERTIFICATE).list(),
        message(50, "serviceSettings", &SERVICE_SETTINGS).list(),
        flag(51, "enablePrometheusMerge").wrapped(),
        text(52, "ingressSelector"),
        flag(54, "verifyCertificateAtClient").wrapped(),
        message(55, "ca", &CA),
        flag(56, "disableEnvoyListenerLog"),
        message(57, "extensionProviders", &MESH_CONFIG_EXTENSION_PROVIDER).list(),
        message(58, "caCertificates", &CERTIFICATE_DATA).list(),
        message(59, "discoverySelectors", &LABEL_SELECTOR).list(),
        message(60, "defaultProviders", &DEFAULT_PROVIDERS),
        message(61, "pathNormalization", &PROXY_PATH_NORMALIZATION),
        message(62, "defaultHttpRetryPolicy", &HTTP_RETRY),
        message(63, "meshMTLS", &TLS_CONFIG),
        message(64, "tlsDefaults", &TLS_CONFIG),
        int32(65, "proxyInboundListenPort"),
        message(66, "inboundTrafficPolicy", &INBOUND_TRAFFIC_POLICY),
        message(67, "serviceScopeConfigs", &SERVICE_SCOPE_CONFIGS).list(),
        duration(70, "hboneIdleTimeout"),
        message(71, "defaultTrafficPolicy", &DEFAULT_TRAFFIC_POLICY),
        message(72, "serviceEntryVisibility", &SERVICE_ENTRY_VISIBILITY),
        message(73, "zoneAwareLbSetting", &ZONE_AWARE_LOAD_BALANCER_SETTING),
    ],
);

static MESH_CONFIG_OUTBOUND_TRAFFIC_POLICY: Message = Message::new(
    "MeshConfig.OutboundTrafficPolicy",
    &[
        symbol(1, "mode", MESH_OUTBOUND_TRAFFIC_POLICY_MODE),
        message(2, "tls", &CLIENT_TLS_SETTINGS),
    ],
);

static INBOUND_TRAFFIC_POLICY: Message = Message::new(
    "MeshConfig.InboundTrafficPolicy",
    &[symbol(1, "mode", INBOUND_TRAFFIC_POLICY_MODE)],
);

static CONFIG_SOURCE: Message = Message::new(
    "ConfigSource",
    &[
        text(1, "address"),
        message(2, "tlsSettings", &CLIENT_TLS_SETTINGS),
        symbol(3, "subscribedResources", RESOURCE).list(),
    ],
);

static CERTIFICATE_DATA: Message = Message::new(
    "MeshConfig.CertificateData",
    &[
        text(1, "pem"),
        text(2, "spiffeBundleUrl"),
        text(3, "certSigners").list(),
        text(4, "trustDomains").list(),
    ],
);

static CERTIFICATE: Message = Message::new(
    "Certificate",
    &[text(1, "secretName"), text(2, "dnsNames").list()],
);

static SERVICE_SETTINGS: Message = Message::new(
    "MeshConfig.ServiceSettings",
    &[message(1, "settings", &SETTINGS), text(2, "hosts").list()],
);

static SETTINGS: Message = Message::new(
    "MeshConfig.ServiceSettings.Settings",
    &[flag(1, "clusterLocal")],
);

static SERVICE_SCOPE_CONFIGS: Message = Message::new(
    "MeshConfig.ServiceScopeConfigs",
    &[
        message(1, "namespaceSelector", &LABEL_SELECTOR),
        message(2, "servicesSelector", &LABEL_SELECTOR),
        symbol(3, "scope", SERVICE_SCOPE_CONFIGS_SCOPE),
    ],
);

static LABEL_SELECTOR: Message = Message::new(
    "LabelSelector",
    &[
        map(1, "matchLabels", &Kind::Text),
        message(2, "matchExpressions", &LABEL_SELECTOR_REQUIREMENT).list(),
    ],
);

static LABEL_SELECTOR_REQUIREMENT: Message = Message::new(
    "LabelSelectorRequirement",
    &[
        text(1, "key"),
        text(2, "operator"),
        text(3, "values").list(),
    ],
);

static CA: Message = Message::new(
    "MeshConfig.CA",
    &[
        text(1, "address"),
        message(2, "tlsSettings", &CLIENT_TLS_SETTINGS),
        duration(3, "requestTimeout"),
        flag(4, "istiodSide"),
    ],
);

static DEFAULT_PROVIDERS: Message = Message::new(
    "MeshConfig.DefaultProviders",
    &[
        text(1, "tracing").list(),
        text(2, "metrics").list(),
        text(3, "accessLogging").list(),
    ],
);

static PROXY_PATH_NORMALIZATION: Message = Message::new(
    "MeshConfig.ProxyPathNormalization",
    &[symbol(
        1,
        "normalization",
        PROXY_PATH_NORMALIZATION_NORMALIZATION_TYPE,
    )],
);

static TLS_CONFIG: Message = Message::new(
    "MeshConfig.TLSConfig",
    &[
        symbol(1, "minProtocolVersion", TLS_CONFIG_TLS_PROTOCOL),
        text(2, "ecdhCurves").list(),
        text(3, "cipherSuites").list(),
    ],
);

static DEFAULT_TRAFFIC_POLICY: Message = Message::new(
    "MeshConfig.DefaultTrafficPolicy",
    &[
        message(1, "connectionPool", &CONNECTION_POOL_SETTINGS),
        message(2, "outlierDetection", &OUTLIER_DETECTION),
    ],
);

static SERVICE_ENTRY_VISIBILITY: Message = Message::new(
    "ServiceEntryVisibility",
    &[
        symbol(1, "defaultVisibility", SERVICE_ENTRY_VISIBILITY_VISIBILITY),
        flag(2, "applyToSidecars"),
        message(3, "policies", &POLICY).list(),
    ],
);

static POLICY: Message = Message::new(
    "ServiceEntryVisibility.Policy",
    &[
        symbol(1, "visibility", SERVICE_ENTRY_VISIBILITY_VISIBILITY),
        message(2, "matchingRules", &MATCH_RULE).list(),
    ],
);

static MATCH_RULE: Message = Message::new(
    "ServiceEntryVisibility.MatchRule",
    &[message(1, "namespaceSelector", &LABEL_SELECTOR)],
);

const MESH_CONFIG_INGRESS_CONTROLLER_MODE: Symbols = &[
    (0, "UNSPECIFIED"),
    (1, "OFF"),
    (2, "DEFAULT"),
    (3, "STRICT"),
];

const MESH_CONFIG_ACCESS_LOG_ENCODING: Symbols = &[(0, "TEXT"), (1, "JSON")];

const MESH_CONFIG_H2_UPGRADE_POLICY: Symbols = &[(0, "DO_NOT_UPGRADE"), (1, "UPGRADE")];

const MESH_OUTBOUND_TRAFFIC_POLICY_MODE: Symbols = &[
    (0, "REGISTRY_ONLY"),
    (1, "ALLOW_ANY"),
    (3, "ALLOW_ANY_DYNAMIC_DNS"),
];

const INBOUND_TRAFFIC_POLICY_MODE: Symbols = &[(0, "PASSTHROUGH"), (1, "LOCALHOST")];

const RESOURCE: Symbols = &[(0, "SERVICE_REGISTRY")];

const SERVICE_SCOPE_CONFIGS_SCOPE: Symbols = &[(0, "LOCAL"), (1, "GLOBAL")];

const PROXY_PATH_NORMALIZATION_NORMALIZATION_TYPE: Symbols = &[
    (0, "DEFAULT"),
    (1, "NONE"),
    (2, "BASE"),
    (3, "MERGE_SLASHES"),
    (4, "DECODE_AND_MERGE_SLASHES"),
];

const TLS_CONFIG_TLS_PROTOCOL: Symbols = &[(0, "TLS_AUTO"), (1, "TLSV1_2"), (2, "TLSV1_3")];

const SERVICE_ENTRY_VISIBILITY_VISIBILITY: Symbols = &[
    (0, "VISIBILITY_UNSPECIFIED"),
    (1, "NONE"),
    (2, "NAMESPACE"),
    (3, "PUBLIC"),
];
