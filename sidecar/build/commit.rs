//! What a repository of git has checked out, by its files: git itself need not be there.
//!
//! Used by the build, and by the test that plays it (`tests/commit.rs`).

use std::fs;
use std::path::{Path, PathBuf};

/// Where it is written what is checked out.
pub(crate) struct Head {
    /// Of this work tree.
    folder: PathBuf,
    /// Of all work trees of the repository.
    common: PathBuf,
}

impl Head {
    /// That of the work tree at `root`, if there is one.
    pub(crate) fn of(root: &Path) -> Option<Self> {
        let place = root.join(".git");
        let folder = match fs::read_to_string(&place) {
            // A work tree beside the first one, or a module of another repository.
            Ok(text) => root.join(text.strip_prefix("gitdir:")?.trim()),
            Err(_) => place,
        };
        if !folder.join("HEAD").is_file() {
            return None;
        }
        let common = fs::read_to_string(folder.join("commondir"));
        let common = common.map_or_else(|_| folder.clone(), |path| folder.join(path.trim()));
        Some(Self { folder, common })
    }

    /// The commit, in hexadecimal digits.
    pub(crate) fn commit(&self) -> Option<String> {
        let said = fs::read_to_string(self.folder.join("HEAD")).ok()?;
        let said = said.trim();
        match said.strip_prefix("ref:") {
            None => commit(said),
            Some(name) => self.branch(name.trim()),
        }
    }

    fn branch(&self, name: &str) -> Option<String> {
        if let Ok(text) = fs::read_to_string(self.common.join(name)) {
            return commit(text.trim());
        }
        let packed = fs::read_to_string(self.common.join("packed-refs")).ok()?;
        let mut lines = packed.lines().filter_map(|line| line.split_once(' '));
        let (found, _) = lines.find(|(_, of)| *of == name)?;
        commit(found)
    }

    /// What changes when something else is checked out, and when that is committed to. All of it exists: what does not counts as
    /// changed each time.
    pub(crate) fn watched(&self) -> Vec<PathBuf> {
        let mut watched = vec![self.folder.join("HEAD")];
        let said = fs::read_to_string(&watched[0]).unwrap_or_default();
        if let Some(name) = said.trim().strip_prefix("ref:") {
            let loose = self.common.join(name.trim());
            if loose.exists() {
                watched.push(loose);
            } else {
                // One that is packed comes to lie there with the next commit, which is written here, too, unless that is turned off.
                let log = self.folder.join("logs/HEAD");
                let ancestor = loose.ancestors().find(|path| path.exists());
                watched.extend(match log.exists() {
                    true => Some(log),
                    false => ancestor.map(Path::to_owned),
                });
                watched.push(self.common.join("packed-refs"));
            }
        }
        watched.retain(|path| path.exists());
        watched
    }
}

/// As SHA-1 or SHA-256 has it.
fn commit(text: &str) -> Option<String> {
    let is_one = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
    is_one.then(|| text.to_owned())
}
