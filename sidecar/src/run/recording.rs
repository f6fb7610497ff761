//! The file of a recording (`--record`): where it is, who may read it, and what becomes of the one before.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use outrigger_recording::Recorder;
use outrigger_runtime::{Notice, Notices};

use super::Failure;
use crate::cli::RunArgs;

/// Begins the recording that the command line asks for.
///
/// # Errors
/// The file cannot be written.
pub(super) fn start(args: &RunArgs, notices: &Notices) -> Result<Option<Recorder>, Failure> {
    let Some(path) = &args.record else {
        return Ok(None);
    };
    let notices = Notices::clone(notices);
    let on_end = move |reason| notices(Notice::RecordingEnded(reason));
    let started = keep_previous(path)
        .and_then(|()| create(path))
        .and_then(|file| Recorder::start(Box::new(file), args.record_limit, on_end));
    started
        .map(Some)
        .map_err(|error| Failure::bad(format!("cannot record to `{}`: {error}", path.display())))
}

/// A run that crashed is often started again at once, and its recording is the one that is wanted. Whatever else stands
/// there (a device, a folder, a link) is not ours to move.
fn keep_previous(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.is_file() => {
            let kind =
                "what stands there is not a regular file; name one, or one that does not exist yet";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, kind));
        }
        Ok(_) | Err(_) => {}
    }
    let mut previous = path.as_os_str().to_owned();
    previous.push(".previous");
    match fs::rename(path, PathBuf::from(previous)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// For its owner alone: it holds what clients sent.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
