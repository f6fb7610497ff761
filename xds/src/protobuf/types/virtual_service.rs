//! VirtualService (`networking/v1alpha3/virtual_service.proto`).

use crate::protobuf::table::{
    Kind, Message, Symbols, bytes, double, duration, flag, int32, map, message, symbol, text,
    uint32,
};

pub(super) static VIRTUAL_SERVICE: Message = Message::new(
    "VirtualService",
    &[
        text(1, "hosts").list(),
        text(2, "gateways").list(),
        message(3, "http", &HTTP_ROUTE).list(),
        message(4, "tcp", &TCP_ROUTE).list(),
        message(5, "tls", &TLS_ROUTE).list(),
        text(6, "exportTo").list(),
    ],
);

static HTTP_ROUTE: Message = Message::new(
    "HTTPRoute",
    &[
        message(1, "match", &HTTP_MATCH_REQUEST).list(),
        message(2, "route", &HTTP_ROUTE_DESTINATION).list(),
        message(3, "redirect", &HTTP_REDIRECT),
        message(4, "rewrite", &HTTP_REWRITE),
        duration(6, "timeout"),
        message(7, "retries", &HTTP_RETRY),
        message(8, "fault", &HTTP_FAULT_INJECTION),
        message(9, "mirror", &DESTINATION),
        message(10, "corsPolicy", &CORS_POLICY),
        message(16, "headers", &HEADERS),
        text(17, "name"),
        uint32(18, "mirrorPercent").wrapped(),
        message(19, "mirrorPercentage", &PERCENT),
        message(20, "delegate", &DELEGATE),
        message(21, "directResponse", &HTTP_DIRECT_RESPONSE),
        message(22, "mirrors", &HTTP_MIRROR_POLICY).list(),
    ],
);

static HTTP_MATCH_REQUEST: Message = Message::new(
    "HTTPMatchRequest",
    &[
        message(1, "uri", &STRING_MATCH),
        message(2, "scheme", &STRING_MATCH),
        message(3, "method", &STRING_MATCH),
        message(4, "authority", &STRING_MATCH),
        map(5, "headers", &Kind::Message(&STRING_MATCH)),
        uint32(6, "port"),
        map(7, "sourceLabels", &Kind::Text),
        text(8, "gateways").list(),
        map(9, "queryParams", &Kind::Message(&STRING_MATCH)),
        flag(10, "ignoreUriCase"),
        text(11, "name"),
        map(12, "withoutHeaders", &Kind::Message(&STRING_MATCH)),
        text(13, "sourceNamespace"),
        text(14, "statPrefix"),
    ],
);

static STRING_MATCH: Message = Message::new(
    "StringMatch",
    &[text(1, "exact"), text(2, "prefix"), text(3, "regex")],
);

static HTTP_ROUTE_DESTINATION: Message = Message::new(
    "HTTPRouteDestination",
    &[
        message(1, "destination", &DESTINATION),
        int32(2, "weight"),
        message(7, "headers", &HEADERS),
    ],
);

pub(super) static DESTINATION: Message = Message::new(
    "Destination",
    &[
        text(1, "host"),
        text(2, "subset"),
        message(3, "port", &PORT_SELECTOR),
    ],
);

pub(super) static PORT_SELECTOR: Message = Message::new("PortSelector", &[uint32(1, "number")]);

static HEADERS: Message = Message::new(
    "Headers",
    &[
        message(1, "request", &HEADER_OPERATIONS),
        message(2, "response", &HEADER_OPERATIONS),
    ],
);

static HEADER_OPERATIONS: Message = Message::new(
    "Headers.HeaderOperations",
    &[
        map(1, "set", &Kind::Text),
        map(2, "add", &Kind::Text),
        text(3, "remove").list(),
    ],
);

static HTTP_REDIRECT: Message = Message::new(
    "HTTPRedirect",
    &[
        text(1, "uri"),
        text(2, "authority"),
        uint32(3, "redirectCode"),
        uint32(4, "port"),
        symbol(5, "derivePort", HTTP_REDIRECT_REDIRECT_PORT_SELECTION),
        text(6, "scheme"),
        text(7, "prefixRewrite"),
    ],
);

static HTTP_DIRECT_RESPONSE: Message = Message::new(
    "HTTPDirectResponse",
    &[uint32(1, "status"), message(2, "body", &HTTP_BODY)],
);

static HTTP_BODY: Message = Message::new("HTTPBody", &[text(1, "string"), bytes(2, "bytes")]);

static DELEGATE: Message = Message::new("Delegate", &[text(1, "name"), text(2, "namespace")]);

static HTTP_REWRITE: Message = Message::new(
    "HTTPRewrite",
    &[
        text(1, "uri"),
        text(2, "authority"),
        message(3, "uriRegexRewrite", &REGEX_REWRITE),
    ],
);

static REGEX_REWRITE: Message =
    Message::new("RegexRewrite", &[text(1, "match"), text(2, "rewrite")]);

pub(super) static HTTP_RETRY: Message = Message::new(
    "HTTPRetry",
    &[
        int32(1, "attempts"),
        duration(2, "perTryTimeout"),
        text(3, "retryOn"),
        flag(4, "retryRemoteLocalities").wrapped(),
        flag(5, "retryIgnorePreviousHosts").wrapped(),
        duration(6, "backoff"),
    ],
);

static HTTP_FAULT_INJECTION: Message = Message::new(
    "HTTPFaultInjection",
    &[message(1, "delay", &DELAY), message(2, "abort", &ABORT)],
);

static DELAY: Message = Message::new(
    "HTTPFaultInjection.Delay",
    &[
        int32(1, "percent"),
        duration(2, "fixedDelay"),
        duration(3, "exponentialDelay"),
        message(5, "percentage", &PERCENT),
    ],
);

static PERCENT: Message = Message::new("Percent", &[double(1, "value")]);

static ABORT: Message = Message::new(
    "HTTPFaultInjection.Abort",
    &[
        int32(2, "httpStatus"),
        text(3, "grpcStatus"),
        text(4, "http2Error"),
        message(5, "percentage", &PERCENT),
    ],
);

static HTTP_MIRROR_POLICY: Message = Message::new(
    "HTTPMirrorPolicy",
    &[
        message(1, "destination", &DESTINATION),
        message(2, "percentage", &PERCENT),
    ],
);

static CORS_POLICY: Message = Message::new(
    "CorsPolicy",
    &[
        text(1, "allowOrigin").list(),
        text(2, "allowMethods").list(),
        text(3, "allowHeaders").list(),
        text(4, "exposeHeaders").list(),
        duration(5, "maxAge"),
        flag(6, "allowCredentials").wrapped(),
        message(7, "allowOrigins", &STRING_MATCH).list(),
        symbol(8, "unmatchedPreflights", CORS_POLICY_UNMATCHED_PREFLIGHTS),
    ],
);

static TLS_ROUTE: Message = Message::new(
    "TLSRoute",
    &[
        message(1, "match", &TLS_MATCH_ATTRIBUTES).list(),
        message(2, "route", &ROUTE_DESTINATION).list(),
    ],
);

static TLS_MATCH_ATTRIBUTES: Message = Message::new(
    "TLSMatchAttributes",
    &[
        text(1, "sniHosts").list(),
        text(2, "destinationSubnets").list(),
        uint32(3, "port"),
        map(5, "sourceLabels", &Kind::Text),
        text(6, "gateways").list(),
        text(7, "sourceNamespace"),
    ],
);

static ROUTE_DESTINATION: Message = Message::new(
    "RouteDestination",
    &[message(1, "destination", &DESTINATION), int32(2, "weight")],
);

static TCP_ROUTE: Message = Message::new(
    "TCPRoute",
    &[
        message(1, "match", &L4_MATCH_ATTRIBUTES).list(),
        message(2, "route", &ROUTE_DESTINATION).list(),
    ],
);

static L4_MATCH_ATTRIBUTES: Message = Message::new(
    "L4MatchAttributes",
    &[
        text(1, "destinationSubnets").list(),
        uint32(2, "port"),
        text(3, "sourceSubnet"),
        map(4, "sourceLabels", &Kind::Text),
        text(5, "gateways").list(),
        text(6, "sourceNamespace"),
    ],
);

const HTTP_REDIRECT_REDIRECT_PORT_SELECTION: Symbols =
    &[(0, "FROM_PROTOCOL_DEFAULT"), (1, "FROM_REQUEST_PORT")];

const CORS_POLICY_UNMATCHED_PREFLIGHTS: Symbols =
    &[(0, "UNSPECIFIED"), (1, "FORWARD"), (2, "IGNORE")];
