//! What is expected: `users: {success: '>= 99%', p99: '< 50ms'}`.

use outrigger_core::config::Report;
use outrigger_core::config::code::Code;
use outrigger_core::config::decode::{Object, object};
use outrigger_core::config::scalar;
use outrigger_core::config::value::{parse_duration, quoted};
use outrigger_core::config::yaml::{Node, Value};

use super::values::parse_share;
use super::{list, named};
use crate::study::expectation::{Comparison, Expectation, METRICS, Metric};

pub(super) fn read(o: &mut Object<'_, '_>, rows: &[&str]) -> Vec<Expectation> {
    if o.node()
        .field("expect")
        .is_none_or(|entry| entry.value.is_null())
    {
        o.take("expect");
        return Vec::new();
    }
    const HELP: &str = "write `expect: {users: {success: '>= 99%', p99: '< 50ms'}}`";
    let all = named(o, "expect", HELP, |report, entry| {
        let of = &*entry.key.text;
        if !rows.contains(&of) {
            let message = format!("{} is neither a service nor clients", quoted(of));
            let help = format!("there are {}", list(rows));
            report.raise_at(entry.at, Code::InvalidName, message, help);
        }
        object(report, &entry.value, |o| {
            let mut all = Vec::new();
            for (name, metric) in METRICS {
                let read = |report: &mut Report, node: &Node| bounds(report, node, of, metric);
                all.extend(o.read(name, read).into_iter().flatten());
            }
            all
        })
    });
    all.into_iter().flatten().collect()
}

/// One bound, or a list of bounds that all hold.
fn bounds(report: &mut Report, node: &Node, of: &str, metric: Metric) -> Vec<Expectation> {
    if let Value::Seq(items) = &node.value {
        let each = items.iter().enumerate().filter_map(|(index, item)| {
            report.index(index, |report| bound(report, item, of, metric))
        });
        return each.collect();
    }
    bound(report, node, of, metric).into_iter().collect()
}

fn bound(report: &mut Report, node: &Node, of: &str, metric: Metric) -> Option<Expectation> {
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
    Some(Expectation {
        of: of.to_owned(),
        metric,
        comparison,
        bound,
        text: text.trim().to_owned(),
    })
}
