//! Where the admin endpoints listen: an address, or a Unix socket that only its owner may open.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;

use outrigger_runtime::retry_bind;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::admin_args::AdminAddr;
use crate::run::socket_file::{SocketFile, bind_unix, own};

/// Connections come in here.
pub(in crate::run) enum Listener {
    /// By an address.
    Tcp(TcpListener),
    /// By a path, which is gone when this is.
    Unix(UnixListener, SocketFile),
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener, _) => listener.as_fd(),
        }
    }
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
            let (listener, file) = retry_bind(|| bind_unix(path))?;
            Ok((
                Listener::Unix(listener, file),
                AdminAddr::Unix(path.clone()),
            ))
        }
    }
}

impl Listener {
    /// What the process before this one listens at there.
    pub(in crate::run) fn of_before(addr: &AdminAddr, socket: OwnedFd) -> Self {
        match addr {
            AdminAddr::Tcp(_) => Self::Tcp(socket.into()),
            AdminAddr::Unix(path) => Self::Unix(socket.into(), SocketFile::of_another(path)),
        }
    }

    /// It is ours.
    ///
    /// # Errors
    /// Its file cannot be.
    pub(super) fn own(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(_) => Ok(()),
            Self::Unix(socket, file) => own(socket, file),
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

/// A connection of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

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

    /// The next connection, and the address that it comes from.
    pub(super) async fn accept(&self) -> io::Result<(Box<dyn Stream>, Option<SocketAddr>)> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                (Box::new(stream), Some(peer))
            }
            Self::Unix(listener, _) => (Box::new(listener.accept().await?.0), None),
        })
    }
}
