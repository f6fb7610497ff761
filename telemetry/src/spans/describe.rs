//! From a record to its spans: one for the request and one for each attempt, with the tags that Istio's users look for and
//! the reasons from the record.
//!
//! Pure. Names and tags are those of Envoy's tracing of HTTP, of which each is known to somebody's dashboard; what the record
//! knows beside them is under `outrigger.`.

use std::borrow::Cow;
use std::env;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use outrigger_core::decision::access_log::{self, Logged, Place};
use outrigger_core::decision::{Attempt, AttemptEnd, Followed, GONE, Record, RouteDecision, Trace};
use outrigger_core::message::Known;
use outrigger_core::peer::ListenerKind;
use outrigger_core::policy::grpc_status;
use outrigger_core::request::Ending;
use outrigger_core::snapshot::{Address, PathMatch, Snapshot, TagValue, TracePolicy};
use outrigger_runtime::Ended;

use super::span::{Kind, Span, Tag, Told};

/// What a missing value is called, as Envoy does.
const MISSING: &str = "-";

/// The spans of a request that has ended; `None` when they are not to be told.
pub(crate) fn spans(ended: &Ended<'_>, node: &str, place: &Place) -> Option<Told> {
    let record = ended.record;
    let trace = record.trace.filter(|trace| trace.sampled.is_sampled())?;
    let is_inbound = ended.peer.listener.is_inbound();
    let policy = ended.snapshot.tracing.of(is_inbound)?;
    let of = Of {
        ended,
        record,
        snapshot: ended.snapshot,
        policy,
        trace,
        began: ended.began(),
        place,
    };
    let mut spans = Vec::with_capacity(1 + record.attempts.len());
    spans.push(of.request(node));
    spans.extend((0..record.attempts.len()).map(|at| of.attempt(at, node)));
    Some(Told {
        policy: Arc::clone(policy),
        spans,
    })
}

struct Of<'a> {
    ended: &'a Ended<'a>,
    record: &'a Record,
    snapshot: &'a Snapshot,
    policy: &'a TracePolicy,
    trace: Trace,
    began: Duration,
    place: &'a Place,
}

impl Of<'_> {
    fn request(&self, node: &str) -> Span {
        let Self { record, trace, .. } = self;
        let mut tags = Vec::with_capacity(32);
        self.tag_request(node, &mut tags);
        if let Some(attempt) = record.attempt() {
            self.tag_cluster(attempt, &mut tags);
        }
        let error = self.error();
        self.tag_response(record.status, &mut tags);
        if error.is_some() {
            tags.push(Tag::new("error", "true"));
        }
        self.tag_grpc(&mut tags);
        tags.push(Tag::new(
            "response_code_details",
            record.details.to_string(),
        ));
        if record.retries > 0 {
            tags.push(Tag::new("retry_count", record.retries.to_string()));
        }
        self.tag_as_configured(&mut tags);
        Span {
            trace: trace.id,
            id: trace.span,
            parent: trace.parent,
            is_entry: !record.is_mirror(),
            kind: match self.ended.peer.listener {
                ListenerKind::Inbound(_) => Kind::Server,
                ListenerKind::Outbound | ListenerKind::Gateway(_) => Kind::Client,
            },
            name: self.operation(),
            began: self.began,
            lasted: record.ended.since(record.began),
            error,
            tags,
            remote: Some(self.ended.peer.remote),
        }
    }

    /// What Envoy calls a request: what its rule leads to (Istio's decorator), or its direction.
    fn operation(&self) -> String {
        let (record, snapshot) = (self.record, self.snapshot);
        let authority = String::from_utf8_lossy(&record.request.authority);
        let (virtual_host, rule) = match record.route {
            RouteDecision::Rule {
                virtual_host, rule, ..
            } => (virtual_host, rule),
            RouteDecision::Mirror { virtual_host, .. } => {
                return format!("mirror of {}", snapshot.virtual_host(virtual_host).name);
            }
            RouteDecision::NotReached
            | RouteDecision::UnknownHost
            | RouteDecision::NoRule { .. } => {
                return match self.ended.peer.listener {
                    ListenerKind::Inbound(_) => "ingress".into(),
                    ListenerKind::Outbound | ListenerKind::Gateway(_) => {
                        format!("egress {authority}")
                    }
                };
            }
        };
        let host = snapshot.virtual_host(virtual_host);
        let path = host
            .rules
            .get(rule as usize)
            .and_then(|rule| rule.condition.path.as_ref());
        let path: Cow<'_, str> = match path {
            None => "/*".into(),
            Some(PathMatch::Prefix { path, .. }) => format!("{path}*").into(),
            Some(PathMatch::Exact { path, .. }) => Cow::Borrowed(path),
            Some(PathMatch::Regex(regex)) => Cow::Borrowed(&regex.pattern),
        };
        match self.ended.peer.listener {
            ListenerKind::Outbound | ListenerKind::Gateway(_) => format!("{}{path}", host.name),
            ListenerKind::Inbound(_) => {
                let port = host.name.rsplit('|').next().unwrap_or_default();
                format!("{}:{port}{path}", self.policy.service)
            }
        }
    }

    fn tag_request(&self, node: &str, tags: &mut Vec<Tag>) {
        let (record, request) = (self.record, &self.record.request);
        let field = |name| request.headers.get(name).map(text);
        let or_missing = |name| field(name).unwrap_or(Cow::Borrowed(MISSING));
        tags.push(Tag::new("component", "proxy"));
        tags.push(Tag::new("node_id", node.to_owned()));
        if let Some(id) = field(Known::XRequestId) {
            tags.push(Tag::new("guid:x-request-id", id));
        }
        if let Some(id) = field(Known::XClientTraceId) {
            tags.push(Tag::new("guid:x-client-trace-id", id));
        }
        tags.push(Tag::new("http.url", self.url()));
        tags.push(Tag::new("http.method", request.method.as_str().to_owned()));
        tags.push(Tag::new("downstream_cluster", MISSING));
        tags.push(Tag::new("user_agent", or_missing(Known::UserAgent)));
        tags.push(Tag::new("http.protocol", request.version.as_str()));
        let remote = self.ended.peer.remote.ip();
        tags.push(Tag::new("peer.address", remote.to_string()));
        tags.push(Tag::new("request_size", record.bytes_received.to_string()));
        tags.push(Tag::new("response_size", record.bytes_sent.to_string()));
    }

    /// As the client asked for it, its path not longer than is allowed.
    fn url(&self) -> String {
        let request = &self.record.request;
        let field = |name| request.headers.get(name);
        let scheme = text(field(Known::XForwardedProto).unwrap_or(b"http"));
        let path = field(Known::XEnvoyOriginalPath).unwrap_or(&request.path);
        let path = &path[..path.len().min(self.policy.max_path_tag_length)];
        let authority = field(Known::XEnvoyOriginalHost).unwrap_or(&request.authority);
        format!("{scheme}://{}{}", text(authority), text(path))
    }

    fn tag_cluster(&self, attempt: &Attempt, tags: &mut Vec<Tag>) {
        let cluster = attempt.cluster.map(|id| self.snapshot.cluster(id));
        let name = cluster.map_or("PassthroughCluster", |cluster| &cluster.name);
        tags.push(Tag::new("upstream_cluster", name.to_owned()));
        tags.push(Tag::new("upstream_cluster.name", name.to_owned()));
    }

    fn tag_response(&self, status: u16, tags: &mut Vec<Tag>) {
        tags.push(Tag::new("http.status_code", status.to_string()));
        tags.push(Tag::new("response_flags", self.record.flags().to_string()));
    }

    /// Why the request is an error: it has no response, or one that says so (Envoy: 5xx, or gRPC's own failures).
    fn error(&self) -> Option<String> {
        let record = self.record;
        let is_error = match record.status {
            0 | 500.. => true,
            _ => self.grpc_status().is_some_and(is_failure_of_grpc),
        };
        is_error.then(|| record.details.to_string())
    }

    /// How a call of gRPC went: by its trailers, its head where that is all, or the head of a response of our own.
    fn grpc_status(&self) -> Option<u64> {
        let of_head = || grpc_status::of(&self.ended.response.headers);
        match self.record.attempt().map(|attempt| attempt.end) {
            Some(AttemptEnd::Call { code, .. }) => Some(code.into()),
            Some(
                AttemptEnd::Open
                | AttemptEnd::Connected
                | AttemptEnd::Response(_)
                | AttemptEnd::Reset(_)
                | AttemptEnd::StaleConnection
                | AttemptEnd::Unprocessed
                | AttemptEnd::Cancelled
                | AttemptEnd::Overtaken,
            )
            | None => self.record.grpc_status.or_else(of_head),
        }
    }

    fn tag_grpc(&self, tags: &mut Vec<Tag>) {
        let request = &self.record.request.headers;
        let kind = request.get(Known::ContentType).unwrap_or_default();
        if !kind.starts_with(b"application/grpc") {
            return;
        }
        let response = &self.ended.response.headers;
        let path = self.record.request.path_only();
        let authority = &self.record.request.authority[..];
        for (name, value) in [
            ("grpc.path", Some(path)),
            ("grpc.authority", Some(authority)),
            ("grpc.content_type", Some(kind)),
            ("grpc.timeout", request.get(Known::GrpcTimeout)),
            ("grpc.message", response.get(Known::GrpcMessage)),
        ] {
            if let Some(value) = value {
                tags.push(Tag::new(name, text(value)));
            }
        }
        if let Some(status) = self.grpc_status() {
            tags.push(Tag::new("grpc.status_code", status.to_string()));
        }
    }

    /// Istio's tags and the user's. One that has the name of another replaces it, as in Envoy.
    fn tag_as_configured(&self, tags: &mut Vec<Tag>) {
        let headers = &self.record.request.headers;
        for tag in &self.policy.tags {
            let or = |value: Option<Cow<'static, str>>, default: &str| {
                value.unwrap_or_else(|| Cow::Owned(default.to_owned()))
            };
            let value = match &tag.value {
                TagValue::Literal(value) => Cow::Owned(value.to_string()),
                TagValue::Header { name, default } => {
                    or(headers.find_all(name).next().map(text), default)
                }
                TagValue::Environment { name, default } => {
                    or(env::var(&**name).ok().map(Cow::Owned), default)
                }
                TagValue::Formatted { text, .. } => {
                    Cow::Owned(access_log::filled(text, &self.logged()))
                }
            };
            if value.is_empty() {
                continue;
            }
            match tags.iter_mut().find(|known| *known.name == *tag.name) {
                Some(known) => known.value = value,
                None => tags.push(Tag::new(tag.name.to_string(), value)),
            }
        }
    }

    /// What operators are filled in of.
    fn logged(&self) -> Logged<'_> {
        Logged {
            record: self.record,
            snapshot: self.snapshot,
            response: self.ended.response,
            around: self.ended.surroundings(),
            tls: self.ended.client_tls,
            place: self.place,
        }
    }

    fn attempt(&self, at: usize, node: &str) -> Span {
        let (record, trace) = (self.record, self.trace);
        let attempt = &record.attempts[at];
        let counts = record
            .attempt()
            .is_some_and(|counts| std::ptr::eq(counts, attempt));
        let status = match attempt.end {
            AttemptEnd::Response(status) | AttemptEnd::Call { status, .. } => Some(status),
            AttemptEnd::Open
            | AttemptEnd::Connected
            | AttemptEnd::Reset(_)
            | AttemptEnd::StaleConnection
            | AttemptEnd::Unprocessed
            | AttemptEnd::Cancelled
            | AttemptEnd::Overtaken => None,
        };
        let mut tags = Vec::with_capacity(16);
        tags.push(Tag::new("component", "proxy"));
        tags.push(Tag::new("node_id", node.to_owned()));
        self.tag_cluster(attempt, &mut tags);
        let endpoint = self.address(attempt);
        if let Some(address) = &endpoint {
            tags.push(Tag::new("upstream_address", address.clone()));
            tags.push(Tag::new("peer.address", address.clone()));
        }
        tags.push(Tag::new(
            "http.status_code",
            status.unwrap_or(0).to_string(),
        ));
        tags.push(Tag::new("outrigger.attempt", (at + 1).to_string()));
        let end = Ending { attempt, record };
        tags.push(Tag::new("outrigger.end", end.to_string()));
        if attempt.followed != Followed::Nothing {
            tags.push(Tag::new("outrigger.followed", attempt.followed.to_string()));
        }
        if let Some(reason) = attempt.ejected {
            tags.push(Tag::new("outrigger.ejected", reason.to_string()));
        }
        let reused = if attempt.reused { "true" } else { "false" };
        tags.push(Tag::new("outrigger.connection_reused", reused));
        let error = self.attempt_error(attempt, status);
        if error.is_some() {
            tags.push(Tag::new("error", "true"));
        }
        // The one that was answered lasts until its response is whole.
        let until = match attempt.end {
            AttemptEnd::Open | AttemptEnd::Connected => record.ended,
            AttemptEnd::Response(_) | AttemptEnd::Call { .. } if counts => record.ended,
            AttemptEnd::Response(_)
            | AttemptEnd::Call { .. }
            | AttemptEnd::Reset(_)
            | AttemptEnd::StaleConnection
            | AttemptEnd::Unprocessed
            | AttemptEnd::Cancelled
            | AttemptEnd::Overtaken => attempt.ended,
        };
        let cluster = attempt.cluster.map(|id| self.snapshot.cluster(id));
        let cluster = cluster.map_or("PassthroughCluster", |cluster| &cluster.name);
        Span {
            trace: trace.id,
            id: record.span_of_attempt(at),
            parent: Some(trace.span),
            is_entry: false,
            kind: Kind::Client,
            name: format!("router {cluster} egress"),
            began: self.began + attempt.began.since(record.began),
            lasted: until.since(attempt.began),
            error,
            tags,
            remote: self.socket(attempt),
        }
    }

    fn attempt_error(&self, attempt: &Attempt, status: Option<u16>) -> Option<String> {
        let is_error = match attempt.end {
            AttemptEnd::Response(_) => status.is_some_and(|status| status >= 500),
            AttemptEnd::Call { status, code } => status >= 500 || is_failure_of_grpc(code.into()),
            AttemptEnd::Reset(_) => true,
            // Another one was answered, or nobody waited: nobody failed.
            AttemptEnd::Open
            | AttemptEnd::Connected
            | AttemptEnd::StaleConnection
            | AttemptEnd::Unprocessed
            | AttemptEnd::Cancelled
            | AttemptEnd::Overtaken => false,
        };
        let record = self.record;
        is_error.then(|| Ending { attempt, record }.to_string())
    }

    /// Where an attempt went.
    fn address(&self, attempt: &Attempt) -> Option<String> {
        match attempt.endpoint(self.snapshot) {
            Some(endpoint) => Some(endpoint.text.to_string()),
            None if attempt.endpoint == GONE => None,
            None => Some(text(&self.record.request.authority).into_owned()),
        }
    }

    fn socket(&self, attempt: &Attempt) -> Option<SocketAddr> {
        match attempt.endpoint(self.snapshot)?.address {
            Address::Socket(addr) | Address::Local(addr, _) => Some(addr),
            Address::Name(..) | Address::Unix(_) => None,
        }
    }
}

/// gRPC's codes that mean that the service failed (Envoy's `Tracing::HttpTracerUtility`): unknown, deadline exceeded,
/// unimplemented, internal, unavailable, data loss.
const fn is_failure_of_grpc(code: u64) -> bool {
    matches!(code, 2 | 4 | 12..=15)
}

fn text(bytes: &[u8]) -> Cow<'static, str> {
    Cow::Owned(String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(test)]
mod tests;
