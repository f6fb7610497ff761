//! What was decided for a request: the parts of its record that a case may name.

use std::collections::BTreeMap;

use outrigger_core::decision::{Attempt, AttemptEnd, MirrorFate, Record, RouteDecision};
use outrigger_core::snapshot::{Action, DestinationCluster, Rule, Snapshot};

/// The names a case may use, and what they mean.
pub const NAMES: [(&str, &str); 21] = [
    (
        "rule",
        "`namespace/name path` of the rule, `default` without a VirtualService, `unknown host`, `no rule` or `not reached`",
    ),
    ("route", "the route's name"),
    ("host", "the virtual host"),
    ("cluster", "the destination's cluster"),
    ("endpoint", "the last attempt's endpoint"),
    ("endpoints", "every attempt's endpoint"),
    (
        "priority",
        "the last attempt's priority and its share of the traffic, such as `1 16 %`",
    ),
    ("priorities", "every attempt's priority"),
    (
        "picked",
        "why the last attempt's endpoint, in the words of a story",
    ),
    ("attempts", "how many attempts there were"),
    (
        "ends",
        "how each attempt ended: a status, `stale`, `cancelled`, `overtaken`, or a reset reason",
    ),
    (
        "followed",
        "what the retry policy made of the last attempt's end",
    ),
    (
        "ejected",
        "why attempts got their endpoints ejected, each as `/clusters` says it; `-` if none did",
    ),
    ("reused", "whether the last attempt used a kept connection"),
    ("status", "what the client saw"),
    ("flags", "response flags"),
    ("details", "response code details"),
    (
        "transport",
        "why TLS towards an endpoint was not agreed on, as logs have it; `-` where it was, or was not spoken",
    ),
    ("path", "the path as it was routed"),
    (
        "messages",
        "of a gRPC call: how many came from the client, and how many it got, such as `1 3`; `-` for what is none",
    ),
    (
        "mirrors",
        "what became of each copy that was to be made: `sent`, `incomplete`, `no cluster`, `no endpoint`, `too long` or `dropped`; `-` without one",
    ),
];

/// What a case expects; a list means one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// The line in the case file.
    pub line: usize,
    wants: Vec<(String, Vec<String>)>,
}

impl Expected {
    /// Parses a YAML mapping.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, line: usize) -> Result<Self, String> {
        let map: BTreeMap<String, serde_yaml::Value> =
            serde_yaml::from_str(text).map_err(|e| format!("not a decision: {e}"))?;
        Self::from_map(map, line)
    }

    /// Parses a block: one mapping, or a list of them for several requests.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_block(text: &str, line: usize) -> Result<Vec<Self>, String> {
        if !text.trim_start().starts_with("- ") {
            return Ok(vec![Self::parse(text, line)?]);
        }
        let maps: Vec<BTreeMap<String, serde_yaml::Value>> =
            serde_yaml::from_str(text).map_err(|e| format!("no list of decisions: {e}"))?;
        maps.into_iter().map(|m| Self::from_map(m, line)).collect()
    }

    fn from_map(map: BTreeMap<String, serde_yaml::Value>, line: usize) -> Result<Self, String> {
        if map.is_empty() {
            return Err("a decision that names nothing holds whatever is decided".to_owned());
        }
        let mut wants = Vec::new();
        for (name, value) in map {
            if !NAMES.iter().any(|(n, _)| *n == name) {
                return Err(format!("a decision has no `{name}`"));
            }
            let values = match value {
                serde_yaml::Value::Sequence(list) if list.is_empty() => {
                    return Err(format!("`{name}` is one of none, which never holds"));
                }
                serde_yaml::Value::Sequence(list) => list.iter().map(scalar).collect(),
                other => vec![scalar(&other)],
            };
            wants.push((name, values));
        }
        Ok(Self { line, wants })
    }

    /// What differs; `None` when nothing does.
    #[must_use]
    pub fn difference(&self, got: &Observed) -> Option<String> {
        let mut lines = Vec::new();
        for (name, values) in &self.wants {
            let have = got.0.get(name.as_str()).map_or("", String::as_str);
            if !values.iter().any(|v| v == have) {
                lines.push(format!("expected {name}: {}", values.join(" or ")));
                lines.push(format!("     got {name}: {have}"));
            }
        }
        if lines.is_empty() {
            return None;
        }
        lines.push("the decision was:".to_owned());
        lines.extend(got.0.iter().map(|(n, v)| format!("  {n}: {v}")));
        Some(lines.join("\n"))
    }
}

fn scalar(value: &serde_yaml::Value) -> String {
    match value {
        serde_yaml::Value::String(text) => text.clone(),
        other => serde_yaml::to_string(other)
            .unwrap_or_default()
            .trim()
            .to_owned(),
    }
}

/// What was decided, in words, by the names of [`NAMES`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed(pub BTreeMap<&'static str, String>);

impl Observed {
    /// As a JSON object on one line.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    /// Reads what [`Observed::to_json`] wrote.
    #[must_use]
    pub fn from_json(text: &str) -> Self {
        let map: BTreeMap<String, String> = serde_json::from_str(text).unwrap_or_default();
        let known = |(name, value): (String, String)| {
            let (name, _) = NAMES.iter().find(|(n, _)| *n == name)?;
            Some((*name, value))
        };
        Self(map.into_iter().filter_map(known).collect())
    }

    /// Reads a record, and what it names in the snapshot that decided it.
    #[must_use]
    pub fn of(record: &Record, snapshot: &Snapshot) -> Self {
        let mut map = BTreeMap::from([
            ("status", record.status.to_string()),
            ("flags", record.flags().to_string()),
            ("details", record.details.to_string()),
            ("attempts", record.attempts.len().to_string()),
            (
                "path",
                String::from_utf8_lossy(&record.request.path).into_owned(),
            ),
        ]);
        let fates: Vec<&str> = record.mirrors.iter().map(|m| fate(m.fate)).collect();
        let mirrors = if fates.is_empty() {
            "-".to_owned()
        } else {
            fates.join(", ")
        };
        map.insert("mirrors", mirrors);
        let messages = record.grpc_messages.map_or_else(
            || "-".to_owned(),
            |messages| format!("{} {}", messages.request, messages.response),
        );
        map.insert("messages", messages);
        let ends: Vec<String> = record.attempts.iter().map(end).collect();
        map.insert("ends", ends.join(", "));
        let ejected = record.attempts.iter().filter_map(|a| a.ejected);
        let ejected: Vec<String> = ejected.map(|reason| reason.to_string()).collect();
        let ejected = if ejected.is_empty() {
            "-".to_owned()
        } else {
            ejected.join(", ")
        };
        map.insert("ejected", ejected);
        let transport = record.transport_failure.as_ref();
        let transport = transport.map_or_else(|| "-".to_owned(), ToString::to_string);
        map.insert("transport", transport);
        let priorities: Vec<String> = record
            .attempts
            .iter()
            .map(|attempt| attempt.picked.priority.to_string())
            .collect();
        map.insert("priorities", priorities.join(", "));
        if let Some(last) = record.attempt() {
            let picked = last.picked;
            map.insert("priority", format!("{} {} %", picked.priority, picked.load));
            map.insert("picked", picked.to_string());
            map.insert("reused", last.reused.to_string());
            map.insert("followed", last.followed.to_string());
        }
        if record.revision.is_some() {
            let endpoints: Vec<String> = record
                .attempts
                .iter()
                .map(|a| endpoint(snapshot, a))
                .collect();
            map.insert("endpoint", endpoints.last().cloned().unwrap_or_default());
            map.insert("endpoints", endpoints.join(", "));
            route(snapshot, record.route, &mut map);
        }
        map.entry("rule")
            .or_insert_with(|| "not reached".to_owned());
        Self(map)
    }
}

fn end(attempt: &Attempt) -> String {
    match attempt.end {
        AttemptEnd::Open => "open".to_owned(),
        AttemptEnd::Response(status) | AttemptEnd::Call { status, .. } => status.to_string(),
        AttemptEnd::Reset(reason) => reason.as_str().to_owned(),
        AttemptEnd::Connected => "connected".to_owned(),
        AttemptEnd::StaleConnection => "stale".to_owned(),
        AttemptEnd::Unprocessed => "unprocessed".to_owned(),
        AttemptEnd::Cancelled => "cancelled".to_owned(),
        AttemptEnd::Overtaken => "overtaken".to_owned(),
    }
}

const fn fate(fate: MirrorFate) -> &'static str {
    match fate {
        MirrorFate::Incomplete => "incomplete",
        MirrorFate::Sent => "sent",
        MirrorFate::NoCluster => "no cluster",
        MirrorFate::NoEndpoint => "no endpoint",
        MirrorFate::BodyTooLong => "too long",
        MirrorFate::Dropped => "dropped",
    }
}

fn endpoint(snapshot: &Snapshot, attempt: &Attempt) -> String {
    attempt
        .endpoint(snapshot)
        .map_or_else(|| "original destination".to_owned(), |e| e.text.to_string())
}

fn route(snapshot: &Snapshot, route: RouteDecision, map: &mut BTreeMap<&'static str, String>) {
    match route {
        // A copy is no request of a client; what is compared is the request that it is the copy of.
        RouteDecision::NotReached | RouteDecision::Mirror { .. } => {}
        RouteDecision::UnknownHost => {
            map.insert("rule", "unknown host".to_owned());
        }
        RouteDecision::NoRule { virtual_host } => {
            map.insert("host", snapshot.virtual_host(virtual_host).name.to_string());
            map.insert("rule", "no rule".to_owned());
        }
        RouteDecision::Rule {
            virtual_host,
            rule,
            destination,
        } => {
            let virtual_host = snapshot.virtual_host(virtual_host);
            map.insert("host", virtual_host.name.to_string());
            if let Some(rule) = virtual_host.rules.get(rule as usize) {
                map.insert("route", rule.name.to_string());
                map.insert("rule", origin(snapshot, rule));
                map.insert("cluster", cluster(snapshot, rule, destination));
            }
        }
    }
}

fn origin(snapshot: &Snapshot, rule: &Rule) -> String {
    let Some(origin) = &rule.origin else {
        return "default".to_owned();
    };
    let resource = snapshot.resources.get(origin.resource.0 as usize);
    resource.map_or_else(String::new, |r| {
        format!("{}/{} {}", r.namespace, r.name, origin.path)
    })
}

fn cluster(snapshot: &Snapshot, rule: &Rule, destination: Option<u32>) -> String {
    let Action::Forward(forward) = &*rule.action else {
        return String::new();
    };
    let chosen = destination.and_then(|d| forward.destinations.get(d as usize));
    match chosen.map(|d| &d.cluster) {
        None => String::new(),
        Some(DestinationCluster::Known(id)) => snapshot.cluster(*id).name.to_string(),
        Some(DestinationCluster::Missing(name)) => name.to_string(),
        Some(DestinationCluster::Passthrough) => "PassthroughCluster".to_owned(),
    }
}
