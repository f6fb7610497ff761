//! Header operations of a route and one of its destinations, put into the one order they run in (reference §2.9).
//!
//! With a single destination its operations join the route's: Envoy runs all `set` and then all `add`, and the
//! destination wins where both set a field. With several, the destination's run first and the route wins.

use std::collections::BTreeMap;

use crate::config::format;
use crate::config::virtual_service::HeaderOperations;
use crate::message::FieldName;
use crate::snapshot::{HeaderOps, HeaderValue};

/// Whose operations run last and so win.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Winner {
    Route,
    Destination,
}

/// The operations of a route alone.
#[must_use]
pub(super) fn of_route(route: Option<&HeaderOperations>) -> HeaderOps {
    combine(route, None, Winner::Route)
}

/// The operations of a route and a destination together.
#[must_use]
pub(super) fn combine(
    route: Option<&HeaderOperations>,
    destination: Option<&HeaderOperations>,
    winner: Winner,
) -> HeaderOps {
    let (first, last) = match winner {
        Winner::Route => (destination, route),
        Winner::Destination => (route, destination),
    };
    let removed = |ops: Option<&HeaderOperations>| {
        let names = ops.map(|ops| ops.remove.as_slice()).unwrap_or_default();
        names
            .iter()
            .filter_map(|n| FieldName::new(n))
            .collect::<Vec<_>>()
    };
    let mut write = writes(first);
    match winner {
        Winner::Destination => {
            write.extend(writes(last));
            write.sort_by_key(|(_, value)| !value.overwrite); // stable
        }
        Winner::Route => {
            // The route's removals run after the destination's writes; dropping those writes comes to the same.
            let gone = removed(last);
            write.retain(|(name, _)| !gone.contains(name));
            write.extend(writes(last));
        }
    }
    let mut remove = removed(first);
    for name in removed(last) {
        if !remove.contains(&name) {
            remove.push(name);
        }
    }
    HeaderOps {
        remove: remove.into(),
        write: write.into(),
        // Unlike fields, the route's host wins however many destinations there are.
        authority: authority(route).or_else(|| authority(destination)),
    }
}

/// `set`, then `add`, each sorted by name.
fn writes(ops: Option<&HeaderOperations>) -> Vec<(FieldName, HeaderValue)> {
    let Some(ops) = ops else { return Vec::new() };
    let of = |map: &BTreeMap<String, String>, overwrite: bool| -> Vec<_> {
        map.iter()
            .filter(|(name, _)| !is_authority(name))
            .filter_map(|(name, text)| Some((FieldName::new(name)?, value(text, overwrite))))
            .collect()
    };
    let mut list = of(&ops.set, true);
    list.extend(of(&ops.add, false));
    list
}

fn is_authority(name: &str) -> bool {
    name.eq_ignore_ascii_case("host") || name == ":authority"
}

fn authority(ops: Option<&HeaderOperations>) -> Option<HeaderValue> {
    let ops = ops?;
    let mut written = ops.set.iter().chain(&ops.add);
    let (_, text) = written.find(|(name, _)| is_authority(name))?;
    Some(value(text, true))
}

/// A value with its operators. One that validation would have refused is taken as it stands.
pub(super) fn value(text: &str, overwrite: bool) -> HeaderValue {
    let parts = format::parse(text).unwrap_or_else(|_| format::literal(text));
    HeaderValue {
        overwrite,
        parts: parts.into(),
    }
}
