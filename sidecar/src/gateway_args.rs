//! What makes a gateway of a proxy: `--gateway` and `--xff-trusted-hops`.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use clap::Args;
use outrigger_core::compile::{Carried, CarriedPorts};

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

impl GatewayArgs {
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
