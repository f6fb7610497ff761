//! Reading a VirtualService: its fields, and which of Istio's older spellings are still honoured.

use super::destination::{destination, required_destination};
use super::policy_decode as policy;
use super::{
    CorsPolicy, Delegate, DerivePort, Extensions, HeaderOperations, Headers, HttpBody,
    HttpDirectResponse, HttpMatchRequest, HttpRedirect, HttpRewrite, HttpRoute,
    HttpRouteDestination, L4Match, RedirectPort, RegexRewrite, RouteDestination, StringMatch,
    TcpRoute, TlsMatch, TlsRoute, UnmatchedPreflights, VirtualService,
};
use crate::config::code::Code;
use crate::config::decode::{Object, object};
use crate::config::meta::Meta;
use crate::config::node::{Entry, Node, Value};
use crate::config::report::Report;
use crate::config::scalar;

const DERIVE_PORTS: &[(&str, i32, DerivePort)] = &[
    ("FROM_PROTOCOL_DEFAULT", 0, DerivePort::FromProtocolDefault),
    ("FROM_REQUEST_PORT", 1, DerivePort::FromRequestPort),
];

const UNMATCHED_PREFLIGHTS: &[(&str, i32, UnmatchedPreflights)] = &[
    ("UNSPECIFIED", 0, UnmatchedPreflights::Unspecified),
    ("FORWARD", 1, UnmatchedPreflights::Forward),
    ("IGNORE", 2, UnmatchedPreflights::Ignore),
];

/// Reads the `spec`.
pub(super) fn decode(
    meta: Meta,
    extensions: Extensions,
    spec: &mut Object<'_, '_>,
) -> VirtualService {
    VirtualService {
        api: None,
        meta,
        extensions,
        hosts: spec.strings("hosts"),
        gateways: spec.strings("gateways"),
        http: spec.messages("http", http_route),
        tls: spec.messages("tls", tls_route),
        tcp: spec.messages("tcp", tcp_route),
        export_to: spec.strings("exportTo"),
    }
}

fn http_route(o: &mut Object<'_, '_>) -> HttpRoute {
    o.deprecated("mirrorPercent", "use `mirrorPercentage: {value: …}`");
    let route = HttpRoute {
        api: None,
        name: o.string("name"),
        matches: o.messages("match", http_match),
        route: o.messages("route", http_route_destination),
        redirect: o.message("redirect", redirect),
        direct_response: o.message("directResponse", direct_response),
        delegate: o.message("delegate", |o| Delegate {
            name: o.string("name"),
            namespace: o.string("namespace"),
        }),
        rewrite: o.message("rewrite", rewrite),
        timeout: o.duration("timeout"),
        retries: o.message("retries", policy::retry),
        fault: o.message("fault", policy::fault),
        mirror: o.message("mirror", destination),
        mirrors: o.messages("mirrors", policy::mirror),
        mirror_percent: o.optional_integer("mirrorPercent"),
        mirror_percentage: o.read("mirrorPercentage", policy::percentage),
        cors_policy: o.message("corsPolicy", cors_policy),
        headers: o.message("headers", headers),
    };
    removed_header_fields(o);
    o.removed(
        "websocketUpgrade",
        "remove it: WebSocket upgrades are always allowed",
    );
    route
}

/// Header operations of Istio before 1.1.
fn removed_header_fields(o: &mut Object<'_, '_>) {
    o.removed("appendHeaders", "use `headers.request.add`");
    o.removed("appendRequestHeaders", "use `headers.request.add`");
    o.removed("removeRequestHeaders", "use `headers.request.remove`");
    o.removed("appendResponseHeaders", "use `headers.response.add`");
    o.removed("removeResponseHeaders", "use `headers.response.remove`");
}

fn http_match(o: &mut Object<'_, '_>) -> HttpMatchRequest {
    HttpMatchRequest {
        name: o.string("name"),
        uri: o.read("uri", text_match),
        scheme: o.read("scheme", text_match),
        method: o.read("method", text_match),
        authority: o.read("authority", text_match),
        headers: o.map("headers", header_match),
        without_headers: o.map("withoutHeaders", |report, entry| {
            Some(text_match(report, &entry.value))
        }),
        query_params: o.map("queryParams", |report, entry| {
            Some(text_match(report, &entry.value))
        }),
        ignore_uri_case: o.boolean("ignoreUriCase"),
        port: o.integer("port"),
        source_labels: o.string_map("sourceLabels"),
        source_namespace: o.string("sourceNamespace"),
        gateways: o.strings("gateways"),
        stat_prefix: o.string("statPrefix"),
    }
}

/// The value of a header match. Null is an error here, because it looks like "absent" and would mean nothing.
fn header_match(report: &mut Report, entry: &Entry) -> Option<StringMatch> {
    if entry.value.is_null() {
        report.raise(
            Code::InvalidMatch,
            "a header match may not be null",
            "write `{}` to match any value, or use `withoutHeaders` to match its absence",
        );
        return None;
    }
    Some(text_match(report, &entry.value))
}

/// One of `exact`, `prefix` and `regex`; none of them is [`StringMatch::Present`].
pub(super) fn string_match(o: &mut Object<'_, '_>) -> StringMatch {
    o.one_of(&["exact", "prefix", "regex"]);
    let exact = o.optional_string("exact").map(StringMatch::Exact);
    let prefix = o.optional_string("prefix").map(StringMatch::Prefix);
    let regex = o.optional_string("regex").map(StringMatch::Regex);
    exact.or(prefix).or(regex).unwrap_or(StringMatch::Present)
}

/// A StringMatch. Nothing is matched by a text that stands where its mapping should.
fn text_match(report: &mut Report, node: &Node) -> StringMatch {
    if let Value::Scalar(scalar) = &node.value {
        scalar::bare(
            report,
            scalar,
            "`{exact: …}`, or `prefix` or `regex` instead of `exact`",
        );
        return StringMatch::Present;
    }
    object(report, node, string_match)
}

fn http_route_destination(o: &mut Object<'_, '_>) -> HttpRouteDestination {
    let destination = HttpRouteDestination {
        destination: required_destination(o),
        weight: o.integer("weight"),
        headers: o.message("headers", headers),
    };
    removed_header_fields(o);
    destination
}

fn headers(o: &mut Object<'_, '_>) -> Headers {
    let operations = |o: &mut Object<'_, '_>| HeaderOperations {
        set: o.string_map("set"),
        add: o.string_map("add"),
        remove: o.strings("remove"),
    };
    Headers {
        request: o.message("request", operations),
        response: o.message("response", operations),
    }
}

fn redirect(o: &mut Object<'_, '_>) -> HttpRedirect {
    o.one_of(&["port", "derivePort"]);
    let number = o.optional_integer("port").map(RedirectPort::Number);
    let derive = o
        .symbol("derivePort", DERIVE_PORTS)
        .map(RedirectPort::Derive);
    HttpRedirect {
        uri: o.string("uri"),
        prefix_rewrite: o.string("prefixRewrite"),
        authority: o.string("authority"),
        scheme: o.string("scheme"),
        port: number.or(derive),
        redirect_code: o.integer("redirectCode"),
    }
}

fn direct_response(o: &mut Object<'_, '_>) -> HttpDirectResponse {
    HttpDirectResponse {
        status: o.integer("status"),
        body: o
            .message("body", |o| {
                o.one_of(&["string", "bytes"]);
                let text = o.optional_string("string").map(HttpBody::Text);
                let bytes = o.bytes("bytes").map(HttpBody::Bytes);
                text.or(bytes)
            })
            .flatten(),
    }
}

fn rewrite(o: &mut Object<'_, '_>) -> HttpRewrite {
    HttpRewrite {
        uri: o.string("uri"),
        authority: o.string("authority"),
        uri_regex_rewrite: o.message("uriRegexRewrite", |o| RegexRewrite {
            pattern: o.string("match"),
            rewrite: o.string("rewrite"),
        }),
    }
}

fn cors_policy(o: &mut Object<'_, '_>) -> CorsPolicy {
    o.deprecated("allowOrigin", "use `allowOrigins: [{exact: …}]`");
    CorsPolicy {
        allow_origin: o.strings("allowOrigin"),
        allow_origins: o.messages("allowOrigins", string_match),
        allow_methods: o.strings("allowMethods"),
        allow_headers: o.strings("allowHeaders"),
        expose_headers: o.strings("exposeHeaders"),
        max_age: o.duration("maxAge"),
        allow_credentials: o.optional_boolean("allowCredentials"),
        unmatched_preflights: o
            .symbol("unmatchedPreflights", UNMATCHED_PREFLIGHTS)
            .unwrap_or_default(),
    }
}

fn tls_route(o: &mut Object<'_, '_>) -> TlsRoute {
    TlsRoute {
        matches: o.messages("match", |o| TlsMatch {
            sni_hosts: o.strings("sniHosts"),
            connection: l4_match(o),
        }),
        route: o.messages("route", route_destination),
    }
}

fn tcp_route(o: &mut Object<'_, '_>) -> TcpRoute {
    TcpRoute {
        matches: o.messages("match", l4_match),
        route: o.messages("route", route_destination),
    }
}

fn l4_match(o: &mut Object<'_, '_>) -> L4Match {
    let l4 = L4Match {
        destination_subnets: o.strings("destinationSubnets"),
        port: o.integer("port"),
        source_subnet: o.string("sourceSubnet"),
        source_labels: o.string_map("sourceLabels"),
        gateways: o.strings("gateways"),
        source_namespace: o.string("sourceNamespace"),
    };
    if !l4.source_subnet.is_empty() {
        o.report().raise_in(
            "sourceSubnet",
            Code::RemovedField,
            "`sourceSubnet` is ignored",
            "use `sourceLabels` or `sourceNamespace`",
        );
    }
    l4
}

fn route_destination(o: &mut Object<'_, '_>) -> RouteDestination {
    RouteDestination {
        destination: required_destination(o),
        weight: o.integer("weight"),
    }
}
