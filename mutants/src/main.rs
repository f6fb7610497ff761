//! Which faults no test sees.
//!
//! Small faults are put into a copy of the packages, all into one build, each behind a switch that a number in the environment
//! turns on. So a mutant costs a run of tests and no build. One run of each test tells which mutants it reaches; a mutant is tried
//! with those alone, the quickest first.

mod compile;
mod find;
mod guard;
mod play;
mod programs;
mod store;
mod table;
mod tree;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};

use crate::compile::{Builder, package_name};
use crate::find::Mutant;
use crate::play::Fate;
use crate::programs::{Program, Test};
use crate::store::{Store, Told};

const PACKAGES: [&str; 5] = [
    "core",
    "recording",
    "runtime",
    "runtime-tokio",
    "runtime-glommio",
];

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Format {
    Text,
    Json,
}

/// Puts small faults into the code, one at a time, and tells which of them no test sees.
///
/// Ends with 1 when one survives that `mutants/survivors` does not name, or when too few are caught.
#[derive(Debug, Parser)]
#[command(
    name = ".ci/mutants",
    after_help = "Examples:
  .ci/mutants --sample 600                   of all packages, spread over their modules
  .ci/mutants --sample 600 --seed 2          others
  .ci/mutants --package core --only policy   all of one module
  .ci/mutants --sample 600 --minutes 60      what an hour is enough for; the same words go on where it ended
  .ci/mutants --list --only policy/edf.rs    what there is, without a run"
)]
struct Words {
    /// The folder of a package; may be said several times. All five without it.
    #[arg(long)]
    package: Vec<String>,
    /// Only files whose path has this in it; may be said several times.
    #[arg(long)]
    only: Vec<String>,
    /// So many, from each module in proportion, and one at least. All without it.
    #[arg(long)]
    sample: Option<usize>,
    /// Which sample.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Mutants at a time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Begins no mutant after so many minutes.
    #[arg(long)]
    minutes: Option<f64>,
    /// Per cent of those that compile that have to be caught.
    #[arg(long, default_value_t = 95.0)]
    least: f64,
    /// Leaves out conformance cases and the simulation, which are slow to build and to run: more seem to survive.
    #[arg(long)]
    quick: bool,
    /// Tells what there is, and runs nothing.
    #[arg(long)]
    list: bool,
    /// Tells what was decided before, and runs nothing.
    #[arg(long)]
    told: bool,
    /// Writes the table into this page, between its two comments.
    #[arg(long)]
    page: Option<PathBuf>,
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("it lies in a folder of the repository");
    match run(&Words::parse(), root) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!(".ci/mutants: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(words: &Words, root: &Path) -> io::Result<bool> {
    let begun = Instant::now();
    let packages = packages(words)?;
    let work = root.join("target/mutants");
    fs::create_dir_all(&work)?;
    let tree = tree::Tree::new(root, &work)?;
    let mut texts = BTreeMap::new();
    let chosen = choose(all(&tree, &packages, words, &mut texts)?, words);
    if words.list {
        for mutant in &chosen {
            println!(
                "{}:{}: {}: {} -> {}",
                mutant.file, mutant.line, mutant.function, mutant.from, mutant.to
            );
        }
        eprintln!("{} mutants", chosen.len());
        return Ok(true);
    }
    let mut store = Store::open(
        &work.join("results.jsonl"),
        tree.fingerprint()? ^ u64::from(words.quick),
    )?;
    let mut decided = store.known(&chosen, words.told);
    eprintln!(
        "{} mutants, of which {} are decided",
        chosen.len(),
        decided.len()
    );
    if decided.len() < chosen.len() && !words.told {
        let run = Run {
            words,
            tree: &tree,
            work: &work,
            packages: &packages,
            chosen: &chosen,
            texts: &texts,
            begun,
        };
        run.decide(&mut store, &mut decided)?;
    }
    let survivors = fs::read_to_string(root.join("mutants/survivors")).unwrap_or_default();
    let asked = table::Asked {
        is_json: words.format == Format::Json,
        least: words.least,
        page: words.page.clone(),
        how: how(root),
    };
    table::tell(&asked, &chosen, &decided, &table::reasons(&survivors))
}

/// What was run, of what, and when.
fn how(root: &Path) -> String {
    let told = |program: &str, words: &[&str]| {
        let told = Command::new(program).args(words).current_dir(root).output();
        told.map_or_else(
            |_| String::new(),
            |told| String::from_utf8_lossy(&told.stdout).trim().to_owned(),
        )
    };
    let is_of_run =
        |word: &String| word != "--told" && !word.starts_with("--page") && !word.ends_with(".md");
    let words: Vec<String> = std::env::args().skip(1).filter(is_of_run).collect();
    let (day, commit) = (
        told("date", &["+%Y-%m-%d"]),
        told("git", &["describe", "--always", "--dirty"]),
    );
    format!("`.ci/mutants {}`, {day}, {commit}.", words.join(" "))
}

fn packages(words: &Words) -> io::Result<Vec<String>> {
    if let Some(unknown) = words
        .package
        .iter()
        .find(|one| !PACKAGES.contains(&one.as_str()))
    {
        return Err(io::Error::other(format!(
            "no package `{unknown}`; there are {}",
            PACKAGES.join(", ")
        )));
    }
    let all = PACKAGES.iter().map(|one| (*one).to_owned());
    Ok(if words.package.is_empty() {
        all.collect()
    } else {
        words.package.clone()
    })
}

/// Every mutant of what is asked for.
fn all(
    tree: &tree::Tree,
    packages: &[String],
    words: &Words,
    texts: &mut BTreeMap<String, String>,
) -> io::Result<Vec<Mutant>> {
    let is_asked =
        |path: &String| words.only.is_empty() || words.only.iter().any(|part| path.contains(part));
    let is_source = |path: &String| {
        packages
            .iter()
            .any(|package| tree::is_source(path, package))
    };
    let (mut found, mut for_tests) = (Vec::new(), Vec::new());
    for path in tree.files.iter().filter(|path| is_source(path)) {
        let text = fs::read_to_string(tree.root.join(path))?;
        let of = find::find(path, &text)
            .map_err(|error| io::Error::other(format!("{path}: {error}")))?;
        for_tests.extend(of.for_tests);
        if is_asked(path) {
            found.extend(of.mutants);
            texts.insert(path.clone(), text);
        }
    }
    let is_of = |mutant: &Mutant, module: &String| {
        mutant
            .file
            .strip_prefix(module.as_str())
            .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
    };
    found.retain(|mutant| !for_tests.iter().any(|module| is_of(mutant, module)));
    Ok(found)
}

/// From each module in proportion, the same for the same seed whatever else changes.
fn choose(all: Vec<Mutant>, words: &Words) -> Vec<Mutant> {
    let Some(sample) = words.sample.filter(|sample| *sample < all.len()) else {
        return all;
    };
    let total = all.len();
    let mut modules: BTreeMap<String, Vec<Mutant>> = BTreeMap::new();
    for mutant in all {
        modules
            .entry(table::module(&mutant.file))
            .or_default()
            .push(mutant);
    }
    let mut chosen = Vec::new();
    for (_, mut of) in modules {
        let count = (of.len() * sample).div_ceil(total).max(1);
        of.sort_by_key(|mutant| store::hash(words.seed, &mutant.key));
        of.truncate(count);
        chosen.extend(of);
    }
    chosen.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    chosen
}

/// The programs that are asked about mutants of these packages.
fn groups(packages: &[String], quick: bool) -> Vec<Vec<String>> {
    let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let mut groups: Vec<Vec<String>> = packages
        .iter()
        .map(|p| words(&format!("-p {} --lib --tests", package_name(p))))
        .collect();
    let has = |name: &str| packages.iter().any(|package| package == name);
    if has("core") && !has("recording") {
        groups.push(words("-p outrigger-recording --lib --tests"));
    }
    if (has("runtime-tokio") || has("runtime-glommio")) && !has("runtime") {
        groups.push(words("-p outrigger-runtime --lib --tests"));
    }
    if !quick {
        groups.push(words("-p outrigger-conformance --test cases"));
        if has("core") {
            groups.push(words("-p outrigger-sim --lib --tests"));
        }
    }
    groups
}

/// One run, with all that is chosen in one build, so that another run of the same choice need not build again.
struct Run<'a> {
    words: &'a Words,
    tree: &'a tree::Tree,
    work: &'a Path,
    packages: &'a [String],
    chosen: &'a [Mutant],
    texts: &'a BTreeMap<String, String>,
    begun: Instant,
}

impl Run<'_> {
    fn decide(&self, store: &mut Store, decided: &mut HashMap<String, Told>) -> io::Result<()> {
        let files: BTreeSet<String> = self
            .chosen
            .iter()
            .map(|mutant| mutant.file.clone())
            .collect();
        let files: Vec<String> = files.into_iter().collect();
        self.tree.copy(self.packages, &files)?;
        let builder = Builder {
            tree: self.tree,
            target: self.work.join("build"),
            packages: self.packages,
            mutants: self.chosen,
            texts: self.texts,
        };
        eprintln!("building");
        let is_refused = |key: &String| {
            decided
                .get(key)
                .is_some_and(|told| told.fate == Fate::Refused)
        };
        let known = (1u32..)
            .zip(self.chosen)
            .filter(|(_, mutant)| is_refused(&mutant.key));
        let refused = builder.refused(&files, known.map(|(number, _)| number).collect())?;
        for number in &refused {
            let mutant = &self.chosen[*number as usize - 1];
            if !decided.contains_key(&mutant.key) {
                decided.insert(mutant.key.clone(), store.add(mutant, Fate::Refused, "", 0)?);
            }
        }
        let built = builder.programs(&groups(self.packages, self.words.quick))?;
        let programs = programs::known(&built, &self.tree.copy);
        eprintln!(
            "{} refused; looking which tests reach which of the others ({})",
            refused.len(),
            self.clock()
        );
        let tests = self.tests(&programs)?;
        let is_open = |number: &u32| !decided.contains_key(&self.chosen[*number as usize - 1].key);
        let mut order: Vec<u32> = (1..=self.chosen.len() as u32).filter(is_open).collect();
        // So that what is decided when time is up is spread, too.
        order.sort_by_key(|number| {
            store::hash(self.words.seed, &self.chosen[*number as usize - 1].key)
        });
        self.play(&order, &programs, &tests, Mutex::new((store, decided)))
    }

    fn clock(&self) -> String {
        format!("{:.0} s so far", self.begun.elapsed().as_secs_f64())
    }

    /// What each test reaches, as it was recorded for this very build, or is now.
    fn tests(&self, programs: &[Program]) -> io::Result<Vec<Test>> {
        let path = self.work.join("reached.json");
        let built = store::of_build(programs)?;
        let before = fs::read(&path)
            .ok()
            .and_then(|bytes| serde_json::from_slice::<(u64, Vec<Test>)>(&bytes).ok());
        if let Some((_, tests)) = before.filter(|(of, _)| *of == built) {
            return Ok(tests);
        }
        let (tests, failed) = programs::record(programs, self.words.jobs, self.work)?;
        for name in &failed {
            eprintln!("  fails without a mutant, left out: {name}");
        }
        let millis: u64 = tests.iter().map(|test| test.millis).sum();
        eprintln!(
            "{} tests, {:.0} s of them ({})",
            tests.len(),
            millis as f64 / 1000.0,
            self.clock()
        );
        fs::write(path, serde_json::to_vec(&(built, &tests))?)?;
        Ok(tests)
    }

    fn play(
        &self,
        order: &[u32],
        programs: &[Program],
        tests: &[Test],
        shared: Mutex<(&mut Store, &mut HashMap<String, Told>)>,
    ) -> io::Result<()> {
        let most = self
            .words
            .minutes
            .map(|minutes| Duration::from_secs_f64(minutes * 60.0));
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            let run = || -> io::Result<()> {
                while most.is_none_or(|most| self.begun.elapsed() < most) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(number) = order.get(at) else { break };
                    let mutant = &self.chosen[*number as usize - 1];
                    let since = Instant::now();
                    let (fate, by) = play::play(*number, mutant, programs, tests)?;
                    let millis = since.elapsed().as_millis() as u64;
                    let mut shared = shared.lock().expect("nobody panics");
                    let (store, decided) = &mut *shared;
                    decided.insert(mutant.key.clone(), store.add(mutant, fate, &by, millis)?);
                    if matches!(fate, Fate::Survived | Fate::Unreached) {
                        eprintln!(
                            "  {}/{} {fate:?} line {} of {}",
                            at + 1,
                            order.len(),
                            mutant.line,
                            mutant.key
                        );
                    }
                }
                Ok(())
            };
            let threads: Vec<_> = (0..self.words.jobs.max(1))
                .map(|_| scope.spawn(run))
                .collect();
            threads
                .into_iter()
                .try_for_each(|thread| thread.join().expect("it does not panic"))
        })
    }
}
