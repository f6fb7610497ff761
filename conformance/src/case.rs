//! A case: what one `##` section of a case file says.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use outrigger_core::compile::NameAnswers;
use outrigger_core::time::Duration;

use crate::decision::Expected;
pub use crate::expected_finding::ExpectedFinding;
use crate::markdown::{self, Block, Section};
use crate::pairing::Pairing;
use crate::remark::{self, Only, PlayedBy, Remark};
use crate::script::{self, Action, Role, Step};
pub use crate::settings::Settings;
use crate::trust::{Held, Tls, Trust};
use crate::{Problem, ask, frames, settings};

/// Some YAML and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    /// The line of its fence; line 1 of the text is the next one.
    pub line: usize,
    /// The YAML.
    pub text: String,
}

/// What a `* reload` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reload {
    /// Puts a configuration in the place of the one there was.
    Configuration(Document),
    /// Names resolve to something else.
    Answers(NameAnswers),
}

/// What an address does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Answers 200 with this name, or with the request's body for `echo`.
    Named(String),
    /// Refuses connections.
    Refuse,
    /// Never answers an attempt to connect.
    Ignore,
    /// Plays these scripts, one for each connection, in order; there must be no more connections and no fewer.
    Scripts(Vec<Arc<[Step]>>),
    /// Plays this script again and again on every connection.
    Always(Arc<[Step]>),
}

/// What a client does on one connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// The line of its fence.
    pub line: usize,
    /// It connects to the inbound listener.
    pub inbound: bool,
    /// It connects to this address, and the kernel brings it to the listener.
    pub to: Option<SocketAddr>,
    /// It connects to the listener for this port of Gateways.
    pub gateway: Option<u16>,
    /// It begins with the client before it, not after that one.
    pub together: bool,
    /// How it speaks TLS, if it does.
    pub tls: Option<Tls>,
    /// What it does.
    pub steps: Arc<[Step]>,
}

/// One case.
#[derive(Clone, Debug, Default)]
pub struct Case {
    /// The case file.
    pub file: String,
    /// The line of its title.
    pub line: usize,
    /// Its title.
    pub title: String,
    /// Subjects it is not for, and why.
    pub skips: Vec<(String, String)>,
    /// Subjects that answer differently: the line that says so, who, and why.
    pub differences: Vec<(usize, String, String)>,
    /// Sides that speak only HTTP/1: the line that says so, which, and why.
    pub only: Vec<(usize, Only, String)>,
    /// How long it takes, in whole seconds, where that is more than a moment.
    pub takes: Option<Duration>,
    /// The test that plays for real what programs are not asked.
    pub played_by: Option<PlayedBy>,
    /// The versions of HTTP that it is played in.
    pub pairing: Pairing,
    /// How the sidecar is set up.
    pub settings: Settings,
    /// The configuration.
    pub yaml: Vec<Document>,
    /// What names resolve to.
    pub answers: NameAnswers,
    /// What each `* reload` does, in order.
    pub reloads: Vec<Reload>,
    /// All findings that loading must report; `None` means no errors.
    pub findings: Option<Vec<ExpectedFinding>>,
    /// Who has which certificate.
    pub trust: Trust,
    /// What is at each address.
    pub services: BTreeMap<String, Backend>,
    /// The addresses where TLS is spoken, and how.
    pub tls: BTreeMap<String, Tls>,
    /// The clients, in order.
    pub clients: Vec<Client>,
    /// What was decided for each request, in the order in which they end; `None` for a request that is not compared.
    pub decisions: Vec<Option<Expected>>,
}

impl Case {
    /// Whether its configuration names ports that are HTTP/2 whatever clients speak: what is written of services in HTTP/1 is
    /// translated then in every pairing.
    #[must_use]
    pub fn names_http2(&self) -> bool {
        let names = ["protocol: HTTP2", "protocol: GRPC", "h2c"];
        let mut texts = self.yaml.iter().map(|document| &document.text);
        texts.any(|text| names.iter().any(|name| text.contains(name)))
    }

    /// The same in these versions.
    #[must_use]
    pub fn in_versions(&self, pairing: Pairing) -> Self {
        let mut case = self.clone();
        case.pairing = pairing;
        case.settings.mesh = pairing.mesh(case.settings.mesh.take());
        case
    }

    /// Why the case is not for this subject.
    #[must_use]
    pub fn skip(&self, subject: &str) -> Option<&str> {
        let mut skips = self.skips.iter();
        skips
            .find(|(s, _)| s == subject)
            .map(|(_, why)| why.as_str())
    }

    /// Where clients connect to that the kernel brings to a listener, and whether that is the inbound one; each once.
    #[must_use]
    pub fn captured(&self) -> BTreeSet<(bool, SocketAddr)> {
        let brought = |client: &Client| Some((client.inbound, client.to?));
        self.clients.iter().filter_map(brought).collect()
    }

    /// Whether it says by itself what is spoken, in frames or in bytes, whatever else it is played in.
    #[must_use]
    pub fn is_in_frames(&self) -> bool {
        let is_raw = |client: &Client| {
            let first = client.steps.first().map(|step| &step.action);
            let is_direct = client.inbound || client.gateway.is_some();
            client.to.is_some() || is_direct && first == Some(&Action::Raw)
        };
        if self.clients.iter().any(is_raw) {
            return true;
        }
        let mut clients = self.clients.iter().map(|client| &client.steps);
        let mut services = self.services.values();
        clients.any(|steps| script::is_in_frames(steps))
            || services.any(|service| match service {
                Backend::Scripts(scripts) => scripts.iter().any(|s| script::is_in_frames(s)),
                Backend::Always(_) | Backend::Named(_) | Backend::Refuse | Backend::Ignore => false,
            })
    }

    /// Why it has no meaning in the versions of HTTP that it is to be played in, and the line that says so.
    #[must_use]
    pub fn is_meaningless(&self) -> Option<(usize, &str)> {
        let mut only = self.only.iter();
        let (line, _, why) = only.find(|(_, only, _)| only.excludes(self.pairing))?;
        Some((*line, why.as_str()))
    }

    /// Why this subject answers differently, and the line that says so.
    #[must_use]
    pub fn difference(&self, subject: &str) -> Option<(usize, &str)> {
        let mut all = self.differences.iter();
        all.find(|(_, s, _)| s == subject)
            .map(|(line, _, why)| (*line, why.as_str()))
    }

    /// The cases of a file.
    ///
    /// # Errors
    /// The first thing that is wrong in it.
    pub fn parse_file(file: &str, text: &str) -> Result<Vec<Self>, Problem> {
        let sections = markdown::sections(file, text)?;
        let Some((preamble, rest)) = sections.split_first() else {
            return Ok(Vec::new());
        };
        let mut base = Self {
            file: file.to_owned(),
            ..Self::default()
        };
        base.read(preamble)?;
        if let Some(client) = base.clients.first() {
            return Err(Problem::new(
                file,
                client.line,
                "a client stands before the first title",
            ));
        }
        rest.iter().map(|section| base.with(section)).collect()
    }

    fn with(&self, section: &Section) -> Result<Self, Problem> {
        let mut case = self.clone();
        case.line = section.line;
        case.title.clone_from(&section.title);
        case.read(section)?;
        if case.clients.is_empty() && case.findings.is_none() {
            let what = "a case needs a `client`, an `ask` or a `findings` block";
            return Err(Problem::new(&case.file, section.line, what));
        }
        let mut clients = case.clients.iter();
        let lost = clients.find(|client| client.inbound && case.settings.inbound.is_none());
        if let Some(client) = lost {
            let what = "it connects to the inbound listener, which `inbound` of the settings makes; a case's own settings replace the page's";
            return Err(Problem::new(&case.file, client.line, what));
        }
        match case.unknown() {
            Some(what) => Err(Problem::new(&case.file, section.line, what)),
            None => Ok(case),
        }
    }

    /// Certificates that it names and does not describe, and TLS where nobody is.
    fn unknown(&self) -> Option<String> {
        let peers = self.clients.iter().filter_map(|client| client.tls.as_ref());
        let names = peers
            .chain(self.tls.values())
            .filter_map(|tls| tls.certificate.as_ref())
            .chain(&self.settings.identity);
        let held = self.trust.files.values().chain(self.trust.secrets.values());
        let held = held.flatten().filter_map(|held| match held {
            Held::Certificate(name) | Held::Key(name) => Some(name),
            Held::Authority(_) | Held::Revoked(_) => None,
        });
        let known = &self.trust.certificates;
        let unknown = names.chain(held).find(|name| !known.contains_key(*name));
        let astray = || {
            let mut addresses = self.tls.keys();
            addresses.find(|address| {
                let service = self.services.get(*address);
                service.is_none_or(|of| matches!(of, Backend::Refuse | Backend::Ignore))
            })
        };
        unknown
            .map(|name| format!("`{name}` is no certificate of this case"))
            .or_else(|| astray().map(|address| format!("nobody speaks TLS at {address}")))
    }

    fn read(&mut self, section: &Section) -> Result<(), Problem> {
        for (line, text) in &section.prose {
            self.remark(*line, text)?;
        }
        // Scripts of a section replace what the file says about the same address.
        let mut scripts: BTreeMap<String, Vec<Arc<[Step]>>> = BTreeMap::new();
        for block in &section.blocks {
            let words: Vec<&str> = block.info.iter().map(String::as_str).collect();
            let document = Document {
                line: block.line,
                text: block.text.clone(),
            };
            match *words {
                ["yaml"] => self.yaml.push(document),
                ["yaml", "only"] => self.yaml = vec![document],
                ["yaml", "reload"] => self.reloads.push(Reload::Configuration(document)),
                ["certificates"] => self.lines(block, Trust::certificate)?,
                ["files"] => self.lines(block, Trust::file)?,
                ["names"] => self.answers.extend(self.names(block)?),
                ["names", "reload"] => self.reloads.push(Reload::Answers(self.names(block)?)),
                ["settings"] => {
                    self.settings = serde_yaml::from_str(&block.text)
                        .map_err(|e| self.wrong(block, format!("settings: {e}")))?;
                }
                ["services"] => self.services(block)?,
                ["service", address, ref words @ ..] => {
                    if let Some(steps) = self.service(block, address, words)? {
                        scripts.entry(address.to_owned()).or_default().push(steps);
                    }
                }
                ["client", ref words @ ..] => self.client(block, words)?,
                ["ask", ref words @ ..] => self.ask(block, words)?,
                ["decision"] => {
                    let expected = Expected::parse_block(&block.text, block.line)
                        .map_err(|what| self.wrong(block, what))?;
                    self.decisions.extend(expected.into_iter().map(Some));
                }
                ["findings"] => {
                    let findings = ExpectedFinding::of_block(&self.file, block)?;
                    self.findings.get_or_insert_default().extend(findings);
                }
                _ => {
                    let what = format!("`{}` is no block of a case", words.join(" "));
                    return Err(self.wrong(block, what));
                }
            }
        }
        for (address, list) in scripts {
            self.services.insert(address, Backend::Scripts(list));
        }
        Ok(())
    }

    fn remark(&mut self, line: usize, text: &str) -> Result<(), Problem> {
        let remark = remark::parse(text).map_err(|what| Problem::new(&self.file, line, what))?;
        match remark {
            None => return Ok(()),
            Some(Remark::Skipped(subject, why)) => {
                self.skips.push((subject.to_owned(), why.to_owned()));
            }
            Some(Remark::Differs(subject, why)) => {
                let (subject, why) = (subject.to_owned(), why.to_owned());
                self.differences.push((line, subject, why));
            }
            Some(Remark::Only(only, why)) => self.only.push((line, only, why.to_owned())),
            Some(Remark::Takes(time)) => self.takes = Some(time),
        }
        self.played_by = remark::played_by(line, text).or_else(|| self.played_by.take());
        Ok(())
    }

    fn wrong(&self, block: &Block, what: impl Into<String>) -> Problem {
        Problem::new(&self.file, block.line, what)
    }

    fn script(&self, block: &Block, role: Role) -> Result<Arc<[Step]>, Problem> {
        let steps = script::parse(&self.file, block.line + 1, &block.text, role)?;
        Ok(steps.into())
    }

    /// A block whose lines are about certificates and files.
    fn lines(
        &mut self,
        block: &Block,
        read: impl Fn(&mut Trust, &str) -> Result<(), String>,
    ) -> Result<(), Problem> {
        for (line, text) in (block.line + 1..).zip(block.text.lines()) {
            read(&mut self.trust, text).map_err(|what| Problem::new(&self.file, line, what))?;
        }
        Ok(())
    }

    /// The script of a connection to a service; none where it plays for every one.
    fn service(
        &mut self,
        block: &Block,
        address: &str,
        words: &[&str],
    ) -> Result<Option<Arc<[Step]>>, Problem> {
        let (words, tls) = Tls::split(words).map_err(|what| self.wrong(block, what))?;
        self.tls.extend(tls.map(|tls| (address.to_owned(), tls)));
        match words {
            [] => self.script(block, Role::Service).map(Some),
            ["http2"] => {
                let (file, line) = (&self.file, block.line + 1);
                let steps = frames::parse(file, line, &block.text, Role::Service)?;
                Ok(Some(steps.into()))
            }
            ["always"] => {
                let steps = self.script(block, Role::Service)?;
                if !matches!(steps.first().map(|s| &s.action), Some(Action::Await(_))) {
                    return Err(self.wrong(block, "begin with the request that is awaited"));
                }
                let service = Backend::Always(steps);
                self.services.insert(address.to_owned(), service);
                Ok(None)
            }
            [word, ..] => Err(self.wrong(block, format!("a service can not be `{word}`"))),
        }
    }

    /// `address name`, `address refuse`, `address ignore` or `address unused`, a line each; behind a name may stand how it
    /// speaks TLS.
    fn services(&mut self, block: &Block) -> Result<(), Problem> {
        for (line, text) in (block.line + 1..).zip(block.text.lines()) {
            let wrong = |what: String| Problem::new(&self.file, line, what);
            let words: Vec<&str> = text.split_whitespace().collect();
            let (words, tls) = Tls::split(&words).map_err(wrong)?;
            let [address, name] = words else {
                return Err(wrong("write `ADDRESS NAME`".to_owned()));
            };
            let service = match *name {
                "refuse" => Backend::Refuse,
                "ignore" => Backend::Ignore,
                "unused" => Backend::Scripts(Vec::new()),
                name => Backend::Named(name.to_owned()),
            };
            self.services.insert((*address).to_owned(), service);
            self.tls.extend(tls.map(|tls| ((*address).to_owned(), tls)));
        }
        Ok(())
    }

    fn names(&self, block: &Block) -> Result<NameAnswers, Problem> {
        let wrong = |line| Problem::new(&self.file, line, "write `NAME ADDRESS ADDRESS …`");
        settings::names(block.line + 1, &block.text).map_err(wrong)
    }

    fn client(&mut self, block: &Block, words: &[&str]) -> Result<(), Problem> {
        let steps = match words.contains(&"http2") {
            true => frames::parse(&self.file, block.line + 1, &block.text, Role::Client)?.into(),
            false => self.script(block, Role::Client)?,
        };
        let words: Vec<&str> = words.iter().filter(|w| **w != "http2").copied().collect();
        self.connects(block, &words, steps)
    }

    fn ask(&mut self, block: &Block, words: &[&str]) -> Result<(), Problem> {
        let (steps, decisions) = ask::parse(&self.file, block.line + 1, &block.text)?;
        self.decisions.extend(decisions);
        self.connects(block, words, steps.into())
    }

    /// A client that connects as the words of its block say.
    fn connects(
        &mut self,
        block: &Block,
        words: &[&str],
        steps: Arc<[Step]>,
    ) -> Result<(), Problem> {
        let is_in = words.first() == Some(&"inbound");
        let (words, to) = match words[usize::from(is_in)..] {
            ["to", address, ref words @ ..] => {
                let to = settings::place(address).map_err(|what| self.wrong(block, what));
                (words, Some(to?))
            }
            ref words => (words, None),
        };
        let gateway = self.settings.gateway_of(words);
        let (words, gateway) = gateway.map_err(|what| self.wrong(block, what))?;
        let (words, tls) = Tls::split(words).map_err(|what| self.wrong(block, what))?;
        let known = |word: &&&str| matches!(**word, "inbound" | "together");
        if let Some(word) = words.iter().find(|word| !known(word)) {
            return Err(self.wrong(block, format!("a client can not be `{word}`")));
        }
        self.clients.push(Client {
            line: block.line,
            inbound: is_in || words.contains(&"inbound"),
            to,
            gateway,
            together: words.contains(&"together"),
            tls,
            steps,
        });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# Area\n\n```settings\ninbound: 10.0.0.1:80\n```\n```services\n10.0.0.1:80 a\n```\n\n## One\nWhy.\nSkipped on tokio: because.\nDiffers on envoy: so.\n\n```ask\nGET a/ => a {flags: '-'}\n```\n\n## Two\n```client inbound\n> GET / HTTP/1.1\n>\n< HTTP/1.1 200 OK\n```\n```service 10.0.0.1:80\n> GET / HTTP/1.1\n* close\n```\n";

    #[test]
    fn a_page_becomes_cases() {
        let cases = Case::parse_file("f", PAGE).unwrap();
        assert_eq!(cases.len(), 2);
        assert_eq!(cases[0].skip("tokio"), Some("because."));
        assert_eq!(cases[0].difference("envoy"), Some((13, "so.")));
        assert_eq!((cases[0].clients.len(), cases[0].decisions.len()), (1, 1));
        assert!(cases[1].clients[0].inbound);
        assert!(
            matches!(cases[1].services["10.0.0.1:80"], Backend::Scripts(ref s) if s.len() == 1)
        );
    }

    #[test]
    fn what_is_wrong_has_a_line() {
        for (text, line) in [
            ("## A\n\n", 1),
            ("## A\nDiffers on envoy.\n", 2),
            ("## A\n```client\nx\n```\n", 3),
            ("## A\n```clients\n```\n", 2),
            ("## A\n```ask\nGET a/\n```\n", 3),
            ("## A\n```ask\nGET a/ => a {flag: x}\n```\n", 3),
            ("## A\n```decision\nflag: x\n```\n", 2),
            ("## A\n```settings\nx: 1\n```\n", 2),
            (
                "## A\n```settings\nnamespace: x\n```\n```client inbound\n> a\n```\n",
                5,
            ),
            ("## A\n```names\na 10.0.0.1\nb c\n```\n", 4),
        ] {
            assert_eq!(
                Case::parse_file("f", text).unwrap_err().line,
                line,
                "{text}"
            );
        }
    }
}
