//! `outrigger replay FILE --config PATH`: which recorded requests would be decided otherwise under other rules.
//!
//! Owns how these are read, and the exit code. What is compared is in `outrigger_recording`; how it looks, in `text` and
//! `json`.

mod json;
mod text;

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::process::ExitCode;

use outrigger_core::cluster::Registry;
use outrigger_core::compile::compile;
use outrigger_core::config::{self, Finding, MeshConfig};
use outrigger_core::snapshot::Snapshot;
use outrigger_recording::Configuration;
use outrigger_recording::what_if::{Stop, what_if as compare};

use super::{CHANGED, ReplayArgs, UNREADABLE};
use crate::options::Format;
use crate::sources::{self, Source};

/// Runs the command and says how it went.
pub(super) fn what_if(args: &ReplayArgs) -> ExitCode {
    let read = sources::read(&args.config)
        .and_then(|rules| Ok((rules, sources::read(args.mesh_config.as_slice())?)));
    let (rules, mesh) = match read {
        Ok((rules, mesh)) => {
            for finding in rules.findings.iter().chain(&mesh.findings) {
                anstream::eprintln!("{finding}");
            }
            (rules.sources, mesh.sources)
        }
        Err(unreadable) => {
            for path in unreadable {
                anstream::eprintln!("error: {path}");
            }
            return ExitCode::from(UNREADABLE);
        }
    };
    let file = match File::open(&args.file) {
        Ok(file) => BufReader::new(file),
        Err(error) => {
            anstream::eprintln!("error: `{}`: {error}", args.file.display());
            return ExitCode::from(UNREADABLE);
        }
    };
    let mut has_services = true;
    let (compared, stop) = compare(file, |recorded| {
        compiled(&rules, mesh.first(), recorded).map(|compiled| {
            has_services &= compiled.has_services;
            compiled.snapshot
        })
    });
    if !has_services {
        anstream::eprintln!(
            "note: there is no Service or ServiceEntry among these rules; those of the recording are used"
        );
    }
    let error = match stop {
        None => None,
        Some(Stop::Fault(fault)) => Some(format!("`{}`: {fault}", args.file.display())),
        Some(Stop::Refused(findings)) => {
            for finding in findings {
                anstream::eprintln!("{finding}");
            }
            Some("the rules have errors".to_owned())
        }
    };
    if let Some(error) = &error {
        anstream::eprintln!("error: {error}");
    }
    let out = anstream::AutoStream::auto(io::stdout()).lock();
    let mut out = io::BufWriter::new(out);
    let written = match (args.format, &error) {
        (Format::Text, None) => super::fitted(&mut out, |out| text::write(out, &compared)),
        // What was compared before it speaks for no recording.
        (Format::Text, Some(_)) => Ok(()),
        (Format::Json, _) => json::write(&mut out, &compared, error.as_deref()),
    };
    // Whoever reads may stop reading; the verdict stands in the exit code all the same.
    let _ = written.and_then(|()| out.flush());
    match (error, compared.otherwise) {
        (Some(_), _) => ExitCode::from(UNREADABLE),
        (None, 0) => ExitCode::SUCCESS,
        (None, 1..) => ExitCode::from(CHANGED),
    }
}

/// What the rules come to.
struct Compiled {
    snapshot: Snapshot,
    /// They have services of their own. Otherwise the recorded ones are used, so that rules alone can be tried.
    has_services: bool,
}

/// The rules, compiled for whom the recorded ones were compiled.
///
/// # Errors
/// They have errors in what the proxy uses, as for `run`.
fn compiled(
    rules: &[Source],
    mesh: Option<&Source>,
    recorded: &Configuration<'_>,
) -> Result<Compiled, Vec<Finding>> {
    let recorded_mesh = recorded.mesh.as_ref().map(|mesh| mesh.as_source());
    let mesh = mesh.map(Source::as_config).or(recorded_mesh);
    let (mesh, mut findings) =
        mesh.map_or_else(|| (MeshConfig::default(), Vec::new()), config::load_mesh);
    let read: Vec<_> = rules.iter().map(Source::as_config).collect();
    let mut loaded = config::load(&read, &recorded.workload.namespace);
    findings.extend(loaded.findings);
    findings.retain(Finding::blocks);
    if !findings.is_empty() {
        return Err(findings);
    }
    let has_services = loaded.resources.have_services();
    if !has_services {
        let files: Vec<_> = recorded.files.iter().map(|file| file.as_source()).collect();
        let of_then = config::load(&files, &recorded.workload.namespace);
        loaded.resources.take_services(of_then.resources);
    }
    let (workload, inbound) = (&recorded.workload, &recorded.inbound);
    let registry = &mut Registry::default();
    let answers = &recorded.answers;
    let compiled = compile(
        &loaded.resources,
        workload,
        &mesh,
        inbound,
        answers,
        registry,
        0,
    );
    Ok(Compiled {
        snapshot: compiled.snapshot,
        has_services,
    })
}
