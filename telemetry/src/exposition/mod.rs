//! How stats are written: as Envoy's admin does in text and JSON, and as Prometheus reads them.
//!
//! A stat is given once, with the name that Envoy's text has for it and the family and labels that Prometheus has. What is
//! asked for decides which of them is written (`lines`, `families`).

mod families;
mod lines;
#[cfg(test)]
mod tests;

use std::iter;

use families::{Families, Pieces};
use lines::Lines;

pub use crate::label_text::label_text;
use crate::metrics::Distribution;

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
    keep: Option<Keep>,
    used_only: bool,
    written: Written,
}

enum Written {
    Text(Lines),
    Json(Lines),
    Families { families: Families, is_open: bool },
}

/// Which names are wanted.
pub type Keep = Box<dyn Fn(&str) -> bool>;

/// A page, which is made piece by piece: the next when somebody asks for it.
pub struct Page(Made);

enum Made {
    Whole(iter::Once<String>),
    Families(Pieces),
}

impl Iterator for Page {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        match &mut self.0 {
            Made::Whole(text) => text.next(),
            Made::Families(pieces) => pieces.next(),
        }
    }
}

impl Sheet {
    /// An empty one. `keep` says which names (as text has them) are wanted, `used_only` that only those are that are not zero.
    #[must_use]
    pub fn new(form: Form, keep: Option<Keep>, used_only: bool) -> Self {
        let families = |is_open| Written::Families {
            families: Families::default(),
            is_open,
        };
        Self {
            keep,
            used_only,
            written: match form {
                Form::Text => Written::Text(Lines::default()),
                Form::Json => Written::Json(Lines::default()),
                Form::Prometheus => families(false),
                Form::OpenMetrics => families(true),
            },
        }
    }

    /// Adds a stat.
    pub fn add(&mut self, scope: &Scope<'_>, stat: Stat<'_>, value: Value<'_>) {
        if self.used_only && value.is_unused() {
            return;
        }
        let name = || match (scope.text, stat.text) {
            ("", name) | (name, "") => name.to_owned(),
            (scope, name) => format!("{scope}.{name}"),
        };
        if self.keep.as_ref().is_some_and(|keep| !keep(&name())) {
            return;
        }
        match &mut self.written {
            Written::Text(lines) | Written::Json(lines) => lines.add(name(), value),
            Written::Families { families, .. } => families.add(scope, stat, value),
        }
    }

    /// The whole page.
    #[must_use]
    pub fn finish(self) -> Page {
        let whole = |text| Made::Whole(iter::once(text));
        Page(match self.written {
            Written::Text(lines) => whole(lines.text()),
            Written::Json(lines) => whole(lines.json()),
            Written::Families { families, is_open } => Made::Families(families.pieces(is_open)),
        })
    }
}

impl Value<'_> {
    fn is_unused(self) -> bool {
        match self {
            Self::Counter(count) => count == 0,
            Self::Gauge(value) => value == 0.0,
            Self::Text(text) => text.is_empty(),
            Self::Micros(distribution) | Self::Bytes(distribution) => distribution.count() == 0,
        }
    }

    /// What counted values are divided by to be told.
    const fn scale(self) -> f64 {
        match self {
            Self::Micros(_) => 1000.0,
            Self::Counter(_) | Self::Gauge(_) | Self::Text(_) | Self::Bytes(_) => 1.0,
        }
    }
}
