//! Providers that take spans: `zipkin` and `opentelemetry` of `extensionProviders`.
//!
//! Owns their fields and what is wrong with them. Where their service is, `compile::tracing` knows.

use crate::config::code::Code;
use crate::config::decode::Object;
use crate::config::names;
use crate::message::FieldName;
use crate::time::Duration;

/// A provider that takes spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceProvider {
    /// Its service's host; without a namespace in front.
    pub service: String,
    /// Its service's port.
    pub port: u16,
    /// What it speaks.
    pub protocol: TraceProtocol,
    /// Longer paths are cut in `http.url`; `None` inherits.
    pub max_tag_length: Option<u32>,
    /// How long it may take to answer; `None` is Istio's default.
    pub timeout: Option<Duration>,
    /// What requests to it carry beside the usual.
    pub headers: Vec<ProviderHeader>,
}

/// What a provider speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TraceProtocol {
    /// `zipkin`: JSON, version 2.
    Zipkin {
        /// Where to post it; empty is the usual place.
        path: String,
        /// Traces have 64 bits (`enable64bitTraceId`).
        is_short: bool,
        /// Traces are passed on in W3C's form too (`traceContextOption`).
        with_w3c: bool,
    },
    /// `opentelemetry` over gRPC.
    OtlpGrpc,
    /// `opentelemetry` over HTTP.
    OtlpHttp {
        /// Where to post it; empty is the usual place.
        path: String,
    },
}

/// A header of requests to a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderHeader {
    /// Its name.
    pub name: FieldName,
    /// Its value, or the variable of the proxy's environment that has it.
    pub value: ProviderHeaderValue,
}

/// What a header of a provider says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderHeaderValue {
    /// As written.
    Literal(String),
    /// A variable of the proxy's environment.
    Environment(String),
}

/// Whether traces are passed on in W3C's form, too.
const CONTEXTS: &[(&str, i32, bool)] = &[
    ("USE_B3", 0, false),
    ("USE_B3_WITH_W3C_PROPAGATION", 1, true),
];

/// Reads `zipkin`.
pub(super) fn zipkin(o: &mut Object<'_, '_>) -> TraceProvider {
    let (service, port) = service(o);
    TraceProvider {
        service,
        port,
        protocol: TraceProtocol::Zipkin {
            path: path(o),
            is_short: o.boolean("enable64bitTraceId"),
            with_w3c: o.symbol("traceContextOption", CONTEXTS).unwrap_or_default(),
        },
        max_tag_length: o.optional_integer("maxTagLength"),
        timeout: o.duration("timeout"),
        headers: headers(o, "headers"),
    }
}

/// Reads `opentelemetry`.
pub(super) fn opentelemetry(o: &mut Object<'_, '_>) -> TraceProvider {
    let (service, port) = service(o);
    let http = o.message("http", |o| {
        let path = path(o);
        (path, o.duration("timeout"), headers(o, "headers"))
    });
    let grpc = o.message("grpc", |o| {
        (o.duration("timeout"), headers(o, "initialMetadata"))
    });
    o.one_of(&["http", "grpc"]);
    o.message("resourceDetectors", |o| {
        // Always in effect: OTEL_RESOURCE_ATTRIBUTES is OpenTelemetry's own word for it.
        o.message("environment", |_| ());
        not_used(o, "dynatrace");
    });
    not_used(o, "dynatraceSampler");
    let (protocol, timeout, headers) = match http {
        Some((path, timeout, headers)) => (TraceProtocol::OtlpHttp { path }, timeout, headers),
        None => {
            let (timeout, headers) = grpc.unwrap_or_default();
            (TraceProtocol::OtlpGrpc, timeout, headers)
        }
    };
    TraceProvider {
        service,
        port,
        protocol,
        max_tag_length: o.optional_integer("maxTagLength"),
        timeout,
        headers,
    }
}

fn not_used(o: &mut Object<'_, '_>, name: &'static str) {
    if o.take(name).is_some() {
        let message = format!("`{name}` is not in effect in this proxy");
        o.report().raise_in(name, Code::NotInEffect, message, "");
    }
}

/// `[NAMESPACE/]HOST`, and the port.
pub(super) fn service(o: &mut Object<'_, '_>) -> (String, u16) {
    let service = o.string("service");
    let host = service.rsplit_once('/').map_or(&*service, |(_, host)| host);
    if host.is_empty() {
        let message = "a provider needs the host of its `service`";
        o.report()
            .raise_in("service", Code::RequiredField, message, "");
    } else if let Err(complaint) = names::check_fqdn(host) {
        let message = complaint;
        o.report()
            .raise_in("service", Code::InvalidHost, message, "");
    }
    let host = host.to_owned();
    let port: u32 = o.integer("port");
    let port = match names::check_port(port.into()) {
        Ok(port) => port,
        Err(complaint) => {
            let message = complaint;
            o.report().raise_in("port", Code::InvalidPort, message, "");
            0
        }
    };
    (host, port)
}

fn path(o: &mut Object<'_, '_>) -> String {
    let path = o.string("path");
    let is_path = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if !path.bytes().all(is_path) {
        let message = format!("`{path}` is no path");
        o.report().raise_in("path", Code::WrongType, message, "");
        return String::new();
    }
    match path.is_empty() || path.starts_with('/') {
        true => path,
        false => format!("/{path}"),
    }
}

fn headers(o: &mut Object<'_, '_>, list: &'static str) -> Vec<ProviderHeader> {
    let headers = o.messages(list, |o| {
        let text = o.string("name");
        let value = o.optional_string("value");
        let variable = o.optional_string("envName");
        o.one_of(&["value", "envName"]);
        let Some(name) = FieldName::new(&text) else {
            let message = format!("`{text}` is no header name");
            o.report()
                .raise_in("name", Code::InvalidHeaderName, message, "");
            return None;
        };
        let value = match variable {
            Some(variable) => ProviderHeaderValue::Environment(variable),
            None => ProviderHeaderValue::Literal(value.unwrap_or_default()),
        };
        Some(ProviderHeader { name, value })
    });
    headers.into_iter().flatten().collect()
}
