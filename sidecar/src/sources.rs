//! From the paths of a command line to the files they stand for, and their bytes.
//!
//! Owns which files a path means and in which order. What the bytes mean is the business of `outrigger_core::config`;
//! when they are read again is the business of the command.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outrigger_core::config;

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

/// Reads every file that the paths stand for: a file as it is, a folder with all `*.yaml`, `*.yml` and `*.json` below
/// it, `-` as standard input.
///
/// Files come in the order of the paths, those of a folder sorted by name; a file that several paths name comes once.
/// Hidden files and folders are left out, links are followed: that is how Kubernetes lays out a mounted ConfigMap.
///
/// # Errors
///
/// Every path that can not be read, or nothing is returned: half a configuration is none.
pub(crate) fn read(paths: &[PathBuf]) -> Result<Vec<Source>, Vec<Unreadable>> {
    let mut walk = Walk::default();
    for path in paths {
        if path == Path::new(STDIN) {
            walk.open(path, || Ok(Box::new(io::stdin().lock())));
        } else {
            walk.enter(path, 0);
        }
    }
    if walk.unreadable.is_empty() {
        Ok(walk.sources)
    } else {
        Err(walk.unreadable)
    }
}

#[derive(Default)]
struct Walk {
    sources: Vec<Source>,
    unreadable: Vec<Unreadable>,
    seen: BTreeSet<PathBuf>,
}

impl Walk {
    fn enter(&mut self, path: &Path, depth: usize) {
        let found = fs::canonicalize(path).and_then(|real| Ok((fs::metadata(&real)?, real)));
        let (metadata, real) = match found {
            Ok(found) => found,
            Err(error) => return self.fail(path, error),
        };
        if !self.seen.insert(real) {
            return;
        }
        if !metadata.is_dir() {
            return self.open(path, || Ok(Box::new(File::open(path)?)));
        }
        if depth == MAX_DEPTH {
            return self.fail(path, io::Error::other("too many folders within folders"));
        }
        let listed: io::Result<Vec<_>> =
            fs::read_dir(path).and_then(|entries| entries.map(|e| e.map(|e| e.path())).collect());
        match listed {
            Ok(mut inside) => {
                inside.sort();
                for path in inside.iter().filter(|path| concerns_us(path)) {
                    self.enter(path, depth + 1);
                }
            }
            Err(error) => self.fail(path, error),
        }
    }

    fn open<'a>(&mut self, path: &Path, open: impl FnOnce() -> io::Result<Box<dyn Read + 'a>>) {
        let mut bytes = Vec::new();
        match open().and_then(|file| file.take(READ_AT_MOST).read_to_end(&mut bytes)) {
            Ok(_) => self.sources.push(Source {
                name: name_of(path),
                bytes,
            }),
            Err(error) => self.fail(path, error),
        }
    }

    fn fail(&mut self, path: &Path, error: io::Error) {
        self.unreadable.push(Unreadable {
            path: path.to_owned(),
            error,
        });
    }
}

fn name_of(path: &Path) -> Arc<str> {
    if path == Path::new(STDIN) {
        "<stdin>".into()
    } else {
        path.to_string_lossy().into()
    }
}

/// Whether an entry of a folder is read: folders, and regular files by their extension; never what is hidden.
fn concerns_us(path: &Path) -> bool {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    if name.starts_with('.') {
        return false;
    }
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => true,
        // A pipe or a device may never end.
        Ok(metadata) if !metadata.is_file() => false,
        // A file that vanished since it was listed is tried, so that its error is told.
        Ok(_) | Err(_) => [".yaml", ".yml", ".json"]
            .iter()
            .any(|end| name.ends_with(end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own for one test; files by path and text.
    fn folder(test: &str, files: &[(&str, &str)]) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("outrigger-sources-{}-{test}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for (path, text) in files {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn names(folder: &Path, paths: &[&str]) -> Vec<String> {
        let paths: Vec<_> = paths.iter().map(|path| folder.join(path)).collect();
        let prefix = format!("{}/", folder.display());
        let sources = read(&paths).unwrap();
        sources
            .iter()
            .map(|source| source.name.replace(&prefix, ""))
            .collect()
    }

    #[test]
    fn folders_are_read_in_order_and_files_once() {
        let folder = folder(
            "order",
            &[
                ("b.yaml", ""),
                ("a.yml", ""),
                ("sub/c.json", ""),
                ("notes.md", ""),
                (".hidden.yaml", ""),
                (".git/d.yaml", ""),
                ("odd", ""),
            ],
        );
        assert_eq!(names(&folder, &[""]), ["a.yml", "b.yaml", "sub/c.json"]);
        assert_eq!(
            names(&folder, &["sub", ""]),
            ["sub/c.json", "a.yml", "b.yaml"]
        );
        assert_eq!(
            names(&folder, &["odd"]),
            ["odd"],
            "a file that is named is read"
        );
        fs::remove_dir_all(folder).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn a_mounted_config_map_is_read_through_its_links() {
        let folder = folder("links", &[("..2026/rules.yaml", "kind: x")]);
        std::os::unix::fs::symlink("..2026", folder.join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/rules.yaml", folder.join("rules.yaml")).unwrap();
        std::os::unix::fs::symlink(".", folder.join("loop")).unwrap();
        assert_eq!(names(&folder, &[""]), ["rules.yaml"]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn what_may_never_end_is_left_out_of_a_folder() {
        let folder = folder("pipe", &[("a.yaml", "")]);
        // A socket file is no regular file either, and needs no tool to make.
        let socket = std::os::unix::net::UnixListener::bind(folder.join("s.yaml"));
        std::os::unix::fs::symlink("/dev/zero", folder.join("z.yaml")).unwrap();
        assert!(socket.is_ok());
        assert_eq!(names(&folder, &[""]), ["a.yaml"]);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn every_unreadable_path_is_told() {
        let folder = folder("missing", &[("a.yaml", "")]);
        let paths = ["a.yaml", "b.yaml", "c"].map(|path| folder.join(path));
        let told: Vec<_> = read(&paths)
            .unwrap_err()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(told.len(), 2);
        assert!(told[0].contains("b.yaml`: No such file"), "{}", told[0]);
        fs::remove_dir_all(folder).unwrap();
    }
}
