//! `/overload`: how full the machine is, from where on it counts as full, and what is done about it.

use std::fmt::Write as _;

use outrigger_core::overload::{Action, Level, Marks, Pressure, Resource};
use outrigger_runtime::Stats;
use serde_json::{Value, json};

use crate::run::overload::Found;

/// Resources, and what is done, a line each.
pub(super) fn text(found: &Found, marks: &[Marks; 4], stats: &Stats) -> String {
    let mut out = String::new();
    for resource in Resource::ALL {
        let at = resource as usize;
        let Marks { soft, hard } = marks[at];
        // Writing to a string cannot fail.
        let _ = match found.pressures[at] {
            None => writeln!(
                out,
                "{}: not measured, or without a limit",
                resource.words()
            ),
            Some(pressure) => writeln!(
                out,
                "{}: {} of {}, {} %; marks {soft} % and {hard} %; at {}",
                resource.words(),
                pressure.used,
                pressure.limit,
                pressure.percent(),
                found.levels[at].words()
            ),
        };
    }
    for action in Action::ALL {
        let is_done = found.actions.has(action);
        let _ = writeln!(out, "{}: {}", action.name(), u8::from(is_done));
    }
    for (what, count) in shed(stats) {
        let _ = writeln!(out, "{what}: {count}");
    }
    out
}

/// The same for machines.
pub(super) fn json(found: &Found, marks: &[Marks; 4], stats: &Stats) -> String {
    let resources = Resource::ALL.into_iter().map(|resource| {
        let at = resource as usize;
        let Marks { soft, hard } = marks[at];
        let level = match found.levels[at] {
            Level::Calm => "calm",
            Level::Soft => "soft",
            Level::Hard => "hard",
        };
        let pressure = found.pressures[at].map(|pressure| {
            let Pressure { used, limit } = pressure;
            json!({"used": used, "limit": limit, "percent": pressure.percent()})
        });
        json!({
            "name": resource.name(), "pressure": pressure, "soft": soft, "hard": hard, "level": level,
            "entered": found.entered[at],
        })
    });
    let actions = Action::ALL.into_iter().map(|action| {
        let is_active = found.actions.has(action);
        json!({"name": action.name(), "active": is_active})
    });
    let shed = shed(stats).into_iter();
    let value = json!({
        "resources": resources.collect::<Vec<_>>(),
        "actions": actions.collect::<Vec<_>>(),
        "shed": shed.map(|(what, count)| (what.to_owned(), count.into())).collect::<serde_json::Map<_, Value>>(),
    });
    format!("{value:#}\n")
}

/// What was shed so far, by name.
pub(super) fn shed(stats: &Stats) -> [(&'static str, u64); 6] {
    let sum =
        |of: fn(&outrigger_runtime::ListenerStats) -> u64| stats.listeners.iter().map(of).sum();
    [
        ("overload_shed_requests", stats.shed.requests),
        ("overload_ended_keep_alive", stats.shed.keep_alives),
        ("overload_closed_idle", stats.shed.idle),
        ("overload_closed_idle_upstream", stats.shed.kept),
        (
            "overload_rejected_connections",
            sum(|listener| listener.overload_rejects),
        ),
        (
            "global_overflow_connections",
            sum(|listener| listener.global_overflows),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use outrigger_core::overload::Actions;

    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let mut found = Found::default();
        let full = Pressure { used: 9, limit: 10 };
        found.pressures[Resource::Memory as usize] = Some(full);
        found.levels[Resource::Memory as usize] = Level::Soft;
        found.actions = Actions::at(Resource::Memory, Level::Soft);
        let mut stats = Stats::default();
        stats.shed.requests = 7;
        let marks = Resource::ALL.map(Resource::marks);
        let text = text(&found, &marks, &stats);
        for line in [
            "file descriptors: not measured, or without a limit",
            "bytes of memory: 9 of 10, 90 %; marks 95 % and 98 %; at its soft mark",
            "envoy.overload_actions.stop_accepting_requests: 1",
            "envoy.overload_actions.reject_incoming_connections: 0",
            "overload_shed_requests: 7",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        let value: Value = serde_json::from_str(&json(&found, &marks, &stats)).unwrap();
        assert_eq!(value["resources"][3]["pressure"]["percent"], 90);
        assert_eq!(value["resources"][3]["level"], "soft");
        assert_eq!(value["resources"][0]["pressure"], Value::Null);
        assert_eq!(value["actions"][0]["active"], true);
        assert_eq!(value["shed"]["overload_shed_requests"], 7);
    }
}
