//! Services, their replicas and what they call.

use std::net::SocketAddr;

use outrigger_core::config::Report;
use outrigger_core::config::code::Code;
use outrigger_core::config::decode::{Object, object};
use outrigger_core::config::node::{Node, Value};
use outrigger_core::config::scalar;
use outrigger_core::config::value::quoted;
use outrigger_core::snapshot::PerMillion;

use super::values;
use super::{forwards, named, names, service_named};
use crate::load::{Ask, Capacity, Latency};
use crate::study::scenario::{Group, PlannedCall, PlannedService};

/// Requests that wait where nobody says how many may.
const QUEUE: usize = 1024;

/// More replicas of one service are a slip of the pen.
const MOST_REPLICAS: usize = 10_000;

const HELP: &str = "name them: `services: {recommendation: {replicas: 3, latency: 5ms}}`";

/// What replicas have where they do not say.
struct Usual {
    latency: Latency,
    errors: PerMillion,
    concurrency: Option<u32>,
    queue: Option<u32>,
    body: u32,
}

/// A service as it is written: its calls name services.
struct Written<'n> {
    service: PlannedService,
    calls: Option<&'n Node>,
}

pub(super) fn read(o: &mut Object<'_, '_>) -> Vec<PlannedService> {
    let Some(node) = o.node().field("services").map(|entry| &entry.value) else {
        named(o, "services", HELP, |_, _| ());
        return Vec::new();
    };
    // Read twice in form, once in fact: calls name services that are written further down.
    let mut calls: Vec<Option<&Node>> = node
        .entries()
        .iter()
        .map(|entry| entry.value.field("calls").map(|calls| &calls.value))
        .collect();
    let mut services = named(o, "services", HELP, |report, entry| {
        let name = entry.key.text.to_string();
        if !is_host(&name) {
            let message = format!("{} can not be a service's name", quoted(&name));
            let help = "use small letters, digits, `-` and `.`";
            report.raise_at(entry.at, Code::InvalidName, message, help);
        }
        object(report, &entry.value, |o| service(o, name))
    });
    let known: Vec<String> = names(&services).into_iter().map(str::to_owned).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    for (at, service) in services.iter_mut().enumerate() {
        let written = Written {
            calls: calls[at].take(),
            service: service.clone(),
        };
        service.stages = o.report().field("services", |report| {
            report.key_or_field(&written.service.name, |report| {
                report.field("calls", |report| stages(report, written.calls, &known))
            })
        });
    }
    tell_circle(o.report(), &services);
    services
}

fn is_host(name: &str) -> bool {
    let is_fine = |label: &str| {
        let fine = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !label.is_empty() && label.bytes().all(fine)
    };
    name.len() <= 200 && name.split('.').all(is_fine)
}

fn service(o: &mut Object<'_, '_>, name: String) -> PlannedService {
    let port = o.optional_integer::<u32>("port").unwrap_or(80);
    let port = u16::try_from(port).ok().filter(|port| *port > 0);
    if port.is_none() {
        let help = "write 1 to 65535";
        o.report()
            .raise_in("port", Code::InvalidPort, "no such port", help);
    }
    let usual = Usual {
        latency: o
            .read("latency", values::latency)
            .flatten()
            .unwrap_or(Latency::ZERO),
        errors: values::share(o, "errors").unwrap_or_default(),
        concurrency: o.optional_integer("concurrency"),
        queue: o.optional_integer("queue"),
        body: o.integer("body"),
    };
    let forwards = o
        .read("forwards", forwards::read)
        .unwrap_or_else(forwards::usual);
    // Read once all services are known.
    o.take("calls");
    let groups = o.read("replicas", |report, node| replicas(report, node, &usual));
    let groups = groups.unwrap_or_else(|| vec![usual.group(o.report(), 1)]);
    PlannedService {
        name,
        port: port.unwrap_or(80),
        groups,
        stages: Vec::new(),
        forwards,
    }
}

fn replicas(report: &mut Report, node: &Node, usual: &Usual) -> Vec<Group> {
    match &node.value {
        Value::Seq(items) => {
            let mut groups = Vec::new();
            for (index, item) in items.iter().enumerate() {
                let read = |o: &mut Object<'_, '_>| group(o, usual);
                groups.push(report.index(index, |report| object(report, item, read)));
            }
            groups
        }
        Value::Null | Value::Scalar(_) => {
            let count = scalar::integer::<u32>(report, node).unwrap_or(1);
            vec![usual.group(report, count)]
        }
        Value::Map(_) => {
            let help = "write `replicas: 3`, or a list of groups: `replicas: [{version: v1, count: 2}, {version: v2}]`";
            let message = "`replicas` is neither a number nor a list of groups";
            report.raise(Code::WrongType, message, help);
            Vec::new()
        }
    }
}

impl Usual {
    fn group(&self, report: &mut Report, count: u32) -> Group {
        Group {
            labels: Default::default(),
            count: checked(report, count),
            addresses: Vec::new(),
            locality: String::new(),
            latency: self.latency,
            errors: self.errors,
            capacity: capacity(report, self.concurrency, self.queue),
            body: self.body as usize,
        }
    }
}

fn checked(report: &mut Report, count: u32) -> usize {
    if count == 0 || count as usize > MOST_REPLICAS {
        let help = format!("write 1 to {MOST_REPLICAS}");
        report.raise(Code::InvalidNumber, format!("{count} replicas"), help);
    }
    count as usize
}

fn capacity(report: &mut Report, concurrency: Option<u32>, queue: Option<u32>) -> Option<Capacity> {
    let Some(at_once) = concurrency else {
        if queue.is_some() {
            let help = "say with `concurrency` how many requests are worked on at a time";
            let message = "a queue where nothing has to wait";
            report.raise(Code::RequiredField, message, help);
        }
        return None;
    };
    if at_once == 0 {
        let help = "leave it out for no limit";
        report.raise(Code::InvalidNumber, "`concurrency` is 0", help);
    }
    Some(Capacity {
        at_once: at_once as usize,
        queue: queue.map_or(QUEUE, |queue| queue as usize),
    })
}

fn group(o: &mut Object<'_, '_>, usual: &Usual) -> Group {
    let addresses = o.list("addresses", |report, node| {
        let text = scalar::string(report, node)?;
        let address = text.parse::<SocketAddr>().ok();
        if address.is_none() {
            let message = format!("{} is not an address and a port", quoted(&text));
            let help = "write the endpoint as the configuration has it: `10.0.0.1:8080`";
            report.raise(Code::InvalidAddress, message, help);
        }
        address
    });
    let count = o.optional_integer::<u32>("count");
    if count.is_some() && !addresses.is_empty() {
        let help = "each address is a replica";
        let message = "`addresses` and `count` exclude each other";
        o.report().raise(Code::OneOf, message, help);
    }
    let usual = Usual {
        latency: o
            .read("latency", values::latency)
            .flatten()
            .unwrap_or(usual.latency),
        errors: values::share(o, "errors").unwrap_or(usual.errors),
        concurrency: o.optional_integer("concurrency").or(usual.concurrency),
        queue: o.optional_integer("queue").or(usual.queue),
        body: o.optional_integer("body").unwrap_or(usual.body),
    };
    let count = match addresses.len() {
        0 => count.unwrap_or(1),
        some => some as u32,
    };
    Group {
        labels: values::labels(o),
        locality: values::locality(o),
        addresses,
        ..usual.group(o.report(), count)
    }
}

fn stages(report: &mut Report, node: Option<&Node>, services: &[&str]) -> Vec<Vec<PlannedCall>> {
    let Some(node) = node.filter(|node| !node.is_null()) else {
        return Vec::new();
    };
    if !matches!(node.value, Value::Seq(_)) {
        return vec![call(report, node, services).into_iter().collect()];
    }
    let items = node.items().iter().enumerate();
    let mut stages = Vec::new();
    for (index, item) in items {
        let stage = report.index(index, |report| match &item.value {
            Value::Seq(together) => {
                let calls = together.iter().enumerate().filter_map(|(index, item)| {
                    report.index(index, |report| call(report, item, services))
                });
                calls.collect()
            }
            Value::Null | Value::Scalar(_) | Value::Map(_) => {
                call(report, item, services).into_iter().collect()
            }
        });
        stages.push(stage);
    }
    stages
}

fn call(report: &mut Report, node: &Node, services: &[&str]) -> Option<PlannedCall> {
    if let Value::Scalar(_) = node.value {
        let name = scalar::string(report, node)?;
        let service = service_named(report, services, &name)?;
        return Some(PlannedCall {
            service,
            ask: Ask::get(&name),
            share: PerMillion::ALL,
            patience: None,
            is_optional: false,
        });
    }
    object(report, node, |o| {
        let name = o.string("service");
        let service = o
            .report()
            .field("service", |report| service_named(report, services, &name));
        Some(PlannedCall {
            ask: values::ask(o, &name),
            share: values::share(o, "share").unwrap_or(PerMillion::ALL),
            patience: values::patience(o),
            is_optional: o.boolean("optional"),
            service: service?,
        })
    })
}

/// A service that asks itself in the end would never have an answer.
fn tell_circle(report: &mut Report, services: &[PlannedService]) {
    // 0: not looked at, 1: on the way, 2: known to end.
    let mut seen = vec![0_u8; services.len()];
    for first in 0..services.len() {
        // Each with the calls that are still to be followed.
        let mut way: Vec<(usize, Vec<usize>)> = Vec::new();
        if seen[first] == 0 {
            seen[first] = 1;
            way.push((first, called(&services[first])));
        }
        while let Some((at, left)) = way.last_mut() {
            let Some(next) = left.pop() else {
                seen[*at] = 2;
                way.pop();
                continue;
            };
            match seen[next] {
                0 => {
                    seen[next] = 1;
                    way.push((next, called(&services[next])));
                }
                1 => {
                    let from = way.iter().position(|(at, _)| *at == next).unwrap_or(0);
                    let names: Vec<_> = way[from..]
                        .iter()
                        .map(|(at, _)| quoted(&services[*at].name))
                        .collect();
                    let message = format!("{} call each other in a circle", names.join(", "));
                    let help = "leave one of these calls out: a request would never end";
                    return report.raise_in("services", Code::InvalidName, message, help);
                }
                _ => {}
            }
        }
    }
}

fn called(service: &PlannedService) -> Vec<usize> {
    service
        .stages
        .iter()
        .flatten()
        .map(|call| call.service)
        .collect()
}
