//! Which cases can be played against a program that is only seen from outside, and why others can not.

use std::time::Duration;

use crate::case::{Case, Service};
use crate::script::{Action, Step};

/// What the program can be told while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// The name by which pages speak of the program, besides `program`.
    pub(crate) name: &'static str,
    /// To drain.
    pub(crate) drain: bool,
    /// To reload, and it tells when that is done.
    pub(crate) reload: bool,
    /// What names resolve to.
    pub(crate) names: bool,
    /// How long a request head may take.
    pub(crate) head_timeout: bool,
    /// How long a case may take.
    pub(crate) longest: Duration,
}

/// Why a case can not be played; `None` when it can.
pub(crate) fn obstacle(case: &Case, told: Told) -> Option<String> {
    let names = [told.name, "program", "sockets"];
    if let Some(why) = names.into_iter().find_map(|name| case.skip(name)) {
        return Some(why.to_owned());
    }
    let errors = case
        .findings
        .iter()
        .flatten()
        .any(|f| f.severity == "error");
    let is_long = case.takes.is_some_and(|takes| takes > told.longest);
    let why = match () {
        () if is_long => "it takes longer than it may",
        () if case.clients.is_empty() => "it is about findings only",
        () if errors => "its configuration has errors on purpose",
        () if has_names(case) => "a name as address leads nowhere",
        () if !case.answers.is_empty() && !told.names => "the program resolves names itself",
        () if signals(case, "reload") && !told.reload => {
            "nothing tells from outside when a reload is done"
        }
        () if signals(case, "drain") && !told.drain => "the program is not told to drain",
        () if case.settings.request_head_timeout.is_some() && !told.head_timeout => {
            "no program is told this timeout"
        }
        () => return None,
    };
    Some(why.to_owned())
}

/// Whether its scripts wait, or it waits for timers.
pub(crate) fn is_timed(case: &Case) -> bool {
    case.takes.is_some() || does(case, |action| matches!(action, Action::Sleep(_)))
}

/// A service at a name and not at an address.
fn has_names(case: &Case) -> bool {
    let is_address = |address: &String| address.parse::<std::net::SocketAddrV4>().is_ok();
    !case.services.keys().all(is_address)
}

fn signals(case: &Case, name: &str) -> bool {
    does(
        case,
        |action| matches!(action, Action::Signal(n) if n == name),
    )
}

fn does(case: &Case, what: impl Fn(&Action) -> bool) -> bool {
    let clients = case.clients.iter().map(|client| &*client.steps);
    let services = case.services.values().flat_map(scripts);
    clients
        .chain(services)
        .flatten()
        .any(|step| what(&step.action))
}

fn scripts(service: &Service) -> Vec<&[Step]> {
    match service {
        Service::Scripts(scripts) => scripts.iter().map(|steps| &**steps).collect(),
        Service::Always(steps) => vec![&**steps],
        Service::Named(_) | Service::Refuse | Service::Ignore => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_seen_from_outside_is_named() {
        let ask = "```ask\nGET a/ => a\n```\n";
        for (text, drain, want) in [
            (ask.to_owned(), false, None),
            (
                format!("Skipped on sockets: slow.\n{ask}"),
                false,
                Some("slow."),
            ),
            (
                format!("Skipped on program: odd.\n{ask}"),
                false,
                Some("odd."),
            ),
            (
                format!("Skipped on envoy: strange.\n{ask}"),
                false,
                Some("strange."),
            ),
            (
                "```findings\n```\n".to_owned(),
                false,
                Some("findings only"),
            ),
            (
                format!("```findings\nerror x\n```\n{ask}"),
                false,
                Some("on purpose"),
            ),
            (format!("```findings\nwarning x\n```\n{ask}"), false, None),
            (
                format!("Takes 5 s.\n{ask}"),
                false,
                Some("longer than it may"),
            ),
            (format!("Takes 4 s.\n{ask}"), false, None),
            ("```client\n* wait 5s\n```\n".to_owned(), false, None),
            (
                "```client\n* reload\n```\n".to_owned(),
                true,
                Some("reload"),
            ),
            ("```client\n* drain\n```\n".to_owned(), false, Some("drain")),
            ("```client\n* drain\n```\n".to_owned(), true, None),
        ] {
            let case = Case::parse_file("f", &format!("## A\n{text}"))
                .unwrap()
                .remove(0);
            let told = Told {
                name: "envoy",
                drain,
                longest: Duration::from_secs(4),
                ..Told::default()
            };
            let got = obstacle(&case, told);
            let fits = match want {
                None => got.is_none(),
                Some(want) => got.as_deref().is_some_and(|got| got.contains(want)),
            };
            assert!(fits, "{text}: {got:?}");
        }
    }
}
