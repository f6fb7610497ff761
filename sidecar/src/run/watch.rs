//! Being told when configuration files change.
//!
//! Folders are watched rather than files: editors and Kubernetes put new files in the place of old ones, and a watch on
//! a file follows the old one. For the same reason watches are renewed: a folder that was made again has none. What is
//! missed (network file systems, links to elsewhere) the slow poll of `control` finds.

use std::collections::BTreeSet;
use std::path::{self, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::UnboundedSender;
use tracing::warn;

use super::command::Command;

/// Sends [`Command::FilesChanged`] while it lives.
#[derive(Debug)]
pub(crate) struct Watch {
    /// `None` when the system cannot tell.
    watcher: Option<RecommendedWatcher>,
    commands: UnboundedSender<Command>,
    paths: Arc<Paths>,
    /// How many of them it was started with.
    first: usize,
    /// What was told of a watch that cannot be had, so that it is told once.
    told: Option<String>,
}

/// What is watched, known to the thread that hears of changes, too.
#[derive(Debug)]
struct Paths(Mutex<Vec<PathBuf>>);

impl Paths {
    fn lock(&self) -> MutexGuard<'_, Vec<PathBuf>> {
        // Each change of them is one step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Events name absolute paths.
fn absolute(path: &PathBuf) -> PathBuf {
    path::absolute(path).unwrap_or_else(|_| path.clone())
}

impl Watch {
    /// Watches these paths.
    pub(crate) fn start(paths: &[PathBuf], commands: UnboundedSender<Command>) -> Self {
        let paths: Vec<PathBuf> = paths.iter().map(absolute).collect();
        let first = paths.len();
        let paths = Arc::new(Paths(Mutex::new(paths)));
        let (watched, told) = (Arc::clone(&paths), commands.clone());
        let tell = move |event: notify::Result<Event>| {
            let is_change = event.is_ok_and(|event| {
                let watched = watched.lock();
                is_change(event.kind) && event.paths.iter().any(|path| concerns(path, &watched))
            });
            if is_change {
                let _ = told.send(Command::FilesChanged);
            }
        };
        let watcher = notify::recommended_watcher(tell);
        let mut watch = Self {
            watcher: watcher
                .inspect_err(
                    |error| warn!(target: "config", "changes of files are seen late: {error}"),
                )
                .ok(),
            commands,
            paths,
            first,
            told: None,
        };
        watch.renew();
        watch
    }

    /// Watches these files besides what it was started with, and no others from now on.
    pub(crate) fn also(&mut self, files: &BTreeSet<PathBuf>) {
        let mut paths = self.paths.lock();
        let files: Vec<PathBuf> = files.iter().map(absolute).collect();
        if paths[self.first..] == *files {
            return;
        }
        let before = paths.split_off(self.first);
        paths.extend(files);
        let kept: BTreeSet<PathBuf> = paths.iter().flat_map(|path| stood_in(path)).collect();
        // Whoever hears of changes looks at them, and is waited for below.
        drop(paths);
        let left: BTreeSet<PathBuf> = before.iter().flat_map(|path| stood_in(path)).collect();
        for folder in left.difference(&kept) {
            if let Some(watcher) = &mut self.watcher {
                // It may be gone, and its watch with it.
                let _ = watcher.unwatch(folder);
            }
        }
        self.renew();
        // They may have changed since they were read and before they were watched.
        let _ = self.commands.send(Command::FilesChanged);
    }

    /// Watches what stands at the paths now; nothing happens where it is watched already.
    pub(crate) fn renew(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        let paths = self.paths.lock().clone();
        let mut failed = Vec::new();
        // What is below a folder is watched last, because a watch on one of them alone would end that.
        for path in &paths {
            let parent = path.parent().unwrap_or(path);
            let watched = watcher.watch(parent, RecursiveMode::NonRecursive);
            // Seeing a folder made again is a help and no need; a file is seen in no other way.
            if !path.is_dir() {
                failed.extend(watched.err());
            }
        }
        for path in paths.iter().filter(|path| path.is_dir()) {
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

/// What is watched for a path: itself, if it is a folder, and the one that it lies in.
fn stood_in(path: &Path) -> Vec<PathBuf> {
    let all = [Some(path), path.parent()].into_iter().flatten();
    all.map(Path::to_owned).collect()
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
        assert!(matches!(next(&mut told), Some(Command::FilesChanged)));

        fs::remove_dir_all(&folder).unwrap();
        watch.renew();
        fs::create_dir(&folder).unwrap();
        watch.renew();
        while told.try_recv().is_ok() {}
        fs::write(folder.join("b.yaml"), "").unwrap();
        assert!(matches!(next(&mut told), Some(Command::FilesChanged)));
        fs::remove_dir_all(base).unwrap();
    }

    #[test]
    fn files_are_watched_for_as_long_as_rules_name_them() {
        let base = std::env::temp_dir().join(format!("outrigger-also-{}", std::process::id()));
        let _ = fs::remove_dir_all(&base);
        let [rules, keys, others] = ["rules", "keys", "others"].map(|name| base.join(name));
        for folder in [&rules, &keys, &others] {
            fs::create_dir_all(folder).unwrap();
        }
        let (commands, mut told) = unbounded_channel();
        let mut watch = Watch::start(std::slice::from_ref(&rules), commands);
        // Through a link, as Kubernetes mounts secrets.
        let key = keys.join("key.pem");
        watch.also(&[key.clone()].into());
        assert!(
            matches!(next(&mut told), Some(Command::FilesChanged)),
            "once it is"
        );
        watch.also(&[key].into());
        assert!(told.try_recv().is_err(), "nothing is new");
        fs::write(keys.join("..data"), "").unwrap();
        assert!(matches!(next(&mut told), Some(Command::FilesChanged)));
        let other = others.join("key.pem");
        watch.also(&[other.clone()].into());
        while told.try_recv().is_ok() {}
        fs::write(&other, "").unwrap();
        assert!(matches!(next(&mut told), Some(Command::FilesChanged)));
        // What it was started with stays.
        watch.also(&BTreeSet::new());
        assert_eq!(*watch.paths.lock(), std::slice::from_ref(&rules));
        while told.try_recv().is_ok() {}
        fs::write(rules.join("a.yaml"), "").unwrap();
        assert!(matches!(next(&mut told), Some(Command::FilesChanged)));
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
