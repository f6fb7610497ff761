//! Stats as Prometheus reads them: by family, and written piece by piece.
//!
//! A page of a thousand services has more than a hundred thousand lines and 50 MB, most of it the same labels again and again.
//! What is kept is what the lines are made of, in a tenth of that; each piece is made when there is room to send it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::ops::Range;

use super::{Scope, Stat, Value};
use crate::label_text::escaped;
use crate::metrics::ISTIO_BOUNDS;

/// So long is a piece, and little longer.
const PIECE_BYTES: usize = 64 * 1024;

/// Room for the line with which a piece becomes long enough.
const SLACK_BYTES: usize = 16 * 1024;

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

/// Families of samples.
#[derive(Default)]
pub(super) struct Families {
    families: Vec<Family>,
    index: HashMap<(&'static str, &'static str), usize>,
    /// What labels say, one text after the other.
    texts: String,
    /// Where the labels of the scope are that was last.
    scope: Range<usize>,
    histograms: Vec<Buckets>,
}

struct Family {
    name: String,
    help: &'static str,
    kind: Kind,
    samples: Vec<Sample>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

struct Sample {
    /// Where its labels are among the texts.
    labels: Range<usize>,
    value: Told,
}

enum Told {
    Counter(u64),
    Gauge(f64),
    /// The place among the histograms.
    Histogram(usize),
}

/// A histogram as it is told.
struct Buckets {
    at_most: [u64; ISTIO_BOUNDS.len()],
    count: u64,
    sum: f64,
}

impl Families {
    pub(super) fn add(&mut self, scope: &Scope<'_>, stat: Stat<'_>, value: Value<'_>) {
        let (kind, told) = match value {
            Value::Counter(count) => (Kind::Counter, Told::Counter(count)),
            Value::Gauge(value) => (Kind::Gauge, Told::Gauge(value)),
            Value::Micros(of) | Value::Bytes(of) => {
                let bounds = match value {
                    Value::Bytes(_) => &BYTE_BOUNDS,
                    Value::Micros(_) | Value::Counter(_) | Value::Gauge(_) | Value::Text(_) => {
                        &ISTIO_BOUNDS
                    }
                };
                self.histograms.push(Buckets {
                    at_most: of.at_most(bounds),
                    count: of.count(),
                    sum: of.sum as f64 / value.scale(),
                });
                (Kind::Histogram, Told::Histogram(self.histograms.len() - 1))
            }
            Value::Text(_) => return,
        };
        let labels = self.labels(scope.labels, stat.label);
        let key = (scope.family, stat.family);
        let families = &mut self.families;
        let at = *self.index.entry(key).or_insert_with(|| {
            families.push(Family::new(scope, &stat, kind));
            families.len() - 1
        });
        families[at].samples.push(Sample {
            labels,
            value: told,
        });
    }

    /// Where these labels are among the texts. Those of a scope are kept once for all that is told of it in a row.
    fn labels(&mut self, of_scope: &str, extra: Option<(&str, &str)>) -> Range<usize> {
        let Some((name, value)) = extra else {
            if self.texts[self.scope.clone()] != *of_scope {
                self.scope = self.texts.len()..self.texts.len() + of_scope.len();
                self.texts.push_str(of_scope);
            }
            return self.scope.clone();
        };
        let from = self.texts.len();
        self.texts.push_str(of_scope);
        self.texts
            .push_str(if of_scope.is_empty() { "" } else { "," });
        self.texts.push_str(name);
        self.texts.push_str("=\"");
        self.texts.push_str(&escaped(value));
        self.texts.push('"');
        from..self.texts.len()
    }

    /// Everything, to be written.
    pub(super) fn pieces(mut self, is_open: bool) -> Pieces {
        self.families.sort_by(|a, b| a.name.cmp(&b.name));
        Pieces {
            families: self,
            is_open,
            at: 0,
            sample: 0,
        }
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
            samples: Vec::new(),
        }
    }

    fn head(&self, is_open: bool, out: &mut String) {
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
    }
}

/// A page that is being written, a piece after the other.
pub(super) struct Pieces {
    families: Families,
    is_open: bool,
    /// The family that is next, and its sample.
    at: usize,
    sample: usize,
}

impl Iterator for Pieces {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let all = &self.families;
        if self.at > all.families.len() {
            return None;
        }
        let mut out = String::with_capacity(PIECE_BYTES + SLACK_BYTES);
        while out.len() < PIECE_BYTES {
            let Some(family) = all.families.get(self.at) else {
                out.push_str(if self.is_open { "# EOF\n" } else { "" });
                self.at += 1;
                break;
            };
            if self.sample == 0 {
                family.head(self.is_open, &mut out);
            }
            match family.samples.get(self.sample) {
                Some(sample) => {
                    all.write(&family.name, sample, self.is_open, &mut out);
                    self.sample += 1;
                }
                None => (self.at, self.sample) = (self.at + 1, 0),
            }
        }
        Some(out)
    }
}

impl Families {
    fn write(&self, name: &str, sample: &Sample, is_open: bool, out: &mut String) {
        let labels = &self.texts[sample.labels.clone()];
        match sample.value {
            Told::Counter(count) => {
                line(out, [name, ""], labels, ["", ""]);
                number(out, count);
            }
            Told::Gauge(value) => {
                line(out, [name, ""], labels, ["", ""]);
                float(out, value);
            }
            Told::Histogram(at) => self.histograms[at].write(name, labels, is_open, out),
        }
    }
}

impl Buckets {
    fn write(&self, name: &str, labels: &str, is_open: bool, out: &mut String) {
        for (le, count) in BOUND_TEXTS.iter().zip(self.at_most) {
            // OpenMetrics writes bounds as floating point numbers.
            let fraction = if is_open && !le.contains('.') {
                ".0"
            } else {
                ""
            };
            line(out, [name, "_bucket"], labels, [le, fraction]);
            number(out, count);
        }
        line(out, [name, "_bucket"], labels, ["+Inf", ""]);
        number(out, self.count);
        line(out, [name, "_sum"], labels, ["", ""]);
        float(out, self.sum);
        line(out, [name, "_count"], labels, ["", ""]);
        number(out, self.count);
    }
}

/// A line without its value. The name and the bound of a bucket come in two parts.
fn line(out: &mut String, name: [&str; 2], labels: &str, le: [&str; 2]) {
    name.iter().for_each(|part| out.push_str(part));
    let has_bound = !le[0].is_empty();
    if !labels.is_empty() || has_bound {
        out.push('{');
        out.push_str(labels);
        if has_bound {
            out.push_str(if labels.is_empty() { "le=\"" } else { ",le=\"" });
            le.iter().for_each(|part| out.push_str(part));
            out.push('"');
        }
        out.push('}');
    }
    out.push(' ');
}

fn number(out: &mut String, value: u64) {
    out.push_str(itoa::Buffer::new().format(value));
    out.push('\n');
}

fn float(out: &mut String, value: f64) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "{value}");
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
