//! One request as a line of an access log: Istio's default text format, or its default JSON object.
//!
//! Owns the words of a line. Where lines go, and when, is the program's business.

use std::borrow::Cow;
use std::io::Write as _;

use core::net::SocketAddr;
use serde::Serialize;

use super::record::{Attempt, GONE, Record, RouteDecision};
use crate::message::Known;
use crate::snapshot::{Action, Cluster, DestinationCluster, Rule, Snapshot, UnknownHosts};
use crate::time::Duration;

/// What a line shows and no record holds: the calendar, and the addresses of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// When the request began, since 1970-01-01 UTC.
    pub began: Duration,
    /// The client.
    pub downstream_remote: SocketAddr,
    /// Our address towards the client.
    pub downstream_local: SocketAddr,
    /// Our address on the last attempt's connection.
    pub upstream_local: Option<SocketAddr>,
}

/// Appends Istio's default text line, with its line end. Unknown values are `-`.
pub fn text(record: &Record, snapshot: &Snapshot, around: &Surroundings, out: &mut Vec<u8>) {
    let line = Line::new(record, snapshot, around);
    let field = |name| record.request.headers.get(name).unwrap_or(b"-");
    let path = record.original_path();
    // Writing to a vector cannot fail.
    let _ = write!(
        out,
        "[{}] \"{} ",
        line.start_time,
        line.method.unwrap_or("-")
    );
    out.extend_from_slice(if line.path.is_some() { path } else { b"-" });
    let _ = write!(
        out,
        " {}\" {} {} ",
        line.protocol, line.response_code, line.response_flags
    );
    // Envoy's details are one word.
    let details = out.len();
    let _ = write!(out, "{}", record.details);
    for byte in &mut out[details..] {
        if *byte == b' ' {
            *byte = b'_';
        }
    }
    let _ = write!(
        out,
        " - \"-\" {} {} {} {} \"",
        line.bytes_received,
        line.bytes_sent,
        line.duration,
        OrDash(line.upstream_service_time),
    );
    for name in [Known::XForwardedFor, Known::UserAgent, Known::XRequestId] {
        out.extend_from_slice(field(name));
        out.extend_from_slice(b"\" \"");
    }
    let authority = &record.request.authority[..];
    out.extend_from_slice(if authority.is_empty() {
        b"-"
    } else {
        authority
    });
    let _ = writeln!(
        out,
        "\" \"{}\" {} {} {} {} - {}",
        OrDash(line.upstream_host.as_deref()),
        OrDash(line.upstream_cluster),
        OrDash(line.upstream_local_address),
        line.downstream_local_address,
        line.downstream_remote_address,
        OrDash(line.route_name),
    );
}

/// Appends Istio's default JSON object and a line end. Unknown values are `null`; bytes that are not UTF-8 are replaced.
pub fn json(record: &Record, snapshot: &Snapshot, around: &Surroundings, out: &mut Vec<u8>) {
    // Every value is a string, a number or null, and a vector takes all that is written to it.
    let _ = serde_json::to_writer(&mut *out, &Line::new(record, snapshot, around));
    out.push(b'\n');
}

/// The values of a line, under Istio's names for them.
#[derive(Serialize)]
struct Line<'a> {
    start_time: StartTime,
    route_name: Option<&'a str>,
    method: Option<&'a str>,
    path: Option<Cow<'a, str>>,
    protocol: &'static str,
    response_code: u16,
    #[serde(serialize_with = "as_text")]
    response_flags: super::ResponseFlags,
    #[serde(serialize_with = "as_text")]
    response_code_details: super::Details,
    connection_termination_details: Option<&'static str>,
    bytes_received: u64,
    bytes_sent: u64,
    duration: u128,
    upstream_service_time: Option<u64>,
    x_forwarded_for: Option<Cow<'a, str>>,
    user_agent: Option<Cow<'a, str>>,
    request_id: Option<Cow<'a, str>>,
    authority: Option<Cow<'a, str>>,
    upstream_host: Option<Cow<'a, str>>,
    upstream_cluster: Option<&'a str>,
    upstream_local_address: Option<SocketAddr>,
    downstream_local_address: SocketAddr,
    downstream_remote_address: SocketAddr,
    requested_server_name: Option<&'static str>,
    upstream_transport_failure_reason: Option<&'static str>,
}

impl<'a> Line<'a> {
    fn new(record: &'a Record, snapshot: &'a Snapshot, around: &Surroundings) -> Self {
        let request = &record.request;
        // Before the head was complete there is nothing to show of it.
        let is_known = record.revision.is_some();
        let field = |name| request.headers.get(name).map(String::from_utf8_lossy);
        let path = record.original_path();
        let whole = |bytes: &'a [u8]| (!bytes.is_empty()).then(|| String::from_utf8_lossy(bytes));
        Self {
            start_time: StartTime(around.began),
            route_name: record.route_name(snapshot),
            method: is_known.then(|| request.method.as_str()),
            path: whole(path).filter(|_| is_known),
            protocol: request.version.as_str(),
            response_code: record.status,
            response_flags: record.flags(),
            response_code_details: record.details,
            connection_termination_details: None,
            bytes_received: record.bytes_received,
            bytes_sent: record.bytes_sent,
            duration: record.ended.since(record.began).as_millis(),
            upstream_service_time: record.upstream_service_ms,
            x_forwarded_for: field(Known::XForwardedFor),
            user_agent: field(Known::UserAgent),
            request_id: field(Known::XRequestId),
            authority: whole(&request.authority),
            upstream_host: upstream_host(record, snapshot),
            upstream_cluster: upstream_cluster(record, snapshot),
            upstream_local_address: around.upstream_local,
            downstream_local_address: around.downstream_local,
            downstream_remote_address: around.downstream_remote,
            requested_server_name: None,
            upstream_transport_failure_reason: None,
        }
    }
}

fn field_or<'a>(record: &'a Record, name: Known, otherwise: &'a [u8]) -> &'a [u8] {
    record.request.headers.get(name).unwrap_or(otherwise)
}

fn as_text<S: serde::Serializer>(
    value: &impl core::fmt::Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
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
    /// The name of its route (`%ROUTE_NAME%`): `allow_any` and `block_all` for a host that nobody knows.
    #[must_use]
    pub fn route_name<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s str> {
        if self.route == RouteDecision::UnknownHost {
            return Some(match snapshot.settings.unknown_hosts {
                UnknownHosts::AllowAny | UnknownHosts::EgressProxy(_) => "allow_any",
                UnknownHosts::RegistryOnly => "block_all",
            });
        }
        rule_of(self, snapshot).map(|(rule, _)| &*rule.name)
    }

    /// Path and query as they came, before rewrites.
    #[must_use]
    pub fn original_path(&self) -> &[u8] {
        field_or(self, Known::XEnvoyOriginalPath, &self.request.path)
    }
}

/// The cluster that was chosen, also when it had no endpoint to offer.
fn upstream_cluster<'a>(record: &Record, snapshot: &'a Snapshot) -> Option<&'a str> {
    const PASSTHROUGH: &str = "PassthroughCluster";
    if let Some(attempt) = record.attempt() {
        return Some(cluster_of(attempt, snapshot).map_or(PASSTHROUGH, |c| &*c.name));
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
fn upstream_host<'a>(record: &'a Record, snapshot: &'a Snapshot) -> Option<Cow<'a, str>> {
    let attempt = record.attempt()?;
    Some(match attempt.endpoint(snapshot) {
        Some(endpoint) => Cow::Borrowed(&endpoint.text),
        None if attempt.endpoint == GONE => return None,
        None => String::from_utf8_lossy(&record.request.authority),
    })
}

fn cluster_of<'a>(attempt: &Attempt, snapshot: &'a Snapshot) -> Option<&'a Cluster> {
    attempt.cluster.map(|id| snapshot.cluster(id))
}

struct OrDash<T>(Option<T>);

impl<T: core::fmt::Display> core::fmt::Display for OrDash<T> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// A time since 1970-01-01 UTC as the access log writes it: RFC 3339 with milliseconds.
pub const fn rfc3339(since_epoch: Duration) -> impl core::fmt::Display {
    StartTime(since_epoch)
}

/// `%START_TIME%`: RFC 3339 in UTC with milliseconds.
#[derive(Clone, Copy)]
struct StartTime(Duration);

impl Serialize for StartTime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl core::fmt::Display for StartTime {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let seconds = self.0.as_secs();
        let (year, month, day) = civil_date(seconds / 86_400);
        let of_day = seconds % 86_400;
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        let millis = self.0.subsec_millis();
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        )
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Counts from 0000-03-01, so that the leap day is the last of its year (Hinnant, "chrono-compatible low-level date
/// algorithms").
const fn civil_date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year_of_era + era * 400 + (month <= 2) as u64;
    (year, month, day)
}

#[cfg(test)]
mod tests;
