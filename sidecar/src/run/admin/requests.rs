//! `/requests`: the last requests that failed, were slow or were sampled, with their stories.
//!
//! Owns the parameters and how requests look. Which ones are kept is decided in `outrigger_telemetry`. What somebody may have
//! meant by a host that nobody knows is found out here, when somebody asks.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use outrigger_core::decision::access_log::rfc3339;
use outrigger_core::snapshot::Snapshot;
use outrigger_explain::nearest_known;
use outrigger_telemetry::{Recent, RecentRequests, Why};
use serde_json::{Value, json};

use super::query;

/// What can be asked for.
const PARAMETERS: &str =
    "failed, slow, sampled, path=PART, host=PART, id=X_REQUEST_ID, format=text|json";

/// Hosts whose nearest names are looked for in one answer, because that takes time where names are many.
const MOST_HOSTS: usize = 32;

/// Which requests are shown.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    whys: Vec<Why>,
    path: Option<String>,
    host: Option<String>,
    id: Option<String>,
    pub(super) is_json: bool,
}

impl Asked {
    /// Takes the parameters.
    ///
    /// # Errors
    /// Which of them is none.
    pub(super) fn new(query: &str) -> Result<Self, String> {
        let mut asked = Self::default();
        for (name, value) in query::parse(query)? {
            let needs = |what: &str| format!("`{name}` needs {what}; use {PARAMETERS}");
            let text = || value.clone().ok_or_else(|| needs("a value"));
            match (&*name, value.as_deref()) {
                ("failed", None | Some("")) => asked.whys.push(Why::Failed),
                ("slow", None | Some("")) => asked.whys.push(Why::Slow),
                ("sampled", None | Some("")) => asked.whys.push(Why::Sampled),
                ("failed" | "slow" | "sampled", Some(_)) => return Err(needs("no value")),
                ("path", _) => asked.path = Some(text()?),
                ("host", _) => asked.host = Some(text()?),
                ("id", _) => asked.id = Some(text()?),
                ("format", Some("text")) => asked.is_json = false,
                ("format", Some("json")) => asked.is_json = true,
                ("format", _) => return Err(needs("`text` or `json`")),
                (_, _) => return Err(format!("no parameter `{name}`; use {PARAMETERS}")),
            }
        }
        Ok(asked)
    }

    fn takes(&self, recent: &Recent) -> bool {
        let told = &recent.told;
        let has = |part: &Option<String>, text: &str| {
            part.as_ref()
                .is_none_or(|part| text.contains(part.as_str()))
        };
        (self.whys.is_empty() || self.whys.contains(&recent.why))
            && has(&self.path, &told.path)
            && has(&self.host, &told.host)
            && (self.id.as_ref()).is_none_or(|id| told.request_id.as_ref() == Some(id))
    }
}

/// The page.
pub(super) fn page(asked: &Asked, recent: &RecentRequests, snapshot: &Snapshot) -> String {
    let shown: Vec<&Recent> = (recent.requests.iter())
        .map(|recent| &**recent)
        .filter(|recent| asked.takes(recent))
        .collect();
    let nearest = nearest(&shown, snapshot);
    let near = |recent: &Recent| match recent.is_unrouted {
        true => nearest.get(&*recent.told.host).cloned().flatten(),
        false => None,
    };
    match asked.is_json {
        true => document(&shown, recent, near),
        false => text(&shown, recent, near),
    }
}

/// What may have been meant by the hosts that nobody knows.
fn nearest<'r>(shown: &[&'r Recent], snapshot: &Snapshot) -> BTreeMap<&'r str, Option<String>> {
    let mut found = BTreeMap::new();
    for recent in shown.iter().filter(|recent| recent.is_unrouted) {
        if found.len() < MOST_HOSTS {
            let host = &*recent.told.host;
            let look = || nearest_known(host, snapshot);
            found.entry(host).or_insert_with(look);
        }
    }
    found
}

fn document(
    shown: &[&Recent],
    all: &RecentRequests,
    near: impl Fn(&Recent) -> Option<String>,
) -> String {
    let requests: Vec<Value> = shown
        .iter()
        .map(|recent| {
            let mut value = json!(recent);
            value["began"] = rfc3339(recent.began).to_string().into();
            value["nearest"] = near(recent).into();
            value
        })
        .collect();
    let document = json!({
        "kept": all.kept,
        "passed_over": all.passed_over,
        "bytes": all.bytes,
        "requests": requests,
    });
    format!("{document:#}\n")
}

fn text(
    shown: &[&Recent],
    all: &RecentRequests,
    near: impl Fn(&Recent) -> Option<String>,
) -> String {
    let mut out = String::new();
    for recent in shown {
        let why = match recent.why {
            Why::Failed => "failed",
            Why::Slow => "slow",
            Why::Sampled => "sampled",
        };
        let (began, client) = (rfc3339(recent.began), &recent.client);
        let side = if recent.inbound {
            "inbound"
        } else {
            "outbound"
        };
        let random = recent.told.random;
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(
            out,
            "{began} {why}, {side}, from {client}, random number {random}"
        );
        if let Some(id) = &recent.told.request_id {
            let _ = writeln!(out, "x-request-id {id}");
        }
        let _ = write!(out, "{}", recent.told.story);
        if let Some(near) = near(recent) {
            let _ = writeln!(out, "  nearest name {near}");
        }
        out.push('\n');
    }
    let (count, kept, passed_over) = (shown.len(), all.kept, all.passed_over);
    let _ = writeln!(
        out,
        "{count} requests, the newest first; {kept} were kept since the proxy began, {passed_over} passed over"
    );
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_that_nobody_knows_are_refused() {
        for (query, why) in [
            ("", ""),
            ("failed&slow&format=json", ""),
            ("path=%2Fcart&host=shop&id=7", ""),
            ("failed=1", "`failed` needs no value"),
            ("path", "`path` needs a value"),
            ("format=xml", "`format` needs `text` or `json`"),
            ("patch=x", "no parameter `patch`"),
            ("path=%", "not percent-encoded"),
        ] {
            let asked = Asked::new(query);
            let said = asked.err().unwrap_or_default();
            assert!(
                said.contains(why) && said.is_empty() == why.is_empty(),
                "{query}: {said}"
            );
        }
    }
}
