//! Real addresses in the place of a case's.
//!
//! A case speaks of addresses that nobody has, such as 10.0.0.1:8080. Before a program they become ones that exist, in
//! scripts and in the configuration that it reads. A text is replaced only where it stands alone:
//! 10.0.0.1 is no part of 10.0.0.12.

use std::net::IpAddr;
use std::sync::Arc;

use outrigger_core::compile::NameAnswers;

use crate::case::{Backend, Case, Client, Document, Reload, Settings};
use crate::script::{Action, Awaited, Step};

/// Which text becomes which.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Relocation(Vec<(String, String)>);

impl Relocation {
    /// Pairs of a case's text and the real one. No real text may be another pair's text of a case.
    pub(crate) fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(pairs.into_iter().collect())
    }

    /// A text with real addresses.
    pub(crate) fn text(&self, text: &str) -> String {
        let one = |text: String, (from, to): &(String, String)| replaced(&text, from, to);
        self.0.iter().fold(text.to_owned(), one)
    }

    /// A case with real addresses everywhere: configuration, settings, services and scripts.
    pub(crate) fn case(&self, case: &Case) -> Case {
        let document = |document: &Document| Document {
            line: document.line,
            text: self.text(&document.text),
        };
        let reload = |reload: &Reload| match reload {
            Reload::Configuration(written) => Reload::Configuration(document(written)),
            Reload::Answers(answers) => Reload::Answers(self.answers(answers)),
        };
        let service = |service: &Backend| match service {
            Backend::Scripts(scripts) => {
                Backend::Scripts(scripts.iter().map(|steps| self.steps(steps)).collect())
            }
            Backend::Always(steps) => Backend::Always(self.steps(steps)),
            other => other.clone(),
        };
        let client = |client: &Client| Client {
            steps: self.steps(&client.steps),
            ..client.clone()
        };
        let services = case.services.iter();
        Case {
            yaml: case.yaml.iter().map(document).collect(),
            reloads: case.reloads.iter().map(reload).collect(),
            answers: self.answers(&case.answers),
            services: services.map(|(a, s)| (self.text(a), service(s))).collect(),
            tls: case
                .tls
                .iter()
                .map(|(a, tls)| (self.text(a), tls.clone()))
                .collect(),
            clients: case.clients.iter().map(client).collect(),
            settings: Settings {
                inbound: case.settings.inbound.as_deref().map(|a| self.text(a)),
                mesh: case.settings.mesh.as_ref().map(|mesh| self.value(mesh)),
                ..case.settings.clone()
            },
            ..case.clone()
        }
    }

    /// Settings of the mesh name services by their ports, as documents do.
    fn value(&self, value: &serde_yaml::Value) -> serde_yaml::Value {
        let text = serde_yaml::to_string(value).map(|text| self.text(&text));
        let relocated = text.and_then(|text| serde_yaml::from_str(&text));
        // What was read is written and read again.
        relocated.unwrap_or_else(|_| value.clone())
    }

    fn answers(&self, answers: &NameAnswers) -> NameAnswers {
        let address = |ip: &IpAddr| self.text(&ip.to_string()).parse().unwrap_or(*ip);
        let mut relocated = answers.clone();
        for ip in relocated.values_mut().flatten() {
            *ip = address(ip);
        }
        relocated
    }

    fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.text(text).into_bytes(),
            Err(_) => bytes.to_vec(),
        }
    }

    /// A script with real addresses.
    pub(crate) fn steps(&self, steps: &[Step]) -> Arc<[Step]> {
        let step = |step: &Step| Step {
            line: step.line,
            action: self.action(&step.action),
        };
        steps.iter().map(step).collect()
    }

    fn action(&self, action: &Action) -> Action {
        match action {
            Action::Send(bytes) => Action::Send(self.bytes(bytes)),
            Action::Await(wanted) => Action::Await(self.awaited(wanted)),
            Action::AwaitBytes(bytes) => Action::AwaitBytes(self.bytes(bytes)),
            other => other.clone(),
        }
    }

    fn awaited(&self, wanted: &Awaited) -> Awaited {
        let field = |(name, value): &(String, String)| (name.clone(), self.text(value));
        Awaited {
            first: self.text(&wanted.first),
            fields: wanted.fields.iter().map(field).collect(),
            body: wanted.body.as_deref().map(|body| self.bytes(body)),
            ..wanted.clone()
        }
    }
}

/// Replaces `from` wherever no digit and no dot with a digit continues it on either side.
fn replaced(text: &str, from: &str, to: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(from) {
        let (before, after) = (&rest[..at], &rest[at + from.len()..]);
        let last = out.chars().chain(before.chars()).next_back();
        let begins = last.is_none_or(|c| !c.is_ascii_digit() && c != '.');
        let mut next = after.chars();
        let ends = match next.next() {
            Some('.') => !next.next().is_some_and(|c| c.is_ascii_digit()),
            Some(c) => !c.is_ascii_digit(),
            None => true,
        };
        out.push_str(before);
        out.push_str(if begins && ends { to } else { from });
        rest = after;
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_replaced_where_it_stands_alone() {
        for (text, want) in [
            ("10.0.0.1", "X"),
            ("a 10.0.0.1, 10.0.0.1:8080.", "a X, X:8080."),
            ("10.0.0.12 and 110.0.0.1", "10.0.0.12 and 110.0.0.1"),
            ("10.0.0.1.5 and 1.10.0.0.1", "10.0.0.1.5 and 1.10.0.0.1"),
            ("at 10.0.0.1.", "at X."),
            ("10.0.0.110.0.0.1", "10.0.0.110.0.0.1"),
        ] {
            assert_eq!(replaced(text, "10.0.0.1", "X"), want, "{text}");
        }
    }

    #[test]
    fn services_that_the_mesh_names_are_relocated() {
        let relocation = Relocation::new([("9000".to_owned(), "24024".to_owned())]);
        let value = |text: &str| serde_yaml::from_str::<serde_yaml::Value>(text).unwrap();
        let got = relocation.value(&value("a: [{ port: 9000, other: 90001 }]"));
        assert_eq!(got, value("a: [{ port: 24024, other: 90001 }]"));
    }

    #[test]
    fn whatever_is_sent_or_awaited_is_relocated() {
        let relocation = Relocation::new([("10.0.0.1".to_owned(), "127.1.2.1".to_owned())]);
        let text = "> GET http://10.0.0.1/ HTTP/1.1\n> host: 10.0.0.1\n>\n\n< HTTP/1.1 200 OK\n< x: 10.0.0.1\n<\n< 10.0.0.1\n* close\n";
        let steps = crate::script::parse("f", 1, text, crate::script::Role::Client).unwrap();
        let steps = format!("{:?}", relocation.steps(&steps));
        assert!(!steps.contains("10.0.0.1"), "{steps}");
        assert!(
            steps.contains("127.1.2.1") && steps.contains("Close"),
            "{steps}"
        );
    }
}
