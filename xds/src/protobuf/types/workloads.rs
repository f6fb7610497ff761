//! Who is there and what listens: ServiceEntry, WorkloadEntry, WorkloadGroup, Sidecar and Gateway (`networking/v1alpha3`).

use super::destination_rule::CONNECTION_POOL_SETTINGS;
use super::virtual_service::DESTINATION;
use crate::protobuf::table::{
    Kind, Message, Symbols, flag, int32, map, message, symbol, text, uint32,
};

static SERVER_TLS_SETTINGS: Message = Message::new(
    "ServerTLSSettings",
    &[
        flag(1, "httpsRedirect"),
        symbol(2, "mode", SERVER_TLS_SETTINGS_TLS_MODE),
        text(3, "serverCertificate"),
        text(4, "privateKey"),
        text(5, "caCertificates"),
        text(6, "subjectAltNames").list(),
        symbol(7, "minProtocolVersion", SERVER_TLS_SETTINGS_TLS_PROTOCOL),
        symbol(8, "maxProtocolVersion", SERVER_TLS_SETTINGS_TLS_PROTOCOL),
        text(9, "cipherSuites").list(),
        text(10, "credentialName"),
        text(11, "verifyCertificateSpki").list(),
        text(12, "verifyCertificateHash").list(),
        text(13, "caCrl"),
        text(14, "credentialNames").list(),
        message(15, "tlsCertificates", &TLS_CERTIFICATE).list(),
        text(16, "caCertCredentialName"),
        flag(17, "insecureSkipVerify").wrapped(),
    ],
);

static TLS_CERTIFICATE: Message = Message::new(
    "ServerTLSSettings.TLSCertificate",
    &[
        text(1, "serverCertificate"),
        text(2, "privateKey"),
        text(3, "caCertificates"),
    ],
);

pub(super) static GATEWAY: Message = Message::new(
    "Gateway",
    &[
        message(1, "servers", &SERVER).list(),
        map(2, "selector", &Kind::Text),
    ],
);

static SERVER: Message = Message::new(
    "Server",
    &[
        message(1, "port", &PORT),
        text(2, "hosts").list(),
        message(3, "tls", &SERVER_TLS_SETTINGS),
        text(4, "bind"),
        text(5, "defaultEndpoint"),
        text(6, "name"),
    ],
);

static PORT: Message = Message::new(
    "Port",
    &[
        uint32(1, "number"),
        text(2, "protocol"),
        text(3, "name"),
        uint32(4, "targetPort"),
    ],
);

pub(super) static SERVICE_ENTRY: Message = Message::new(
    "ServiceEntry",
    &[
        text(1, "hosts").list(),
        text(2, "addresses").list(),
        message(3, "ports", &SERVICE_PORT).list(),
        symbol(4, "location", SERVICE_ENTRY_LOCATION),
        symbol(5, "resolution", SERVICE_ENTRY_RESOLUTION),
        message(6, "endpoints", &WORKLOAD_ENTRY).list(),
        text(7, "exportTo").list(),
        text(8, "subjectAltNames").list(),
        message(9, "workloadSelector", &LABELS_OF_WORKLOADS),
    ],
);

static SERVICE_PORT: Message = Message::new(
    "ServicePort",
    &[
        uint32(1, "number"),
        text(2, "protocol"),
        text(3, "name"),
        uint32(4, "targetPort"),
    ],
);

pub(super) static LABELS_OF_WORKLOADS: Message =
    Message::new("WorkloadSelector", &[map(1, "labels", &Kind::Text)]);

pub(super) static SIDECAR: Message = Message::new(
    "Sidecar",
    &[
        message(1, "workloadSelector", &LABELS_OF_WORKLOADS),
        message(2, "ingress", &ISTIO_INGRESS_LISTENER).list(),
        message(3, "egress", &ISTIO_EGRESS_LISTENER).list(),
        message(4, "outboundTrafficPolicy", &OUTBOUND_TRAFFIC_POLICY),
        message(7, "inboundConnectionPool", &CONNECTION_POOL_SETTINGS),
    ],
);

static ISTIO_INGRESS_LISTENER: Message = Message::new(
    "IstioIngressListener",
    &[
        message(1, "port", &SIDECAR_PORT),
        text(2, "bind"),
        symbol(3, "captureMode", CAPTURE_MODE),
        text(4, "defaultEndpoint"),
        message(7, "tls", &SERVER_TLS_SETTINGS),
        message(8, "connectionPool", &CONNECTION_POOL_SETTINGS),
    ],
);

static SIDECAR_PORT: Message = Message::new(
    "SidecarPort",
    &[
        uint32(1, "number"),
        text(2, "protocol"),
        text(3, "name"),
        uint32(4, "targetPort"),
    ],
);

static ISTIO_EGRESS_LISTENER: Message = Message::new(
    "IstioEgressListener",
    &[
        message(1, "port", &SIDECAR_PORT),
        text(2, "bind"),
        symbol(3, "captureMode", CAPTURE_MODE),
        text(4, "hosts").list(),
    ],
);

static OUTBOUND_TRAFFIC_POLICY: Message = Message::new(
    "OutboundTrafficPolicy",
    &[
        symbol(1, "mode", OUTBOUND_TRAFFIC_POLICY_MODE),
        message(2, "egressProxy", &DESTINATION),
    ],
);

pub(super) static WORKLOAD_ENTRY: Message = Message::new(
    "WorkloadEntry",
    &[
        text(1, "address"),
        map(2, "ports", &Kind::Uint32),
        map(3, "labels", &Kind::Text),
        text(4, "network"),
        text(5, "locality"),
        uint32(6, "weight"),
        text(7, "serviceAccount"),
    ],
);

pub(super) static WORKLOAD_GROUP: Message = Message::new(
    "WorkloadGroup",
    &[
        message(1, "metadata", &OBJECT_META),
        message(2, "template", &WORKLOAD_ENTRY),
        message(3, "probe", &READINESS_PROBE),
    ],
);

static OBJECT_META: Message = Message::new(
    "WorkloadGroup.ObjectMeta",
    &[
        map(1, "labels", &Kind::Text),
        map(2, "annotations", &Kind::Text),
    ],
);

pub(super) static READINESS_PROBE: Message = Message::new(
    "ReadinessProbe",
    &[
        int32(2, "initialDelaySeconds"),
        int32(3, "timeoutSeconds"),
        int32(4, "periodSeconds"),
        int32(5, "successThreshold"),
        int32(6, "failureThreshold"),
        message(7, "httpGet", &HTTP_HEALTH_CHECK_CONFIG),
        message(8, "tcpSocket", &TCP_HEALTH_CHECK_CONFIG),
        message(9, "exec", &EXEC_HEALTH_CHECK_CONFIG),
        message(10, "grpc", &GRPC_HEALTH_CHECK_CONFIG),
    ],
);

static HTTP_HEALTH_CHECK_CONFIG: Message = Message::new(
    "HTTPHealthCheckConfig",
    &[
        text(1, "path"),
        uint32(2, "port"),
        text(3, "host"),
        text(4, "scheme"),
        message(5, "httpHeaders", &HTTP_HEADER).list(),
    ],
);

static HTTP_HEADER: Message = Message::new("HTTPHeader", &[text(1, "name"), text(2, "value")]);

static TCP_HEALTH_CHECK_CONFIG: Message = Message::new(
    "TCPHealthCheckConfig",
    &[text(1, "host"), uint32(2, "port")],
);

static EXEC_HEALTH_CHECK_CONFIG: Message =
    Message::new("ExecHealthCheckConfig", &[text(1, "command").list()]);

static GRPC_HEALTH_CHECK_CONFIG: Message = Message::new(
    "GrpcHealthCheckConfig",
    &[uint32(1, "port"), text(2, "service")],
);

const SERVER_TLS_SETTINGS_TLS_MODE: Symbols = &[
    (0, "PASSTHROUGH"),
    (1, "SIMPLE"),
    (2, "MUTUAL"),
    (3, "AUTO_PASSTHROUGH"),
    (4, "ISTIO_MUTUAL"),
    (5, "OPTIONAL_MUTUAL"),
];

const SERVER_TLS_SETTINGS_TLS_PROTOCOL: Symbols = &[
    (0, "TLS_AUTO"),
    (1, "TLSV1_0"),
    (2, "TLSV1_1"),
    (3, "TLSV1_2"),
    (4, "TLSV1_3"),
];

const SERVICE_ENTRY_LOCATION: Symbols = &[(0, "MESH_EXTERNAL"), (1, "MESH_INTERNAL")];

const SERVICE_ENTRY_RESOLUTION: Symbols = &[
    (0, "NONE"),
    (1, "STATIC"),
    (2, "DNS"),
    (3, "DNS_ROUND_ROBIN"),
    (4, "DYNAMIC_DNS"),
];

const CAPTURE_MODE: Symbols = &[(0, "DEFAULT"), (1, "IPTABLES"), (2, "NONE")];

const OUTBOUND_TRAFFIC_POLICY_MODE: Symbols = &[(0, "REGISTRY_ONLY"), (1, "ALLOW_ANY")];
