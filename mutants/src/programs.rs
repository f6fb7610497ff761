//! The tests that there are, how long each takes, and which mutants it reaches.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::compile::Built;

/// Programs in the order in which they are asked, and what chooses their tests.
#[derive(Clone, Debug)]
pub struct Program {
    /// As it is told: `core`, `core http1`, `cases on sim`.
    pub name: String,
    pub path: PathBuf,
    pub folder: PathBuf,
    pub env: Vec<(String, String)>,
    /// Whether tests are named exactly, as libtest is told.
    pub is_libtest: bool,
    /// The sooner asked the lower.
    pub rank: usize,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Test {
    pub program: usize,
    pub name: String,
    pub millis: u64,
    pub reaches: HashSet<u32>,
}

/// What is known of a program before it is asked anything.
pub fn known(built: &[Built], copy: &Path) -> Vec<Program> {
    let mut programs = Vec::new();
    for one in built {
        let folder = copy.join(&one.package);
        let is_lib = one.name.starts_with("outrigger");
        let name = if is_lib {
            one.package.clone()
        } else {
            format!("{} {}", one.package, one.name)
        };
        let variants: Vec<(String, Vec<(String, String)>)> = if one.name == "cases" {
            // On real sockets they take longer, and one pairing of versions beside HTTP/1 has to do.
            let on = |subject: &str| {
                let pairing = ("OUTRIGGER_PAIRING".to_owned(), "all".to_owned());
                let env = [("OUTRIGGER_SUBJECT".to_owned(), subject.to_owned())];
                let env = env
                    .into_iter()
                    .chain((subject == "sim").then_some(pairing))
                    .collect();
                (format!("cases on {subject}"), env)
            };
            ["sim", "tokio", "glommio"].map(on).to_vec()
        } else {
            vec![(
                name.clone(),
                vec![
                    ("OUTRIGGER_REQUESTS".to_owned(), "20000".to_owned()),
                    ("OUTRIGGER_SEEDS".to_owned(), "40".to_owned()),
                ],
            )]
        };
        for (name, env) in variants {
            let rank = match (one.package.as_str(), is_lib) {
                ("core", true) => 0,
                ("recording", true) => 1,
                ("core" | "recording", false) => 2,
                ("runtime" | "runtime-glommio" | "runtime-tokio", _) => 3,
                ("conformance", _) => 4,
                _ => 5,
            };
            let is_libtest = one.name != "cases";
            programs.push(Program {
                name,
                path: one.path.clone(),
                folder: folder.clone(),
                env,
                is_libtest,
                rank,
            });
        }
    }
    programs.sort_by_key(|program| program.rank);
    programs
}

impl Program {
    pub fn command(&self, tests: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        command
            .args(tests)
            .current_dir(&self.folder)
            .envs(self.env.iter().cloned());
        if self.is_libtest {
            command.args(["--exact", "--test-threads", "1"]);
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// The names of its tests; of cases, their pages.
    pub fn names(&self) -> io::Result<Vec<String>> {
        if !self.is_libtest {
            return pages(&self.folder.join("cases"), "cases");
        }
        let told = Command::new(&self.path)
            .args(["--list", "--format", "terse"])
            .current_dir(&self.folder)
            .output()?;
        let text = String::from_utf8_lossy(&told.stdout).into_owned();
        Ok(text
            .lines()
            .filter_map(|line| line.strip_suffix(": test"))
            .map(str::to_owned)
            .collect())
    }
}

fn pages(folder: &Path, beside: &str) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{beside}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            found.extend(pages(&entry.path(), &name)?);
        } else if name.ends_with(".md") && !name.ends_with("README.md") {
            found.push(name);
        }
    }
    found.sort();
    Ok(found)
}

/// Waits until it ends, and ends it with all of its own when that takes too long.
pub fn wait(mut child: Child, most: Duration) -> io::Result<Option<bool>> {
    let begun = Instant::now();
    let mut nap = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status.success()));
        }
        if begun.elapsed() > most {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(nap);
        nap = (nap * 2).min(Duration::from_millis(50));
    }
}

/// Runs each test once by itself, with all mutants off. Those that fail so are left out, and told.
pub fn record(
    programs: &[Program],
    jobs: usize,
    work: &Path,
) -> io::Result<(Vec<Test>, Vec<String>)> {
    let mut all = Vec::new();
    for (program, one) in programs.iter().enumerate() {
        all.extend(one.names()?.into_iter().map(|name| (program, name)));
    }
    let folder = work.join("asked");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    let (next, tests, failed) = (
        AtomicUsize::new(0),
        Mutex::new(Vec::new()),
        Mutex::new(Vec::new()),
    );
    thread::scope(|scope| {
        let run = || -> io::Result<()> {
            loop {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some((program, name)) = all.get(at) else {
                    return Ok(());
                };
                let asked = folder.join(at.to_string());
                let begun = Instant::now();
                let child = programs[*program]
                    .command(&[name])
                    .env("OUTRIGGER_MUTANTS_ASKED", &asked)
                    .spawn()?;
                let id = child.id();
                let is_good = wait(child, Duration::from_secs(300))?;
                let millis = begun.elapsed().as_millis() as u64;
                let path = asked.with_extension(id.to_string());
                let text = fs::read_to_string(&path).unwrap_or_default();
                let reaches = text.lines().filter_map(|line| line.parse().ok()).collect();
                if is_good == Some(true) {
                    let test = Test {
                        program: *program,
                        name: name.clone(),
                        millis,
                        reaches,
                    };
                    tests.lock().expect("nobody panics").push(test);
                } else {
                    failed
                        .lock()
                        .expect("nobody panics")
                        .push(format!("{} {name}", programs[*program].name));
                }
            }
        };
        let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(run)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().expect("it does not panic"))
    })?;
    let mut tests = tests.into_inner().expect("nobody panics");
    tests.sort_by(|a, b| (a.program, &a.name).cmp(&(b.program, &b.name)));
    Ok((tests, failed.into_inner().expect("nobody panics")))
}
