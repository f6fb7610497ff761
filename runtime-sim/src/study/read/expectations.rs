//! What is expected: `users: {success: '>= 99%', p99: '< 50ms'}`.
//!
//! An expectation that holds whatever happens tests nothing, and one that nothing can meet is a slip of the pen; both are
//! told here, and so is one about requests that nobody makes.

use outrigger_core::config::Report;
use outrigger_core::config::code::Code;
use outrigger_core::config::decode::{Object, object};
use outrigger_core::config::node::{Node, Value};
use outrigger_core::config::scalar;
use outrigger_core::config::value::{parse_duration, quoted};
use outrigger_core::snapshot::PerMillion;

use super::values::parse_share;
use super::{list, named};
use crate::study::expectation::{Comparison, Expectation, METRICS, Metric};
use crate::study::outcome::RowKind;
use crate::study::scenario::{Clients, Load, PlannedService};

/// A row of the outcome, as far as the scenario tells it.
#[derive(Clone, Copy)]
struct Row<'s> {
    name: &'s str,
    kind: RowKind,
    /// Somebody may ask.
    is_asked: bool,
}

pub(super) fn read(
    o: &mut Object<'_, '_>,
    services: &[PlannedService],
    clients: &[Clients],
) -> Vec<Expectation> {
    if o.node()
        .field("expect")
        .is_none_or(|entry| entry.value.is_null())
    {
        o.take("expect");
        return Vec::new();
    }
    const HELP: &str = "write `expect: {users: {success: '>= 99%', p99: '< 50ms'}}`";
    let rows = rows(services, clients);
    let all = named(o, "expect", HELP, |report, entry| {
        let of = &*entry.key.text;
        let row = rows.iter().find(|row| row.name == of).copied();
        match row {
            None => {
                let message = format!("{} is neither a service nor clients", quoted(of));
                let names: Vec<&str> = rows.iter().map(|row| row.name).collect();
                let help = format!("there are {}", list(&names));
                report.raise_at(entry.at, Code::InvalidName, message, help);
            }
            Some(row) if !row.is_asked => {
                let (message, help) = row.silence();
                report.raise_at(entry.at, Code::InvalidNumber, message, help);
            }
            Some(_) => {}
        }
        object(report, &entry.value, |o| {
            let kind = row.map_or(RowKind::Service, |row| row.kind);
            let mut all = Vec::new();
            for (name, metric) in METRICS {
                let read =
                    |report: &mut Report, node: &Node| bounds(report, node, of, metric, kind);
                all.extend(o.read(name, read).into_iter().flatten());
            }
            all
        })
    });
    all.into_iter().flatten().collect()
}

fn rows<'s>(services: &'s [PlannedService], clients: &'s [Clients]) -> Vec<Row<'s>> {
    let mut asked = vec![false; services.len()];
    let mut way: Vec<usize> = clients
        .iter()
        .filter(|c| asks(c))
        .map(|c| c.service)
        .collect();
    while let Some(next) = way.pop() {
        if std::mem::replace(&mut asked[next], true) {
            continue;
        }
        let calls = services[next].stages.iter().flatten();
        let calls = calls.filter(|call| call.share > PerMillion::default());
        way.extend(calls.map(|call| call.service));
    }
    let of_services = services.iter().zip(asked).map(|(service, is_asked)| Row {
        name: &service.name,
        kind: RowKind::Service,
        is_asked,
    });
    let of_clients = clients.iter().map(|clients| Row {
        name: &clients.name,
        kind: RowKind::Clients,
        is_asked: asks(clients),
    });
    of_services.chain(of_clients).collect()
}

fn asks(clients: &Clients) -> bool {
    match &clients.load {
        Load::Users { requests, .. } => *requests > 0,
        Load::Rate { windows, .. } => windows.iter().any(|window| window.rate > 0.0),
    }
}

impl Row<'_> {
    /// What is said of expectations about requests that nobody makes.
    fn silence(self) -> (String, &'static str) {
        let name = quoted(self.name);
        match self.kind {
            RowKind::Clients => (
                format!("{name} never ask, so there is nothing to expect of them"),
                "give them a rate, or requests, above 0",
            ),
            RowKind::Service => (
                format!("nobody asks {name}, so there is nothing to expect of it"),
                "let clients ask it, or a service that is asked call it",
            ),
        }
    }
}

/// One bound, or a list of bounds that all hold.
fn bounds(
    report: &mut Report,
    node: &Node,
    of: &str,
    metric: Metric,
    kind: RowKind,
) -> Vec<Expectation> {
    if let Value::Seq(items) = &node.value {
        let each = items.iter().enumerate().filter_map(|(index, item)| {
            report.index(index, |report| bound(report, item, of, metric, kind))
        });
        return each.collect();
    }
    bound(report, node, of, metric, kind).into_iter().collect()
}

fn bound(
    report: &mut Report,
    node: &Node,
    of: &str,
    metric: Metric,
    kind: RowKind,
) -> Option<Expectation> {
    let text = scalar::string(report, node)?;
    let signs = [
        (">=", Comparison::AtLeast),
        ("<=", Comparison::AtMost),
        (">", Comparison::More),
        ("<", Comparison::Less),
    ];
    let found = signs.iter().find_map(|(sign, comparison)| {
        let number = text.trim().strip_prefix(sign)?;
        Some((*comparison, number.trim()))
    });
    let value = found.and_then(|(comparison, number)| {
        let value = match metric {
            Metric::Success => parse_share(number),
            _ if metric.is_time() => parse_duration(number).ok().map(|d| d.as_secs_f64()),
            _ => number.parse().ok().filter(|n: &f64| n.is_finite()),
        };
        Some((comparison, value?))
    });
    let Some((comparison, bound)) = value else {
        let example = match metric {
            Metric::Success => "'>= 99.5%'",
            _ if metric.is_time() => "'< 250ms'",
            _ => "'<= 10'",
        };
        let message = format!("{} is not a bound for `{metric}`", quoted(&text));
        report.raise(
            Code::InvalidNumber,
            message,
            format!("write one such as `{example}`"),
        );
        return None;
    };
    let expectation = Expectation {
        of: of.to_owned(),
        metric,
        comparison,
        bound,
        text: text.trim().to_owned(),
    };
    tell_certain(report, &expectation, kind);
    Some(expectation)
}

/// Tells an expectation that no outcome could fail, or none could meet.
fn tell_certain(report: &mut Report, expectation: &Expectation, kind: RowKind) {
    let Expectation { metric, text, .. } = expectation;
    if *metric == Metric::Ejections && kind == RowKind::Clients {
        let message = "clients are not ejected, endpoints of services are";
        let help = "expect ejections of the service that they ask";
        return report.raise(Code::InvalidNumber, message, help);
    }
    let (least, most) = metric.domain(kind);
    let (always, never) = match expectation.comparison {
        Comparison::Less => (most < expectation.bound, least >= expectation.bound),
        Comparison::AtMost => (most <= expectation.bound, least > expectation.bound),
        Comparison::More => (least > expectation.bound, most <= expectation.bound),
        Comparison::AtLeast => (least >= expectation.bound, most < expectation.bound),
    };
    let what = match (always, never) {
        (true, _) => "holds whatever happens",
        (_, true) => "never holds",
        (false, false) => return,
    };
    let message = format!("`{metric} {text}` {what}");
    let help = match metric {
        Metric::Success => "it lies between 0% and 100%: write one such as `'>= 99.5%'`",
        metric if metric.is_time() => "it is above 0s: write one such as `'< 250ms'`",
        Metric::Amplification if kind == RowKind::Clients => {
            "each request is one attempt at least: write one such as `'< 1.5'`"
        }
        _ => "it is 0 at least: write one such as `'<= 10'` or `'>= 1'`",
    };
    report.raise(Code::InvalidNumber, message, help);
}
