//! From the command line's paths to a snapshot, again and again.
//!
//! Owns what is read, what it is read for, and whether it is good enough to run. Endpoints keep their live state from
//! one snapshot to the next, because the registry stays.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{self, Answers, Compiled, Inbound, Uses, Workload};
use outrigger_core::config::mesh::MeshConfig;
use outrigger_core::config::{self, Finding, Resources};
use outrigger_core::snapshot::Snapshot;
use outrigger_identity::Fault;
use outrigger_recording::{self as recording, Frame, Recorder};
use tracing::warn;

use super::held::{Doubt, Held};
use super::identity::Keeper;
use super::listeners;
use super::proofs::Gatherer;
use crate::access_log_args::AccessLogChoice;
use crate::cli::RunArgs;
use crate::sources::{Found, Reader, Source, Unreadable};

/// What is read and for whom.
#[derive(Debug)]
pub(super) struct Configuration {
    paths: Vec<PathBuf>,
    mesh_path: Option<PathBuf>,
    /// What istiod puts into effect is put into effect.
    lenient: bool,
    workload: Workload,
    inbound: Vec<Inbound>,
    /// Applications ask us for names, whatever the mesh says. Not where the run is recorded: a recording holds what the mesh
    /// says alone.
    captures_dns: bool,
    registry: Registry,
    recorder: Option<Recorder>,
    /// Who this workload is, if it is anybody.
    keeper: Option<Keeper>,
    access_log: AccessLogChoice,
    revision: u64,
    /// Of what was read last, good or bad.
    fingerprint: u64,
    held: Held,
    reader: Reader,
    /// The last reading found files missing, which was told.
    told_unreadable: bool,
    /// What was read last and is good, to be compiled again when names resolve to something else.
    good: Option<Good>,
    answers: Answers,
    names: BTreeMap<Box<str>, Uses>,
}

/// A configuration without errors that keep it away.
#[derive(Debug)]
struct Good {
    /// As a recording may have them, without what secrets say.
    sources: Vec<Source>,
    mesh_source: Option<Source>,
    resources: Resources,
    mesh: MeshConfig,
}

/// How reading went.
#[derive(Debug)]
pub(super) enum Reading {
    /// It can be run.
    Good {
        /// The compiled configuration.
        snapshot: Arc<Snapshot>,
        /// Warnings, what the lint found, and errors in kinds that the proxy does not use.
        findings: Vec<Finding>,
    },
    /// It has errors.
    Bad {
        /// Errors and warnings.
        findings: Vec<Finding>,
    },
    /// The identity is no good, and there was none before.
    NoIdentity {
        /// What is wrong with it.
        fault: String,
    },
    /// Files are missing or cannot be read.
    Unreadable {
        /// One for each path.
        errors: Vec<String>,
    },
}

impl Configuration {
    pub(super) fn new(
        args: &RunArgs,
        access_log: AccessLogChoice,
        recorder: Option<Recorder>,
        keeper: Option<Keeper>,
    ) -> Self {
        let labels = args.labels.iter();
        let inbound = args.inbound.iter();
        Self {
            paths: args.config.clone(),
            mesh_path: args.mesh_config.clone(),
            lenient: args.lenient,
            workload: Workload {
                namespace: args.namespace.clone(),
                labels: labels.map(|l| (l.key.clone(), l.value.clone())).collect(),
                spiffe_id: None,
                trace: args.trace.flags(),
                carries: Box::new(args.gateway.carried()),
            },
            inbound: inbound.map(|arg| arg.listener()).collect(),
            captures_dns: !args.dns.dns.is_empty() && recorder.is_none(),
            registry: Registry::default(),
            recorder,
            keeper,
            access_log,
            revision: 0,
            fingerprint: 0,
            held: Held::default(),
            reader: Reader::ignoring(&args.ignore),
            told_unreadable: false,
            good: None,
            answers: Answers::new(),
            names: BTreeMap::new(),
        }
    }

    /// Every path that is read.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let identity = self.keeper.iter().flat_map(Keeper::watched);
        let rules = self.paths.iter().chain(&self.mesh_path).cloned();
        rules.chain(identity).collect()
    }

    /// Looks whether the identity has changed. Where that makes the workload somebody else, what was good is compiled for
    /// that one.
    pub(super) fn renew_identity(&mut self) -> Option<Snapshot> {
        let good = self.good.take()?;
        let before = self.workload.spiffe_id.clone();
        // One that is no good was told, and the one before stays.
        let _ = self.look_at_identity(&good.mesh);
        let is_same = before == self.workload.spiffe_id;
        let compiled = (!is_same).then(|| self.compile_good(&good));
        self.good = Some(good);
        Some(compiled?.snapshot)
    }

    /// Gathers what connections prove under a snapshot, and tells what is new of it.
    pub(super) fn gather(&mut self, proofs: &mut Gatherer, snapshot: &Snapshot) {
        let identity = self.keeper.as_ref().and_then(Keeper::in_use);
        let secrets = self
            .good
            .as_ref()
            .map(|good| good.resources.secrets.as_slice());
        proofs.gather(snapshot, identity, secrets.unwrap_or_default());
        if let Some(keeper) = &mut self.keeper {
            keeper.tell_taken(SystemTime::now());
        }
    }

    /// Tells that the time of the identity runs out.
    pub(super) fn tell_time_of_identity(&mut self) {
        if let Some(keeper) = &mut self.keeper {
            keeper.tell_time(SystemTime::now());
        }
    }

    fn look_at_identity(&mut self, mesh: &MeshConfig) -> Result<(), Fault> {
        let Some(keeper) = &mut self.keeper else {
            return Ok(());
        };
        let trust_domains: Vec<&str> = mesh.trust_domains().collect();
        keeper.look(&trust_domains)?;
        self.workload.spiffe_id = keeper.in_use().map(|one| one.id.as_str().into());
        Ok(())
    }

    /// Reads and compiles everything, as it is.
    pub(super) fn read(&mut self) -> Reading {
        self.held.believe();
        match self.sources() {
            Ok(found) => self.compile(&found.sources, found.findings),
            Err(errors) => Reading::Unreadable { errors },
        }
    }

    /// The position of the listener whose ports are told apart by where connections were to go, if there is one.
    pub(super) fn virtual_inbound(&self) -> Option<usize> {
        listeners::position(&self.inbound)
    }

    /// The same, unless the files have not changed since they were read last. Emptied files are taken as they were.
    pub(super) fn read_if_changed(&mut self) -> Option<Reading> {
        let (mut sources, passed_over) = match self.sources() {
            Ok(found) => (found.sources, found.findings),
            // Files vanish while somebody replaces them; the next change tells what came of it.
            Err(errors) => {
                if !std::mem::replace(&mut self.told_unreadable, true) {
                    for error in errors {
                        warn!(target: "config", "{error}; kept what is in use");
                    }
                }
                return None;
            }
        };
        self.told_unreadable = false;
        let rules = sources
            .len()
            .saturating_sub(usize::from(self.mesh_path.is_some()));
        let (rules, mesh) = sources.split_at_mut(rules);
        let doubts = self.held.fill(rules.iter_mut(), mesh.first_mut());
        let is_gone = doubts.contains(&Doubt::Gone);
        for doubt in self.held.news(doubts) {
            match doubt {
                Doubt::Gone => warn!(
                    target: "config",
                    "nothing is left of the configuration; kept what is in use, SIGHUP takes nothing"
                ),
                Doubt::Emptied(file) => warn!(
                    target: "config",
                    "`{file}` was emptied or cannot be read; kept what it held, SIGHUP takes it as it is"
                ),
            }
        }
        let is_same = is_gone || fingerprint(&sources) == self.fingerprint;
        (!is_same).then(|| self.compile(&sources, passed_over))
    }

    /// The files in the order of the command line, the mesh configuration last.
    fn sources(&mut self) -> Result<Found, Vec<String>> {
        let told =
            |errors: Vec<Unreadable>| errors.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut found = self.reader.read(&self.paths).map_err(told)?;
        if let Some(path) = &self.mesh_path {
            let mesh = self.reader.read(std::slice::from_ref(path));
            let mesh = mesh.map_err(told)?;
            found.sources.extend(mesh.sources);
            found.findings.extend(mesh.findings);
        }
        Ok(found)
    }

    fn compile(&mut self, sources: &[Source], mut findings: Vec<Finding>) -> Reading {
        self.fingerprint = fingerprint(sources);
        let (mesh_source, sources) = self.split_mesh(sources);
        let (mut mesh, of_mesh) = mesh_source.map_or_else(
            || (MeshConfig::default(), Vec::new()),
            |source| config::load_mesh(source.as_config()),
        );
        findings.extend(of_mesh);
        mesh.default_config.dns_capture |= self.captures_dns;
        if let Err(fault) = self.look_at_identity(&mesh) {
            return Reading::NoIdentity {
                fault: fault.to_string(),
            };
        }
        let read: Vec<_> = sources.iter().map(Source::as_config).collect();
        let loaded = config::load(&read, &self.workload.namespace);
        findings.extend(loaded.findings);
        // First, because it explains the rest.
        findings.splice(0..0, config::unserved(&loaded.resources));
        self.accept_leniently(&mut findings);
        if findings.iter().any(Finding::blocks) {
            return Reading::Bad { findings };
        }
        let mut lint = config::lint(&loaded.resources, &mesh);
        lint.extend(compile::identity_demands(
            &loaded.resources,
            &self.workload,
            &mesh,
            &self.inbound,
        ));
        lint.extend(compile::missing_secrets(
            &loaded.resources,
            &self.workload,
            &mesh,
        ));
        self.accept_leniently(&mut lint);
        let is_refused = lint.iter().any(Finding::blocks);
        findings.extend(lint);
        if is_refused {
            return Reading::Bad { findings };
        }
        let good = Good {
            sources: sources
                .iter()
                .map(|source| source.concealing(&loaded.resources.secrets))
                .collect(),
            mesh_source: mesh_source.cloned(),
            resources: loaded.resources,
            mesh,
        };
        self.held.keep(sources, mesh_source);
        let compiled = self.compile_good(&good);
        self.good = Some(good);
        findings.extend(compiled.findings);
        Reading::Good {
            snapshot: Arc::new(compiled.snapshot),
            findings,
        }
    }

    /// A field that nobody knows and a rule for a subset that does not exist are applied by istiod: the one is ignored,
    /// requests for the other get a 503. Files are changed by somebody who can wait until they are right, so here an error
    /// is an error unless he says otherwise.
    fn accept_leniently(&self, findings: &mut [Finding]) {
        if self.lenient {
            findings
                .iter_mut()
                .for_each(Finding::accept_what_istiod_takes);
        }
    }

    /// Whether the configuration that was good last answers applications that ask for names.
    pub(super) fn answers_names(&self) -> bool {
        let good = self.good.as_ref();
        good.is_some_and(|good| good.mesh.default_config.dns_capture)
    }

    /// The names that the endpoints of what was compiled last are at.
    pub(super) fn names(&self) -> &BTreeMap<Box<str>, Uses> {
        &self.names
    }

    /// Compiles what was good last, with these answers; `None` when nothing has been good yet.
    pub(super) fn answered(&mut self, answers: Answers) -> Option<Snapshot> {
        self.answers = answers;
        let good = self.good.take()?;
        let compiled = self.compile_good(&good);
        self.good = Some(good);
        Some(compiled.snapshot)
    }

    fn compile_good(&mut self, good: &Good) -> Compiled {
        let compiled = self.compile_as_it_stands(good);
        let mut own = compiled.snapshot.own_sockets.all.iter();
        if !own.any(|socket| socket.is_inbound) || self.virtual_inbound().is_some() {
            return compiled;
        }
        // What comes in at a socket of its own is told apart by its port, by a listener that nobody comes to.
        let nowhere: SocketAddr = (Ipv4Addr::UNSPECIFIED, 0).into();
        self.inbound.push(Inbound {
            listen: nowhere,
            application: nowhere,
        });
        self.compile_as_it_stands(good)
    }

    fn compile_as_it_stands(&mut self, good: &Good) -> Compiled {
        // Compiling counts endpoints of which the workers of a recorded run may say something at the same time.
        let turn = self.recorder.as_ref().and_then(Recorder::turn);
        let mut compiled = compile::compile(
            &good.resources,
            &self.workload,
            &good.mesh,
            &self.inbound,
            &self.answers,
            &mut self.registry,
            self.revision,
        );
        if let Some(mut turn) = turn {
            if self.workload.carries.is_gateway() {
                turn.put(&Frame::Carries(Cow::Borrowed(&self.workload.carries)));
            }
            turn.put(&Frame::Configuration(recording::Configuration {
                files: good.sources.iter().map(Source::as_recorded).collect(),
                mesh: good.mesh_source.as_ref().map(Source::as_recorded),
                workload: Cow::Borrowed(&self.workload),
                inbound: Cow::Borrowed(&self.inbound),
                answers: Cow::Borrowed(&self.answers),
                previous: self.revision,
                identity: recording::identity(&compiled.snapshot),
            }));
        }
        self.access_log.apply(&mut compiled.snapshot);
        self.revision = compiled.snapshot.revision;
        self.names.clone_from(&compiled.names);
        compiled
    }

    fn split_mesh<'a>(&self, sources: &'a [Source]) -> (Option<&'a Source>, &'a [Source]) {
        match (&self.mesh_path, sources.split_last()) {
            (Some(_), Some((mesh, rest))) => (Some(mesh), rest),
            (Some(_) | None, _) => (None, sources),
        }
    }
}

fn fingerprint(sources: &[Source]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for source in sources {
        source.name.hash(&mut hasher);
        source.bytes.hash(&mut hasher);
    }
    hasher.finish()
}

/// What a snapshot holds, in numbers.
pub(super) fn summary(snapshot: &Snapshot) -> String {
    let rules: usize = snapshot.virtual_hosts.iter().map(|v| v.rules.len()).sum();
    format!(
        "revision {}: {} virtual hosts, {rules} rules, {} clusters",
        snapshot.revision,
        snapshot.virtual_hosts.len(),
        snapshot.clusters.len(),
    )
}
