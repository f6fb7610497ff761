//! Where connections to applications come from: the address that interception lets pass, or the client's own.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

use outrigger_core::snapshot::Address;
use socket2::SockRef;

/// The mark by which the kernel routes an application's answers to a client's address back here (TPROXY). It is Istio's, and that
/// of `outrigger intercept` unless it is told another.
#[cfg(target_os = "linux")]
const INBOUND_MARK: u32 = 1337;

/// Has a socket that is to connect to an address of this machine come from `from`: the address that interception lets pass, or a
/// client's, whose answers the kernel must route back by a mark. The port is chosen when it connects.
///
/// # Errors
/// The address is not this machine's, or may not be taken: a client's needs NET_ADMIN.
pub fn connect_from(socket: &impl AsFd, from: IpAddr) -> io::Result<()> {
    let socket = SockRef::from(socket);
    if !Address::is_inbound_source(from) {
        be_client(&socket, from)?;
    }
    late_port(&socket)?;
    socket.bind(&SocketAddr::new(from, 0).into())
}

#[cfg(target_os = "linux")]
fn be_client(socket: &SockRef<'_>, from: IpAddr) -> io::Result<()> {
    match from {
        IpAddr::V4(_) => socket.set_ip_transparent_v4(true)?,
        IpAddr::V6(_) => socket.set_ip_transparent_v6(true)?,
    }
    socket.set_mark(INBOUND_MARK)
}

#[cfg(not(target_os = "linux"))]
fn be_client(_: &SockRef<'_>, _: IpAddr) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Otherwise every port is taken for all endpoints at once, also while its last connection waits to be forgotten.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "neither std nor socket2 has this option")]
fn late_port(socket: &SockRef<'_>) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let on: libc::c_int = 1;
    let length = libc::socklen_t::try_from(size_of_val(&on)).map_err(io::Error::other)?;
    // SAFETY: the kernel reads `length` bytes of `on`, which is as long as that and lives until the call returns.
    let set = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            length,
        )
    };
    match set {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(not(target_os = "linux"))]
fn late_port(_: &SockRef<'_>) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::net::TcpListener;

    use socket2::{Domain, Socket, Type};

    use super::*;

    #[test]
    fn an_application_sees_where_its_connections_come_from() {
        let application = TcpListener::bind("127.0.0.1:0").unwrap();
        let to = application.local_addr().unwrap();
        let from = "127.0.0.6".parse().unwrap();
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        connect_from(&socket, from).unwrap();
        socket.connect(&to.into()).unwrap();
        assert_eq!(application.accept().unwrap().1.ip(), from);
    }
}
