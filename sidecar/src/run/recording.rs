//! The file of a recording (`--record`): where it is, who may read it, and what becomes of the one before.
//!
//! Owns that a start which fails leaves everything as it was: frames wait in the recorder's queue until the file is made,
//! and that is when the proxy listens.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};

use outrigger_recording::{MIN_LIMIT, Recorder};
use outrigger_runtime::{Notice, Notices};

use super::Failure;
use crate::cli::RunArgs;

/// A recording whose file is not there yet. Dropping it makes none.
pub(super) struct Pending<'a> {
    path: &'a Path,
    /// Shared with all who record.
    pub(super) recorder: Recorder,
    file: Sender<File>,
}

/// The recording that the command line asks for.
///
/// # Errors
/// Its limit is too low, or a thread cannot be started.
pub(super) fn prepare<'a>(
    args: &'a RunArgs,
    notices: &Notices,
) -> Result<Option<Pending<'a>>, Failure> {
    let Some(path) = &args.record else {
        return Ok(None);
    };
    if args.record_limit < MIN_LIMIT {
        let text =
            format!("`--record-limit` is too low; a recording has {MIN_LIMIT} bytes at least");
        return Err(Failure::usage(&text));
    }
    let notices = Notices::clone(notices);
    let on_end = move |reason| notices(Notice::RecordingEnded(reason));
    let (file, is_made) = channel();
    let later = Later::Awaited(is_made);
    match Recorder::start(Box::new(later), args.record_limit, on_end) {
        Ok(recorder) => Ok(Some(Pending {
            path,
            recorder,
            file,
        })),
        Err(error) => Err(Failure::bad(format!("cannot start a thread: {error}"))),
    }
}

impl Pending<'_> {
    /// Makes the file. The proxy is running.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn begin(self) -> Result<(), Failure> {
        let path = self.path;
        let made = keep_previous(path).and_then(|()| create(path));
        let file = made.map_err(|error| {
            Failure::bad(format!("cannot record to `{}`: {error}", path.display()))
        })?;
        // A recording that has ended already wants no file, and has said so.
        let _ = self.file.send(file);
        Ok(())
    }
}

/// A file that is made after its recording has begun.
enum Later {
    Awaited(Receiver<File>),
    Made(File),
    /// The start failed. Nobody will want what was recorded.
    Never,
}

impl Later {
    fn file(&mut self) -> Option<&mut File> {
        if let Self::Awaited(is_made) = self {
            *self = is_made.recv().map_or(Self::Never, Self::Made);
        }
        match self {
            Self::Made(file) => Some(file),
            Self::Awaited(_) | Self::Never => None,
        }
    }
}

impl Write for Later {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.file() {
            Some(file) => file.write(bytes),
            None => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file().map_or(Ok(()), File::flush)
    }
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
