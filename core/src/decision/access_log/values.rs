//! What operators are worth: each of Envoy's, made from the record of a request and what is around it.

use core::fmt::Display;
use core::net::SocketAddr;
use std::io::Write as _;

use super::{Logged, times};
use crate::decision::record::{Attempt, AttemptEnd, GONE, Record, RouteDecision};
use crate::message::{FieldName, Headers, Known, RequestHead, digits};
use crate::snapshot::telemetry::{
    AddressForm, FieldOf, GrpcStatusForm, LogField, LogOperator, Moment, Span, TimeUnit, TlsPart,
    Whose,
};
use crate::snapshot::{
    Action, Address, Cluster, DestinationCluster, GRPC_STATUS, Rule, Snapshot, UnknownHosts,
};
use crate::time::{Duration, Instant};

/// What Envoy calls the cluster of hosts that no service has.
const PASSTHROUGH: &str = "PassthroughCluster";

/// What it calls the one that those go to who may not go there.
const BLACK_HOLE: &str = "BlackHoleCluster";

/// What TLS has proved of the client, and whom TLS asks for that passes through; nothing of a client in clear text.
fn push_tls(part: TlsPart, logged: &Logged<'_>, out: &mut Vec<u8>) -> bool {
    if let (TlsPart::ServerName, Some(connection)) = (part, &logged.record.connection)
        && connection.server_name.is_some()
    {
        return push_some(connection.server_name.as_deref(), out);
    }
    let Some(tls) = logged.tls else {
        return false;
    };
    let peer = tls.peer.as_ref();
    fn text(text: Option<&str>) -> Option<&str> {
        text.filter(|text| !text.is_empty())
    }
    match part {
        TlsPart::Version => push_display(&tls.version, out),
        TlsPart::Cipher => push_text(&tls.cipher, out),
        TlsPart::ServerName => return push_some(text(tls.sni.as_deref()), out),
        TlsPart::PeerUris => return push_names(peer.map(|peer| &*peer.uri_names), out),
        TlsPart::PeerDns => return push_names(peer.map(|peer| &*peer.dns_names), out),
        TlsPart::PeerSubject => return push_some(text(peer.map(|peer| &*peer.subject)), out),
        TlsPart::PeerFingerprint => {
            let Some(peer) = peer else {
                return false;
            };
            for byte in peer.sha256 {
                push_display(&format_args!("{byte:02x}"), out);
            }
        }
    }
    true
}

fn push_names(names: Option<&[Box<str>]>, out: &mut Vec<u8>) -> bool {
    let Some(names) = names.filter(|names| !names.is_empty()) else {
        return false;
    };
    for (at, name) in names.iter().enumerate() {
        push_text(if at == 0 { "" } else { "," }, out);
        push_text(name, out);
    }
    true
}

/// Appends what an operator is worth; appends nothing and says so when it has no value.
pub(super) fn push(operator: &LogOperator, logged: &Logged<'_>, out: &mut Vec<u8>) -> bool {
    let Logged {
        record, snapshot, ..
    } = *logged;
    match operator {
        LogOperator::StartTime(parts) => times::push(parts, logged.around.began, out),
        LogOperator::EmitTime(parts) => {
            let took = record.ended.since(record.began);
            times::push(parts, logged.around.began + took, out);
        }
        LogOperator::Duration(span) => return push_span(*span, record, out),
        LogOperator::Request(field) => return push_some(request_field(field, logged), out),
        LogOperator::RequestWithoutQuery(field) => {
            return push_some(request_field(field, logged).map(without_query), out);
        }
        LogOperator::Response(field) => return push_some(response_field(field, logged), out),
        LogOperator::Path { with_query, field } => {
            let path = request_field(field, logged);
            let path = path.map(|path| {
                if *with_query {
                    path
                } else {
                    without_query(path)
                }
            });
            return push_some(path, out);
        }
        LogOperator::QueryParameter(name) => {
            return push_some(query_parameter(&record.request, name), out);
        }
        LogOperator::Query => return push_some(record.request.query(), out),
        LogOperator::Protocol if record.connection.is_some() => return false,
        LogOperator::Protocol => push_text(record.request.version.as_str(), out),
        LogOperator::UpstreamProtocol => return push_some(upstream_protocol(logged), out),
        LogOperator::ResponseCode => push_number(record.status.into(), out),
        // There is no response of a connection, and nothing ends one for a request.
        LogOperator::ResponseCodeDetails => {
            return record.connection.is_none() && push_details(record, out);
        }
        LogOperator::TerminationDetails => {
            let is_ours = record.connection.is_some() && record.details.ends_connections();
            return is_ours && push_details(record, out);
        }
        LogOperator::ResponseFlags => return push_flags(record, false, out),
        LogOperator::ResponseFlagsLong => return push_flags(record, true, out),
        LogOperator::GrpcStatus(form) => return push_grpc_status(*form, logged, out),
        LogOperator::BytesReceived => push_number(record.bytes_received, out),
        LogOperator::BytesSent => push_number(record.bytes_sent, out),
        LogOperator::RouteName => return push_some(record.route_name(snapshot), out),
        LogOperator::VirtualHostName => return push_some(virtual_host(record, snapshot), out),
        LogOperator::UpstreamHost => return push_some(upstream_host(record, snapshot), out),
        LogOperator::UpstreamHostName => {
            return push_some(upstream_host_name(record, snapshot), out);
        }
        LogOperator::UpstreamCluster => return push_some(upstream_cluster(record, snapshot), out),
        LogOperator::Address(whose, form) => return push_address(*whose, *form, logged, out),
        LogOperator::UpstreamTransportFailure => {
            let Some(fault) = &record.transport_failure else {
                return false;
            };
            push_display(fault, out);
        }
        LogOperator::DownstreamTls(part) => return push_tls(*part, logged, out),
        LogOperator::AttemptCount => push_number(record.attempts.len() as u64, out),
        LogOperator::StreamId => {
            return push_some(record.request.headers.get(Known::XRequestId), out);
        }
        LogOperator::TraceId => match record.trace {
            Some(trace) => push_display(&trace.id, out),
            None => return push_some(trace_id(&record.request.headers), out),
        },
        LogOperator::Hostname => return push_some(non_empty(&logged.place.hostname), out),
        LogOperator::Environment(name) => {
            return push_some(logged.place.environment.get(&**name), out);
        }
        LogOperator::AccessLogType => push_text("DownstreamEnd", out),
        LogOperator::WireBytesFromClient if record.connection.is_some() => {
            push_number(record.bytes_received, out);
        }
        LogOperator::WireBytesToClient if record.connection.is_some() => {
            push_number(record.bytes_sent, out);
        }
        LogOperator::WireBytesFromClient | LogOperator::WireBytesToClient => return false,
        LogOperator::Absent => return false,
    }
    true
}

fn push_text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
}

fn push_some(value: Option<impl AsRef<[u8]>>, out: &mut Vec<u8>) -> bool {
    let Some(value) = value else { return false };
    out.extend_from_slice(value.as_ref());
    true
}

fn push_number(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(digits::<10>(number, &mut [0; 20]));
}

fn push_display(value: &impl Display, out: &mut Vec<u8>) {
    // Writing to a vector cannot fail.
    let _ = write!(out, "{value}");
}

fn non_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn push_span(span: Span, record: &Record, out: &mut Vec<u8>) -> bool {
    let (Some(from), Some(to)) = (moment(span.from, record), moment(span.to, record)) else {
        return false;
    };
    let time = to.since(from);
    let count = match span.unit {
        TimeUnit::Milliseconds => time.as_millis(),
        TimeUnit::Microseconds => time.as_micros(),
        TimeUnit::Nanoseconds => time.as_nanos(),
    };
    push_number(u64::try_from(count).unwrap_or(u64::MAX), out);
    true
}

fn moment(moment: Moment, record: &Record) -> Option<Instant> {
    match moment {
        Moment::Began => Some(record.began),
        Moment::Received => record.received,
        Moment::AttemptBegan => record.attempt().map(|attempt| attempt.began),
        Moment::Answered => record.answered,
        Moment::Ended => Some(record.ended),
    }
}

/// How long it took.
pub(super) const fn duration(record: &Record) -> Duration {
    record.ended.since(record.began)
}

fn without_query(path: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'?', path).unwrap_or(path.len());
    &path[..end]
}

fn request_field<'a>(field: &FieldOf, logged: &Logged<'a>) -> Option<&'a [u8]> {
    let get = |name: &LogField| field_of_request(name, logged.record);
    get(&field.name).or_else(|| get(field.otherwise.as_ref()?))
}

/// Before the head was complete there is nothing to show of its first line.
fn field_of_request<'a>(name: &LogField, record: &'a Record) -> Option<&'a [u8]> {
    let request = &record.request;
    let is_known = record.revision.is_some();
    let whole = |bytes: &'a [u8]| Some(bytes).filter(|bytes| !bytes.is_empty());
    match name {
        LogField::Method => record
            .method()
            .filter(|_| is_known)
            .map(|m| m.as_str().as_bytes()),
        LogField::Path => whole(&request.path).filter(|_| is_known),
        LogField::Authority => whole(&request.authority),
        LogField::Scheme => (is_known && record.connection.is_none()).then_some(b"http"),
        LogField::Status => None,
        LogField::Named(name) => first(&request.headers, name),
    }
}

fn response_field<'a>(field: &FieldOf, logged: &Logged<'a>) -> Option<&'a [u8]> {
    let get = |name: &LogField| match name {
        LogField::Status => None,
        LogField::Named(name) => response_header(name, logged),
        LogField::Method | LogField::Path | LogField::Authority | LogField::Scheme => None,
    };
    get(&field.name).or_else(|| get(field.otherwise.as_ref()?))
}

/// The first field of a name, as Envoy.
fn first<'a>(headers: &'a Headers, name: &FieldName) -> Option<&'a [u8]> {
    match name.known() {
        Known::Other => {
            let mut fields = headers.iter();
            let found = fields.find(|field| field.name == name.as_str().as_bytes());
            found.map(|field| field.value)
        }
        known => headers.get(known),
    }
}

/// A header of the request.
pub(super) fn request_header<'a>(name: &FieldName, logged: &Logged<'a>) -> Option<&'a [u8]> {
    first(&logged.record.request.headers, name)
}

/// A header of the response, if the client was sent one.
pub(super) fn response_header<'a>(name: &FieldName, logged: &Logged<'a>) -> Option<&'a [u8]> {
    let was_sent = logged.record.status != 0;
    first(&logged.response.headers, name).filter(|_| was_sent)
}

/// The value of the first parameter of a name in the query, as it was written.
fn query_parameter<'a>(request: &'a RequestHead, name: &str) -> Option<&'a [u8]> {
    let mut parameters = request.query()?.split(|byte| *byte == b'&');
    parameters.find_map(|parameter| {
        let value = parameter.strip_prefix(name.as_bytes())?;
        match value {
            [] => Some(value),
            [b'=', value @ ..] => Some(value),
            _ => None,
        }
    })
}

fn upstream_protocol(logged: &Logged<'_>) -> Option<&'static str> {
    let is_answered = logged.record.answered.is_some();
    is_answered.then(|| logged.response.version.as_str())
}

/// Envoy's details are one word.
fn push_details(record: &Record, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    push_display(&record.details, out);
    if &out[start..] == b"-" {
        out.truncate(start);
        return false;
    }
    for byte in &mut out[start..] {
        if *byte == b' ' {
            *byte = b'_';
        }
    }
    true
}

fn push_flags(record: &Record, long: bool, out: &mut Vec<u8>) -> bool {
    let flags = record.flags();
    if flags.is_empty() {
        return false;
    }
    if long {
        push_display(&flags.long(), out);
    } else {
        push_display(&flags, out);
    }
    true
}

/// What the call ended with, by the trailers of its response or else by its head.
pub(super) fn grpc_status(logged: &Logged<'_>) -> Option<u64> {
    let record = logged.record;
    let of_head = || {
        if let Some(attempt) = record.attempt()
            && let AttemptEnd::Call { code, .. } = attempt.end
        {
            return Some(code.into());
        }
        let field = logged.response.headers.get(Known::GrpcStatus)?;
        core::str::from_utf8(field).ok()?.parse().ok()
    };
    let found = record.grpc_status.or_else(of_head);
    found.filter(|_| record.status != 0)
}

fn push_grpc_status(form: GrpcStatusForm, logged: &Logged<'_>, out: &mut Vec<u8>) -> bool {
    let Some(code) = grpc_status(logged) else {
        return false;
    };
    let name = usize::try_from(code).ok();
    let name = name.and_then(|code| GRPC_STATUS.get(code));
    match (form, name) {
        (GrpcStatusForm::Number, _) | (_, None) => push_number(code, out),
        (GrpcStatusForm::Snake, Some(name)) => push_text(name, out),
        (GrpcStatusForm::Camel, Some(&"OK")) => push_text("OK", out),
        (GrpcStatusForm::Camel, Some(name)) => {
            for word in name.split('_') {
                let (first, rest) = word.split_at(1);
                push_text(first, out);
                out.extend(rest.bytes().map(|byte| byte.to_ascii_lowercase()));
            }
        }
    }
    true
}

fn rule_of<'a>(record: &Record, snapshot: &'a Snapshot) -> Option<(&'a Rule, Option<u32>)> {
    let RouteDecision::Rule {
        virtual_host,
        rule,
        destination,
    } = record.route
    else {
        return None;
    };
    let rule = snapshot
        .virtual_host(virtual_host)
        .rules
        .get(rule as usize)?;
    Some((rule, destination))
}

impl Record {
    /// The name of its route (`%ROUTE_NAME%`): `allow_any` and `block_all` for a host that nobody knows, none for a connection.
    #[must_use]
    pub fn route_name<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s str> {
        if self.connection.is_some() {
            return None;
        }
        if self.route == RouteDecision::UnknownHost {
            return Some(unknown_host(snapshot));
        }
        rule_of(self, snapshot).map(|(rule, _)| &*rule.name)
    }

    /// Path and query as they came, before rewrites.
    #[must_use]
    pub fn original_path(&self) -> &[u8] {
        let before = self.request.headers.get(Known::XEnvoyOriginalPath);
        before.unwrap_or(&self.request.path)
    }
}

/// What Envoy calls the virtual host, and its only route, of hosts that no service has.
const fn unknown_host(snapshot: &Snapshot) -> &'static str {
    match snapshot.settings.unknown_hosts {
        UnknownHosts::AllowAny | UnknownHosts::EgressProxy(_) => "allow_any",
        UnknownHosts::RegistryOnly => "block_all",
    }
}

pub(super) fn virtual_host<'a>(record: &Record, snapshot: &'a Snapshot) -> Option<&'a str> {
    match record.route {
        RouteDecision::NotReached => None,
        RouteDecision::UnknownHost => Some(unknown_host(snapshot)),
        RouteDecision::NoRule { virtual_host }
        | RouteDecision::Rule { virtual_host, .. }
        | RouteDecision::Mirror { virtual_host, .. } => {
            Some(&snapshot.virtual_host(virtual_host).name)
        }
    }
}

/// The cluster that was chosen, also when it had no endpoint to offer.
pub(super) fn upstream_cluster<'a>(record: &Record, snapshot: &'a Snapshot) -> Option<&'a str> {
    if let Some(attempt) = record.attempt() {
        return Some(cluster_of(attempt, snapshot).map_or(PASSTHROUGH, |c| &*c.name));
    }
    let is_blocked = snapshot.settings.unknown_hosts == UnknownHosts::RegistryOnly;
    if record.connection.is_some() && record.route == RouteDecision::UnknownHost && is_blocked {
        return Some(BLACK_HOLE);
    }
    let (rule, destination) = rule_of(record, snapshot)?;
    let Action::Forward(forward) = &*rule.action else {
        return None;
    };
    match &forward.destinations.get(destination? as usize)?.cluster {
        DestinationCluster::Known(id) => Some(&snapshot.cluster(*id).name),
        DestinationCluster::Passthrough => Some(PASSTHROUGH),
        DestinationCluster::Missing(_) => None,
    }
}

/// The endpoint of the last attempt. For passthrough that is where the client wanted to go.
pub(super) fn upstream_host<'a>(record: &'a Record, snapshot: &'a Snapshot) -> Option<&'a [u8]> {
    let attempt = record.attempt()?;
    match attempt.endpoint(snapshot) {
        Some(endpoint) => Some(endpoint.text.as_bytes()),
        None if attempt.endpoint == GONE => None,
        None => Some(match &record.connection {
            Some(connection) => connection.to.as_bytes(),
            None => &record.request.authority,
        }),
    }
}

/// The name of the endpoint's pod or of its machine, where it has one, and else its address.
fn upstream_host_name<'a>(record: &'a Record, snapshot: &'a Snapshot) -> Option<&'a [u8]> {
    let endpoint = record.attempt()?.endpoint(snapshot);
    let hostname = endpoint.and_then(|endpoint| non_empty(&endpoint.hostname));
    hostname.map_or_else(
        || upstream_host(record, snapshot),
        |name| Some(name.as_bytes()),
    )
}

fn cluster_of<'a>(attempt: &Attempt, snapshot: &'a Snapshot) -> Option<&'a Cluster> {
    attempt.cluster.map(|id| snapshot.cluster(id))
}

/// The endpoint's address, if it is known as one.
pub(super) fn upstream_address(logged: &Logged<'_>) -> Option<SocketAddr> {
    let endpoint = logged.record.attempt()?.endpoint(logged.snapshot)?;
    match &endpoint.address {
        Address::Socket(address) | Address::Local(address, _) => Some(*address),
        Address::Name(..) | Address::Unix(_) => None,
    }
}

fn push_address(whose: Whose, form: AddressForm, logged: &Logged<'_>, out: &mut Vec<u8>) -> bool {
    let around = &logged.around;
    let address = match whose {
        Whose::DownstreamRemote => Some(around.downstream_remote),
        Whose::DownstreamLocal => Some(around.downstream_local),
        Whose::UpstreamRemote => upstream_address(logged),
        Whose::UpstreamLocal => around.upstream_local,
    };
    let Some(address) = address else { return false };
    match form {
        AddressForm::Whole => push_display(&address, out),
        AddressForm::WithoutPort => push_display(&address.ip(), out),
        AddressForm::Port => push_number(address.port().into(), out),
    }
    true
}

/// Of a request that is part of no trace of ours: of W3C's header, or else of B3's.
fn trace_id(headers: &Headers) -> Option<&[u8]> {
    let get = |name: &str| {
        let mut fields = headers.iter();
        let found = fields.find(|field| field.name == name.as_bytes());
        found.map(|field| field.value)
    };
    let of_w3c = || get("traceparent")?.split(|b| *b == b'-').nth(1);
    let of_single = || {
        get("b3")?
            .split(|b| *b == b'-')
            .next()
            .filter(|id| id.len() > 1)
    };
    of_w3c().or_else(|| get("x-b3-traceid")).or_else(of_single)
}
