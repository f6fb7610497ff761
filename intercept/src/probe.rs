//! The proof that rules do what they should: a connection to somewhere else arrives here, with its destination still known.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use outrigger_core::peer::AddressRange;
use socket2::SockRef;

use crate::capture::{Capture, Ranges};

/// Documentation has these addresses (RFC 5737); nobody does.
const NOBODY: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// A port that no service has.
const PORT: u16 = 65_023;

/// How long a connection inside of this machine may take.
const TIME: Duration = Duration::from_secs(5);

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A connection to this address arrived at the sidecar's port, and the kernel still knew where it was to go.
    Captured(SocketAddr),
    /// It was not tried, or could not be: why.
    Untried(String),
    /// It went elsewhere, or nowhere.
    Lost(String),
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Captured(to) => write!(
                f,
                "a connection to {to} arrived at the sidecar's port, and its destination is known"
            ),
            Self::Untried(why) => write!(f, "not tried: {why}"),
            Self::Lost(why) => write!(f, "connections are not captured: {why}"),
        }
    }
}

/// Connects to an address that is captured, and looks whether it arrives at the sidecar's outbound port, where nobody listens
/// yet.
#[must_use]
pub fn probe(capture: &Capture) -> Proof {
    let Some(to) = target(capture) else {
        return Proof::Untried("nothing is captured by address, or what is, is exempt".into());
    };
    let (user, group) = (
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw(),
    );
    if capture.users.contains(&user) || capture.groups.contains(&group) {
        return Proof::Untried("who runs this is exempt, as the sidecar is".into());
    }
    let listener = match TcpListener::bind((Ipv4Addr::UNSPECIFIED, capture.outbound_port)) {
        Ok(listener) => listener,
        Err(error) => {
            let port = capture.outbound_port;
            return Proof::Untried(format!(
                "port {port} is taken, by the sidecar perhaps ({error})"
            ));
        }
    };
    match arrive(&listener, to) {
        Ok(Some(original)) if original == to => Proof::Captured(to),
        Ok(Some(original)) => Proof::Lost(format!("one to {to} arrived as one to {original}")),
        Ok(None) => Proof::Lost(format!("one to {to} did not arrive")),
        Err(error) if error.kind() == io::ErrorKind::NetworkUnreachable => {
            Proof::Untried("this namespace has no route to anywhere else yet".into())
        }
        Err(error) => Proof::Lost(format!("one to {to}: {error}")),
    }
}

/// An address and port that are captured, if the settings have one of IPv4.
fn target(capture: &Capture) -> Option<SocketAddr> {
    let has = |ranges: &[AddressRange], address| ranges.iter().any(|range| range.has(address));
    let mut candidates: Vec<IpAddr> = match &capture.outbound {
        Ranges::All => vec![NOBODY],
        Ranges::These(ranges) => ranges.iter().map(AddressRange::base).collect(),
    };
    candidates.retain(|address| {
        address.is_ipv4() && !address.is_loopback() && !has(&capture.exclude_outbound, *address)
    });
    let address = candidates.into_iter().next()?;
    (!capture.exclude_outbound_ports.contains(&PORT)).then(|| SocketAddr::new(address, PORT))
}

/// Where a connection that arrives was to go; `None` when none does.
fn arrive(listener: &TcpListener, to: SocketAddr) -> io::Result<Option<SocketAddr>> {
    let connecting = TcpStream::connect_timeout(&to, TIME)?;
    let ours = connecting.local_addr()?;
    let until = Instant::now() + TIME;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        // A listener waits for a client no longer than a socket for bytes (socket(7), SO_RCVTIMEO).
        SockRef::from(listener).set_read_timeout(Some(left))?;
        match listener.accept() {
            // Somebody else may connect here meanwhile.
            Ok((stream, from)) if from.port() == ours.port() => return original(&stream),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(target_os = "linux")]
fn original(stream: &TcpStream) -> io::Result<Option<SocketAddr>> {
    Ok(SockRef::from(stream).original_dst_v4()?.as_socket())
}

#[cfg(not(target_os = "linux"))]
fn original(_: &TcpStream) -> io::Result<Option<SocketAddr>> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Ports;

    #[test]
    fn what_is_connected_to_is_captured() {
        let of = |change: fn(&mut Capture)| {
            let mut capture = Capture::default();
            change(&mut capture);
            target(&capture).map(|to| to.to_string())
        };
        assert_eq!(of(|_| {}).as_deref(), Some("192.0.2.1:65023"));
        assert_eq!(
            of(|c| c.inbound = Ports::These(Vec::new())).as_deref(),
            Some("192.0.2.1:65023")
        );
        assert_eq!(
            of(|c| c.outbound = Ranges::These(vec![
                "fd00::/8".parse().unwrap(),
                "10.9.0.0/16".parse().unwrap()
            ]))
            .as_deref(),
            Some("10.9.0.0:65023")
        );
        assert_eq!(of(|c| c.outbound = Ranges::These(Vec::new())), None);
        assert_eq!(
            of(|c| c.exclude_outbound = vec!["192.0.0.0/16".parse().unwrap()]),
            None
        );
        assert_eq!(of(|c| c.exclude_outbound_ports = vec![65_023]), None);
    }
}
