//! The copy of the repository in which mutants are built.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

const SWITCH: &str = include_str!("switch.rs");
const SWITCH_MANIFEST: &str = "[package]\nname = \"outrigger-mutant-switch\"\nversion = \"0.0.0\"\nedition = \"2024\"\n[lib]\npath = \"lib.rs\"\n";
const LINTS: &str = "[workspace.lints.rust]\nwarnings = \"allow\"\narithmetic_overflow = \"allow\"\nunconditional_panic = \"allow\"\noverflowing_literals = \"allow\"\nunconditional_recursion = \"allow\"\n\n[workspace.lints.clippy]\nall = \"allow\"\n\n";

/// What git knows of, or would, beside the root.
fn listed(root: &Path) -> io::Result<Vec<String>> {
    let told = Command::new("git")
        .args(["ls-files", "-co", "--exclude-standard"])
        .current_dir(root)
        .output()?;
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    Ok(text
        .lines()
        .filter(|path| root.join(path).is_file())
        .map(str::to_owned)
        .collect())
}

fn write_if_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|old| old == bytes) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, bytes)
}

/// A file of Rust of a package that is not a test's.
pub fn is_source(path: &str, package: &str) -> bool {
    let under = path
        .strip_prefix(package)
        .and_then(|rest| rest.strip_prefix("/src/"));
    under.is_some_and(|rest| {
        rest.ends_with(".rs")
            && !rest.ends_with("tests.rs")
            && !rest.contains("tests/")
            && !rest.starts_with("bin/")
    })
}

pub struct Tree {
    pub root: PathBuf,
    pub copy: PathBuf,
    pub files: Vec<String>,
}

impl Tree {
    pub fn new(root: &Path, work: &Path) -> io::Result<Self> {
        Ok(Self {
            root: root.to_owned(),
            copy: work.join("tree"),
            files: listed(root)?,
        })
    }

    /// Of everything that could change what comes of a mutant.
    pub fn fingerprint(&self) -> io::Result<u64> {
        let mut sum = 0xcbf2_9ce4_8422_2325_u64;
        for path in self.files.iter().filter(|path| {
            path.ends_with(".rs") || path.ends_with(".md") && path.starts_with("conformance")
        }) {
            for byte in path.bytes().chain(fs::read(self.root.join(path))?) {
                sum = (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        Ok(sum)
    }

    /// Copies all but what the caller writes himself, with the switch as one more package that those that change use.
    pub fn copy(&self, packages: &[String], changed: &[String]) -> io::Result<()> {
        let own: BTreeSet<&String> = changed.iter().collect();
        for path in self.files.iter().filter(|path| !own.contains(path)) {
            let mut bytes = fs::read(self.root.join(path))?;
            if path == "Cargo.toml" {
                bytes = manifest(&String::from_utf8_lossy(&bytes)).into_bytes();
            } else if packages
                .iter()
                .any(|package| *path == format!("{package}/Cargo.toml"))
            {
                bytes =
                    with_switch(package_depth(path), &String::from_utf8_lossy(&bytes)).into_bytes();
            }
            write_if_new(&self.copy.join(path), &bytes)?;
        }
        write_if_new(
            &self.copy.join("mutant-switch/Cargo.toml"),
            SWITCH_MANIFEST.as_bytes(),
        )?;
        write_if_new(&self.copy.join("mutant-switch/lib.rs"), SWITCH.as_bytes())?;
        self.forget_what_is_gone()
    }

    pub fn write(&self, path: &str, text: &str) -> io::Result<()> {
        write_if_new(&self.copy.join(path), text.as_bytes())
    }

    fn forget_what_is_gone(&self) -> io::Result<()> {
        let known: BTreeSet<PathBuf> = self.files.iter().map(|path| self.copy.join(path)).collect();
        let mut folders = vec![self.copy.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|end| end == "rs")
                    && !known.contains(&path)
                    && !path.starts_with(self.copy.join("mutant-switch"))
                {
                    fs::remove_file(path)?;
                }
            }
        }
        Ok(())
    }
}

fn package_depth(path: &str) -> usize {
    path.matches('/').count()
}

/// A package's manifest with the switch among its dependencies, which may all be of one system.
fn with_switch(depth: usize, text: &str) -> String {
    let line = format!(
        "[dependencies]\noutrigger-mutant-switch = {{ path = \"{}mutant-switch\" }}\n",
        "../".repeat(depth)
    );
    match text.contains("\n[dependencies]\n") {
        true => text.replacen("[dependencies]\n", &line, 1),
        false => format!("{text}\n{line}"),
    }
}

/// The workspace's, with the switch, and with lints that let mutants be.
fn manifest(text: &str) -> String {
    let text = text.replacen("members = [", "members = [\"mutant-switch\", ", 1);
    let Some(lints) = text.find("[workspace.lints.rust]") else {
        return text;
    };
    let after = text[lints..]
        .find("\n[profile")
        .map_or(text.len(), |at| lints + at + 1);
    format!("{}{LINTS}{}", &text[..lints], &text[after..])
}
