//! The labels of Istio's standard metrics: both sides of a request, how it went, and who tells it.

use std::fmt::Write as _;

use outrigger_core::decision::Upstream;
use outrigger_core::decision::access_log::{Logged, printed};
use outrigger_core::message::Known;
use outrigger_core::peer::{Identity, ListenerKind, TlsFacts};
use outrigger_core::policy::grpc_status;
use outrigger_core::snapshot::telemetry::{Expression, MetricRule};
use outrigger_core::snapshot::{Cluster, Endpoint, ServiceName};
use outrigger_runtime::Ended;

use crate::label_text::escaped;

/// What stands where nobody knows.
const UNKNOWN: &str = "unknown";

/// What stands in all labels but the reporter of the series in which is counted what has no room in another.
const OVERFLOW: &str = "overflow";

/// Between the texts of the labels of one metric and the next, where they differ.
pub(crate) const NEXT: char = '\u{1f}';

/// The text of the labels of a metric that is not told.
pub(crate) const DISABLED: &str = "\u{1e}";

/// Longer values of labels that somebody configured are cut.
const LONGEST_VALUE: usize = 256;

/// Labels with their values, in the order in which they are told.
pub(crate) type Labels = Vec<(&'static str, String)>;

/// Whether a request is a gRPC call.
pub(crate) fn is_grpc(ended: &Ended<'_>) -> bool {
    let kind = ended.record.request.headers.get(Known::ContentType);
    kind.is_some_and(grpc_status::is_type)
}

/// How a gRPC call went, as its client saw it; `None` where nobody said, or what is no status (gRPC has 0 to 16).
pub(crate) fn grpc_response_status(ended: &Ended<'_>) -> Option<u8> {
    let in_head = grpc_status::of(&ended.response.headers);
    let status = in_head.or(ended.record.grpc_status)?;
    u8::try_from(status).ok().filter(|status| *status <= 16)
}

/// Who sent a request and who was to answer it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sides<'a> {
    pub(crate) source: &'a Identity,
    pub(crate) destination: &'a Identity,
    pub(crate) service: Option<&'a ServiceName>,
    /// What stands for the service's name where there is no service.
    pub(crate) instead: &'static str,
    /// What TLS has proved of the other side; `None` for clear text.
    pub(crate) proved: Option<&'a TlsFacts>,
}

/// The cluster that a request was to go to, and the endpoint that it went to, as far as its configuration still has them.
pub(crate) fn reached<'a>(ended: &Ended<'a>) -> (Option<&'a Cluster>, Option<&'a Endpoint>) {
    let cluster = match ended.record.upstream(ended.snapshot) {
        Upstream::Cluster(id) => Some(ended.snapshot.cluster(id)),
        Upstream::Passthrough | Upstream::BlackHole | Upstream::Nowhere => None,
    };
    let attempt = ended.record.attempt();
    (cluster, attempt.and_then(|a| a.endpoint(ended.snapshot)))
}

/// Where there is no service, Istio names the cluster that takes its place.
pub(crate) const fn instead(listener: ListenerKind, upstream: Upstream) -> &'static str {
    match (listener, upstream) {
        (ListenerKind::Inbound(_), _) => "InboundPassthroughCluster",
        (ListenerKind::Outbound | ListenerKind::Gateway(_), Upstream::Passthrough) => {
            "PassthroughCluster"
        }
        (ListenerKind::Outbound | ListenerKind::Gateway(_), Upstream::BlackHole) => {
            "BlackHoleCluster"
        }
        (
            ListenerKind::Outbound | ListenerKind::Gateway(_),
            Upstream::Cluster(_) | Upstream::Nowhere,
        ) => UNKNOWN,
    }
}

const fn reporter(listener: ListenerKind) -> &'static str {
    match listener {
        ListenerKind::Outbound | ListenerKind::Gateway(_) => "source",
        ListenerKind::Inbound(_) => "destination",
    }
}

/// Who a peer of the mesh is by his certificate (a SPIFFE ID).
pub(crate) fn principal(tls: &TlsFacts) -> Option<&str> {
    let peer = tls.peer.as_ref()?;
    peer.principal()?;
    // It has a principal, so it has one name.
    peer.uri_names.first().map(|name| &**name)
}

/// Who is at either end by what TLS has proved: the source, the destination. We are who we are where the other side is known.
fn principals(ended: &Ended<'_>, proved: Option<&TlsFacts>) -> (String, String) {
    let other = proved.and_then(principal);
    let own = other.and(ended.snapshot.settings.spiffe_id.as_deref());
    let told = |who: Option<&str>| known(who.unwrap_or_default());
    match ended.peer.listener {
        ListenerKind::Outbound | ListenerKind::Gateway(_) => (told(own), told(other)),
        ListenerKind::Inbound(_) => (told(other), told(own)),
    }
}

/// All labels of a request or a connection.
pub(crate) fn of(ended: &Ended<'_>, sides: &Sides<'_>) -> Labels {
    let Sides {
        source,
        destination,
        service,
        instead,
        proved,
    } = sides;
    let named = |of: fn(&ServiceName) -> &str, otherwise: &'static str| {
        service.map_or(otherwise, of).to_owned()
    };
    let is_grpc = is_grpc(ended);
    let status = grpc_response_status(ended).filter(|_| is_grpc);
    let record = ended.record;
    let listener = ended.peer.listener;
    let principals = principals(ended, *proved);
    vec![
        ("reporter", reporter(listener).into()),
        ("source_workload", known(&source.workload)),
        ("source_canonical_service", known(&source.canonical_service)),
        (
            "source_canonical_revision",
            known(&source.canonical_revision),
        ),
        ("source_workload_namespace", known(&source.namespace)),
        ("source_principal", principals.0),
        ("source_app", known(&source.app)),
        ("source_version", known(&source.version)),
        ("source_cluster", known(&source.cluster)),
        ("destination_workload", known(&destination.workload)),
        (
            "destination_workload_namespace",
            known(&destination.namespace),
        ),
        ("destination_principal", principals.1),
        ("destination_app", known(&destination.app)),
        ("destination_version", known(&destination.version)),
        ("destination_service", named(|s| &s.host, UNKNOWN)),
        (
            "destination_canonical_service",
            known(&destination.canonical_service),
        ),
        (
            "destination_canonical_revision",
            known(&destination.canonical_revision),
        ),
        ("destination_service_name", named(|s| &s.name, instead)),
        (
            "destination_service_namespace",
            named(|s| &s.namespace, UNKNOWN),
        ),
        ("destination_cluster", known(&destination.cluster)),
        (
            "request_protocol",
            match (record.connection.is_some(), is_grpc) {
                (true, _) => "tcp",
                (false, true) => "grpc",
                (false, false) => "http",
            }
            .into(),
        ),
        ("response_code", record.status.to_string()),
        (
            "grpc_response_status",
            status.map(|code| code.to_string()).unwrap_or_default(),
        ),
        ("response_flags", record.flags().to_string()),
        (
            "connection_security_policy",
            match listener {
                ListenerKind::Outbound | ListenerKind::Gateway(_) => UNKNOWN,
                ListenerKind::Inbound(_) if proved.is_some_and(|tls| tls.peer.is_some()) => {
                    "mutual_tls"
                }
                ListenerKind::Inbound(_) => "none",
            }
            .into(),
        ),
    ]
}

/// The labels of what has no room in a series of its own.
pub(crate) fn overflow(mut labels: Labels) -> Labels {
    for (name, value) in &mut labels {
        if *name != "reporter" {
            OVERFLOW.clone_into(value);
        }
    }
    labels
}

/// Whether these are the labels of what had no room.
#[must_use]
pub(crate) fn is_overflow(text: &str) -> bool {
    text.contains(r#",source_principal="overflow","#)
        && text.contains(r#",destination_principal="overflow","#)
}

/// What a label says that somebody configured.
pub(crate) fn value(expression: &Expression, logged: &Logged<'_>) -> String {
    let mut value = printed(expression, logged).unwrap_or_else(|| UNKNOWN.to_owned());
    // A place beyond the end is no boundary.
    let mut ends = (0..=LONGEST_VALUE).rev();
    let end = ends.find(|end| value.is_char_boundary(*end));
    value.truncate(end.unwrap_or_default());
    value.retain(|c| !c.is_control());
    value
}

/// The labels of messages of gRPC: as in Istio, nothing of how the call ended, which is not known while they pass.
pub(crate) fn of_messages(labels: &Labels) -> Labels {
    const OF_THE_END: [&str; 5] = [
        "request_protocol",
        "response_code",
        "grpc_response_status",
        "response_flags",
        "connection_security_policy",
    ];
    let kept = labels.iter().filter(|(name, _)| !OF_THE_END.contains(name));
    kept.cloned().collect()
}

/// The labels of connections that are not HTTP: nobody knows how what was asked on them ended.
pub(crate) fn of_connection(labels: Labels) -> Labels {
    const OF_RESPONSES: [&str; 2] = ["response_code", "grpc_response_status"];
    let mut labels = labels;
    labels.retain(|(name, _)| !OF_RESPONSES.contains(name));
    labels
}

/// The labels of each metric, as its rule changes them.
pub(crate) fn changed_text(labels: &Labels, rules: &[MetricRule], logged: &Logged<'_>) -> String {
    let each = rules.iter().map(|rule| match rule.is_disabled {
        true => DISABLED.to_owned(),
        false => text_by(labels, rule, logged),
    });
    let each: Vec<_> = each.collect();
    each.join(&NEXT.to_string())
}

fn text_by(labels: &Labels, rule: &MetricRule, logged: &Logged<'_>) -> String {
    let is_changed = |name: &str| rule.tags.iter().any(|tag| &*tag.name == name);
    let kept = labels.iter().filter(|(name, _)| !is_changed(name));
    let mut all: Vec<(&str, String)> = kept.cloned().collect();
    for tag in &rule.tags {
        if let Some(expression) = &tag.value {
            all.push((&tag.name, value(expression, logged)));
        }
    }
    text(&all)
}

fn known(name: &str) -> String {
    if name.is_empty() { UNKNOWN } else { name }.to_owned()
}

/// Labels as an exposition writes them, without the braces around.
pub(crate) fn text(labels: &[(&str, String)]) -> String {
    let mut out = String::new();
    for (name, value) in labels {
        let comma = if out.is_empty() { "" } else { "," };
        let value = escaped(value);
        // Writing to a string cannot fail.
        let _ = write!(out, "{comma}{name}=\"{value}\"");
    }
    out
}
