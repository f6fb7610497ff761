//! What expressions may ask of a request: Envoy's attributes, and the type of each.

use super::Type;
use crate::message::{FieldName, Known};
use crate::snapshot::telemetry::Attribute;

/// Names that begin an attribute.
pub(super) const ROOTS: &[&str] = &[
    "request",
    "response",
    "source",
    "destination",
    "connection",
    "upstream",
    "xds",
];

/// The attribute of a path such as `request.method`.
pub(super) fn attribute(root: &str, name: &str) -> Option<(Attribute, Type)> {
    let header = |known: Known| FieldName::new(known.as_str()).map(Attribute::RequestHeader);
    Some(match (root, name) {
        ("request", "path") => (Attribute::RequestPath, Type::Text),
        ("request", "url_path") => (Attribute::RequestUrlPath, Type::Text),
        ("request", "query") => (Attribute::RequestQuery, Type::Text),
        ("request", "host") => (Attribute::RequestHost, Type::Text),
        ("request", "scheme") => (Attribute::RequestScheme, Type::Text),
        ("request", "method") => (Attribute::RequestMethod, Type::Text),
        ("request", "protocol") => (Attribute::RequestProtocol, Type::Text),
        ("request", "referer") => (header(Known::Referer)?, Type::Text),
        ("request", "useragent") => (header(Known::UserAgent)?, Type::Text),
        ("request", "id") => (header(Known::XRequestId)?, Type::Text),
        ("request", "duration") => (Attribute::RequestDuration, Type::Duration),
        ("request", "size") => (Attribute::RequestSize, Type::Number),
        ("response", "code") => (Attribute::ResponseCode, Type::Number),
        ("response", "code_details") => (Attribute::ResponseCodeDetails, Type::Text),
        ("response", "flags") => (Attribute::ResponseFlags, Type::Number),
        ("response", "grpc_status") => (Attribute::ResponseGrpcStatus, Type::Number),
        ("response", "size") => (Attribute::ResponseSize, Type::Number),
        ("source", "address") => (Attribute::SourceAddress, Type::Text),
        ("source", "port") => (Attribute::SourcePort, Type::Number),
        ("destination", "address") => (Attribute::DestinationAddress, Type::Text),
        ("destination", "port") => (Attribute::DestinationPort, Type::Number),
        ("connection", "mtls") => (Attribute::ConnectionMtls, Type::Boolean),
        ("upstream", "address") => (Attribute::UpstreamAddress, Type::Text),
        ("upstream", "port") => (Attribute::UpstreamPort, Type::Number),
        ("upstream", "local_address") => (Attribute::UpstreamLocalAddress, Type::Text),
        ("xds", "cluster_name") => (Attribute::ClusterName, Type::Text),
        ("xds", "route_name") => (Attribute::RouteName, Type::Text),
        ("xds", "virtual_host_name") => (Attribute::VirtualHostName, Type::Text),
        _ => return None,
    })
}

/// The attribute of a field in `request.headers` or `response.headers`.
pub(super) fn header(root: &str, field: &str) -> Option<Attribute> {
    let is_pseudo = |name: &str| root == "request" && field.eq_ignore_ascii_case(name);
    if is_pseudo(":path") {
        return Some(Attribute::RequestPath);
    }
    if is_pseudo(":method") {
        return Some(Attribute::RequestMethod);
    }
    if is_pseudo(":authority") || is_pseudo("host") {
        return Some(Attribute::RequestHost);
    }
    if is_pseudo(":scheme") {
        return Some(Attribute::RequestScheme);
    }
    let name = FieldName::new(field)?;
    Some(match root {
        "request" => Attribute::RequestHeader(name),
        "response" => Attribute::ResponseHeader(name),
        _ => return None,
    })
}
