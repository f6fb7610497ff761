//! An explanation for people, with styles that a terminal shows and a stream for others strips.
//!
//! Owns how it looks; it says nothing that is not in the data.

mod access;
mod connection;

use std::fmt::{self, Write as _};

use anstyle::{AnsiColor, Style};

use crate::explanation::{
    AttemptTold, ClusterTold, EndpointTold, Explanation, Host, Outcome, Place, Told, Tried,
};

const BOLD: Style = Style::new().bold();
const QUIET: Style = Style::new().dimmed();
const BAD: Style = AnsiColor::Red.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();

/// Where values begin.
const COLUMN: usize = 16;

/// The details of a CONNECT whose tunnel is open.
const TUNNEL: &str = "tunnel";

/// Attempts of one outcome that are shown.
const MOST_ATTEMPTS: usize = 12;

/// Endpoints that are shown, unless they are chosen or ejected.
const MOST_ENDPOINTS: usize = 8;

/// The whole explanation.
#[must_use]
pub fn text(told: &Explanation) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write_all(&mut out, told);
    out
}

fn write_all(out: &mut String, told: &Explanation) -> fmt::Result {
    let asked = &told.request;
    writeln!(out, "{BOLD}{}{BOLD:#}", asked.line)?;
    if let Some(application) = &asked.inbound {
        writeln!(
            out,
            "{QUIET}inbound, for the application at {application}{QUIET:#}"
        )?;
    }
    for (name, value) in &asked.headers {
        writeln!(out, "{name}: {value}")?;
    }
    for problem in &told.problems {
        writeln!(out, "{BAD}problem:{BAD:#} {problem}")?;
    }
    writeln!(out)?;
    if let Some(access) = &told.access {
        access::write(out, access)?;
    }
    if let Some(connection) = &told.connection {
        connection::write(out, connection)?;
    }
    if let Some(host) = &told.host {
        write_host(out, host)?;
    }
    if !told.rules.is_empty() {
        write_rules(out, told)?;
    }
    write_action(out, told)?;
    for policy in &told.policies {
        write_told(out, policy)?;
    }
    if let Some(cluster) = &told.cluster {
        writeln!(out)?;
        write_cluster(out, cluster)?;
    }
    if let Some(connection) = &told.connection {
        connection::write_end(out, connection)?;
    }
    writeln!(out)?;
    for outcome in &told.outcomes {
        write_outcome(out, outcome)?;
    }
    writeln!(
        out,
        "{QUIET}random number {}; another one may draw otherwise (--random N){QUIET:#}",
        asked.random
    )
}

/// A name and the first line of its value; further lines begin in the same column.
fn line(out: &mut String, name: &str, value: &str) -> fmt::Result {
    for (at, value) in value.lines().enumerate() {
        let name = if at == 0 { name } else { "" };
        let value = value.trim_end();
        // A name that is too long keeps a space to its value.
        let width = COLUMN.max(name.len() + 2);
        writeln!(out, "{name:<width$}{value}")?;
    }
    Ok(())
}

fn place(place: &Place) -> String {
    let Place {
        resource,
        path,
        file,
        line,
    } = place;
    format!("{QUIET}({file}:{line}, {resource} {path}){QUIET:#}")
}

fn write_host(out: &mut String, host: &Host) -> fmt::Result {
    let asked = if host.asked.is_empty() {
        "(none)"
    } else {
        &host.asked
    };
    let mut value = match &host.virtual_host {
        Some(name) => format!("{asked} is {name}\n{}", host.why),
        None => format!("{asked}: {}", host.why),
    };
    if let Some(near) = &host.nearest {
        value += &format!("\nthe nearest known name is {BOLD}{near}{BOLD:#}");
    }
    line(out, "host", &value)
}

fn write_rules(out: &mut String, told: &Explanation) -> fmt::Result {
    let count = told.rules.len();
    let rest = match told.rules_not_tried {
        0 => String::new(),
        more => format!(", {more} more stand behind the one that holds"),
    };
    let rules = if count == 1 { "rule" } else { "rules" };
    line(
        out,
        "rules",
        &format!("{count} {rules} tried in order{rest}"),
    )?;
    for rule in &told.rules {
        write_rule(
            out,
            rule,
            told.request.inbound.is_some(),
            told.connection.is_some(),
        )?;
    }
    Ok(())
}

fn write_rule(
    out: &mut String,
    rule: &Tried,
    is_inbound: bool,
    is_connection: bool,
) -> fmt::Result {
    let default = match is_inbound {
        true if is_connection => "(all connections to the application)",
        false if is_connection => "(all of the service that no rule is for)",
        true => "(the one that every inbound listener has)",
        false => "(the one that every service has; no VirtualService is for it)",
    };
    let origin = rule.origin.as_ref();
    let origin = origin.map_or_else(|| format!("{QUIET}{default}{QUIET:#}"), place);
    let verdict = match rule.matches {
        true => format!("{GOOD}holds{GOOD:#}"),
        false => "no   ".to_owned(),
    };
    let (number, name) = (rule.number, &rule.name);
    line(out, "", &format!("{verdict} {number} {name}  {origin}"))?;
    let reason = match &rule.unmet {
        Some(unmet) => format!("      needs {unmet}"),
        None if rule.conditions.is_empty() => "      it asks for nothing".to_owned(),
        None => format!("      it has {}", rule.conditions.join(", ")),
    };
    line(out, "", &reason)
}

fn write_action(out: &mut String, told: &Explanation) -> fmt::Result {
    if let Some(draw) = told.draw {
        let text = format!(
            "{} drawn of 0 to {}",
            draw.number,
            draw.below.saturating_sub(1)
        );
        line(out, "draw", &text)?;
    }
    for (at, goal) in told.destinations.iter().enumerate() {
        let name = if at == 0 { "destinations" } else { "" };
        let chosen = match goal.chosen {
            true => format!("{GOOD}chosen{GOOD:#} "),
            false => "       ".to_owned(),
        };
        let weight = match goal.weight == goal.of {
            true => String::new(),
            false => format!("  weight {} of {}", goal.weight, goal.of),
        };
        line(out, name, &format!("{chosen}{}{weight}", goal.cluster))?;
    }
    match told.action {
        "redirect" => line(out, "action", "it is answered with a redirect"),
        "direct_response" => line(out, "action", "it is answered by the rule itself"),
        _ => Ok(()),
    }
}

fn write_told(out: &mut String, told: &Told) -> fmt::Result {
    let mut value = told.value.clone();
    match &told.origin {
        Some(origin) => value += &format!("  {}", place(origin)),
        None => value += &format!("  {QUIET}(default){QUIET:#}"),
    }
    for overridden in &told.overrides {
        value += &format!("\n  {QUIET}instead of{QUIET:#} {}", place(overridden));
    }
    line(out, told.what, &value)
}

fn write_cluster(out: &mut String, cluster: &ClusterTold) -> fmt::Result {
    let mut name = format!("{BOLD}{}{BOLD:#}", cluster.name);
    for made_of in &cluster.made_of {
        name += &format!("\n{}", place(made_of));
    }
    line(out, "cluster", &name)?;
    for setting in &cluster.settings {
        write_told(out, setting)?;
    }
    for passed_over in &cluster.passed_over {
        let text = format!(
            "{}: the rule of a namespace that is asked first holds alone",
            place(passed_over)
        );
        line(out, "passed over", &text)?;
    }
    match cluster.original_destination {
        true => Ok(()),
        false => write_endpoints(out, &cluster.endpoints),
    }
}

fn write_endpoints(out: &mut String, endpoints: &[EndpointTold]) -> fmt::Result {
    if endpoints.is_empty() {
        return line(out, "endpoints", &format!("{BAD}none{BAD:#}"));
    }
    let is_shown =
        |at: usize, e: &EndpointTold| at < MOST_ENDPOINTS || e.chosen || e.ejected.is_some();
    let mut name = "endpoints";
    let shown = endpoints
        .iter()
        .enumerate()
        .filter(|(at, e)| is_shown(*at, e));
    let count = shown.clone().count();
    for (_, endpoint) in shown {
        let mut text = endpoint.address.clone();
        if endpoint.weight != 1 {
            text += &format!("  weight {}", endpoint.weight);
        }
        if !endpoint.locality.is_empty() {
            text += &format!("  in {}", endpoint.locality);
        }
        if endpoint.priority > 0 {
            text += &format!("  priority {}", endpoint.priority);
        }
        if endpoint.active > 0 {
            text += &format!("  {} requests in flight", endpoint.active);
        }
        if let Some(reason) = &endpoint.ejected {
            text += &format!("  {BAD}ejected{BAD:#}: {reason}");
        }
        if endpoint.chosen {
            text += &format!("  {GOOD}first attempt{GOOD:#}");
        }
        line(out, name, &text)?;
        name = "";
    }
    match endpoints.len() - count {
        0 => Ok(()),
        more => line(out, "", &format!("… and {more} more")),
    }
}

fn write_outcome(out: &mut String, outcome: &Outcome) -> fmt::Result {
    // What is the same in all cases is told with the first.
    let is_first = outcome.when == "200" || outcome.when == "-";
    let mut text = match (outcome.status, outcome.after_ms) {
        (Some(_), _) if outcome.details == TUNNEL => "a tunnel is open".to_owned(),
        (Some(0), _) => "the client sees no response".to_owned(),
        (Some(status), Some(0.0)) => format!("the client sees {status} at once"),
        (Some(status), Some(after)) => format!("the client sees {status} after {}", span(after)),
        (_, _) => "the client waits for ever: no timeout holds".to_owned(),
    };
    if let Some(location) = &outcome.location {
        text += &format!(", to {location}");
    }
    if outcome.status.is_some() && outcome.details != TUNNEL {
        text += &format!(", {}", outcome.details);
        if !outcome.flags.is_empty() && outcome.flags != "-" {
            text += &format!(", flags {}", outcome.flags);
        }
    }
    for (number, attempt) in (1..).zip(outcome.attempts.iter().take(MOST_ATTEMPTS)) {
        text += &format!("\n{}", told_attempt(number, attempt, is_first));
    }
    if let more @ 1.. = outcome.attempts.len().saturating_sub(MOST_ATTEMPTS) {
        text += &format!("\n… and {more} more");
    }
    if is_first {
        for mirror in &outcome.mirrors {
            text += &format!("\nmirror {mirror}");
        }
        if let Some(forwarded) = &outcome.forwarded {
            text += &format!("\nas {forwarded}");
        }
    }
    let name = match outcome.when {
        "-" => "answer",
        "200" if outcome.details == TUNNEL => "when connected",
        "200" => "on a 200",
        "503" => "on a 503",
        "no answer" => "on no answer",
        _ => "on a refusal",
    };
    line(out, name, &text)
}

fn told_attempt(number: usize, attempt: &AttemptTold, with_reason: bool) -> String {
    let AttemptTold {
        endpoint,
        at_ms,
        picked,
        end,
        followed,
    } = attempt;
    let at = match *at_ms {
        0.0 => String::new(),
        at => format!(" at {}", span(at)),
    };
    let reason = match with_reason {
        true => format!(", {picked}"),
        false => String::new(),
    };
    format!("{number}. {endpoint}{at}{reason}: {end}; {followed}")
}

/// Milliseconds, or seconds.
fn span(millis: f64) -> String {
    match millis < 1000.0 {
        true => format!("{millis:.1} ms"),
        false => format!("{:.2} s", millis / 1000.0),
    }
}
