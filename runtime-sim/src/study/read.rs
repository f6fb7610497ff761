//! Scenario files: YAML to a [`Scenario`], every fault told with its place and what to do.
//!
//! Owns the document as a whole. Services are read in `services`, clients in `clients`, faults in `faults`, values that
//! Istio does not have in `values`. What a mapping may hold is what its reader asks for, as in all configuration of ours;
//! here an unknown field is an error, because a scenario that leaves something out answers another question.

mod clients;
mod expectations;
mod faults;
mod forwards;
mod services;
mod values;

use std::sync::Arc;

use outrigger_core::config::code::Code;
use outrigger_core::config::decode::{Object, object};
use outrigger_core::config::node::{Entry, Node, Value};
use outrigger_core::config::scalar;
use outrigger_core::config::value::quoted;
use outrigger_core::config::yaml;
use outrigger_core::config::{Finding, Report, Severity, Source};
use outrigger_core::time::Duration;

use super::scenario::{PlannedService, Scenario, Scope};

/// The longest run: a week.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

const SCOPES: &[(&str, i32, Scope)] = &[("all", 0, Scope::All), ("called", 1, Scope::Called)];

/// Reads a scenario.
///
/// # Errors
/// What is wrong with it.
pub fn read(source: Source<'_>) -> Result<Scenario, Vec<Finding>> {
    let mut report = Report::new();
    let file = Arc::from(source.name);
    report.enter_file(&file);
    let mut documents = yaml::read(source.bytes, &mut report).into_iter();
    let document = Arc::new(documents.next().unwrap_or_default());
    report.enter_document(&document, None);
    let read = match is_resource(&document) {
        true => {
            let help =
                "name this file in `config` of a scenario; `outrigger simulate --help` shows one";
            let message = "this is a resource and no scenario";
            report.raise_at(document.at, Code::NotAResource, message, help);
            None
        }
        false => {
            if let Some(second) = documents.next() {
                let help = "give each scenario a file of its own";
                let message = "a second document in a scenario";
                report.raise_at(second.at, Code::NotAResource, message, help);
            }
            Some(object(&mut report, &document, |o| scenario(o, source.name)))
        }
    };
    report.leave_file(source.bytes);
    let mut findings = report.into_findings();
    for finding in &mut findings {
        finding.severity = Severity::Error;
    }
    match read {
        Some(scenario) if findings.is_empty() => Ok(scenario),
        _ => Err(findings),
    }
}

/// Rules given in the place of a scenario are a likely slip, and every line of them would be told as an unknown field.
fn is_resource(document: &Node) -> bool {
    ["apiVersion", "kind"]
        .iter()
        .all(|field| document.field(field).is_some())
}

fn scenario(o: &mut Object<'_, '_>, file: &str) -> Scenario {
    let about = o.string("about").trim().to_owned();
    let duration = o.duration("duration");
    let duration = duration.filter(|d| (Duration::from_millis(1)..=LONGEST).contains(d));
    if duration.is_none() {
        let help = "say for how long clients ask, such as `duration: 60s`; at most a week";
        o.report()
            .raise_in("duration", Code::RequiredField, "no usable duration", help);
    }
    let duration = duration.unwrap_or(LONGEST);
    let seed = o.optional_integer("seed").unwrap_or(1);
    let namespace = o.optional_string("namespace");
    let config = o.read("config", paths).unwrap_or_default();
    let mesh_config = o.optional_string("meshConfig");
    let scope = o.symbol("scope", SCOPES).unwrap_or(Scope::All);
    let inbound = o.boolean("inbound");
    let network = o.message("network", |o| (o.duration("latency"), o.duration("jitter")));
    let (latency, jitter) = network.unwrap_or_default();
    let services = services::read(o);
    let names: Vec<&str> = services.iter().map(|s| s.name.as_str()).collect();
    let clients = clients::read(o, &names, duration);
    let faults = faults::read(o, &services, duration);
    let expectations = expectations::read(o, &services, &clients);
    Scenario {
        file: file.to_owned(),
        about,
        duration,
        seed,
        namespace: namespace.unwrap_or_else(|| "default".to_owned()),
        config,
        mesh_config,
        scope,
        inbound,
        latency: latency.unwrap_or(Duration::from_micros(200)),
        jitter: jitter.unwrap_or(Duration::from_micros(100)),
        services,
        clients,
        faults,
        expectations,
    }
}

/// One path, or a list of them.
fn paths(report: &mut Report, node: &Node) -> Vec<String> {
    match &node.value {
        Value::Seq(items) => {
            let paths = items.iter().enumerate();
            let path = |(index, item)| report.index(index, |report| scalar::string(report, item));
            paths.filter_map(path).collect()
        }
        Value::Scalar(_) => scalar::string(report, node).into_iter().collect(),
        Value::Null => Vec::new(),
        Value::Map(_) => {
            let help = "write `config: [rules/]`";
            report.raise(Code::WrongType, "`config` is no list of paths", help);
            Vec::new()
        }
    }
}

/// Reads a map by keys of the user's, in the order in which they are written. Anything else, or nothing, is told.
fn named<T>(
    o: &mut Object<'_, '_>,
    field: &'static str,
    help: &str,
    mut read: impl FnMut(&mut Report, &Entry) -> T,
) -> Vec<T> {
    let Some(node) = o.take(field) else {
        let message = format!("there are no `{field}`");
        o.report()
            .raise_in(field, Code::RequiredField, message, help);
        return Vec::new();
    };
    o.report().field(field, |report| {
        if node.entries().is_empty() {
            let shape = match node.value {
                Value::Map(_) => "is empty",
                Value::Null | Value::Scalar(_) | Value::Seq(_) => "is not a mapping from names",
            };
            report.raise(Code::WrongType, format!("`{field}` {shape}"), help);
        }
        let entries = node.entries().iter();
        entries
            .map(|entry| report.key_or_field(&entry.key.text, |report| read(report, entry)))
            .collect()
    })
}

/// The service of a name; one that is not there is told.
fn service_named(report: &mut Report, services: &[&str], name: &str) -> Option<usize> {
    let found = services.iter().position(|service| *service == name);
    // Without any, that is what was told.
    if found.is_none() && !services.is_empty() {
        let near = services
            .iter()
            .map(|s| (strsim_distance(s, name), *s))
            .min();
        let help = match near {
            Some((distance, near)) if distance <= 2 => format!("did you mean `{near}`?"),
            _ => format!("the services of this scenario are {}", list(services)),
        };
        let message = format!("there is no service {}", quoted(name));
        report.raise(Code::InvalidName, message, help);
    }
    found
}

fn list(names: &[&str]) -> String {
    let shown: Vec<_> = names.iter().take(20).map(|name| quoted(name)).collect();
    shown.join(", ")
}

/// How many single letters differ; good enough for names of services.
fn strsim_distance(a: &str, b: &str) -> usize {
    let differing = a.bytes().zip(b.bytes()).filter(|(a, b)| a != b).count();
    differing + a.len().abs_diff(b.len())
}

/// The service that a call or clients ask, for calls within the services read so far.
fn names(services: &[PlannedService]) -> Vec<&str> {
    services.iter().map(|s| s.name.as_str()).collect()
}

#[cfg(test)]
mod tests;
