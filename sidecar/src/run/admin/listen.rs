//! Where the admin endpoints listen: an address, or a Unix socket that only its owner may open.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use outrigger_runtime::retry_bind;
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::admin_args::AdminAddr;

/// Who may begin to connect before anybody looks.
const BACKLOG: i32 = 128;

/// Connections come in here.
pub(in crate::run) enum Listener {
    /// By an address.
    Tcp(TcpListener),
    /// By a path, which is gone when this is.
    Unix(UnixListener, SocketFile),
}

/// Which file: device and number, and when it was made its owner's, because numbers are given out again.
type Identity = (u64, u64, i64, i64);

/// The file of a Unix socket, removed with this while it is still ours.
pub(in crate::run) struct SocketFile {
    path: PathBuf,
    identity: Identity,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A successor may have put its own there.
        if identity(&self.path).is_ok_and(|now| now == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<Identity> {
    let file = fs::symlink_metadata(path)?;
    Ok((file.dev(), file.ino(), file.ctime(), file.ctime_nsec()))
}

/// Listens; whoever connects waits until somebody accepts. The other value is the address with its real port.
///
/// # Errors
/// The address cannot be listened on.
pub(in crate::run) fn bind(addr: &AdminAddr) -> io::Result<(Listener, AdminAddr)> {
    match addr {
        AdminAddr::Tcp(addr) => {
            let (listener, addr) = bind_tcp(*addr)?;
            Ok((listener, AdminAddr::Tcp(addr)))
        }
        AdminAddr::Unix(path) => {
            let listener = retry_bind(|| bind_unix(path))?;
            Ok((listener, AdminAddr::Unix(path.clone())))
        }
    }
}

/// The same of an address.
///
/// # Errors
/// The address cannot be listened on.
pub(in crate::run) fn bind_tcp(addr: SocketAddr) -> io::Result<(Listener, SocketAddr)> {
    let listener = retry_bind(|| TcpListener::bind(addr))?;
    listener.set_nonblocking(true)?;
    let addr = listener.local_addr()?;
    Ok((Listener::Tcp(listener), addr))
}

/// Nobody can connect before the file is for its owner alone: until then the socket does not listen.
fn bind_unix(path: &Path) -> io::Result<Listener> {
    forget_a_dead_one(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    let file = SocketFile {
        path: path.into(),
        identity: identity(path)?,
    };
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(Listener::Unix(socket.into(), file))
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

/// A connection of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// The same, as tokio accepts on it.
pub(super) enum Accepting {
    Tcp(tokio::net::TcpListener),
    Unix(
        tokio::net::UnixListener,
        #[expect(dead_code, reason = "removes the file at the end")] SocketFile,
    ),
}

impl Accepting {
    /// # Errors
    /// There is no reactor to be registered with.
    pub(super) fn new(listener: Listener) -> io::Result<Self> {
        Ok(match listener {
            Listener::Tcp(listener) => Self::Tcp(tokio::net::TcpListener::from_std(listener)?),
            Listener::Unix(listener, file) => {
                Self::Unix(tokio::net::UnixListener::from_std(listener)?, file)
            }
        })
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match self {
            Self::Tcp(listener) => Box::new(listener.accept().await?.0),
            Self::Unix(listener, _) => Box::new(listener.accept().await?.0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_its_owners_and_goes_with_its_listener() {
        let folder = std::env::temp_dir().join(format!("outrigger-admin-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("admin.sock");
        let listener = bind_unix(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        UnixStream::connect(&path).unwrap();
        let again = bind_unix(&path).err().map(|error| error.kind());
        assert_eq!(again, Some(io::ErrorKind::AddrInUse), "somebody listens");

        // A listener that went without its file.
        let Listener::Unix(socket, file) = listener else {
            unreachable!("a path makes a Unix socket")
        };
        drop(socket);
        let successor = bind_unix(&path).unwrap();
        drop(file);
        assert!(path.exists(), "the successor's file stays");
        drop(successor);
        assert!(!path.exists());

        fs::write(&path, "a file").unwrap();
        assert!(bind_unix(&path).is_err(), "what is no socket stays");
        fs::remove_dir_all(&folder).unwrap();
    }
}
