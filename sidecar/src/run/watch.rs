//! Being told when configuration files change.
//!
//! Folders are watched rather than files: editors and Kubernetes put new files in the place of old ones, and a watch on
//! a file follows the old one. What is missed (network file systems, links to elsewhere) the slow poll of `control`
//! finds.

use std::path::{Path, PathBuf};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::UnboundedSender;

use super::control::Command;
use super::told::tell;

/// Sends [`Command::FilesChanged`] when something happens below these paths. `None` when the system cannot tell.
pub(super) fn watch(
    paths: Vec<PathBuf>,
    commands: UnboundedSender<Command>,
) -> Option<RecommendedWatcher> {
    let tell = move |event: notify::Result<Event>| {
        let is_change = event.is_ok_and(|e| match e.kind {
            EventKind::Access(_) => false,
            EventKind::Any
            | EventKind::Create(_)
            | EventKind::Modify(_)
            | EventKind::Remove(_)
            | EventKind::Other => true,
        });
        if is_change {
            let _ = commands.send(Command::FilesChanged);
        }
    };
    let watched = notify::recommended_watcher(tell).and_then(|mut watcher| {
        for path in &paths {
            let mode = if path.is_dir() {
                RecursiveMode::Recursive
            } else {
                RecursiveMode::NonRecursive
            };
            watcher.watch(folder_of(path), mode)?;
        }
        Ok(watcher)
    });
    watched
        .inspect_err(|error| {
            tell!("warning: changes of files are seen late: {error}");
        })
        .ok()
}

/// The folder in which a change of this path is seen: itself, or for a file the folder that names it.
fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !path.is_dir() && parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) if !path.is_dir() => parent,
        Some(_) | None => path,
    }
}
