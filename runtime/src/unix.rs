//! Listening at Unix sockets, which have no address: who comes there is on this machine.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::net::{UnixListener, UnixStream};

use socket2::{Domain, SockAddr, Socket, Type};

/// The address of whoever is on a Unix socket.
pub const UNIX_CLIENT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Binds a Unix socket at a path, or under an abstract name (`@name`). What a process has left behind that is gone is put away.
///
/// # Errors
/// Somebody listens there, or the place cannot be used.
pub(crate) fn bind(path: &str) -> io::Result<UnixListener> {
    match try_bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_left_behind(path) => {
            std::fs::remove_file(path)?;
            try_bind(path)
        }
        outcome => outcome,
    }
}

fn try_bind(path: &str) -> io::Result<UnixListener> {
    let address = match path.strip_prefix('@') {
        Some(name) => SockAddr::unix(format!("\0{name}"))?,
        None => SockAddr::unix(path)?,
    };
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address)?;
    Ok(socket.into())
}

fn is_left_behind(path: &str) -> bool {
    UnixStream::connect(path).is_err_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_listens_at_any_more_is_put_away() {
        let name = format!("outrigger-unix-{}.sock", std::process::id());
        let path = std::env::temp_dir().join(name);
        let text = path.to_string_lossy().into_owned();
        let first = bind(&text).unwrap();
        socket2::SockRef::from(&first).listen(1).unwrap();
        assert_eq!(bind(&text).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(first);
        bind(&text).unwrap();
        std::fs::remove_file(&path).unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_abstract_name_leaves_nothing_behind() {
        let name = format!("@outrigger-{}", std::process::id());
        let first = bind(&name).unwrap();
        assert!(bind(&name).is_err());
        drop(first);
        bind(&name).unwrap();
    }
}
