//! Stats as Envoy's admin tells them to people: a line each, or its JSON.

use std::fmt::Write as _;

use super::Value;

/// The quantiles that Envoy tells.
const QUANTILES: [(&str, f64); 11] = [
    ("P0", 0.0),
    ("P25", 0.25),
    ("P50", 0.5),
    ("P75", 0.75),
    ("P90", 0.9),
    ("P95", 0.95),
    ("P99", 0.99),
    ("P99.5", 0.995),
    ("P99.9", 0.999),
    ("P99.99", 0.9999),
    ("P100", 1.0),
];

/// Stats by name.
#[derive(Default)]
pub(super) struct Lines {
    lines: Vec<(String, String)>,
    histograms: Vec<(String, [Option<f64>; QUANTILES.len()])>,
}

impl Lines {
    pub(super) fn add(&mut self, name: String, value: Value<'_>) {
        let distribution = match value {
            Value::Counter(count) => return self.lines.push((name, count.to_string())),
            Value::Gauge(value) => return self.lines.push((name, value.to_string())),
            Value::Text(text) => {
                let text = serde_json::to_string(text).unwrap_or_default();
                return self.lines.push((name, text));
            }
            Value::Micros(distribution) | Value::Bytes(distribution) => distribution,
        };
        let scale = value.scale();
        let quantiles = QUANTILES.map(|(_, share)| distribution.quantile(share).map(|v| v / scale));
        self.histograms.push((name, quantiles));
    }

    pub(super) fn text(mut self) -> String {
        for (name, quantiles) in self.histograms {
            let words = QUANTILES
                .iter()
                .zip(quantiles)
                .map(|((word, _), value)| match value {
                    // Nothing is kept of intervals.
                    Some(value) => format!("{word}(nan,{value})"),
                    None => "No recorded values".into(),
                });
            let mut words: Vec<_> = words.collect();
            words.dedup();
            self.lines.push((name, words.join(" ")));
        }
        self.lines.sort_unstable();
        let mut out = String::new();
        for (name, value) in self.lines {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{name}: {value}");
        }
        out
    }

    pub(super) fn json(mut self) -> String {
        use serde_json::{Value as Json, json};
        self.lines.sort_unstable();
        self.histograms.sort_by(|(a, _), (b, _)| a.cmp(b));
        // Each value is a number or a string already.
        let value = |text: String| serde_json::from_str(&text).unwrap_or(Json::String(text));
        let lines = self.lines.into_iter();
        let mut stats: Vec<Json> = lines
            .map(|(name, text)| json!({"name": name, "value": value(text)}))
            .collect();
        if !self.histograms.is_empty() {
            let values = |quantiles: [Option<f64>; QUANTILES.len()]| {
                quantiles.map(|value| json!({"interval": null, "cumulative": value}))
            };
            let all = self.histograms.into_iter();
            let all: Vec<_> = all
                .map(|(name, quantiles)| json!({"name": name, "values": values(quantiles)}))
                .collect();
            let quantiles = QUANTILES.map(|(_, share)| share * 100.0);
            let histograms = json!({"supported_quantiles": quantiles, "computed_quantiles": all});
            stats.push(json!({"histograms": histograms}));
        }
        json!({"stats": stats}).to_string()
    }
}
