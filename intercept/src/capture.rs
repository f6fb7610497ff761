//! What is captured, in Istio's words (the `traffic.sidecar.istio.io` annotations and the flags of its init container), and
//! what of it cannot be.

use core::fmt;
use core::net::IpAddr;

use outrigger_core::peer::AddressRange;

/// Which version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each variant is the version of that name")]
pub enum Family {
    V4,
    V6,
}

/// Ports of connections that are captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// All of them (`*`).
    All,
    /// These; none, where there is none.
    These(Vec<u16>),
}

/// Addresses to which connections are captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ranges {
    /// All of them (`*`).
    All,
    /// These; none, where there is none.
    These(Vec<AddressRange>),
}

/// How inbound connections are sent to the sidecar (`sidecar.istio.io/interceptionMode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Their destination is rewritten; the sidecar asks the kernel for the original one.
    Redirect,
    /// They are routed to the sidecar as they are: it sees both addresses. Packets get `mark`, which a routing rule sends to the
    /// routing table `table`.
    Tproxy {
        /// A mark that nobody else uses.
        mark: u32,
        /// A routing table that nobody else uses.
        table: u32,
    },
}

/// Whose name servers are captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameServers {
    /// Whoever is asked at port 53.
    All,
    /// These.
    These(Vec<IpAddr>),
}

/// Questions for names are captured too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dns {
    /// Where the sidecar answers, over UDP and TCP: at 127.0.0.1 and ::1, because an answer from another address of this machine is
    /// not known for one.
    pub port: u16,
    /// See [`NameServers`].
    pub servers: NameServers,
}

/// What is captured. The default is Istio's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Where the sidecar takes connections of the application.
    pub outbound_port: u16,
    /// Where it takes connections to the application.
    pub inbound_port: u16,
    /// Where tunnels of the mesh arrive, which are captured in no case.
    pub tunnel_port: u16,
    /// The users as whom the sidecar runs: their connections are not captured, or they would go round in a circle.
    pub users: Vec<u32>,
    /// The groups as which it runs.
    pub groups: Vec<u32>,
    /// See [`Mode`].
    pub mode: Mode,
    /// Inbound ports that are captured.
    pub inbound: Ports,
    /// Inbound ports that are not.
    pub exclude_inbound: Vec<u16>,
    /// Ports to which connections are captured whatever their address.
    pub outbound_ports: Vec<u16>,
    /// Ports to which they are not.
    pub exclude_outbound_ports: Vec<u16>,
    /// Addresses to which they are.
    pub outbound: Ranges,
    /// Addresses to which they are not.
    pub exclude_outbound: Vec<AddressRange>,
    /// Interfaces that are left alone.
    pub exclude_interfaces: Vec<String>,
    /// Interfaces of virtual machines: what comes from them is outbound.
    pub reroute_interfaces: Vec<String>,
    /// See [`Dns`].
    pub dns: Option<Dns>,
    /// IPv6 is captured too.
    pub ipv6: bool,
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            outbound_port: 15001,
            inbound_port: 15006,
            tunnel_port: 15008,
            users: vec![1337],
            groups: vec![1337],
            mode: Mode::Redirect,
            inbound: Ports::All,
            exclude_inbound: vec![15090, 15021, 15020],
            outbound_ports: Vec::new(),
            exclude_outbound_ports: Vec::new(),
            outbound: Ranges::All,
            exclude_outbound: Vec::new(),
            exclude_interfaces: Vec::new(),
            reroute_interfaces: Vec::new(),
            dns: None,
            ipv6: false,
        }
    }
}

/// What cannot be captured that way, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody is exempt, so the sidecar's own connections would come back to it.
    NobodyExempt,
    /// Two of the sidecar's ports are the same.
    SamePort(u16),
    /// No interface has such a name (at most 15 bytes, no blank, no slash; `ip link` in Linux).
    Interface(String),
    /// Asking for all name servers or for some that there are none of.
    NoNameServers,
    /// A mark or routing table of 0 is everybody's.
    Zero(&'static str),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NobodyExempt => f.write_str(
                "no user and no group is exempt, so what the sidecar sends would come back to it for ever: say as whom it runs",
            ),
            Self::SamePort(port) => {
                write!(f, "port {port} cannot be for two things: give each a port of its own")
            }
            Self::Interface(name) => write!(
                f,
                "`{name}` is no name of an interface: up to 15 letters, digits and signs, without blanks, quotes and slashes"
            ),
            Self::NoNameServers => f.write_str(
                "no name server is known whose questions to capture: capture all, or name some",
            ),
            Self::Zero(what) => write!(f, "the {what} must not be 0, which everything has"),
        }
    }
}

impl std::error::Error for Fault {}

impl Capture {
    /// Whether it can be captured that way.
    ///
    /// # Errors
    /// What cannot, the first of it.
    pub fn check(&self) -> Result<(), Fault> {
        if self.users.is_empty() && self.groups.is_empty() {
            return Err(Fault::NobodyExempt);
        }
        let dns = self.dns.as_ref().map(|dns| dns.port);
        let own = [self.outbound_port, self.inbound_port, self.tunnel_port];
        let mut ports: Vec<u16> = own.into_iter().chain(dns).collect();
        ports.sort_unstable();
        if let Some(same) = ports.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Fault::SamePort(same[0]));
        }
        let interfaces = self.exclude_interfaces.iter();
        let mut interfaces = interfaces.chain(&self.reroute_interfaces);
        if let Some(bad) = interfaces.find(|name| !is_interface(name)) {
            return Err(Fault::Interface(bad.clone()));
        }
        if let Some(dns) = &self.dns
            && matches!(&dns.servers, NameServers::These(servers) if servers.is_empty())
        {
            return Err(Fault::NoNameServers);
        }
        match self.mode {
            Mode::Tproxy { mark: 0, .. } => Err(Fault::Zero("mark")),
            Mode::Tproxy { table: 0, .. } => Err(Fault::Zero("routing table")),
            Mode::Tproxy { .. } | Mode::Redirect => Ok(()),
        }
    }

    /// The versions of IP that are captured.
    pub fn families(&self) -> impl Iterator<Item = Family> + use<> {
        [Family::V4]
            .into_iter()
            .chain(self.ipv6.then_some(Family::V6))
    }
}

/// Whether Linux takes it for the name of an interface, and no text of rules for anything else. A `+` at its end stands for any
/// ending.
fn is_interface(name: &str) -> bool {
    let is_plain = |byte: u8| {
        byte.is_ascii_graphic()
            && !matches!(
                byte,
                b'/' | b'"' | b'\'' | b'\\' | b'!' | b';' | b'{' | b'}' | b'#' | b'*'
            )
    };
    (1..=15).contains(&name.len())
        && name.bytes().all(is_plain)
        && name != "."
        && name != ".."
        && !name.starts_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_captured_is_told() {
        let of = |change: fn(&mut Capture)| {
            let mut capture = Capture::default();
            change(&mut capture);
            capture.check()
        };
        assert_eq!(of(|_| {}), Ok(()));
        type Case = (fn(&mut Capture), Fault);
        let cases: [Case; 8] = [
            (
                |c| (c.users, c.groups) = (Vec::new(), Vec::new()),
                Fault::NobodyExempt,
            ),
            (|c| c.inbound_port = 15001, Fault::SamePort(15001)),
            (
                |c| {
                    c.dns = Some(Dns {
                        port: 15006,
                        servers: NameServers::All,
                    });
                },
                Fault::SamePort(15006),
            ),
            (
                |c| c.exclude_interfaces = vec!["eth0 -j ACCEPT".into()],
                Fault::Interface("eth0 -j ACCEPT".into()),
            ),
            (
                |c| c.reroute_interfaces = vec!["averyverylongname".into()],
                Fault::Interface("averyverylongname".into()),
            ),
            (
                |c| c.exclude_interfaces = vec!["-j".into()],
                Fault::Interface("-j".into()),
            ),
            (
                |c| {
                    c.dns = Some(Dns {
                        port: 15053,
                        servers: NameServers::These(Vec::new()),
                    });
                },
                Fault::NoNameServers,
            ),
            (
                |c| {
                    c.mode = Mode::Tproxy {
                        mark: 0,
                        table: 133,
                    }
                },
                Fault::Zero("mark"),
            ),
        ];
        for (change, want) in cases {
            assert_eq!(of(change), Err(want));
        }
        assert_eq!(of(|c| c.exclude_interfaces = vec!["eth+".into()]), Ok(()));
    }
}
