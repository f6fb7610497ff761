//! The mesh's extension providers (`mesh/v1alpha1/config.proto`).

use crate::protobuf::table::{
    Kind, Message, Symbols, duration, flag, free, int32, int64, map, message, symbol, text, uint32,
};

pub(super) static MESH_CONFIG_EXTENSION_PROVIDER: Message = Message::new(
    "MeshConfig.ExtensionProvider",
    &[
        text(1, "name"),
        message(
            2,
            "envoyExtAuthzHttp",
            &ENVOY_EXTERNAL_AUTHORIZATION_HTTP_PROVIDER,
        ),
        message(
            3,
            "envoyExtAuthzGrpc",
            &ENVOY_EXTERNAL_AUTHORIZATION_GRPC_PROVIDER,
        ),
        message(4, "zipkin", &ZIPKIN_TRACING_PROVIDER),
        message(5, "lightstep", &LIGHTSTEP_TRACING_PROVIDER),
        message(6, "datadog", &DATADOG_TRACING_PROVIDER),
        message(7, "stackdriver", &STACKDRIVER_PROVIDER),
        message(8, "opencensus", &OPEN_CENSUS_AGENT_TRACING_PROVIDER),
        message(9, "skywalking", &SKY_WALKING_TRACING_PROVIDER),
        message(10, "prometheus", &PROMETHEUS_METRICS_PROVIDER),
        message(11, "envoyFileAccessLog", &ENVOY_FILE_ACCESS_LOG_PROVIDER),
        message(12, "envoyHttpAls", &ENVOY_HTTP_GRPC_V3_LOG_PROVIDER),
        message(13, "envoyTcpAls", &ENVOY_TCP_GRPC_V3_LOG_PROVIDER),
        message(14, "envoyOtelAls", &ENVOY_OPEN_TELEMETRY_LOG_PROVIDER),
        message(15, "opentelemetry", &OPEN_TELEMETRY_TRACING_PROVIDER),
        message(16, "sds", &SDS_PROVIDER),
    ],
);

static ENVOY_EXTERNAL_AUTHORIZATION_HTTP_PROVIDER: Message = Message::new(
    "MeshConfig.ExtensionProvider.EnvoyExternalAuthorizationHttpProvider",
    &[
        text(1, "service"),
        uint32(2, "port"),
        text(3, "pathPrefix"),
        flag(4, "failOpen"),
        text(5, "statusOnError"),
        text(6, "includeHeadersInCheck").list(),
        text(7, "headersToUpstreamOnAllow").list(),
        text(8, "headersToDownstreamOnDeny").list(),
        duration(9, "timeout"),
        text(10, "includeRequestHeadersInCheck").list(),
        map(11, "includeAdditionalHeadersInCheck", &Kind::Text),
        message(
            12,
            "includeRequestBodyInCheck",
            &ENVOY_EXTERNAL_AUTHORIZATION_REQUEST_BODY,
        ),
        text(13, "headersToDownstreamOnAllow").list(),
        flag(14, "clearRouteCache"),
    ],
);

static ENVOY_EXTERNAL_AUTHORIZATION_REQUEST_BODY: Message = Message::new(
    "MeshConfig.ExtensionProvider.EnvoyExternalAuthorizationRequestBody",
    &[
        uint32(1, "maxRequestBytes"),
        flag(2, "allowPartialMessage"),
        flag(3, "packAsBytes"),
    ],
);

static ENVOY_EXTERNAL_AUTHORIZATION_GRPC_PROVIDER: Message = Message::new(
    "MeshConfig.ExtensionProvider.EnvoyExternalAuthorizationGrpcProvider",
    &[
        text(1, "service"),
        uint32(2, "port"),
        flag(3, "failOpen"),
        text(4, "statusOnError"),
        duration(5, "timeout"),
        message(
            6,
            "includeRequestBodyInCheck",
            &ENVOY_EXTERNAL_AUTHORIZATION_REQUEST_BODY,
        ),
        flag(7, "clearRouteCache"),
    ],
);

static ZIPKIN_TRACING_PROVIDER: Message = Message::new(
    "MeshConfig.ExtensionProvider.ZipkinTracingProvider",
    &[
        text(1, "service"),
        uint32(2, "port"),
        uint32(3, "maxTagLength"),
        flag(4, "enable64bitTraceId"),
        text(5, "path"),
        symbol(
            6,
            "traceContextOption",
            ZIPKIN_TRACING_PROVIDER_TRACE_CONTEXT_OPTION,
        ),
        duration(7, "timeout"),
        message(8, "headers", &EXTENSION_PROVIDER_HTTP_HEADER).list(),
    ],
);

static EXTENSION_PROVIDER_HTTP_HEADER: Message = Message::new(
    "MeshConfig.ExtensionProvider.HttpHeader",
    &[text(1, "name"), text(2, "value"), text(3, "envName")],
);

static LIGHTSTEP_TRACING_PROVIDER: Message = Message::new(
    "MeshConfig.ExtensionProvider.LightstepTracingProvider",
    &[
        text(1, "service"),
        uint32(2, "port"),
        text(3, "accessToken"),
        uint32(4, "maxTagLength"),
    ],
);

static DATADOG_TRACING_PROVIDER: Message = Message::new(
    "MeshConfig.ExtensionProvider.DatadogTracingProvider",
    &[
        text(1, "service"),
        uint32(2, "port"),
        uint32(3, "maxTagLength"),
    ],
);

static STACKDRIVER_PROVIDER: Message = Message::new(
    "MeshConfig.ExtensionProvider.StackdriverProvider",
    &[
        flag(1, "debug"),
        int64(2, "maxNumberOfAttributes").wrapped(),
        int64(3, "maxNumberOfAnnotations").wrapped(),
        int64(4, "maxNumberOfMessageEvents").wrapped(),
        uint32(5, "maxTagLength"),
        message(6, "logging", &LOGGING),
    ],
);

static LOGGING: Message = Message::new(
    "MeshConfig.ExtensionProvider.StackdriverProvider.Logging",
    &[map(1, "labels", &Kind::Text)],
);

static OPEN_CENSUS_AGENT_TRACING_PROVIDER: Message = Message::new(
    "MeshConfig.ExtensionProvider.OpenCensusAgentTracingProvider",
    &[
        text(1, "service"),
        uint32(2, "port"),
        symbol(
            3,
            "context",
            OPEN_CENSUS_AGENT_TRACING_PROVIDER_TRACE_CONTEXT,
        )
        .list(),
        uint32(4, "maxTagLength"),
    ],
);

static SKY_WALKING_TRACING_PROVIDER: Message = Message::new(
    "MeshConfig.ExtensionProvider.SkyWalkingTracingProvider",
    &[
        text(1, "service"),
        uint32(2, "port"),
        text(3, "accessToken"),
    ],
);

static OPEN_TELEMETRY_TRACING_PROVIDER: Message = Message::new(
    "MeshConfig.ExtensionProvider.OpenTelemetryTracingProvider",
    &[
        text(1, "service"),
        uint32(2, "port"),
        uint32(3, "maxTagLength"),
        message(4, "http", &HTTP_SERVICE),
        message(5, "resourceDetectors", &RESOURCE_DETECTORS),
        message(6, "dynatraceSampler", &DYNATRACE_SAMPLER),
        message(7, "grpc", &GRPC_SERVICE),
        symbol(
            8,
            "serviceAttributeEnrichment",
            EXTENSION_PROVIDER_SERVICE_ATTRIBUTE_ENRICHMENT,
        ),
    ],
);

static HTTP_SERVICE: Message = Message::new(
    "MeshConfig.ExtensionProvider.HttpService",
    &[
        text(1, "path"),
        duration(2, "timeout"),
        message(3, "headers", &EXTENSION_PROVIDER_HTTP_HEADER).list(),
    ],
);

static GRPC_SERVICE: Message = Message::new(
    "MeshConfig.ExtensionProvider.GrpcService",
    &[
        duration(1, "timeout"),
        message(2, "initialMetadata", &EXTENSION_PROVIDER_HTTP_HEADER).list(),
    ],
);

static RESOURCE_DETECTORS: Message = Message::new(
    "MeshConfig.ExtensionProvider.ResourceDetectors",
    &[
        message(1, "environment", &ENVIRONMENT_RESOURCE_DETECTOR),
        message(2, "dynatrace", &DYNATRACE_RESOURCE_DETECTOR),
    ],
);

static ENVIRONMENT_RESOURCE_DETECTOR: Message = Message::new(
    "MeshConfig.ExtensionProvider.ResourceDetectors.EnvironmentResourceDetector",
    &[],
);

static DYNATRACE_RESOURCE_DETECTOR: Message = Message::new(
    "MeshConfig.ExtensionProvider.ResourceDetectors.DynatraceResourceDetector",
    &[],
);

static DYNATRACE_SAMPLER: Message = Message::new(
    "MeshConfig.ExtensionProvider.OpenTelemetryTracingProvider.DynatraceSampler",
    &[
        text(1, "tenant"),
        int32(2, "clusterId"),
        uint32(3, "rootSpansPerMinute"),
        message(4, "httpService", &DYNATRACE_API),
    ],
);

static DYNATRACE_API: Message = Message::new(
    "MeshConfig.ExtensionProvider.OpenTelemetryTracingProvider.DynatraceSampler.DynatraceApi",
    &[
        text(1, "service"),
        uint32(2, "port"),
        message(3, "http", &HTTP_SERVICE),
    ],
);

static PROMETHEUS_METRICS_PROVIDER: Message = Message::new(
    "MeshConfig.ExtensionProvider.PrometheusMetricsProvider",
    &[],
);

static ENVOY_FILE_ACCESS_LOG_PROVIDER: Message = Message::new(
    "MeshConfig.ExtensionProvider.EnvoyFileAccessLogProvider",
    &[
        text(1, "path"),
        message(2, "logFormat", &ENVOY_FILE_ACCESS_LOG_PROVIDER_LOG_FORMAT),
        flag(3, "omitEmptyValues"),
    ],
);

static ENVOY_FILE_ACCESS_LOG_PROVIDER_LOG_FORMAT: Message = Message::new(
    "MeshConfig.ExtensionProvider.EnvoyFileAccessLogProvider.LogFormat",
    &[text(1, "text"), free(2, "labels")],
);

static ENVOY_HTTP_GRPC_V3_LOG_PROVIDER: Message = Message::new(
    "MeshConfig.ExtensionProvider.EnvoyHttpGrpcV3LogProvider",
    &[
        text(1, "service"),
        uint32(2, "port"),
        text(3, "logName"),
        text(4, "filterStateObjectsToLog").list(),
        text(5, "additionalRequestHeadersToLog").list(),
        text(6, "additionalResponseHeadersToLog").list(),
        text(7, "additionalResponseTrailersToLog").list(),
    ],
);

static ENVOY_TCP_GRPC_V3_LOG_PROVIDER: Message = Message::new(
    "MeshConfig.ExtensionProvider.EnvoyTcpGrpcV3LogProvider",
    &[
        text(1, "service"),
        uint32(2, "port"),
        text(3, "logName"),
        text(4, "filterStateObjectsToLog").list(),
    ],
);

static ENVOY_OPEN_TELEMETRY_LOG_PROVIDER: Message = Message::new(
    "MeshConfig.ExtensionProvider.EnvoyOpenTelemetryLogProvider",
    &[
        text(1, "service"),
        uint32(2, "port"),
        text(3, "logName"),
        message(
            4,
            "logFormat",
            &ENVOY_OPEN_TELEMETRY_LOG_PROVIDER_LOG_FORMAT,
        ),
    ],
);

static ENVOY_OPEN_TELEMETRY_LOG_PROVIDER_LOG_FORMAT: Message = Message::new(
    "MeshConfig.ExtensionProvider.EnvoyOpenTelemetryLogProvider.LogFormat",
    &[text(1, "text"), free(2, "labels")],
);

static SDS_PROVIDER: Message = Message::new(
    "MeshConfig.ExtensionProvider.SDSProvider",
    &[text(1, "name"), text(2, "service"), uint32(3, "port")],
);

const ZIPKIN_TRACING_PROVIDER_TRACE_CONTEXT_OPTION: Symbols =
    &[(0, "USE_B3"), (1, "USE_B3_WITH_W3C_PROPAGATION")];

const OPEN_CENSUS_AGENT_TRACING_PROVIDER_TRACE_CONTEXT: Symbols = &[
    (0, "UNSPECIFIED"),
    (1, "W3C_TRACE_CONTEXT"),
    (2, "GRPC_BIN"),
    (3, "CLOUD_TRACE_CONTEXT"),
    (4, "B3"),
];

const EXTENSION_PROVIDER_SERVICE_ATTRIBUTE_ENRICHMENT: Symbols =
    &[(0, "ISTIO_CANONICAL"), (1, "OTEL_SEMANTIC_CONVENTIONS")];
