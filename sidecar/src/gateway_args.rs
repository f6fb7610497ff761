//! What makes a gateway of a proxy: `--gateway` and `--xff-trusted-hops`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use clap::Args;
use outrigger_core::compile::{Carried, CarriedPorts};
use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::SocketPlace;

/// The options of a gateway.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct GatewayArgs {
    /// Carry the Gateways whose selectors have labels of this workload: listen on ADDR (an IP address, with its port or on the
    /// same one) for the servers of PORT. May be repeated; an IP address alone stands for every port that Gateways name
    #[arg(long, value_name = "[PORT=]ADDR")]
    pub(crate) gateway: Vec<GatewayArg>,

    /// How many proxies before the gateway are believed in what they add to `x-forwarded-for` [default: the mesh's
    /// gatewayTopology.numTrustedProxies, else 0]
    #[arg(long, value_name = "N", requires = "gateway")]
    pub(crate) xff_trusted_hops: Option<u32>,
}

/// `PORT=ADDR`, or an IP address for all ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GatewayArg {
    /// The port that Gateways name; `None` for each.
    port: Option<u16>,
    ip: IpAddr,
    /// The port that is listened on; `None` for the same.
    at: Option<u16>,
}

impl FromStr for GatewayArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (port, addr) = match text.split_once('=') {
            None => (None, text),
            Some((port, addr)) => {
                let number = port.parse().ok().filter(|port: &u16| *port > 0);
                let number = number.ok_or_else(|| format!("`{port}` is no port"))?;
                (Some(number), addr)
            }
        };
        if let Ok(ip) = addr.parse() {
            return Ok(Self { port, ip, at: None });
        }
        let told = || {
            format!(
                "`{addr}` is not an IP address, with a port or without; expected such as 80=0.0.0.0:8080, 80=0.0.0.0 or 0.0.0.0"
            )
        };
        let addr: SocketAddr = addr.parse().map_err(|_| told())?;
        if port.is_none() && addr.port() != 0 {
            return Err(format!(
                "say which port of Gateways is at {addr}: PORT={addr}"
            ));
        }
        Ok(Self {
            port,
            ip: addr.ip(),
            at: Some(addr.port()),
        })
    }
}

/// A port of Gateways that somebody comes to: PORT, or where its servers say themselves where they are (`bind`) ADDR:PORT or
/// unix:///PATH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct GatewayAt {
    pub(crate) port: u16,
    /// `None` where the command line of `run` says where it is.
    pub(crate) place: Option<SocketPlace>,
}

impl FromStr for GatewayAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix://") {
            let place = Some(SocketPlace::Unix(path.into()));
            return Ok(Self { port: 0, place });
        }
        if let Ok(at) = text.parse::<SocketAddr>() {
            let place = Some(SocketPlace::Address(at));
            return Ok(Self {
                port: at.port(),
                place,
            });
        }
        let port = text.parse().ok().filter(|port: &u16| *port > 0);
        let port = port.ok_or_else(|| {
            format!("`{text}` is no port of Gateways; expected such as 443, 10.0.0.1:443 or unix:///run/gateway.sock")
        })?;
        Ok(Self { port, place: None })
    }
}

impl GatewayAt {
    /// The listener, and our address on connections there.
    pub(crate) fn listener(&self) -> (ListenerKind, SocketAddr) {
        let local = match &self.place {
            None => (Ipv4Addr::LOCALHOST, self.port).into(),
            Some(place) => place.stands_for(),
        };
        (ListenerKind::Gateway(self.port), local)
    }
}

impl GatewayArgs {
    /// The port that is listened on for one of Gateways.
    pub(crate) fn port_at(&self, port: u16) -> u16 {
        let of = |wanted| self.gateway.iter().find(move |arg| arg.port == wanted);
        let arg = of(Some(port)).or_else(|| of(None));
        arg.and_then(|arg| arg.at).unwrap_or(port)
    }

    /// What a workload carries that is started so.
    pub(crate) fn carried(&self) -> Carried {
        let ports: Option<Vec<u16>> = self.gateway.iter().map(|arg| arg.port).collect();
        Carried {
            ports: match ports {
                Some(ports) if ports.is_empty() => CarriedPorts::Nothing,
                Some(ports) => CarriedPorts::These(ports),
                None => CarriedPorts::Every,
            },
            trusted_hops: self.xff_trusted_hops,
        }
    }

    /// Where each port is listened on: those that are named, and where an address stands for all, those that Gateways name.
    pub(crate) fn listens(&self, named: impl Iterator<Item = u16>) -> Vec<(u16, SocketAddr)> {
        let mut found: Vec<(u16, SocketAddr)> = Vec::new();
        for arg in &self.gateway {
            if let Some(port) = arg.port {
                found.push((port, (arg.ip, arg.at.unwrap_or(port)).into()));
            }
        }
        let of_all = self.gateway.iter().filter(|arg| arg.port.is_none());
        let named: Vec<u16> = named.collect();
        for arg in of_all {
            for port in &named {
                if found.iter().all(|(known, _)| known != port) {
                    found.push((*port, (arg.ip, arg.at.unwrap_or(*port)).into()));
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(texts: &[&str]) -> GatewayArgs {
        GatewayArgs {
            gateway: texts.iter().map(|text| text.parse().unwrap()).collect(),
            xff_trusted_hops: None,
        }
    }

    #[test]
    fn ports_of_gateways_are_at_addresses() {
        for (texts, carried, listens) in [
            (&[][..], CarriedPorts::Nothing, &[][..]),
            (
                &["80=127.0.0.1:8080", "443=::1"],
                CarriedPorts::These(vec![80, 443]),
                &["80 127.0.0.1:8080", "443 [::1]:443"],
            ),
            (
                &["127.0.0.1:0"],
                CarriedPorts::Every,
                &["80 127.0.0.1:0", "8443 127.0.0.1:0"],
            ),
            (
                &["80=0.0.0.0:1", "0.0.0.0"],
                CarriedPorts::Every,
                &["80 0.0.0.0:1", "8443 0.0.0.0:8443"],
            ),
        ] {
            let args = args(texts);
            assert_eq!(args.carried().ports, carried, "{texts:?}");
            let found = args.listens([80, 8443].into_iter()).into_iter();
            let found: Vec<String> = found.map(|(port, at)| format!("{port} {at}")).collect();
            assert_eq!(found, listens, "{texts:?}");
        }
    }

    #[test]
    fn a_port_is_at_the_same_one_or_another() {
        for (texts, port, want) in [
            (&["80=127.0.0.1:8080", "0.0.0.0"][..], 80, 8080),
            (&["80=127.0.0.1:8080", "0.0.0.0"], 443, 443),
            (&["80=127.0.0.1"], 80, 80),
            (&["127.0.0.1:0"], 80, 0),
        ] {
            assert_eq!(args(texts).port_at(port), want, "{texts:?} {port}");
        }
    }

    #[test]
    fn who_asks_comes_to_a_port_or_to_a_place() {
        for (text, want) in [
            ("443", Some("443 127.0.0.1:443")),
            ("10.0.0.1:80", Some("80 10.0.0.1:80")),
            ("[::1]:80", Some("80 [::1]:80")),
            ("0", None),
            ("10.0.0.1", None),
            ("x", None),
        ] {
            let at = text.parse::<GatewayAt>().ok();
            let at = at.map(|at| format!("{} {}", at.port, at.listener().1));
            assert_eq!(at.as_deref(), want, "{text}");
        }
        let unix = "unix:///run/g.sock".parse::<GatewayAt>().unwrap();
        assert_eq!(unix.listener().0, ListenerKind::Gateway(0));
        assert!(unix.listener().1.is_ipv6());
    }

    #[test]
    fn nonsense_is_told() {
        for text in [
            "",
            "0=127.0.0.1",
            "x=127.0.0.1",
            "80=a",
            "127.0.0.1:80",
            "80",
        ] {
            assert!(text.parse::<GatewayArg>().is_err(), "{text}");
        }
    }
}
