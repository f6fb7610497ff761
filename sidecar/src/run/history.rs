//! What became of configurations since the program began, and what was found in them, for whoever looks at the page.
//!
//! Owns how much is remembered. What a reload is, is in `control`; the lines that tell of it are `reloads`'.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use outrigger_core::config::Finding;
use outrigger_core::decision::access_log::rfc3339;
use serde_json::{Value, json};

/// Configurations that are remembered, the newest of them.
const EVENTS: usize = 32;

/// Findings that are remembered of the last configuration that was read. The most severe stay.
const FINDINGS: usize = 200;

/// What happened to configurations.
#[derive(Debug, Default)]
pub(super) struct History(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    /// The newest first.
    events: VecDeque<Event>,
    findings: Vec<Finding>,
    /// Of the last one read, all of them.
    found: usize,
}

/// A configuration, and whether it was taken.
#[derive(Debug)]
struct Event {
    /// When, since 1970-01-01 UTC.
    at: Duration,
    is_taken: bool,
    text: String,
    /// What it changes for users.
    changes: Option<String>,
}

impl History {
    /// A configuration came into use; `text` says what it holds, `changes` what is different for users, if there was one
    /// before.
    pub(super) fn taken(&self, at: Duration, text: &str, changes: Option<&str>) {
        self.happened(at, true, text, changes);
    }

    /// One was refused; `text` says why.
    pub(super) fn refused(&self, at: Duration, text: &str) {
        self.happened(at, false, text, None);
    }

    fn happened(&self, at: Duration, is_taken: bool, text: &str, changes: Option<&str>) {
        let mut remembered = self.lock();
        remembered.events.truncate(EVENTS - 1);
        remembered.events.push_front(Event {
            at,
            is_taken,
            text: text.into(),
            changes: changes.map(str::to_owned),
        });
    }

    /// This was found in the configuration that was read last.
    pub(super) fn found(&self, findings: &[Finding]) {
        let mut worst: Vec<&Finding> = findings.iter().collect();
        // Those that are as severe stay in their order.
        worst.sort_by_key(|finding| finding.severity);
        let mut remembered = self.lock();
        remembered.found = findings.len();
        remembered.findings = worst.into_iter().take(FINDINGS).cloned().collect();
    }

    /// All configurations that are remembered, the newest first.
    pub(super) fn events(&self) -> Value {
        let events = &self.lock().events;
        let told = events.iter().map(|event| {
            json!({
                "at": rfc3339(event.at).to_string(),
                "taken": event.is_taken,
                "text": event.text,
                "changes": event.changes,
            })
        });
        told.collect()
    }

    /// What was found in the one that was read last, and how much there was of it.
    pub(super) fn findings(&self) -> (Value, usize) {
        let remembered = self.lock();
        let told = remembered.findings.iter().map(|finding| {
            json!({
                "severity": finding.severity.as_str(),
                "code": finding.code.as_str(),
                "place": format!("{}:{}:{}", finding.file, finding.line, finding.column),
                "resource": finding.resource.as_ref().map(ToString::to_string),
                "path": finding.path,
                "message": finding.message,
                "help": finding.help,
            })
        });
        (told.collect(), remembered.found)
    }

    fn lock(&self) -> MutexGuard<'_, Remembered> {
        // What is in it is good after each step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_remembered() {
        let history = History::default();
        for number in 0..EVENTS as u64 + 3 {
            let (at, text) = (Duration::from_secs(number), number.to_string());
            match number % 2 {
                0 => history.taken(at, &text, Some("what it changes")),
                _ => history.refused(at, &text),
            }
        }
        let events = history.events();
        let events = events.as_array().unwrap();
        assert_eq!(events.len(), EVENTS);
        assert_eq!(events[0]["text"], "34");
        assert_eq!(events[0]["taken"], true);
        assert_eq!(events[0]["changes"], "what it changes");
        assert_eq!(events[0]["at"], "1970-01-01T00:00:34.000Z");
        assert_eq!(events[EVENTS - 1]["text"], "3");
    }

    #[test]
    fn the_worst_findings_are_remembered() {
        let yaml = |extra: &str| {
            format!(
                "kind: VirtualService\napiVersion: networking.istio.io/v1\nmetadata: {{name: a}}\n\
                 spec: {{hosts: [a], http: [{{redirect: {{uri: /b}}}}], {extra}}}\n"
            )
        };
        let many: Vec<String> = (0..FINDINGS + 9)
            .map(|n| format!("nothing{n}: 1"))
            .collect();
        let found = outrigger_core::compile::from_yaml(&yaml(&many.join(", "))).findings;
        let history = History::default();
        history.found(&found);
        let (told, all) = history.findings();
        assert_eq!(all, found.len());
        assert_eq!(told.as_array().unwrap().len(), FINDINGS);
        assert!(told[0]["place"].as_str().unwrap().contains(":4:"), "{told}");
        history.found(&[]);
        assert_eq!(history.findings(), (json!([]), 0));
    }
}
