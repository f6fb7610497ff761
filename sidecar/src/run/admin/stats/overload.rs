//! What `/stats` tells of a full machine: pressures and actions under Envoy's names, and what was shed.

use outrigger_core::overload::{Action, Resource};
use outrigger_runtime::Stats;
use outrigger_telemetry::exposition::{Scope, Sheet, Stat, Value, label_text};

use super::super::overload::shed;
use super::ourselves::OURS;
use crate::run::overload::Found;

pub(super) fn add(sheet: &mut Sheet, found: &Found, stats: &Stats) {
    for resource in Resource::ALL {
        let at = resource as usize;
        let name = resource.name();
        let (text, labels) = (
            format!("overload.{name}"),
            label_text(&[("resource", name)]),
        );
        let scope = Scope {
            text: &text,
            family: "envoy_overload",
            labels: &labels,
        };
        if let Some(pressure) = found.pressures[at] {
            let stat = Stat::new("pressure", "How much is used, in percent of the limit");
            sheet.add(&scope, stat, Value::Gauge(pressure.percent() as f64));
        }
        let level = Stat::new(
            "level",
            "0 there is room, 1 at the soft mark, 2 at the hard one",
        );
        sheet.add(&scope, level, Value::Gauge(found.levels[at] as u8 as f64));
        for (name, help, count) in [
            (
                "entered",
                "Times that a mark was reached",
                found.entered[at],
            ),
            (
                "failed_updates",
                "Times that it could not be measured any more",
                found.failed[at],
            ),
        ] {
            sheet.add(&scope, Stat::new(name, help), Value::Counter(count));
        }
    }
    for action in Action::ALL {
        let name = action.name();
        let (text, labels) = (format!("overload.{name}"), label_text(&[("action", name)]));
        let scope = Scope {
            text: &text,
            family: "envoy_overload",
            labels: &labels,
        };
        let is_active = f64::from(u8::from(found.actions.has(action)));
        let active = Stat::new("active", "1 while it is done because something is full");
        sheet.add(&scope, active, Value::Gauge(is_active));
    }
    for (name, count) in shed(stats) {
        let (family, help) = match name {
            "overload_shed_requests" => (
                "overload_shed_requests_total",
                "Requests that were answered 503 because something was full",
            ),
            "overload_ended_keep_alive" => (
                "overload_ended_keep_alive_total",
                "Responses after which connections of clients ended because something was full",
            ),
            "overload_closed_idle" => (
                "overload_closed_idle_total",
                "Connections of clients that were closed between requests because something was full",
            ),
            "overload_closed_idle_upstream" => (
                "overload_closed_idle_upstream_total",
                "Connections to endpoints that were not kept because something was full",
            ),
            "overload_rejected_connections" => (
                "overload_rejected_connections_total",
                "Connections that were turned away at a hard mark",
            ),
            _ => (
                "global_overflow_connections_total",
                "Connections that were turned away because there were as many as may be",
            ),
        };
        let stat = Stat {
            text: name,
            family,
            label: None,
            help,
        };
        sheet.add(&OURS, stat, Value::Counter(count));
    }
}
