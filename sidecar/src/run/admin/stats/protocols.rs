//! What `/stats` tells of the protocols that peers speak: how often each limit of HTTP/1 and of HTTP/2 was met, on either side.

use outrigger_core::decision::Http1Limit;
use outrigger_core::http2::Counts;
use outrigger_core::worker::{Http1Met, Http2Side};
use outrigger_runtime::Stats;
use outrigger_telemetry::exposition::{Scope, Sheet, Stat, Value, label_text};

use super::ourselves::ours;

/// Of clients and of endpoints.
pub(super) fn add(sheet: &mut Sheet, stats: &Stats) {
    add_http1(sheet, "downstream", &stats.http1.clients);
    add_http1(sheet, "upstream", &stats.http1.endpoints);
    add_http2(sheet, "downstream", &stats.http2.clients);
    add_http2(sheet, "upstream", &stats.http2.endpoints);
}

fn add_http1(sheet: &mut Sheet, side: &'static str, met: &Http1Met) {
    let labels = label_text(&[("side", side)]);
    let scope = Scope {
        text: "outrigger",
        family: "outrigger_http1",
        labels: &labels,
    };
    for (limit, count) in Http1Limit::NAMES.iter().zip(met) {
        let text = format!("http1.{side}.{limit}");
        let stat = Stat {
            text: &text,
            family: "limit_met_total",
            label: Some(("limit", limit)),
            help: "What peers did that a limit of HTTP/1 forbids",
        };
        sheet.add(&scope, stat, Value::Counter(*count));
    }
}

fn add_http2(sheet: &mut Sheet, side: &'static str, counted: &Http2Side) {
    let labels = label_text(&[("side", side)]);
    let scope = Scope {
        text: "outrigger",
        family: "outrigger_http2",
        labels: &labels,
    };
    let total = format!("{side}_cx_http2_total");
    let stat = ours(&total, "connections_total", "Connections that spoke HTTP/2");
    sheet.add(&scope, stat, Value::Counter(counted.connections));
    for (text, family, help, value) in [
        (
            format!("{side}_cx_http2_active"),
            "connections_active",
            "Connections that speak HTTP/2",
            counted.active,
        ),
        (
            format!("http2.{side}.streams_active"),
            "streams_active",
            "Streams that are open",
            counted.streams,
        ),
    ] {
        sheet.add(
            &scope,
            ours(&text, family, help),
            Value::Gauge(value as f64),
        );
    }
    for (limit, count) in Counts::NAMES.iter().zip(counted.met.values()) {
        let text = format!("http2.{side}.{limit}");
        let stat = Stat {
            text: &text,
            family: "limit_met_total",
            label: Some(("limit", limit)),
            help: "What peers did that a limit of HTTP/2 forbids",
        };
        sheet.add(&scope, stat, Value::Counter(count));
    }
}

#[cfg(test)]
mod tests {
    use outrigger_core::worker::Http2Counted;
    use outrigger_telemetry::exposition::Form;

    use super::*;

    #[test]
    fn limits_of_http1_are_told_by_side() {
        let mut sheet = Sheet::new(Form::Text, None, true);
        add_http1(&mut sheet, "downstream", &[1, 2, 0, 0, 0, 0, 0]);
        add_http1(&mut sheet, "upstream", &[0, 0, 0, 0, 0, 3, 0]);
        let text: String = sheet.finish().collect();
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                "outrigger.http1.downstream.head_bytes: 1",
                "outrigger.http1.downstream.head_fields: 2",
                "outrigger.http1.upstream.interim_responses: 3",
            ]
        );
        let limits = include_str!("../../../../../docs/limits.md");
        for name in Http1Limit::NAMES {
            assert!(
                limits.contains(&format!("`{name}`")),
                "{name} stands in docs/limits.md"
            );
        }
    }

    #[test]
    fn limits_of_http2_are_told_by_side() {
        let mut counted = Http2Counted::default();
        (counted.clients.connections, counted.clients.met.stalled) = (3, 2);
        counted.endpoints.streams = 5;
        let mut sheet = Sheet::new(Form::Text, None, true);
        add_http2(&mut sheet, "downstream", &counted.clients);
        add_http2(&mut sheet, "upstream", &counted.endpoints);
        let text: String = sheet.finish().collect();
        let told: Vec<_> = text.lines().collect();
        assert_eq!(
            told,
            [
                "outrigger.downstream_cx_http2_total: 3",
                "outrigger.http2.downstream.stalled: 2",
                "outrigger.http2.upstream.streams_active: 5",
            ]
        );
        let limits = include_str!("../../../../../docs/limits.md");
        for name in Counts::NAMES {
            let row = format!("`{name}`");
            assert!(limits.contains(&row), "{name} stands in docs/limits.md");
        }
    }
}
