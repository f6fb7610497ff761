//! How stats are written: as Envoy's admin does in text and JSON, and as Prometheus reads them.
//!
//! A stat is given once, with the name that Envoy's text has for it and the family and labels that Prometheus has. What is
//! asked for decides which of them is written.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

pub use crate::label_text::label_text;

use crate::label_text::escaped;
use crate::metrics::{Distribution, ISTIO_BOUNDS};

/// What is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// `name: value`, a line each, sorted.
    #[default]
    Text,
    /// Envoy's JSON document.
    Json,
    /// Prometheus' text format 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Form {
    /// What it says of itself (`content-type`).
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
            Self::Json => "application/json",
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// Whose stats follow.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Before each name in text, without the dot: `cluster.outbound|80||a.test`. May be empty.
    pub text: &'a str,
    /// Before each family, without the underline: `envoy_cluster`.
    pub family: &'static str,
    /// Labels of each, without the braces: `cluster_name="…"`. May be empty.
    pub labels: &'a str,
}

/// A stat of a scope.
#[derive(Clone, Copy, Debug)]
pub struct Stat<'a> {
    /// Its name in text.
    pub text: &'a str,
    /// Its family; dots become underlines. May be empty, where the scope says all.
    pub family: &'static str,
    /// A label that its name in text has in it.
    pub label: Option<(&'static str, &'a str)>,
    /// What it is, for people.
    pub help: &'static str,
}

impl Stat<'static> {
    /// One whose family is its name.
    #[must_use]
    pub const fn new(name: &'static str, help: &'static str) -> Self {
        Self {
            text: name,
            family: name,
            label: None,
            help,
        }
    }
}

/// What a stat says.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    /// Only grows.
    Counter(u64),
    /// Goes up and down.
    Gauge(f64),
    /// A text, which Prometheus does not know.
    Text(&'a str),
    /// Microseconds, told in milliseconds.
    Micros(&'a Distribution),
    /// Bytes.
    Bytes(&'a Distribution),
}

/// Stats that are being written.
pub struct Sheet {
    form: Form,
    keep: Option<Keep>,
    used_only: bool,
    lines: Vec<(String, String)>,
    histograms: Vec<(String, [Option<f64>; QUANTILES.len()])>,
    families: Vec<Family>,
    index: HashMap<(&'static str, &'static str), usize>,
}

/// Which names are wanted.
pub type Keep = Box<dyn Fn(&str) -> bool>;

struct Family {
    name: String,
    help: &'static str,
    kind: Kind,
    samples: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

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

/// The bounds in bytes that go with [`ISTIO_BOUNDS`]: what is at most half a byte is nothing.
const BYTE_BOUNDS: [u64; ISTIO_BOUNDS.len()] = {
    let mut bounds = ISTIO_BOUNDS;
    let mut at = 0;
    while at < bounds.len() {
        bounds[at] /= 1000;
        at += 1;
    }
    bounds
};

/// The bounds as they are written, in milliseconds or bytes.
const BOUND_TEXTS: [&str; ISTIO_BOUNDS.len()] = [
    "0.5", "1", "5", "10", "25", "50", "100", "250", "500", "1000", "2500", "5000", "10000",
    "30000", "60000", "300000", "600000", "1800000", "3600000",
];

impl Sheet {
    /// An empty one. `keep` says which names (as text has them) are wanted, `used_only` that only those are that are not zero.
    #[must_use]
    pub fn new(form: Form, keep: Option<Keep>, used_only: bool) -> Self {
        Self {
            form,
            keep,
            used_only,
            lines: Vec::new(),
            histograms: Vec::new(),
            families: Vec::new(),
            index: HashMap::new(),
        }
    }

    /// Adds a stat.
    pub fn add(&mut self, scope: &Scope<'_>, stat: Stat<'_>, value: Value<'_>) {
        if self.used_only && is_unused(value) {
            return;
        }
        let is_text = matches!(self.form, Form::Text | Form::Json);
        if is_text || self.keep.is_some() {
            let name = match (scope.text, stat.text) {
                ("", name) | (name, "") => name.to_owned(),
                (scope, name) => format!("{scope}.{name}"),
            };
            if self.keep.as_ref().is_some_and(|keep| !keep(&name)) {
                return;
            }
            if is_text {
                self.add_line(name, value);
                return;
            }
        }
        self.add_sample(scope, stat, value);
    }

    fn add_line(&mut self, name: String, value: Value<'_>) {
        let distribution = match value {
            Value::Counter(count) => return self.lines.push((name, count.to_string())),
            Value::Gauge(value) => return self.lines.push((name, value.to_string())),
            Value::Text(text) => {
                let text = serde_json::to_string(text).unwrap_or_default();
                return self.lines.push((name, text));
            }
            Value::Micros(distribution) | Value::Bytes(distribution) => distribution,
        };
        let scale = scale(value);
        let quantiles = QUANTILES.map(|(_, share)| distribution.quantile(share).map(|v| v / scale));
        self.histograms.push((name, quantiles));
    }

    fn add_sample(&mut self, scope: &Scope<'_>, stat: Stat<'_>, value: Value<'_>) {
        let kind = match value {
            Value::Counter(_) => Kind::Counter,
            Value::Gauge(_) => Kind::Gauge,
            Value::Micros(_) | Value::Bytes(_) => Kind::Histogram,
            Value::Text(_) => return,
        };
        let key = (scope.family, stat.family);
        let families = &mut self.families;
        let at = *self.index.entry(key).or_insert_with(|| {
            families.push(Family::new(scope, &stat, kind));
            families.len() - 1
        });
        let family = &mut self.families[at];
        let extra = stat
            .label
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
        let labels = match (scope.labels, extra) {
            (labels, None) => Cow::Borrowed(labels),
            ("", Some(extra)) => Cow::Owned(extra),
            (labels, Some(extra)) => Cow::Owned(format!("{labels},{extra}")),
        };
        match value {
            Value::Counter(count) => family.sample("", &labels, "", count),
            Value::Gauge(value) => family.sample("", &labels, "", value),
            Value::Micros(of) => {
                family.histogram(&labels, of, &ISTIO_BOUNDS, scale(value), self.form);
            }
            Value::Bytes(of) => {
                family.histogram(&labels, of, &BYTE_BOUNDS, scale(value), self.form);
            }
            Value::Text(_) => {}
        }
    }

    /// The whole page.
    #[must_use]
    pub fn finish(mut self) -> String {
        match self.form {
            Form::Text => self.text(),
            Form::Json => self.json(),
            Form::Prometheus | Form::OpenMetrics => {
                self.families.sort_by(|a, b| a.name.cmp(&b.name));
                let is_open = self.form == Form::OpenMetrics;
                let length = self
                    .families
                    .iter()
                    .map(|family| family.samples.len() + 256);
                let mut out = String::with_capacity(length.sum());
                self.families
                    .iter()
                    .for_each(|family| family.write(is_open, &mut out));
                out.push_str(if is_open { "# EOF\n" } else { "" });
                out
            }
        }
    }

    fn text(mut self) -> String {
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

    fn json(mut self) -> String {
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

fn is_unused(value: Value<'_>) -> bool {
    match value {
        Value::Counter(count) => count == 0,
        Value::Gauge(value) => value == 0.0,
        Value::Text(text) => text.is_empty(),
        Value::Micros(distribution) | Value::Bytes(distribution) => distribution.count() == 0,
    }
}

/// What counted values are divided by to be told.
const fn scale(value: Value<'_>) -> f64 {
    match value {
        Value::Micros(_) => 1000.0,
        Value::Counter(_) | Value::Gauge(_) | Value::Text(_) | Value::Bytes(_) => 1.0,
    }
}

impl Family {
    fn new(scope: &Scope<'_>, stat: &Stat<'_>, kind: Kind) -> Self {
        let joint = if stat.family.is_empty() || scope.family.is_empty() {
            ""
        } else {
            "_"
        };
        let name = format!("{}{joint}{}", scope.family, stat.family.replace('.', "_"));
        Self {
            name,
            help: stat.help,
            kind,
            samples: String::new(),
        }
    }

    /// Text is put together piece by piece: a page of a thousand services has more than a hundred thousand of these.
    fn sample(&mut self, suffix: &str, labels: &str, le: &str, value: impl std::fmt::Display) {
        let Self { name, samples, .. } = self;
        samples.push_str(name);
        samples.push_str(suffix);
        if !labels.is_empty() || !le.is_empty() {
            samples.push('{');
            samples.push_str(labels);
            if !le.is_empty() {
                samples.push_str(if labels.is_empty() { "le=\"" } else { ",le=\"" });
                samples.push_str(le);
                samples.push('"');
            }
            samples.push('}');
        }
        // Writing to a string cannot fail.
        let _ = writeln!(samples, " {value}");
    }

    fn histogram(
        &mut self,
        labels: &str,
        of: &Distribution,
        bounds: &[u64; ISTIO_BOUNDS.len()],
        scale: f64,
        form: Form,
    ) {
        let counts = of.at_most(bounds);
        for (le, count) in BOUND_TEXTS.iter().zip(counts) {
            match form {
                // OpenMetrics writes bounds as floating point numbers.
                Form::OpenMetrics if !le.contains('.') => {
                    self.sample("_bucket", labels, &format!("{le}.0"), count);
                }
                Form::OpenMetrics | Form::Prometheus | Form::Text | Form::Json => {
                    self.sample("_bucket", labels, le, count);
                }
            }
        }
        let count = of.count();
        self.sample("_bucket", labels, "+Inf", count);
        self.sample("_sum", labels, "", of.sum as f64 / scale);
        self.sample("_count", labels, "", count);
    }

    fn write(&self, is_open: bool, out: &mut String) {
        let of_counter = self.name.strip_suffix("_total");
        let (name, kind) = match (self.kind, is_open, of_counter) {
            (Kind::Counter, true, Some(name)) => (name, "counter"),
            // Envoy has counters whose names do not say so, and OpenMetrics allows none.
            (Kind::Counter, true, None) => (&*self.name, "unknown"),
            (Kind::Counter, false, _) => (&*self.name, "counter"),
            (Kind::Gauge, ..) => (&*self.name, "gauge"),
            (Kind::Histogram, ..) => (&*self.name, "histogram"),
        };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "# HELP {name} {}", self.help);
        let _ = writeln!(out, "# TYPE {name} {kind}");
        out.push_str(&self.samples);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_written_as_they_are() {
        for (bound, text) in ISTIO_BOUNDS.iter().zip(BOUND_TEXTS) {
            assert_eq!((*bound as f64 / 1000.0).to_string(), text);
        }
    }
}
