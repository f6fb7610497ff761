//! The files that the rules read, and the list of faults that a rule ends with. No rule stands here.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Whether code under `#[cfg(test)] mod tests` at the end of a file counts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tests {
    Included,
    LeftOut,
}

pub(crate) struct RustFile {
    pub(crate) path: PathBuf,
    /// From the root, with forward slashes.
    pub(crate) relative: String,
    pub(crate) text: String,
}

impl RustFile {
    pub(crate) fn is_in(&self, folder: &str) -> bool {
        self.relative.starts_with(folder)
    }

    /// A file of tests only, by its place.
    pub(crate) fn is_test(&self) -> bool {
        let name = self.relative.rsplit('/').next().unwrap_or_default();
        name == "tests.rs"
            || self.relative.contains("/tests/")
            || self.relative.contains("/benches/")
    }

    /// `time` for `core/src/time.rs`, `http1` for `core/src/http1/head.rs`.
    pub(crate) fn core_module(&self) -> &str {
        let inside = self.relative.trim_start_matches("core/src/");
        inside
            .split('/')
            .next()
            .unwrap_or_default()
            .trim_end_matches(".rs")
    }

    /// Numbered lines without comments. Text in quotes stays, which is good enough for the tokens looked for here.
    pub(crate) fn code_lines(&self, tests: Tests) -> impl Iterator<Item = (usize, &str)> {
        let end = match tests {
            Tests::Included => self.text.len(),
            Tests::LeftOut => self
                .text
                .find("\n#[cfg(test)]\nmod tests")
                .unwrap_or(self.text.len()),
        };
        self.text[..end].lines().enumerate().map(|(index, line)| {
            (
                index + 1,
                line.find("//").map_or(line, |comment| &line[..comment]),
            )
        })
    }
}

pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .expect("this package lies in the workspace")
        .to_path_buf()
}

pub(crate) fn read(relative: &str) -> String {
    fs::read_to_string(root().join(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
}

pub(crate) fn rust_files() -> Vec<RustFile> {
    let root = root();
    let files = files_under(&root, "rs");
    assert!(files.len() > 20, "the walk finds the workspace");
    let open = |path: PathBuf| {
        let inside = path
            .strip_prefix(&root)
            .expect("the walk stays under the root");
        RustFile {
            relative: inside.to_string_lossy().replace('\\', "/"),
            text: fs::read_to_string(&path).expect("source is readable text"),
            path,
        }
    };
    files.into_iter().map(open).collect()
}

/// Files with this extension, hidden and built folders left out, in a stable order.
pub(crate) fn files_under(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .expect("a folder is readable")
        .flatten()
        .map(|e| e.path())
        .collect();
    entries.sort();
    for path in entries {
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .unwrap_or_default();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            found.extend(files_under(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found
}

/// All faults of a test, shown together.
#[derive(Default)]
pub(crate) struct Faults(String);

impl Faults {
    pub(crate) fn add(&mut self, file: &RustFile, line: usize, what: String) {
        self.text(format!("{}:{line}: {what}", file.relative));
    }

    pub(crate) fn text(&mut self, what: String) {
        let _ = writeln!(self.0, "{what}");
    }

    #[track_caller]
    pub(crate) fn none(&self) {
        assert!(self.0.is_empty(), "\n{}", self.0);
    }
}
