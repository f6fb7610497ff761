//! Unix sockets that only their owner may open, and the files that they are found by.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

/// Who may begin to connect before anybody looks.
const BACKLOG: i32 = 128;

/// Which file: device and number, and when it was made its owner's, because numbers are given out again.
type Identity = (u64, u64, i64, i64);

/// The file of a Unix socket, removed with this while it is still ours.
pub(super) struct SocketFile {
    path: PathBuf,
    /// `None` while it is somebody else's.
    identity: Option<Identity>,
}

impl SocketFile {
    /// The file of a socket that another process has, and may hand over.
    pub(super) fn of_another(path: &Path) -> Self {
        Self {
            path: path.into(),
            identity: None,
        }
    }

    /// It is ours from now on: whoever had it finds that it is another one.
    ///
    /// # Errors
    /// It is gone, or not this user's.
    fn own(&mut self) -> io::Result<()> {
        fs::set_permissions(&self.path, fs::Permissions::from_mode(0o600))?;
        self.identity = Some(identity(&self.path)?);
        Ok(())
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A successor may have put its own there.
        if self.identity.is_some() && identity(&self.path).ok() == self.identity {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino(), file.ctime(), file.ctime_nsec()))
}

/// A socket that another process had and its file are ours from now on. One that ended before took its file away, by which nobody finds the
/// socket any more: then there is a new one.
///
/// # Errors
/// The file is not this user's, or a new socket cannot be had.
pub(super) fn own(socket: &mut UnixListener, file: &mut SocketFile) -> io::Result<()> {
    match file.own() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            (*socket, *file) = bind_unix(&file.path)?;
            Ok(())
        }
        outcome => outcome,
    }
}

/// Listens at a path. Nobody can connect before the file is for its owner alone: until then the socket does not listen.
///
/// # Errors
/// Somebody listens there, or something else stands there.
pub(super) fn bind_unix(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    forget_a_dead_one(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let mut file = SocketFile::of_another(path);
    file.own()?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok((socket.into(), file))
}

/// A program that was killed leaves its socket's file behind. Whatever else stands there stays.
fn forget_a_dead_one(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let refuses =
        || UnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused);
    if is_socket && refuses() {
        fs::remove_file(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_its_owners_and_goes_with_its_listener() {
        let folder = std::env::temp_dir().join(format!("outrigger-socket-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("some.sock");
        let (socket, file) = bind_unix(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        UnixStream::connect(&path).unwrap();
        let again = bind_unix(&path).err().map(|error| error.kind());
        assert_eq!(again, Some(io::ErrorKind::AddrInUse), "somebody listens");

        // A listener that went without its file.
        drop(socket);
        let successor = bind_unix(&path).unwrap();
        drop(file);
        assert!(path.exists(), "the successor's file stays");
        drop(successor);
        assert!(!path.exists());

        // Whose socket was handed on leaves the file to whoever has made it his.
        let (_handed, old) = bind_unix(&path).unwrap();
        drop(SocketFile::of_another(&path));
        assert!(path.exists(), "who did not come so far leaves it, too");
        let mut new = SocketFile::of_another(&path);
        let before = old.identity;
        while new.identity.is_none() || new.identity == before {
            new.own().unwrap();
        }
        drop(old);
        assert!(path.exists());
        drop(new);
        assert!(!path.exists());

        // Whoever ended before he was taken over from took it away.
        let (mut socket, old) = bind_unix(&path).unwrap();
        let mut new = SocketFile::of_another(&path);
        drop(old);
        own(&mut socket, &mut new).unwrap();
        UnixStream::connect(&path).unwrap();
        socket.accept().unwrap();
        drop(new);
        assert!(!path.exists());

        fs::write(&path, "a file").unwrap();
        assert!(bind_unix(&path).is_err(), "what is no socket stays");
        fs::remove_dir_all(&folder).unwrap();
    }
}
