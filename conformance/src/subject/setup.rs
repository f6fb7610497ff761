//! From a case's configuration to snapshots, and the findings on the way.

use std::collections::VecDeque;

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{Answers, Carried, CarriedPorts, Inbound, Workload, compile};
use outrigger_core::config::mesh::MeshConfig;
use outrigger_core::config::sidecar::{OutboundMode, OutboundTrafficPolicy};
use outrigger_core::config::{Finding, Severity, lint, load_mesh};
use outrigger_core::config::{Source, load};
use outrigger_core::peer::{AddressRange, ToldClients};
use outrigger_core::snapshot::{PathNormalization, Snapshot};
use outrigger_core::worker::{Signatures, WorkerSettings};
use outrigger_jwt::check_signature;

use crate::Problem;
use crate::beneath::proofs;
use crate::case::{Case, Document, ExpectedFinding, Reload, Settings};

/// A case ready to run.
#[derive(Debug)]
pub struct Setup {
    /// The first snapshot.
    pub snapshot: Snapshot,
    /// Of every worker.
    pub settings: WorkerSettings,
    compiler: Compiler,
    /// What is in force.
    yaml: Vec<Document>,
    reloads: VecDeque<Reload>,
}

#[derive(Debug)]
struct Compiler {
    workload: Workload,
    mesh: MeshConfig,
    inbound: Vec<Inbound>,
    answers: Answers,
    registry: Registry,
    revision: u64,
}

impl Setup {
    /// Loads and compiles, and compares the findings.
    ///
    /// # Errors
    /// Findings that the case does not expect, or expects and does not get.
    pub fn new(case: &Case) -> Result<Self, Vec<Problem>> {
        let wrong = |what: String| vec![Problem::new(&case.file, case.line, what)];
        let settings = worker_settings(&case.settings).map_err(wrong)?;
        let mut compiler = Compiler::new(case).map_err(wrong)?;
        let (snapshot, findings) = compiler.compile(&case.yaml, case.findings.is_some());
        let problems = judge(case, &findings);
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            snapshot,
            settings,
            compiler,
            yaml: case.yaml.clone(),
            reloads: case.reloads.clone().into(),
        })
    }

    /// The next configuration; `None` when there is none, or when it is bad and changes nothing.
    pub fn reload(&mut self) -> Option<Snapshot> {
        let yaml = match self.reloads.pop_front()? {
            Reload::Configuration(document) => vec![document],
            Reload::Answers(answers) => {
                self.compiler.answers.names.extend(answers);
                self.yaml.clone()
            }
        };
        let (snapshot, findings) = self.compiler.compile(&yaml, false);
        if findings.iter().any(|(_, f)| f.severity == Severity::Error) {
            return None;
        }
        self.yaml = yaml;
        Some(snapshot)
    }
}

impl Compiler {
    fn new(case: &Case) -> Result<Self, String> {
        let settings = &case.settings;
        let address = |text: &str| match text {
            "brought" => Ok(([0, 0, 0, 0], 0).into()),
            text => text.parse().map_err(|_| format!("`{text}` is no address")),
        };
        let inbound = settings.inbound.as_deref().map(address).transpose()?;
        let defaults = mesh(settings)?;
        Ok(Self {
            workload: Workload {
                namespace: settings
                    .namespace
                    .clone()
                    .unwrap_or_else(|| "default".to_owned()),
                labels: settings.labels.clone(),
                spiffe_id: proofs::spiffe_id(case),
                carries: Box::new(Carried {
                    ports: match &*settings.gateway {
                        [] => CarriedPorts::Nothing,
                        ports => CarriedPorts::These(ports.to_vec()),
                    },
                    trusted_hops: settings.trusted_hops,
                }),
                ..Workload::default()
            },
            mesh: MeshConfig {
                path_normalization: path_normalization(settings)?,
                outbound_traffic_policy: outbound(settings)?,
                ..defaults
            },
            inbound: inbound
                .map(|application| Inbound {
                    listen: ([127, 0, 0, 1], 15_006).into(),
                    application,
                })
                .into_iter()
                .collect(),
            answers: Answers {
                names: case.answers.clone(),
                ..Answers::new()
            },
            registry: Registry::default(),
            revision: 0,
        })
    }

    /// Findings come with their line in the case file. The lint, which never keeps a snapshot away, is asked for.
    fn compile(
        &mut self,
        documents: &[Document],
        with_lint: bool,
    ) -> (Snapshot, Vec<(usize, Finding)>) {
        let names: Vec<String> = documents.iter().map(|d| d.line.to_string()).collect();
        let sources: Vec<Source<'_>> = documents
            .iter()
            .zip(&names)
            .map(|(document, name)| Source {
                name,
                bytes: document.text.as_bytes(),
            })
            .collect();
        let loaded = load(&sources, &self.workload.namespace);
        let compiled = compile(
            &loaded.resources,
            &self.workload,
            &self.mesh,
            &self.inbound,
            &self.answers,
            &mut self.registry,
            self.revision,
        );
        self.revision = compiled.snapshot.revision;
        let mut findings = loaded.findings;
        findings.extend(compiled.findings);
        if with_lint {
            findings.extend(lint(&loaded.resources, &self.mesh));
        }
        let at = |finding: &Finding| {
            let block: usize = finding.file.parse().unwrap_or_default();
            block + finding.line as usize
        };
        (
            compiled.snapshot,
            findings.into_iter().map(|f| (at(&f), f)).collect(),
        )
    }
}

/// The settings of the mesh that have no name of their own among a case's settings.
fn mesh(settings: &Settings) -> Result<MeshConfig, String> {
    let Some(written) = &settings.mesh else {
        return Ok(MeshConfig::default());
    };
    let text = serde_yaml::to_string(written).map_err(|e| e.to_string())?;
    let source = Source {
        name: "mesh",
        bytes: text.as_bytes(),
    };
    let (mesh, findings) = load_mesh(source);
    findings
        .first()
        .map_or(Ok(mesh), |finding| Err(finding.to_string()))
}

fn path_normalization(settings: &Settings) -> Result<PathNormalization, String> {
    Ok(match settings.path_normalization.as_deref() {
        None | Some("BASE") => PathNormalization::Base,
        Some("NONE") => PathNormalization::None,
        Some("MERGE_SLASHES") => PathNormalization::MergeSlashes,
        Some("DECODE_AND_MERGE_SLASHES") => PathNormalization::DecodeAndMergeSlashes,
        Some(other) => return Err(format!("`{other}` is no path normalization")),
    })
}

fn outbound(settings: &Settings) -> Result<Option<OutboundTrafficPolicy>, String> {
    let mode = match settings.outbound_traffic_policy.as_deref() {
        None => return Ok(None),
        Some("ALLOW_ANY") => OutboundMode::AllowAny,
        Some("REGISTRY_ONLY") => OutboundMode::RegistryOnly,
        Some(other) => return Err(format!("`{other}` is no outbound traffic policy")),
    };
    Ok(Some(OutboundTrafficPolicy {
        mode,
        ..OutboundTrafficPolicy::default()
    }))
}

fn worker_settings(settings: &Settings) -> Result<WorkerSettings, String> {
    let defaults = WorkerSettings::default();
    let head = Settings::time(settings.request_head_timeout.as_deref())?;
    let idle = Settings::time(settings.idle_timeout.as_deref())?;
    let told = settings.explain_to.iter().map(|range| range.parse());
    let told = told.collect::<Result<Vec<AddressRange>, String>>()?;
    Ok(WorkerSettings {
        request_head_timeout: head.or(defaults.request_head_timeout),
        idle_timeout: idle.or(defaults.idle_timeout),
        stream_idle_timeout: Settings::time(settings.stream_idle_timeout.as_deref())?,
        max_request_body: settings.max_request_body,
        signatures: Signatures(Some(check_signature)),
        told_clients: ToldClients::new(&told).ok_or("too many ranges in `explain_to`")?,
        ..defaults
    })
}

/// All findings when the case lists them, otherwise no errors.
fn judge(case: &Case, got: &[(usize, Finding)]) -> Vec<Problem> {
    let Some(expected) = &case.findings else {
        let errors = got.iter().filter(|(_, f)| f.severity == Severity::Error);
        return errors.map(|(line, f)| unexpected(case, *line, f)).collect();
    };
    let mut left: Vec<&(usize, Finding)> = got.iter().collect();
    let mut problems = Vec::new();
    for wanted in expected {
        match left.iter().position(|(_, f)| is(wanted, f)) {
            Some(at) => {
                left.remove(at);
            }
            None => {
                let what = format!(
                    "expected {} {} {}",
                    wanted.severity, wanted.code, wanted.path
                );
                problems.push(Problem::new(&case.file, wanted.line, what));
            }
        }
    }
    problems.extend(left.iter().map(|(line, f)| unexpected(case, *line, f)));
    problems
}

fn is(wanted: &ExpectedFinding, got: &Finding) -> bool {
    wanted.severity == got.severity.as_str()
        && wanted.code == got.code.as_str()
        && (wanted.path.is_empty() || wanted.path == got.path)
}

fn unexpected(case: &Case, line: usize, finding: &Finding) -> Problem {
    let (severity, code, path) = (finding.severity, finding.code, &finding.path);
    let what = format!(
        "unexpected: {severity} {code} {path}\n  {}",
        finding.message
    );
    Problem::new(&case.file, line, what)
}
