//! From the command line's paths to a snapshot, again and again.
//!
//! Owns what is read, what it is read for, and whether it is good enough to run. Endpoints keep their live state from
//! one snapshot to the next, because the registry stays.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{self, Answers, Compiled, Inbound, Uses, Workload};
use outrigger_core::config::mesh::MeshConfig;
use outrigger_core::config::{self, Finding, Resources, Severity};
use outrigger_core::snapshot::Snapshot;
use outrigger_identity::Fault;
use outrigger_recording::{self as recording, Frame, Recorder};
use outrigger_xds::Kind;
use tracing::error;

use super::discovery::{Inbox, Refused};
use super::gathered::Gathered;
use super::identity::Keeper;
use super::listeners;
use super::origin::Origin;
use super::pod_labels::{Current, Follower, Labels};
use super::proofs::Gatherer;
use crate::access_log_args::AccessLogChoice;
use crate::cli::RunArgs;
use crate::sources::Source;
use crate::{environment, proxy_config};

/// What is read and for whom.
#[derive(Debug)]
pub(super) struct Configuration {
    origin: Origin,
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
    /// The labels of the workload, which may change.
    labels: Follower,
    access_log: AccessLogChoice,
    /// What `PROXY_CONFIG` says of the mesh's `defaultConfig`.
    over: Option<Source>,
    revision: u64,
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
        origin: Origin,
        access_log: AccessLogChoice,
        recorder: Option<Recorder>,
        keeper: Option<Keeper>,
    ) -> Self {
        let labels = Follower::new(args);
        let inbound = args.inbound.iter();
        Self {
            lenient: args.lenient || matches!(origin, Origin::Discovered(_)),
            origin,
            workload: Workload {
                namespace: args.namespace.clone(),
                labels: Labels::clone(&labels.current().get()),
                spiffe_id: None,
                trace: args.trace.flags(),
                carries: Box::new(args.gateway.carried()),
            },
            inbound: inbound.map(|arg| arg.listener()).collect(),
            captures_dns: !args.dns.dns.is_empty() && recorder.is_none(),
            registry: Registry::default(),
            recorder,
            keeper,
            labels,
            access_log,
            over: proxy_config::said()
                .ok()
                .and_then(|said| said.rest(&environment::variables())),
            revision: 0,
            good: None,
            answers: Answers::new(),
            names: BTreeMap::new(),
        }
    }

    /// Every path that is read.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let identity = self.keeper.iter().flat_map(Keeper::watched);
        let rules = match &self.origin {
            Origin::Files(files) => Some(files.paths()),
            Origin::Discovered(_) => None,
        };
        let rules = rules.into_iter().flatten().cloned();
        rules
            .chain(identity)
            .chain(self.labels.watched().cloned())
            .collect()
    }

    /// The labels that the workload has now, for whoever asks.
    pub(super) const fn labels(&self) -> &Arc<Current> {
        self.labels.current()
    }

    /// Whether the workload has other labels than before: everything is to be read for them then, and a control plane is told.
    pub(super) fn renew_labels(&mut self) -> bool {
        let Some(labels) = self.labels.look() else {
            return false;
        };
        if let Origin::Discovered(inbox) = &self.origin {
            inbox.relabel(&labels);
        }
        self.workload.labels = Labels::clone(&labels);
        true
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
        match &mut self.origin {
            Origin::Files(files) => match files.read() {
                Ok(gathered) => self.judge(&gathered),
                Err(errors) => Reading::Unreadable { errors },
            },
            Origin::Discovered(inbox) => {
                let inbox = Arc::clone(inbox);
                self.judge_discovered(&inbox)
            }
        }
    }

    /// The position of the listener whose ports are told apart by where connections were to go, if there is one.
    pub(super) fn virtual_inbound(&self) -> Option<usize> {
        listeners::position(&self.inbound)
    }

    /// The same, unless nothing has changed since.
    pub(super) fn read_if_changed(&mut self) -> Option<Reading> {
        match &mut self.origin {
            Origin::Files(files) => {
                let gathered = files.read_if_changed()?;
                Some(self.judge(&gathered))
            }
            Origin::Discovered(inbox) => {
                let inbox = inbox.has_news().then(|| Arc::clone(inbox))?;
                Some(self.judge_discovered(&inbox))
            }
        }
    }

    /// Judges objects one by one, as far as they can be: one that is no good is refused, and its last good one used with all
    /// others. Errors that no new object is to blame for keep what is in use, as errors of files do.
    /// And so do errors of policies, and of the settings of istiod's mesh, at the start: nobody is let in, or out, by what is missing.
    fn judge_discovered(&mut self, inbox: &Inbox) -> Reading {
        let is_first = self.good.is_none();
        let candidates = inbox.candidates();
        let (mut refused, mut told) = (Refused::new(), Vec::new());
        let reading = loop {
            let reading = self.judge(&candidates.gathered(&refused));
            let Reading::Bad { findings } = &reading else {
                break reading;
            };
            let blocking = findings.iter().filter(|finding| finding.blocks());
            told.extend(blocking.clone().cloned());
            if !candidates.blame(blocking, &mut refused) {
                break reading;
            }
        };
        inbox.settle(&refused, &candidates);
        let strange: Vec<String> = candidates
            .strange
            .iter()
            .map(|(_, why)| why.clone())
            .collect();
        let secures = |kind: &Kind| kind.group == "security.istio.io" || kind.is_mesh_config();
        let unread = candidates.strange.iter().filter(|(kind, _)| secures(kind));
        let unread: Vec<String> = unread.map(|(kind, why)| never_started(kind, why)).collect();
        match reading {
            Reading::Good { .. } if is_first && refused.keys().any(|key| secures(key.kind)) => {
                return Reading::Bad { findings: told };
            }
            Reading::Good { .. } if is_first && !unread.is_empty() => {
                return Reading::Unreadable { errors: unread };
            }
            _ => strange
                .iter()
                .for_each(|why| error!(target: "config", "{why}; refused")),
        }
        match reading {
            Reading::Good {
                snapshot,
                mut findings,
            } => {
                findings.splice(0..0, told);
                Reading::Good { snapshot, findings }
            }
            other => other,
        }
    }

    fn judge(&mut self, gathered: &Gathered) -> Reading {
        let is_discovered = matches!(self.origin, Origin::Discovered(_));
        let Gathered { rules, mesh, .. } = gathered;
        let mut findings = gathered.findings.clone();
        let mesh_source = mesh.as_ref();
        let (mut mesh, of_mesh) = mesh_source.map_or_else(
            || (MeshConfig::default(), Vec::new()),
            |source| config::load_mesh(source.as_config()),
        );
        findings.extend(of_mesh);
        if let Some(over) = &self.over {
            let (said, of_over) = config::load_mesh(over.as_config());
            findings.extend(of_over);
            let says = proxy_config::says(over);
            let under = std::mem::take(&mut mesh.default_config);
            mesh.default_config = under.under(&said.default_config, says);
        }
        mesh.default_config.dns_capture |= self.captures_dns;
        if let Err(fault) = self.look_at_identity(&mesh) {
            return Reading::NoIdentity {
                fault: fault.to_string(),
            };
        }
        let read: Vec<_> = rules.iter().map(Source::as_config).collect();
        let loaded = config::load(&read, &self.workload.namespace);
        findings.extend(loaded.findings);
        if !is_discovered {
            // First, because it explains the rest.
            findings.splice(0..0, config::unserved(&loaded.resources));
        }
        self.accept_leniently(&mut findings);
        if findings.iter().any(Finding::blocks) {
            return Reading::Bad { findings };
        }
        // A part of a mesh lacks what concerns others, and its rules are linted as a whole by who has all of it.
        let mut lint = match is_discovered {
            true => Vec::new(),
            false => config::lint(&loaded.resources, &mesh),
        };
        lint.extend(compile::identity_demands(
            &loaded.resources,
            &self.workload,
            &mesh,
            &self.inbound,
        ));
        let mut missing = compile::missing_secrets(&loaded.resources, &self.workload, &mesh);
        if is_discovered {
            // What is not there yet may come: connections that need it fail until then.
            let told = missing.iter_mut();
            told.for_each(|finding| finding.severity = Severity::Warning);
        }
        lint.extend(missing);
        self.accept_leniently(&mut lint);
        let is_refused = lint.iter().any(Finding::blocks);
        findings.extend(lint);
        if is_refused {
            return Reading::Bad { findings };
        }
        let good = Good {
            sources: rules
                .iter()
                .map(|source| source.concealing(&loaded.resources.secrets))
                .collect(),
            mesh_source: mesh_source.cloned(),
            resources: loaded.resources,
            mesh,
        };
        if let Origin::Files(files) = &mut self.origin {
            files.keep(gathered);
        }
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
}

/// Why a first start ended, of what secures it and cannot even be read.
fn never_started(kind: &Kind, why: &str) -> String {
    let kind = kind.kind;
    format!(
        "{kind}: {why}; nothing is started without it, because it may be what keeps somebody out: mend it, or remove it, where the \
         control plane has it from"
    )
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
