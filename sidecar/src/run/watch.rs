//! Being told when configuration files change.
//!
//! Folders are watched rather than files: editors and Kubernetes put new files in the place of old ones, and a watch on
//! a file follows the old one. For the same reason watches are renewed: a folder that was made again has none. What is
//! missed (network file systems, links to elsewhere) the slow poll of `control` finds.

use std::path::{self, Path, PathBuf};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::UnboundedSender;
use tracing::warn;

use super::command::Command;

/// Sends [`Command::FilesChanged`] while it lives.
#[derive(Debug)]
pub(super) struct Watch {
    /// `None` when the system cannot tell.
    watcher: Option<RecommendedWatcher>,
    paths: Vec<PathBuf>,
    /// What was told of a watch that cannot be had, so that it is told once.
    told: Option<String>,
}

impl Watch {
    /// Watches these paths.
    pub(super) fn start(paths: &[PathBuf], commands: UnboundedSender<Command>) -> Self {
        // Events name absolute paths.
        let absolute = |path: &PathBuf| path::absolute(path).unwrap_or_else(|_| path.clone());
        let paths: Vec<PathBuf> = paths.iter().map(absolute).collect();
        let watched = paths.clone();
        let tell = move |event: notify::Result<Event>| {
            let is_change = event.is_ok_and(|event| {
                is_change(event.kind) && event.paths.iter().any(|path| concerns(path, &watched))
            });
            if is_change {
                let _ = commands.send(Command::FilesChanged);
            }
        };
        let watcher = notify::recommended_watcher(tell);
        let mut watch = Self {
            watcher: watcher
                .inspect_err(
                    |error| warn!(target: "config", "changes of files are seen late: {error}"),
                )
                .ok(),
            paths,
            told: None,
        };
        watch.renew();
        watch
    }

    /// Watches what stands at the paths now; nothing happens where it is watched already.
    pub(super) fn renew(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let mut failed = Vec::new();
        // What is below a folder is watched last, because a watch on one of them alone would end that.
        for path in &self.paths {
            let parent = path.parent().unwrap_or(path);
            let watched = watcher.watch(parent, RecursiveMode::NonRecursive);
            // Seeing a folder made again is a help and no need; a file is seen in no other way.
            if !path.is_dir() {
                failed.extend(watched.err());
            }
        }
        for path in self.paths.iter().filter(|path| path.is_dir()) {
            failed.extend(watcher.watch(path, RecursiveMode::Recursive).err());
        }
        let failed = failed.first().map(ToString::to_string);
        if let Some(error) = &failed
            && self.told != failed
        {
            warn!(target: "config", "changes of files are seen late: {error}");
        }
        self.told = failed;
    }
}

const fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Access(_) => false,
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    }
}

/// Whether an event is about one of these: itself, what is below it, or for a file anything in its folder, as one may
/// lead to the other.
fn concerns(changed: &Path, watched: &[PathBuf]) -> bool {
    watched.iter().any(|path| {
        changed.starts_with(path)
            || (!path.is_dir() && path.parent().is_some_and(|dir| changed.starts_with(dir)))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use std::time::Duration;

    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
    use tokio::time::timeout;

    use super::*;

    /// `None` when nothing was told in a time that is never reached when something is.
    fn next(told: &mut UnboundedReceiver<Command>) -> Option<Command> {
        const PATIENCE: Duration = Duration::from_secs(30);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        let next = runtime.block_on(async { timeout(PATIENCE, told.recv()).await });
        next.ok().flatten()
    }

    #[test]
    fn a_folder_that_was_made_again_is_watched() {
        let base = std::env::temp_dir().join(format!("outrigger-watch-{}", std::process::id()));
        let _ = fs::remove_dir_all(&base);
        let folder = base.join("rules");
        fs::create_dir_all(&folder).unwrap();
        let (commands, mut told) = unbounded_channel();
        let mut watch = Watch::start(std::slice::from_ref(&folder), commands);
        fs::write(folder.join("a.yaml"), "").unwrap();
        assert_eq!(next(&mut told), Some(Command::FilesChanged));

        fs::remove_dir_all(&folder).unwrap();
        watch.renew();
        fs::create_dir(&folder).unwrap();
        watch.renew();
        while told.try_recv().is_ok() {}
        fs::write(folder.join("b.yaml"), "").unwrap();
        assert_eq!(next(&mut told), Some(Command::FilesChanged));
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn what_happens_beside_a_folder_concerns_nobody() {
        let folder = std::env::temp_dir();
        let file = folder.join("outrigger-no-such.yaml");
        let beside = folder.parent().unwrap().join("beside");
        for (changed, watched, concerned) in [
            (&folder, &folder, true),
            (&folder.join("a/b"), &folder, true),
            (&beside, &folder, false),
            (&file, &file, true),
            (&folder.join("..data"), &file, true),
            (&beside, &file, false),
        ] {
            let watched = std::slice::from_ref(watched);
            assert_eq!(concerns(changed, watched), concerned, "{changed:?}");
        }
    }
}
