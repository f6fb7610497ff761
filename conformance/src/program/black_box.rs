//! Which cases can be played against a program that is only seen from outside, and why others can not.

use std::time::Duration;

use crate::case::{Backend, Case};
use crate::script::{Action, Plain, Step};

/// What the program can be told while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// The name by which pages speak of the program, besides `program`.
    pub(crate) name: &'static str,
    /// To drain.
    pub(crate) drain: bool,
    /// To reload, and it tells when that is done.
    pub(crate) reload: bool,
    /// Services are not where the case says.
    pub(crate) is_moved: bool,
    /// How long a case may take.
    pub(crate) longest: Duration,
}

/// Why a case can not be played; `None` when it can.
pub(crate) fn obstacle(case: &Case, told: Told) -> Option<String> {
    let names = [told.name, "program", "sockets"].into_iter();
    let mut names = names.chain(told.is_moved.then_some("moved"));
    if let Some(why) = names.find_map(|name| case.skip(name)) {
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
        () if is_captured(case) => "nobody brings its clients to the program",
        () if !case.settings.gateway.is_empty() => "a gateway has ports of its own",
        () if has_names(case) => "a name as address leads nowhere",
        () if signals(case, "reload") && !told.reload => {
            "nothing tells from outside when a reload is done"
        }
        () if signals(case, "drain") && !told.drain => "the program is not told to drain",
        () => return None,
    };
    Some(why.to_owned())
}

/// Whether it is about connections that the kernel brings, or its listener is for those alone.
fn is_captured(case: &Case) -> bool {
    !case.captured().is_empty() || case.settings.inbound.as_deref() == Some("brought")
}

/// Whether its scripts wait, or it waits for timers.
pub(crate) fn is_timed(case: &Case) -> bool {
    case.takes.is_some()
        || does(case, |action| {
            matches!(action, Action::Plain(Plain::Sleep(_)))
        })
}

/// A service at a name and not at an address.
fn has_names(case: &Case) -> bool {
    let is_address = |address: &String| address.parse::<std::net::SocketAddrV4>().is_ok();
    !case.services.keys().all(is_address)
}

fn signals(case: &Case, name: &str) -> bool {
    does(
        case,
        |action| matches!(action, Action::Plain(Plain::Signal(n)) if n == name),
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

fn scripts(service: &Backend) -> Vec<&[Step]> {
    match service {
        Backend::Scripts(scripts) => scripts.iter().map(|steps| &**steps).collect(),
        Backend::Always(steps) => vec![&**steps],
        Backend::Named(_) | Backend::Refuse | Backend::Ignore => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pages;
    use crate::program::LONGEST;
    use crate::remark::PlayedBy;

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
                format!("Skipped on moved: elsewhere.\n{ask}"),
                false,
                Some("elsewhere."),
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
                is_moved: true,
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

    /// Whether a page has a case of this title that is played, or another file a test of this name.
    fn is_there(cases: &[Case], by: &PlayedBy) -> bool {
        if let Some(page) = by.path.strip_prefix("conformance/") {
            let is_it = |case: &&Case| case.file == page && case.title == by.test;
            let found = cases.iter().find(is_it);
            return found.is_some_and(|case| unplayed(case).is_none());
        }
        let root = pages::folder().join("../..");
        let text = std::fs::read_to_string(root.join(&by.path)).unwrap_or_default();
        text.contains(&format!("fn {}()", by.test))
    }

    /// What the kernel does for clients is tried in network namespaces, once for all cases.
    fn is_captured_for_real(case: &Case, cases: &[Case]) -> bool {
        let test = "an_application_that_knows_of_no_proxy_is_served_by_one";
        let by = PlayedBy {
            line: case.line,
            path: "sidecar/tests/interception.rs".to_owned(),
            test: test.to_owned(),
        };
        is_captured(case) && is_there(cases, &by)
    }

    /// What a gateway does is tried with the program in tests of its own, with real certificates.
    fn is_gateway_for_real(case: &Case, cases: &[Case]) -> bool {
        let by = PlayedBy {
            line: case.line,
            path: "sidecar/tests/gateway.rs".to_owned(),
            test: "a_gateway_serves_what_its_servers_say".to_owned(),
        };
        !case.settings.gateway.is_empty() && is_there(cases, &by)
    }

    /// Why no run plays a case on the program itself: `sidecar/tests/cases.rs` is told everything.
    fn unplayed(case: &Case) -> Option<String> {
        let told = Told {
            name: "outrigger",
            drain: true,
            reload: true,
            is_moved: false,
            longest: LONGEST,
        };
        // `check` judges findings.
        let is_about_findings = case.clients.is_empty();
        obstacle(case, told).filter(|_| !is_about_findings)
    }

    #[test]
    fn what_no_program_plays_a_test_plays_for_real() {
        let (cases, _) = pages::read(&pages::folder());
        let mut faults = Vec::new();
        for case in &cases {
            let at = format!("{}:{}: {}", case.file, case.line, case.title);
            match (&case.played_by, unplayed(case)) {
                (None, None) => {}
                (Some(by), _) if !is_there(&cases, by) => {
                    faults.push(format!("{at}: nobody plays `{}` in {}", by.test, by.path));
                }
                (Some(_), Some(_)) => {}
                (None, Some(_)) if is_captured_for_real(case, &cases) => {}
                (None, Some(_)) if is_gateway_for_real(case, &cases) => {}
                (Some(_), None) => faults.push(format!("{at}: a program plays it by itself")),
                (None, Some(why)) => {
                    faults.push(format!("{at}: {why}: say `; played by PATH NAME.`"));
                }
            }
        }
        assert!(faults.is_empty(), "{faults:#?}");
    }
}
