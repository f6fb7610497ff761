//! An event as a line: a time, a level and a sentence; in JSON also what it is about, and its numbers.

use std::fmt::{self, Write as _};
use std::time::Duration;

use outrigger_core::decision::access_log::rfc3339;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::options::LogFormat;

/// An event.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Line {
    /// Since 1970-01-01 UTC.
    pub(crate) at: Duration,
    level: &'static str,
    target: &'static str,
    pub(crate) message: String,
    fields: Map<String, Value>,
}

impl Line {
    pub(crate) fn of(event: &Event<'_>, at: Duration) -> Self {
        let metadata = event.metadata();
        let mut line = Self {
            at,
            level: name(*metadata.level()),
            target: metadata.target(),
            message: String::new(),
            fields: Map::new(),
        };
        event.record(&mut line);
        line
    }

    /// The same event, said so.
    pub(crate) fn again(self, at: Duration, message: String) -> Self {
        Self {
            at,
            message,
            ..self
        }
    }

    /// Whether it says the same as another, at whatever time. Numbers may differ.
    pub(crate) fn repeats(&self, other: &Self) -> bool {
        let of = |line: &Self| (line.level, line.target);
        of(self) == of(other) && self.message == other.message
    }

    /// Without its line end. The words in it may be anybody's: nothing in it breaks a line or moves a cursor.
    pub(crate) fn text(&self, format: LogFormat) -> String {
        let time = rfc3339(self.at);
        match format {
            LogFormat::Text => {
                let mut text = format!("{time} {}: ", self.level);
                for c in self.message.chars() {
                    match c {
                        // Of a panic.
                        '\n' => text.push('\n'),
                        c if c.is_control() => text.extend(c.escape_default()),
                        c => text.push(c),
                    }
                }
                text
            }
            LogFormat::Json => {
                let mut object = Map::new();
                let words = [
                    ("time", time.to_string()),
                    ("level", self.level.to_owned()),
                    ("logger", self.target.to_owned()),
                    ("message", self.message.clone()),
                ];
                object.extend(words.map(|(key, word)| (key.to_owned(), word.into())));
                object.extend(self.fields.clone());
                Value::Object(object).to_string()
            }
        }
    }
}

/// Envoy's name of a level.
const fn name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

impl Line {
    fn keep(&mut self, field: &Field, value: Value) {
        self.fields.insert(field.name().to_owned(), value);
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Writing to a string cannot fail.
            let _ = write!(self.message, "{value:?}");
        } else {
            self.keep(field, format!("{value:?}").into());
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            self.message.push_str(value);
        } else {
            self.keep(field, value.into());
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.keep(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.keep(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.keep(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.keep(field, value.into());
    }
}

#[cfg(test)]
impl Line {
    /// One that says this.
    pub(crate) fn saying(message: &str, at: Duration) -> Self {
        Self {
            at,
            level: "info",
            target: "main",
            message: message.to_owned(),
            fields: Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_for_people_or_for_machines() {
        let mut line = Line::saying(
            "a \"b\" \u{1b}[31m",
            Duration::from_millis(1_795_406_400_123),
        );
        line.fields.insert("count".into(), 3.into());
        assert_eq!(
            line.text(LogFormat::Text),
            "2026-11-23T04:00:00.123Z info: a \"b\" \\u{1b}[31m"
        );
        let json: Value = serde_json::from_str(&line.text(LogFormat::Json)).unwrap();
        for (key, value) in [
            ("time", Value::from("2026-11-23T04:00:00.123Z")),
            ("level", "info".into()),
            ("logger", "main".into()),
            ("message", "a \"b\" \u{1b}[31m".into()),
            ("count", 3.into()),
        ] {
            assert_eq!(json[key], value, "{key}");
        }
    }
}
