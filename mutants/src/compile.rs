//! Has rustc build the copy, and leaves out the mutants that it refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::find::Mutant;
use crate::guard::{Placed, guard};
use crate::tree::Tree;

/// A program of tests.
#[derive(Clone, Debug)]
pub struct Built {
    pub package: String,
    pub name: String,
    pub path: PathBuf,
}

pub struct Builder<'a> {
    pub tree: &'a Tree,
    pub target: PathBuf,
    pub packages: &'a [String],
    /// By number; 0 is nobody.
    pub mutants: &'a [Mutant],
    /// Of the files that have some, as they were when those were found.
    pub texts: &'a BTreeMap<String, String>,
}

impl Builder<'_> {
    /// Writes the files of all mutants but those that do not compile.
    fn write(
        &self,
        files: &[String],
        without: &BTreeSet<u32>,
    ) -> io::Result<BTreeMap<String, Vec<Placed>>> {
        let mut placed = BTreeMap::new();
        for file in files {
            let text = &self.texts[file];
            let numbered = (1u32..).zip(self.mutants);
            let of: Vec<_> = numbered
                .filter(|(n, m)| m.file == *file && !without.contains(n))
                .collect();
            let (text, places) = guard(text, &of);
            self.tree.write(file, &text)?;
            placed.insert(file.clone(), places);
        }
        Ok(placed)
    }

    fn cargo(&self, words: &[String]) -> io::Result<(bool, Vec<Value>, String)> {
        let told = Command::new("cargo")
            .args(words)
            .args(["--offline", "--message-format", "json", "--target-dir"])
            .arg(&self.target)
            .current_dir(&self.tree.copy)
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .stderr(Stdio::piped())
            .output()?;
        let text = String::from_utf8_lossy(&told.stdout);
        let values = text
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        Ok((
            told.status.success(),
            values,
            String::from_utf8_lossy(&told.stderr).into_owned(),
        ))
    }

    /// The numbers of those that rustc refuses, with those of which that is known.
    ///
    /// # Errors
    /// When it refuses something that is no mutant's.
    pub fn refused(
        &self,
        files: &[String],
        mut refused: BTreeSet<u32>,
    ) -> io::Result<BTreeSet<u32>> {
        let mut words = vec!["check".to_owned(), "--lib".to_owned()];
        words.extend(
            self.packages
                .iter()
                .flat_map(|p| ["-p".to_owned(), package_name(p)]),
        );
        words.push("--keep-going".to_owned());
        loop {
            let placed = self.write(files, &refused)?;
            let (is_good, told, stderr) = self.cargo(&words)?;
            if is_good {
                return Ok(refused);
            }
            let mut found = BTreeSet::new();
            for message in told.iter().filter(|v| v["reason"] == "compiler-message") {
                let message = &message["message"];
                if message["level"] == "error" {
                    blame(message, &placed, &mut found);
                }
            }
            eprintln!("  rustc refuses {} more", found.len());
            if found.is_empty() {
                let errors: Vec<_> = told
                    .iter()
                    .filter_map(|v| v["message"]["rendered"].as_str())
                    .take(5)
                    .collect();
                return Err(io::Error::other(format!(
                    "the copy does not build:\n{}\n{stderr}",
                    errors.join("\n")
                )));
            }
            refused.extend(found);
        }
    }

    /// Builds programs of tests.
    ///
    /// # Errors
    /// When they do not build.
    pub fn programs(&self, groups: &[Vec<String>]) -> io::Result<Vec<Built>> {
        let mut built = Vec::new();
        for group in groups {
            let mut words = vec!["test".to_owned(), "--no-run".to_owned()];
            words.extend(group.iter().cloned());
            let (is_good, told, stderr) = self.cargo(&words)?;
            if !is_good {
                let errors: Vec<_> = told
                    .iter()
                    .filter(|v| v["message"]["level"] == "error")
                    .filter_map(|v| v["message"]["rendered"].as_str())
                    .collect();
                return Err(io::Error::other(format!("{}\n{stderr}", errors.join("\n"))));
            }
            for made in told.iter().filter(|v| v["reason"] == "compiler-artifact") {
                let (Some(path), Some(name)) =
                    (made["executable"].as_str(), made["target"]["name"].as_str())
                else {
                    continue;
                };
                let id = made["package_id"].as_str().unwrap_or_default();
                let folder = id
                    .split('#')
                    .next()
                    .unwrap_or_default()
                    .rsplit('/')
                    .next()
                    .unwrap_or_default();
                built.push(Built {
                    package: folder.to_owned(),
                    name: name.to_owned(),
                    path: path.into(),
                });
            }
        }
        Ok(built)
    }
}

pub fn package_name(folder: &str) -> String {
    format!(
        "outrigger-{}",
        folder.strip_prefix("runtime-").unwrap_or(folder)
    )
}

/// Whose fault an error is: the innermost whose own text it points to, else the innermost beside whose text it does.
fn blame(error: &Value, placed: &BTreeMap<String, Vec<Placed>>, found: &mut BTreeSet<u32>) {
    let mut spans: Vec<&Value> = error["spans"].as_array().into_iter().flatten().collect();
    spans.sort_by_key(|span| span["is_primary"] != true);
    let mut places: Vec<(&Vec<Placed>, std::ops::Range<usize>)> = Vec::new();
    for span in spans {
        let (Some(file), Some(start), Some(end)) = (
            span["file_name"].as_str(),
            span["byte_start"].as_u64(),
            span["byte_end"].as_u64(),
        ) else {
            continue;
        };
        if let Some(list) = placed.get(file) {
            places.push((list, start as usize..end as usize));
        }
    }
    let length = |range: &std::ops::Range<usize>| range.end - range.start;
    for (list, at) in &places {
        let holds = |range: &std::ops::Range<usize>| range.start <= at.start && at.end <= range.end;
        let own = list
            .iter()
            .filter(|p| holds(&p.own))
            .min_by_key(|p| length(&p.own));
        if let Some(one) = own.or_else(|| {
            list.iter()
                .filter(|p| holds(&p.all))
                .min_by_key(|p| length(&p.all))
        }) {
            found.insert(one.number);
            return;
        }
    }
    // Nobody holds it: all that it holds.
    for (list, at) in &places {
        let before = found.len();
        found.extend(
            list.iter()
                .filter(|p| at.start <= p.all.start && p.all.end <= at.end)
                .map(|p| p.number),
        );
        if found.len() > before {
            return;
        }
    }
}
