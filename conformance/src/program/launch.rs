//! What is started for a case: a command that is filled in, or Envoy with a configuration that is derived.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use super::black_box;
use super::command::{Command, Values};
use super::entrusted;
use super::envoy::bootstrap::{self, Site};
use super::files;
use super::grounds::Grounds;
use super::reread::{Replacement, Replacements};
use crate::Problem;
use crate::case::{Case, Reload};
use crate::subject::Setup;

/// How the program is started.
#[derive(Clone, Debug)]
pub enum Launch {
    /// By a command that takes the case's Istio YAML.
    Command(Command),
    /// Envoy, whose executable this is, by what is derived from the case's compiled snapshot.
    Envoy(PathBuf),
}

/// Envoy's main thread ejects, and its workers are told of it perhaps after the next request; turns begin at a random
/// endpoint. Who answers as a case says in one of so many plays can answer so; a difference shows in each.
const ENVOY_PLAYS: u32 = 10;

/// Who waits by the clock of a busy machine may have its turn too late; a timer that is wrong is so in each play.
const TIMED_PLAYS: u32 = 3;

/// The file with the configuration that a command is given.
const CONFIG: &str = "config.yaml";

/// What to do with a case.
pub(crate) enum Prepared {
    /// Start this.
    Start(Start),
    /// The program can not be told what the case needs.
    Skip(String),
    /// The case itself is wrong.
    Fail(Vec<Problem>),
}

/// A program to start.
pub(crate) struct Start {
    /// Its command line.
    pub(crate) words: Vec<String>,
    /// What each reload replaces.
    pub(crate) reloads: Replacements,
}

impl Launch {
    /// The name by which pages speak of it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Command(_) => "program",
            Self::Envoy(_) => "envoy",
        }
    }

    /// How often a case may be played until it passes.
    pub(crate) fn plays(&self, case: &Case) -> u32 {
        match self {
            Self::Command(_) if black_box::is_timed(case) => TIMED_PLAYS,
            Self::Command(_) => 1,
            Self::Envoy(_) => ENVOY_PLAYS,
        }
    }

    /// Writes the files that the program is started with. The case has real addresses.
    pub(crate) fn prepare(&self, case: &Case, grounds: &Grounds) -> io::Result<Prepared> {
        match self {
            Self::Command(command) => by_command(command, case, grounds),
            Self::Envoy(path) => by_snapshot(path, case, grounds),
        }
    }
}

fn by_command(command: &Command, case: &Case, grounds: &Grounds) -> io::Result<Prepared> {
    let values = match values(case, grounds)? {
        Ok(values) => values,
        Err(what) => {
            let problem = Problem::new(&case.file, case.line, what);
            return Ok(Prepared::Fail(vec![problem]));
        }
    };
    Ok(match command.lacks(&values) {
        Some(name) => Prepared::Skip(format!("the command has no place for {{{name}}}")),
        None => Prepared::Start(Start {
            words: command.fill(&values),
            reloads: case.reloads.iter().enumerate().map(rewritten).collect(),
        }),
    })
}

fn by_snapshot(path: &Path, case: &Case, grounds: &Grounds) -> io::Result<Prepared> {
    let Grounds { slot, folder, .. } = grounds;
    let mut setup = match Setup::new(case) {
        Ok(setup) => setup,
        Err(problems) => return Ok(Prepared::Fail(problems)),
    };
    let site = Site {
        outbound: slot.outbound(),
        inbound: slot.inbound(),
        admin: slot.admin(),
        folder: folder.path("").display().to_string(),
    };
    let unsaid = |why: &str| Ok(Prepared::Skip(format!("not derived for Envoy: {why}")));
    let derive = |snapshot| {
        let start = bootstrap::bootstrap(snapshot, &setup.settings, &site)?;
        Ok((start, bootstrap::files(snapshot, &site)?))
    };
    let (start, first) = match derive(&setup.snapshot) {
        Ok(derived) => derived,
        Err(why) => return unsaid(why),
    };
    let mut reloads = VecDeque::new();
    for _ in &case.reloads {
        let Some(snapshot) = setup.reload() else {
            reloads.push_back(Replacement::Nothing);
            continue;
        };
        match bootstrap::bootstrap(&snapshot, &setup.settings, &site) {
            Ok(then) if then == start => {}
            Ok(_) => return unsaid("a reload that changes a listener"),
            Err(why) => return unsaid(why),
        }
        match bootstrap::files(&snapshot, &site) {
            Ok(files) => {
                let texts = files
                    .into_iter()
                    .map(|(name, file)| (name, file.to_string()));
                reloads.push_back(Replacement::Files(texts.collect()));
            }
            Err(why) => return unsaid(why),
        }
    }
    for (name, content) in &first {
        folder.write(name, &content.to_string())?;
    }
    let config = folder.write("envoy.json", &start.to_string())?;
    let options = "--disable-hot-restart --concurrency 1 --log-level warning --drain-time-s 1 --drain-strategy immediate";
    let words = [path.display().to_string(), "--config-path".into(), config].into_iter();
    let options = options.split(' ').map(str::to_owned);
    Ok(Prepared::Start(Start {
        words: words.chain(options).collect(),
        reloads,
    }))
}

/// What a reload makes of the files that a command was given. A text that was there before is no change, and so has a
/// comment of its own.
fn rewritten((number, reload): (usize, &Reload)) -> Replacement {
    match reload {
        Reload::Configuration(document) => {
            let text = files::configuration(std::slice::from_ref(document));
            Replacement::Files(vec![(CONFIG, format!("{text}\n# reload {number}\n"))])
        }
        Reload::Answers(answers) => Replacement::Answers(answers.clone()),
    }
}

/// What a command is filled in with; the files that it names are written. The inner error is the case's.
fn values(case: &Case, grounds: &Grounds) -> io::Result<Result<Values, String>> {
    let Grounds {
        slot,
        folder,
        names,
    } = grounds;
    let settings = &case.settings;
    let mesh = match files::mesh(case) {
        Ok(Some(text)) => Some(folder.write("mesh.yaml", &text)?),
        Ok(None) => None,
        Err(what) => return Ok(Err(what)),
    };
    let config = folder.write(CONFIG, &files::configuration(&case.yaml))?;
    let is_default = |namespace: &String| namespace == "default";
    let namespace = settings.namespace.clone().filter(|n| !is_default(n));
    let labels = settings.labels.iter().map(|(k, v)| format!("{k}={v}"));
    let inbound = settings.inbound.as_ref();
    let body = settings.max_request_body.map(|bytes| bytes.to_string());
    let one = |value: Option<String>| value.into_iter().collect::<Vec<_>>();
    let mut values = Values::from([
        ("config", vec![config]),
        ("port", vec![slot.outbound().to_string()]),
        ("admin", vec![slot.admin().to_string()]),
        ("inbound", one(inbound.map(|_| slot.inbound().to_string()))),
        ("app", one(inbound.cloned())),
        ("namespace", one(namespace)),
        ("label", labels.collect()),
        ("mesh", one(mesh)),
        ("idle_timeout", one(settings.idle_timeout.clone())),
        (
            "stream_idle_timeout",
            one(settings.stream_idle_timeout.clone()),
        ),
        (
            "request_head_timeout",
            one(settings.request_head_timeout.clone()),
        ),
        ("max_request_body", one(body)),
        ("identity", one(entrusted::identity(case, folder))),
        (
            "dns",
            one(names
                .as_ref()
                .map(|server| server.addr().port().to_string())),
        ),
    ]);
    values.retain(|_, all| !all.is_empty());
    Ok(Ok(values))
}
