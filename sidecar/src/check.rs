//! The command `check`: judges configuration and tells every finding.
//!
//! Owns the exit code and the order of findings. How they look is in `text`, `json`, `sarif` and `github`; what is
//! found is decided by `outrigger_core::config`.

mod args;
mod fold;
mod github;
mod here;
mod json;
mod sarif;
pub(crate) mod text;

pub(crate) use args::{CheckArgs, CheckFormat};

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{self, Answers, Inbound, Workload};
use outrigger_core::config::{self, Code, Finding, MeshConfig, Severity};

use crate::sources::{self, Reader, Source};
use crate::width;

/// The configuration could not be read, so nothing was judged.
const UNREADABLE: u8 = 2;

/// Runs the command and says how it went.
pub(crate) fn check(args: &CheckArgs) -> ExitCode {
    let mesh_path: Vec<PathBuf> = args.mesh_config.iter().cloned().collect();
    let mut reader = Reader::ignoring(&args.ignore);
    let read = reader
        .read(&args.paths)
        .and_then(|read| Ok((read, sources::read(&mesh_path)?)));
    let (found, mesh) = match read {
        Ok((found, mesh)) => (found, mesh.sources),
        Err(unreadable) => {
            for path in unreadable {
                anstream::eprintln!("error: {path}");
            }
            return ExitCode::from(UNREADABLE);
        }
    };
    let mut sources = found.sources;
    let mut findings = found.findings;
    findings.extend(judge(args, &sources, &mesh));
    // Its lines are shown too.
    sources.extend(mesh);
    sort(&mut findings, &sources);
    let counts = Counts::of(&findings, sources.len());
    let is_for_people = matches!(args.format, CheckFormat::Text | CheckFormat::Github);
    if args.quiet && is_for_people {
        findings.retain(|finding| Counts::of(std::slice::from_ref(finding), 1).fails(args.strict));
    }
    let out = anstream::AutoStream::auto(io::stdout()).lock();
    let mut out = io::BufWriter::new(out);
    let written = match args.format {
        CheckFormat::Text => {
            let shown = text::Shown {
                all: args.all,
                summary: !args.quiet,
                columns: width::of_output(),
            };
            text::write(&mut out, &sources, &findings, &counts, shown)
        }
        CheckFormat::Json => json::write(&mut out, &findings, &counts),
        CheckFormat::Sarif => sarif::write(&mut out, &findings),
        CheckFormat::Github => github::write(&mut out, &findings),
    };
    // Whoever reads may stop reading (`| head`); the verdict stands in the exit code all the same.
    let _ = written.and_then(|()| out.flush());
    ExitCode::from(u8::from(counts.fails(args.strict)))
}

/// What reading says about each resource, the lint about all together, and the compiler about putting them to work.
fn judge(args: &CheckArgs, sources: &[Source], mesh: &[Source]) -> Vec<Finding> {
    let mut settings = MeshConfig::default();
    let mut findings = Vec::new();
    for source in mesh {
        (settings, findings) = config::load_mesh(source.as_config());
    }
    settings.default_config.dns_capture |= args.dns;
    let read: Vec<config::Source<'_>> = sources.iter().map(Source::as_config).collect();
    let loaded = config::load(&read, &args.namespace);
    findings.extend(loaded.findings);
    // Services alone may well be somebody else's half.
    let has_rules = !loaded.resources.virtual_services.is_empty();
    findings.extend(config::unserved(&loaded.resources).filter(|_| has_rules));
    findings.extend(config::lint(&loaded.resources, &settings));
    // What `run` in this namespace would say as well.
    let (spiffe_id, of_identity) = here::identity(args, &settings);
    // What is there and no good is told by itself.
    let has_none = of_identity.iter().all(|f| f.code != Code::UnusableIdentity);
    findings.extend(of_identity);
    let labels = args.labels.iter();
    let workload = Workload {
        namespace: args.namespace.clone(),
        labels: labels.map(|l| (l.key.clone(), l.value.clone())).collect(),
        spiffe_id,
        carries: Box::new(args.gateway.carried()),
        ..Workload::default()
    };
    let inbound: Vec<Inbound> = args.inbound.iter().map(|to| to.0).collect();
    let resources = &loaded.resources;
    if args.is_here() {
        findings.extend(here::files(resources));
    }
    if args.is_here() && has_none {
        let demands = compile::identity_demands(resources, &workload, &settings, &inbound);
        findings.extend(demands);
    }
    // Secrets may well be kept elsewhere, where none are here.
    if args.is_here() || !resources.secrets.is_empty() {
        findings.extend(compile::missing_secrets(resources, &workload, &settings));
    }
    let registry = &mut Registry::default();
    let compiled = compile::compile(
        resources,
        &workload,
        &settings,
        &inbound,
        &Answers::new(),
        registry,
        0,
    );
    findings.extend(compiled.findings);
    if args.lenient {
        let all = findings.iter_mut();
        all.for_each(Finding::accept_what_istiod_takes);
    } else {
        // Once the field is named rightly, they are gone.
        findings.retain(|finding| !finding.is_consequence);
    }
    findings
}

/// In the order of the files, and of the lines within a file; what concerns all of them first.
fn sort(findings: &mut [Finding], sources: &[Source]) {
    let order: BTreeMap<&str, usize> = sources.iter().map(|s| &*s.name).zip(0..).collect();
    findings.sort_by_key(|finding| {
        let file = order.get(&*finding.file).copied().unwrap_or(usize::MAX);
        let is_of_one = !matches!(finding.code, Code::NoServices | Code::NoEndpoints);
        (
            is_of_one,
            file,
            finding.line,
            finding.column,
            finding.severity,
            finding.code,
        )
    });
}

/// How much was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    files: usize,
    errors: usize,
    warnings: usize,
    infos: usize,
}

impl Counts {
    fn of(findings: &[Finding], files: usize) -> Self {
        let count = |severity| findings.iter().filter(|f| f.severity == severity).count();
        Self {
            files,
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            infos: count(Severity::Info),
        }
    }

    const fn fails(&self, strict: bool) -> bool {
        self.errors > 0 || (strict && self.warnings > 0)
    }
}

#[cfg(test)]
mod tests;
