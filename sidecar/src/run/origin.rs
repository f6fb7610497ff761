//! Where the configuration comes from: files, or a control plane.
//!
//! Owns what is read and whether it is believed; what it means and whether it is good enough is `configuration`'s.

use std::path::PathBuf;
use std::sync::Arc;

use tracing::warn;

use super::discovery::Inbox;
use super::gathered::Gathered;
use super::held::{Doubt, Held};
use crate::cli::RunArgs;
use crate::sources::{Reader, Unreadable};

/// Where it comes from.
#[derive(Debug)]
pub(super) enum Origin {
    Files(Files),
    /// What a control plane tells of.
    Discovered(Arc<Inbox>),
}

/// The paths of the command line.
#[derive(Debug)]
pub(super) struct Files {
    paths: Vec<PathBuf>,
    mesh_path: Option<PathBuf>,
    reader: Reader,
    held: Held,
    /// The last reading found files missing, which was told.
    told_unreadable: bool,
    /// Of what was read last, good or bad.
    fingerprint: u64,
}

impl Files {
    pub(super) fn new(args: &RunArgs) -> Self {
        Self {
            paths: args.config.clone(),
            mesh_path: args.mesh_config.clone(),
            reader: Reader::ignoring(&args.ignore),
            held: Held::default(),
            told_unreadable: false,
            fingerprint: 0,
        }
    }

    /// Every path that is read.
    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.paths.iter().chain(&self.mesh_path)
    }

    /// Everything, as it is.
    ///
    /// # Errors
    /// What cannot be read, in words.
    pub(super) fn read(&mut self) -> Result<Gathered, Vec<String>> {
        self.held.believe();
        let gathered = self.gather()?;
        self.fingerprint = gathered.fingerprint();
        Ok(gathered)
    }

    /// The same, unless the files have not changed since they were read last. Emptied files are taken as they were.
    pub(super) fn read_if_changed(&mut self) -> Option<Gathered> {
        let mut gathered = match self.gather() {
            Ok(gathered) => gathered,
            // Files vanish while somebody replaces them; the next change tells what came of it.
            Err(errors) => {
                if !std::mem::replace(&mut self.told_unreadable, true) {
                    for error in errors {
                        warn!(target: "config", "{error}; kept what is in use");
                    }
                }
                return None;
            }
        };
        self.told_unreadable = false;
        let Gathered { rules, mesh, .. } = &mut gathered;
        let doubts = self.held.fill(rules.iter_mut(), mesh.as_mut());
        let is_gone = doubts.contains(&Doubt::Gone);
        for doubt in self.held.news(doubts) {
            match doubt {
                Doubt::Gone => warn!(
                    target: "config",
                    "nothing is left of the configuration; kept what is in use, SIGHUP takes nothing"
                ),
                Doubt::Emptied(file) => warn!(
                    target: "config",
                    "`{file}` was emptied or cannot be read; kept what it held, SIGHUP takes it as it is"
                ),
            }
        }
        let fingerprint = gathered.fingerprint();
        let is_same = is_gone || fingerprint == self.fingerprint;
        if is_same {
            return None;
        }
        self.fingerprint = fingerprint;
        Some(gathered)
    }

    /// This is in use now.
    pub(super) fn keep(&mut self, gathered: &Gathered) {
        self.held.keep(&gathered.rules, gathered.mesh.as_ref());
    }

    /// The files in the order of the command line.
    fn gather(&mut self) -> Result<Gathered, Vec<String>> {
        let told =
            |errors: Vec<Unreadable>| errors.iter().map(ToString::to_string).collect::<Vec<_>>();
        let found = self.reader.read(&self.paths).map_err(told)?;
        let mut gathered = Gathered {
            rules: found.sources,
            mesh: None,
            findings: found.findings,
        };
        if let Some(path) = &self.mesh_path {
            let mesh = self.reader.read(std::slice::from_ref(path));
            let mesh = mesh.map_err(told)?;
            gathered.mesh = mesh.sources.into_iter().next();
            gathered.findings.extend(mesh.findings);
        }
        Ok(gathered)
    }
}
