//! From the paths of a command line to the files they stand for, and their bytes.
//!
//! Owns which files a path means and in which order. What the bytes mean is the business of `outrigger_core::config`;
//! when they are read again is the business of the command.

mod ignored;

pub(crate) use ignored::Pattern;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ignored::Ignored;
use outrigger_core::config::kubernetes::Secret;
use outrigger_core::config::{self, Code, Finding, Mark};

/// The path that means standard input.
const STDIN: &str = "-";

/// Folders within folders; only a loop of links gets this far.
const MAX_DEPTH: usize = 32;

/// One byte more than any file may have, so that a longer one is seen to be too long and never read whole.
const READ_AT_MOST: u64 = config::yaml::MAX_FILE_BYTES as u64 + 1;

/// A file and what stands in it.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// The path as the user would name it.
    pub(crate) name: Arc<str>,
    /// Its content, not yet known to be text.
    pub(crate) bytes: Vec<u8>,
}

impl Source {
    /// As core reads it.
    pub(crate) fn as_config(&self) -> config::Source<'_> {
        config::Source {
            name: &self.name,
            bytes: &self.bytes,
        }
    }

    /// The same without what secrets in it say.
    pub(crate) fn concealing(&self, secrets: &[Secret]) -> Self {
        let mut concealed = self.clone();
        let of_this = secrets
            .iter()
            .filter(|secret| secret.meta.file == self.name);
        of_this.for_each(|secret| secret.conceal(&mut concealed.bytes));
        concealed
    }

    /// As a recording keeps it.
    pub(crate) fn as_recorded(&self) -> outrigger_recording::File<'_> {
        outrigger_recording::File {
            name: Cow::Borrowed(&self.name),
            text: &self.bytes,
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.name, self.bytes.len())
    }
}

/// A path that could not be read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    path: PathBuf,
    error: io::Error,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot read `{}`: {}", self.path.display(), self.error)
    }
}

/// What stands at the paths.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// In the order of the paths. One that a folder names and that cannot be read is there, and empty.
    pub(crate) sources: Vec<Source>,
    /// What was passed over in folders.
    pub(crate) findings: Vec<Finding>,
}

/// Reads every file that the paths stand for, see [`Reader::read`].
pub(crate) fn read(paths: &[PathBuf]) -> Result<Found, Vec<Unreadable>> {
    Reader::default().read(paths)
}

/// Reads paths again and again.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// What came out of pipes and the like, which give it once.
    streams: BTreeMap<PathBuf, Vec<u8>>,
    /// What is left out of every folder.
    ignore: Vec<Pattern>,
}

impl Reader {
    /// One that leaves out of folders what these patterns say, whatever their own `.outriggerignore` says.
    pub(crate) fn ignoring(ignore: &[Pattern]) -> Self {
        Self {
            ignore: ignore.to_vec(),
            ..Self::default()
        }
    }

    /// Reads every file that the paths stand for: a file as it is, a folder with all `*.yaml`, `*.yml` and `*.json`
    /// below it, `-` as standard input, a pipe to its end.
    ///
    /// Files come in the order of the paths, those of a folder sorted by name; a file that several paths name comes
    /// once. Hidden files and folders are left out, and what a `.outriggerignore` says; links are followed: that is how Kubernetes lays out a mounted
    /// ConfigMap. What a folder holds and nobody named is passed over with a finding when it cannot be read.
    ///
    /// # Errors
    ///
    /// Every path that can not be read, or nothing is returned: half a configuration is none.
    pub(crate) fn read(&mut self, paths: &[PathBuf]) -> Result<Found, Vec<Unreadable>> {
        let mut walk = Walk {
            streams: &mut self.streams,
            found: Found::default(),
            unreadable: Vec::new(),
            seen: BTreeSet::new(),
            ignore: &self.ignore,
            ignored: Vec::new(),
        };
        for path in paths {
            if path == Path::new(STDIN) {
                walk.stream(path, || Ok(Box::new(io::stdin().lock())));
            } else {
                walk.named(path);
            }
        }
        if walk.unreadable.is_empty() {
            Ok(walk.found)
        } else {
            Err(walk.unreadable)
        }
    }
}

struct Walk<'r> {
    streams: &'r mut BTreeMap<PathBuf, Vec<u8>>,
    found: Found,
    unreadable: Vec<Unreadable>,
    seen: BTreeSet<PathBuf>,
    ignore: &'r [Pattern],
    /// Of the folders that are walked now, outermost first, and at last what the command line says.
    ignored: Vec<Ignored>,
}

impl Walk<'_> {
    /// A path of the command line.
    fn named(&mut self, path: &Path) {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) => return self.fail(path, error),
        };
        if metadata.is_dir() {
            self.ignored = vec![Ignored::new(path, self.ignore.to_vec())];
            self.folder(path, 0);
        } else if metadata.is_file() {
            if self.is_new(path) {
                match content(|| Ok(Box::new(File::open(path)?))) {
                    Ok(bytes) => self.keep(path, bytes),
                    Err(error) => self.fail(path, error),
                }
            }
        } else {
            self.stream(path, || Ok(Box::new(File::open(path)?)));
        }
    }

    /// What ends once and cannot be read again: a pipe, a terminal, `/dev/fd/63` of a shell's `<(…)`.
    fn stream<'a>(&mut self, path: &Path, open: impl FnOnce() -> io::Result<Box<dyn Read + 'a>>) {
        // Such a thing has no path of its own that all its names lead to.
        if !self.seen.insert(path.to_owned()) {
            return;
        }
        let bytes = match self.streams.get(path) {
            Some(bytes) => bytes.clone(),
            None => match content(open) {
                Ok(bytes) => {
                    self.streams.insert(path.to_owned(), bytes.clone());
                    bytes
                }
                Err(error) => return self.fail(path, error),
            },
        };
        self.keep(path, bytes);
    }

    fn folder(&mut self, path: &Path, depth: usize) {
        if !self.is_new(path) {
            return;
        }
        if depth == MAX_DEPTH {
            return self.fail(path, io::Error::other("too many folders within folders"));
        }
        let listed: io::Result<Vec<_>> =
            fs::read_dir(path).and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect());
        match listed {
            Ok(mut inside) => {
                inside.sort();
                // Before the command line's, which have the last word.
                let own = self.ignored_of(path);
                let depth_before = self.ignored.len();
                self.ignored.splice(depth_before - 1..depth_before - 1, own);
                for path in inside.iter().filter(|path| !is_hidden(path)) {
                    self.inside(path, depth + 1);
                }
                self.ignored.drain(depth_before - 1..self.ignored.len() - 1);
            }
            Err(error) => self.fail(path, error),
        }
    }

    /// An entry of a folder.
    fn inside(&mut self, path: &Path, depth: usize) {
        let metadata = fs::metadata(path);
        let is_folder = metadata.as_ref().is_ok_and(fs::Metadata::is_dir);
        if ignored::is_ignored(&self.ignored, path, is_folder) {
            return;
        }
        if is_folder {
            return self.folder(path, depth);
        }
        if !is_configuration(path) {
            return;
        }
        match metadata {
            Ok(metadata) if metadata.is_file() => {
                if self.is_new(path) {
                    match content(|| Ok(Box::new(File::open(path)?))) {
                        Ok(bytes) => self.keep(path, bytes),
                        Err(error) => self.pass_over(path, &error),
                    }
                }
            }
            // A pipe or a device may never end.
            Ok(_) => {
                let message = "this is a pipe, a socket or a device, and passed over";
                let help = "name it on the command line, and it is read to its end";
                self.find(Code::NotARegularFile, path, message.into(), help);
            }
            Err(error) => self.pass_over(path, &error),
        }
    }

    /// What a folder's own file leaves out.
    fn ignored_of(&mut self, folder: &Path) -> Option<Ignored> {
        let path = folder.join(ignored::FILE);
        if !path.is_file() {
            return None;
        }
        match content(|| Ok(Box::new(File::open(&path)?))) {
            Ok(bytes) => Some(Ignored::read(folder, &String::from_utf8_lossy(&bytes))),
            Err(error) => {
                self.pass_over(&path, &error);
                None
            }
        }
    }

    /// Whether a path leads to what was not read yet.
    fn is_new(&mut self, path: &Path) -> bool {
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        self.seen.insert(real)
    }

    fn keep(&mut self, path: &Path, bytes: Vec<u8>) {
        let name = name_of(path);
        self.found.sources.push(Source { name, bytes });
    }

    fn fail(&mut self, path: &Path, error: io::Error) {
        self.unreadable.push(Unreadable {
            path: path.to_owned(),
            error,
        });
    }

    /// One file that nobody named stops neither the judgement nor the use of the others.
    fn pass_over(&mut self, path: &Path, error: &io::Error) {
        let link = fs::symlink_metadata(path);
        let message = match link {
            // It vanished since it was listed.
            Err(_) => return,
            Ok(link) if link.is_symlink() && error.kind() == io::ErrorKind::NotFound => {
                "the link leads nowhere".to_owned()
            }
            Ok(_) => format!("the file cannot be read: {error}"),
        };
        self.keep(path, Vec::new());
        let help = "mend or remove it; the other files are used without it";
        self.find(Code::UnreadableFile, path, message, help);
    }

    fn find(&mut self, code: Code, path: &Path, message: String, help: &str) {
        let whole = Mark { line: 0, column: 0 };
        let mut finding = Finding::new(code, &name_of(path), whole, message);
        finding.help = help.into();
        self.found.findings.push(finding);
    }
}

fn content<'a>(open: impl FnOnce() -> io::Result<Box<dyn Read + 'a>>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open()?.take(READ_AT_MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn name_of(path: &Path) -> Arc<str> {
    if path == Path::new(STDIN) {
        "<stdin>".into()
    } else {
        path.to_string_lossy().into()
    }
}

fn is_hidden(path: &Path) -> bool {
    file_name(path).starts_with('.')
}

/// Whether a file of a folder is read, by its extension.
fn is_configuration(path: &Path) -> bool {
    let name = file_name(path);
    [".yaml", ".yml", ".json"]
        .iter()
        .any(|end| name.ends_with(end))
}

fn file_name(path: &Path) -> Cow<'_, str> {
    path.file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests;
