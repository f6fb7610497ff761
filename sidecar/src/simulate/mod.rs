//! The command `simulate`: what users would see under a policy.
//!
//! Owns the way from files to a played scenario, and the exit code. What is played and counted is `outrigger_sim::study`;
//! how it looks is in `table`, `beside`, `json` and `picture`.

mod args;
mod beside;
mod json;
mod picture;
mod table;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

pub(crate) use args::SimulateArgs;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use outrigger_core::config::{self, Finding, MeshConfig, Severity};
use outrigger_sim::study::{self, Expectation, Scenario, Study, StudyOutcome};

use crate::check::text::write_finding;
use crate::options::Format;
use crate::sources::{self, Source};
use crate::width;

/// A path could not be read or written.
const UNREADABLE: u8 = 2;

/// Warnings beyond so many are counted: rules of a whole mesh name much that a scenario leaves out.
const MOST_TOLD: usize = 5;

/// Why there is no outcome.
enum Trouble {
    /// A path could not be read or written: these lines say why.
    Path(Vec<String>),
    /// The input was judged bad.
    Bad(Vec<Finding>, Vec<Source>),
    /// A fault of ours.
    Broken(String),
}

/// One policy, played.
struct Run {
    /// The paths of its configuration, as the user named them.
    config: Vec<String>,
    outcome: StudyOutcome,
    /// Each expectation, and whether it held.
    expectations: Vec<(Expectation, bool)>,
}

/// Runs the command and says how it went.
pub(crate) fn simulate(args: &SimulateArgs) -> ExitCode {
    match played(args) {
        Ok(holds) => ExitCode::from(u8::from(!holds)),
        Err(Trouble::Path(lines)) => {
            for line in lines {
                anstream::eprintln!("error: {line}");
            }
            ExitCode::from(UNREADABLE)
        }
        Err(Trouble::Bad(findings, sources)) => {
            tell(&findings, &sources);
            ExitCode::from(1)
        }
        Err(Trouble::Broken(what)) => {
            anstream::eprintln!(
                "error: a fault of this program, please report it with the scenario: {what}"
            );
            ExitCode::from(1)
        }
    }
}

/// Plays everything and writes what came of it. Says whether everything was as expected.
fn played(args: &SimulateArgs) -> Result<bool, Trouble> {
    let scenario = read_scenario(&args.scenario)?;
    let seed = args.seed.unwrap_or(scenario.seed);
    let folder = args.scenario.parent().unwrap_or_else(|| Path::new(""));
    let own = scenario.config.iter().map(|path| folder.join(path));
    let policies: Vec<Vec<PathBuf>> = match args.compare.as_slice() {
        [] => vec![own.collect()],
        several => several.iter().map(|path| vec![path.clone()]).collect(),
    };
    let mut studies = Vec::new();
    for paths in policies {
        studies.push((prepare(&scenario, folder, &paths)?, paths));
    }
    let mut runs = Vec::new();
    for (study, paths) in studies {
        runs.push(play(&study, &paths, seed)?);
    }
    if let Some(path) = &args.picture {
        draw(path, &scenario, &runs)?;
    }
    let out = anstream::AutoStream::auto(io::stdout()).lock();
    let mut out = io::BufWriter::new(out);
    let written = match args.format {
        Format::Text => match runs.as_slice() {
            [a, b] => beside::write(&mut out, &scenario, [a, b]),
            others => others
                .iter()
                .try_for_each(|run| table::write(&mut out, &scenario, run)),
        },
        Format::Json => json::write(&mut out, &scenario, &runs),
    };
    // Whoever reads may stop reading (`| head`); the verdict stands in the exit code all the same.
    let _ = written.and_then(|()| out.flush());
    let mut expectations = runs.iter().flat_map(|run| &run.expectations);
    Ok(expectations.all(|(_, holds)| *holds))
}

/// Draws what happened into a file.
fn draw(path: &Path, scenario: &Scenario, runs: &[Run]) -> Result<(), Trouble> {
    let picture = match path.extension().and_then(|end| end.to_str()) {
        Some("svg") => picture::svg(scenario, runs),
        _ => picture::html(scenario, runs),
    };
    std::fs::write(path, picture)
        .map_err(|error| Trouble::Path(vec![format!("cannot write `{}`: {error}", path.display())]))
}

fn read_scenario(path: &Path) -> Result<Scenario, Trouble> {
    let sources = read(&[path.to_owned()])?;
    let [source] = sources.as_slice() else {
        let line = format!("`{}` is a folder: name one scenario", path.display());
        return Err(Trouble::Path(vec![line]));
    };
    study::read(source.as_config()).map_err(|findings| Trouble::Bad(findings, sources))
}

fn read(paths: &[PathBuf]) -> Result<Vec<Source>, Trouble> {
    let unreadable = |paths: Vec<sources::Unreadable>| {
        Trouble::Path(paths.iter().map(ToString::to_string).collect())
    };
    let found = sources::read(paths).map_err(unreadable)?;
    tell(&found.findings, &[]);
    Ok(found.sources)
}

/// Reads and judges the rules that a scenario is to be played under.
fn prepare(scenario: &Scenario, folder: &Path, paths: &[PathBuf]) -> Result<Study, Trouble> {
    let sources = read(paths)?;
    let mesh_path: Vec<PathBuf> = scenario
        .mesh_config
        .iter()
        .map(|path| folder.join(path))
        .collect();
    let (mut mesh, mut findings) = (MeshConfig::default(), Vec::new());
    let mesh_sources = read(&mesh_path)?;
    for source in &mesh_sources {
        (mesh, findings) = config::load_mesh(source.as_config());
    }
    if findings
        .iter()
        .any(|finding| finding.severity == Severity::Error)
    {
        return Err(Trouble::Bad(findings, mesh_sources));
    }
    let config: Vec<_> = sources.iter().map(Source::as_config).collect();
    let study = match Study::new(scenario.clone(), &config, mesh) {
        Ok(study) => study,
        Err(findings) => return Err(Trouble::Bad(findings, sources)),
    };
    let shown = study.findings.len().min(MOST_TOLD);
    tell(&study.findings[..shown], &sources);
    if study.findings.len() > shown {
        let more = study.findings.len() - shown;
        anstream::eprintln!("… and {more} warnings more: `outrigger check` tells them\n");
    }
    Ok(study)
}

fn play(study: &Study, paths: &[PathBuf], seed: u64) -> Result<Run, Trouble> {
    let outcome = show_progress(|progress| study.play(seed, progress)).map_err(Trouble::Broken)?;
    let held = |expectation: &Expectation| {
        let row = outcome.row(&expectation.of)?;
        Some((expectation.clone(), expectation.holds(row)))
    };
    Ok(Run {
        config: paths
            .iter()
            .map(|path| path.display().to_string())
            .collect(),
        expectations: study
            .scenario()
            .expectations
            .iter()
            .filter_map(held)
            .collect(),
        outcome,
    })
}

/// Shows on a terminal how far a play is, and how fast it was.
fn show_progress(
    play: impl FnOnce(&mut dyn FnMut(study::Progress)) -> Result<StudyOutcome, String>,
) -> Result<StudyOutcome, String> {
    const PARTS: u64 = 1000;
    // Drawn only when standard error is a terminal.
    let bar = ProgressBar::with_draw_target(Some(PARTS), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("  {bar:40} {percent:>3} %  {msg}") {
        bar.set_style(style);
    }
    let began = Instant::now();
    let outcome = play(&mut |progress| {
        bar.set_position((progress.share * PARTS as f64) as u64);
        bar.set_message(format!("{} calls", table::grouped(progress.calls)));
    });
    bar.finish_and_clear();
    if let Ok(outcome) = &outcome {
        let (calls, took) = (outcome.calls, began.elapsed().as_secs_f64());
        anstream::eprintln!(
            "played {} calls in {took:.2} s, {} a second",
            table::grouped(calls),
            table::grouped((calls as f64 / took) as u64),
        );
    }
    outcome
}

/// Findings go where they disturb no reader of the outcome.
fn tell(findings: &[Finding], sources: &[Source]) {
    let mut out = anstream::AutoStream::auto(io::stderr()).lock();
    let columns = width::of_output();
    for finding in findings {
        let source = sources.iter().find(|source| source.name == finding.file);
        let _ = write_finding(&mut out, finding, source, columns);
        let _ = writeln!(out);
    }
}
