//! Providers that say who may pass: `envoyExtAuthzHttp` and `envoyExtAuthzGrpc` of `extensionProviders`.
//!
//! Owns their fields and what is wrong with them. Where their service is, and what is asked of it, is settled in
//! `compile::authorization`.

use std::collections::BTreeMap;

use super::trace_providers;
use crate::config::code::Code;
use crate::config::decode::Object;
use crate::message::FieldName;
use crate::time::Duration;

/// A provider that is asked whether requests may pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorizer {
    /// Its service's host; without a namespace in front.
    pub service: String,
    /// Its service's port.
    pub port: u16,
    /// How long it may take to answer; `None` is Envoy's default.
    pub timeout: Option<Duration>,
    /// Requests pass when it cannot be asked.
    pub fail_open: bool,
    /// The status of requests that are refused because it cannot be asked.
    pub status_on_error: Option<u16>,
    /// How much of bodies it sees; `None` is nothing.
    pub body: Option<CheckedBody>,
    /// `envoyExtAuthzHttp`; `None` is gRPC.
    pub http: Option<HttpAuthorizer>,
}

/// `includeRequestBodyInCheck`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckedBody {
    /// At most so many bytes.
    pub most: u32,
    /// The beginning of a longer body will do; otherwise its request is refused.
    pub allow_partial: bool,
    /// gRPC: as bytes rather than as text.
    pub as_bytes: bool,
}

/// What is asked over HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpAuthorizer {
    /// What stands before the request's path.
    pub path_prefix: String,
    /// Fields of the request that it sees.
    pub sees: Vec<String>,
    /// Fields that it gets besides.
    pub adds: BTreeMap<String, String>,
    /// Fields of its answer that go on with a request that may pass.
    pub to_upstream: Vec<String>,
    /// Fields of its answer that a refused client sees; empty is all.
    pub to_refused: Vec<String>,
    /// Fields of its answer that the client of a request sees that may pass.
    pub to_allowed: Vec<String>,
}

/// More of a body is not kept.
const MOST_BODY: u32 = 1024 * 1024;

/// Reads `envoyExtAuthzHttp`.
pub(super) fn http(o: &mut Object<'_, '_>) -> Authorizer {
    let mut sees = o.strings("includeRequestHeadersInCheck");
    let old = o.strings("includeHeadersInCheck");
    if !old.is_empty() {
        let help = "use `includeRequestHeadersInCheck`";
        o.deprecated("includeHeadersInCheck", help);
    }
    if sees.is_empty() {
        sees = old;
    }
    let adds = o.string_map("includeAdditionalHeadersInCheck");
    for name in adds.keys().filter(|name| FieldName::new(name).is_none()) {
        let message = format!("`{name}` is no header name");
        let at = "includeAdditionalHeadersInCheck";
        o.report()
            .raise_in(at, Code::InvalidHeaderName, message, "");
    }
    let http = HttpAuthorizer {
        path_prefix: path_prefix(o),
        sees,
        adds,
        to_upstream: o.strings("headersToUpstreamOnAllow"),
        to_refused: o.strings("headersToDownstreamOnDeny"),
        to_allowed: o.strings("headersToDownstreamOnAllow"),
    };
    common(o, Some(http))
}

/// Reads `envoyExtAuthzGrpc`.
pub(super) fn grpc(o: &mut Object<'_, '_>) -> Authorizer {
    common(o, None)
}

fn path_prefix(o: &mut Object<'_, '_>) -> String {
    let prefix = o.string("pathPrefix");
    if !prefix.is_empty() && !prefix.starts_with('/') {
        let message = "a path begins with `/`";
        o.report()
            .raise_in("pathPrefix", Code::InvalidPolicy, message, "");
    }
    prefix
}

fn common(o: &mut Object<'_, '_>, http: Option<HttpAuthorizer>) -> Authorizer {
    let (service, port) = trace_providers::service(o);
    if o.boolean("clearRouteCache") {
        let message = "the route of a request to the application is always the same";
        o.report()
            .raise_in("clearRouteCache", Code::NotInEffect, message, "remove it");
    }
    Authorizer {
        service,
        port,
        timeout: o.duration("timeout"),
        fail_open: o.boolean("failOpen"),
        status_on_error: status(o),
        body: o.message("includeRequestBodyInCheck", body),
        http,
    }
}

fn status(o: &mut Object<'_, '_>) -> Option<u16> {
    let text = o.string("statusOnError");
    if text.is_empty() {
        return None;
    }
    let status = text
        .parse()
        .ok()
        .filter(|status| (200..600).contains(status));
    if status.is_none() {
        let message = format!("`{text}` is no status between 200 and 599");
        o.report()
            .raise_in("statusOnError", Code::InvalidStatus, message, "");
    }
    status
}

fn body(o: &mut Object<'_, '_>) -> CheckedBody {
    let most: u32 = o.integer("maxRequestBytes");
    if most == 0 {
        let message = "a body that is checked needs a length";
        o.report()
            .raise_in("maxRequestBytes", Code::RequiredField, message, "");
    }
    if most > MOST_BODY {
        let message = format!("no more than {MOST_BODY} bytes of a body are kept for a check");
        let help = "ask for less";
        o.report()
            .raise_in("maxRequestBytes", Code::NotInEffect, message, help);
    }
    CheckedBody {
        most: most.min(MOST_BODY),
        allow_partial: o.boolean("allowPartialMessage"),
        as_bytes: o.boolean("packAsBytes"),
    }
}
