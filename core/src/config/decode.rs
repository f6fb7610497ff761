//! Reading typed fields out of a map, every fault told and none of them the end.
//!
//! [`object`] opens a map and hands the reader an [`Object`]; each call takes one field by its camel case name (the
//! snake case spelling is found too) and gives its value or the default. When the reader is done, whatever it did not
//! ask for is an unknown field. So the code that reads a type is its field table, and the two can not disagree.
//!
//! The value grammar is that of protobuf's JSON form as Istio uses it: see `value` and [`Object`]'s methods. Null is
//! the same as absent. Rules that go beyond the type of a value belong to a resource's `validate`.

use std::collections::BTreeMap;

use super::code::Code;
use super::homes;
use super::node::{Entry, Node, Value};
use super::report::Report;
use super::scalar;
use super::spelling::{kinship, snake_case, suggestion};
use super::value::quoted;
use crate::time::Duration;

/// Reads a map with `read` and tells its unknown fields. Anything but a map or null is told, and read as empty.
pub fn object<'n, T>(
    report: &mut Report,
    node: &'n Node,
    read: impl FnOnce(&mut Object<'_, 'n>) -> T,
) -> T {
    if !matches!(node.value, Value::Map(_) | Value::Null) {
        scalar::wrong_type(report, node, "a mapping");
    }
    let mut object = Object {
        report,
        node,
        asked: Vec::new(),
    };
    let value = read(&mut object);
    object.finish();
    value
}

/// Reads a map of which only some fields concern the proxy, so that others are not told: Kubernetes' own kinds.
pub fn part<'n, T>(
    report: &mut Report,
    node: &'n Node,
    read: impl FnOnce(&mut Object<'_, 'n>) -> T,
) -> T {
    if !matches!(node.value, Value::Map(_) | Value::Null) {
        scalar::wrong_type(report, node, "a mapping");
    }
    read(&mut Object {
        report,
        node,
        asked: Vec::new(),
    })
}

/// A map that is being read.
#[derive(Debug)]
pub struct Object<'r, 'n> {
    report: &'r mut Report,
    node: &'n Node,
    asked: Vec<&'static str>,
}

impl<'n> Object<'_, 'n> {
    /// The report, standing at this map.
    pub fn report(&mut self) -> &mut Report {
        self.report
    }

    /// The map itself.
    #[must_use]
    pub fn node(&self) -> &'n Node {
        self.node
    }

    /// The node of a field, unless it is absent or null.
    pub fn take(&mut self, name: &'static str) -> Option<&'n Node> {
        self.asked.push(name);
        let entry = self.node.field(name)?;
        if &*entry.key.text == name {
            self.tell_second_spelling(name);
        }
        (!entry.value.is_null()).then_some(&entry.value)
    }

    fn tell_second_spelling(&mut self, name: &'static str) {
        let snake = snake_case(name);
        if snake != name
            && let Some(other) = self.node.entry(&snake)
        {
            self.report.raise_at(
                other.at,
                Code::FieldSpelledTwice,
                format!("`{name}` is given too, and wins over `{snake}`"),
                "keep one of them",
            );
        }
    }

    /// A field read by `read`, one level down in the path; `None` when absent.
    pub fn read<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Report, &'n Node) -> T,
    ) -> Option<T> {
        let node = self.take(name)?;
        Some(self.report.field(name, |report| read(report, node)))
    }

    /// A message field.
    pub fn message<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Object<'_, 'n>) -> T,
    ) -> Option<T> {
        self.read(name, |report, node| object(report, node, read))
    }

    /// A list of messages. A null entry is read as an empty message, as protobuf does.
    pub fn messages<T>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&mut Object<'_, 'n>) -> T,
    ) -> Vec<T> {
        self.list(name, |report, node| Some(object(report, node, &mut read)))
    }

    /// A list whose entries are read by `read`; entries that it gives up are left out.
    pub fn list<T>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&mut Report, &'n Node) -> Option<T>,
    ) -> Vec<T> {
        self.tell_empty_list(name);
        self.read(name, |report, node| {
            if !matches!(node.value, Value::Seq(_)) {
                scalar::wrong_type(report, node, "a list");
            }
            let items = node.items().iter().enumerate();
            items
                .filter_map(|(index, item)| report.index(index, |report| read(report, item)))
                .collect()
        })
        .unwrap_or_default()
    }

    /// Tells a list of an Istio resource that stands there without a value: usually something under it is missing.
    fn tell_empty_list(&mut self, name: &'static str) {
        let is_empty = self
            .node
            .field(name)
            .is_some_and(|entry| entry.value.is_null());
        if is_empty && self.report.path().starts_with("spec") {
            let message = format!("`{name}` has no value and counts as absent");
            let help = "remove it, or check the indentation of what should be under it";
            self.report.raise_in(name, Code::EmptyField, message, help);
        }
    }

    /// A map from the user's keys; entries that `read` gives up are left out.
    pub fn map<T>(
        &mut self,
        name: &'static str,
        mut read: impl FnMut(&mut Report, &'n Entry) -> Option<T>,
    ) -> BTreeMap<String, T> {
        self.read(name, |report, node| {
            if !matches!(node.value, Value::Map(_)) {
                scalar::wrong_type(report, node, "a mapping");
            }
            let mut out = BTreeMap::new();
            for entry in node.entries() {
                let key = &*entry.key.text;
                report.key(key, |report| {
                    scalar::check_key(report, entry);
                    out.extend(read(report, entry).map(|value| (key.to_owned(), value)));
                });
            }
            out
        })
        .unwrap_or_default()
    }

    /// A string; empty when absent. A bare number or boolean is told.
    pub fn string(&mut self, name: &'static str) -> String {
        self.optional_string(name).unwrap_or_default()
    }

    /// A string whose presence matters.
    pub fn optional_string(&mut self, name: &'static str) -> Option<String> {
        self.read(name, scalar::string).flatten()
    }

    /// A list of strings.
    pub fn strings(&mut self, name: &'static str) -> Vec<String> {
        self.list(name, |report, node| {
            if node.is_null() {
                scalar::wrong_type(report, node, "a string");
                return None;
            }
            scalar::string(report, node)
        })
    }

    /// A map of strings.
    pub fn string_map(&mut self, name: &'static str) -> BTreeMap<String, String> {
        self.map(name, |report, entry| {
            if entry.value.is_null() {
                return Some(String::new());
            }
            scalar::string(report, &entry.value)
        })
    }

    /// A boolean; false when absent.
    pub fn boolean(&mut self, name: &'static str) -> bool {
        self.optional_boolean(name).unwrap_or_default()
    }

    /// A boolean whose presence matters.
    pub fn optional_boolean(&mut self, name: &'static str) -> Option<bool> {
        self.read(name, scalar::boolean).flatten()
    }

    /// An integer of the range of `T`, zero when absent.
    pub fn integer<T: scalar::Integer + Default>(&mut self, name: &'static str) -> T {
        self.optional_integer(name).unwrap_or_default()
    }

    /// An integer of the range of `T` whose presence matters.
    pub fn optional_integer<T: scalar::Integer>(&mut self, name: &'static str) -> Option<T> {
        self.read(name, scalar::integer).flatten()
    }

    /// A finite number.
    pub fn number(&mut self, name: &'static str) -> Option<f64> {
        self.read(name, scalar::number).flatten()
    }

    /// A duration, zero or longer. Whether zero is allowed is for `validate`.
    pub fn duration(&mut self, name: &'static str) -> Option<Duration> {
        self.read(name, scalar::duration).flatten()
    }

    /// Bytes in base64.
    pub fn bytes(&mut self, name: &'static str) -> Option<Vec<u8>> {
        self.read(name, scalar::bytes).flatten()
    }

    /// One of several symbols, by name or by number. Each row is the symbol, its number and its value.
    pub fn symbol<T: Copy>(
        &mut self,
        name: &'static str,
        symbols: &[(&'static str, i32, T)],
    ) -> Option<T> {
        self.read(name, |report, node| scalar::symbol(report, node, symbols))
            .flatten()
    }

    /// Tells when more than one of these fields is present: they are alternatives.
    pub fn one_of(&mut self, names: &[&'static str]) {
        let present: Vec<_> = names
            .iter()
            .filter(|name| {
                self.node
                    .field(name)
                    .is_some_and(|entry| !entry.value.is_null())
            })
            .map(|name| format!("`{name}`"))
            .collect();
        if present.len() > 1 {
            self.report.raise(
                Code::OneOf,
                format!("{} exclude each other", present.join(" and ")),
                "keep one of them",
            );
        }
    }

    /// A field that Istio removed: told and otherwise ignored.
    pub fn removed(&mut self, name: &'static str, help: &str) {
        if self.take(name).is_some() {
            let message = format!("`{name}` was removed from Istio and is ignored");
            self.report
                .raise_in(name, Code::RemovedField, message, help);
        }
    }

    /// Tells that a field is deprecated when it is there. Read it besides.
    pub fn deprecated(&mut self, name: &'static str, help: &str) {
        if self
            .node
            .field(name)
            .is_some_and(|entry| !entry.value.is_null())
        {
            let message = format!("`{name}` is deprecated");
            self.report
                .raise_in(name, Code::DeprecatedField, message, help);
        }
    }

    fn finish(self) {
        let Self {
            report,
            node,
            asked,
        } = self;
        let is_known = |key: &str| {
            asked
                .iter()
                .any(|name| *name == key || snake_case(name) == key)
        };
        for (index, entry) in node.entries().iter().enumerate() {
            let key = &*entry.key.text;
            if report.is_full() {
                break;
            }
            if is_known(key) {
                continue;
            }
            let above = index.checked_sub(1).map(|above| &node.entries()[above]);
            let empty_above =
                above.filter(|above| above.value.is_null() && is_known(&above.key.text));
            let advice = match (suggestion(key, &asked), empty_above) {
                (meant, Some(above)) if meant.is_empty() => format!(
                    "{} above it is empty: indent this further if it belongs there",
                    quoted(&above.key.text)
                ),
                (meant, _) if meant.is_empty() => {
                    homes::advice(key, &asked).unwrap_or_else(|| kinship(key, &asked))
                }
                (meant, _) => meant,
            };
            report.key_or_field(key, |report| {
                report.raise_at(
                    entry.at,
                    report.unknown_field(),
                    format!("unknown field {}", quoted(key)),
                    advice,
                );
            });
        }
    }
}

#[cfg(test)]
mod tests;
