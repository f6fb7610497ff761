//! Options of `run` for the admin endpoints: where they listen, and what those who ask may do. `docs/admin.md` shows the
//! endpoints.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use crate::options::{parse_size, parse_some_time};

/// The admin endpoints.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Admin endpoints")]
pub(crate) struct AdminArgs {
    /// Where they listen: an address, whose port 0 picks a free one and prints it, or `unix:PATH`, a socket that only this
    /// user may open. Who may connect may read the configuration and end the proxy
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:15000")]
    pub(crate) admin: AdminAddr,

    /// Where `/healthz/ready` is answered to whoever asks from outside of this machine, as Istio does at port 15021, and
    /// nothing else is. Without it only the admin endpoints have it
    #[arg(long, value_name = "ADDR")]
    pub(crate) health: Option<SocketAddr>,

    /// Where the pod, the kubelet and Prometheus are answered, as Istio does at port 15020: `/healthz/ready`, probes of the
    /// application (`/app-health/…`), its metrics and ours on one page, and from this machine `POST /drain` and `/quitquitquit`
    #[arg(long, value_name = "ADDR")]
    pub(crate) agent: Option<SocketAddr>,

    /// Where `/stats/prometheus` is answered, as Istio does at port 15090, and nothing else is
    #[arg(long, value_name = "ADDR")]
    pub(crate) prometheus: Option<SocketAddr>,

    /// How long the application may take to tell the metrics that `--agent` adds to ours
    #[arg(long, value_name = "DURATION", default_value = "5s", value_parser = parse_some_time)]
    pub(crate) agent_scrape_time: Duration,

    /// How long a page of metrics of the application may be; a longer one is left out
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = parse_size)]
    pub(crate) agent_scrape_bytes: u64,

    /// Pages of the application that are asked for at a time, each in memory as a whole; who asks for one more gets ours alone
    #[arg(long, value_name = "N", default_value = "2")]
    pub(crate) agent_scrapes: NonZeroUsize,

    /// Connections to the admin endpoints at a time, and to each of the other addresses; one more takes the place of the one that has been idle longest
    #[arg(long, value_name = "N", default_value = "64")]
    pub(crate) admin_connections: NonZeroUsize,

    /// How long a client of the admin endpoints may take for a head, or keep a connection without asking
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_some_time)]
    pub(crate) admin_head_timeout: Duration,

    /// How old a connection to the admin endpoints gets, whatever it reads
    #[arg(long, value_name = "DURATION", default_value = "2m", value_parser = parse_some_time)]
    pub(crate) admin_connection_time: Duration,
}

/// Where the admin endpoints listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AdminAddr {
    /// An IP address and a port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl FromStr for AdminAddr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err("expected a path after `unix:`".into()),
                path => Ok(Self::Unix(path.into())),
            };
        }
        text.parse().map(Self::Tcp).map_err(|_| {
            format!("`{text}` is no IP address and port, such as 127.0.0.1:15000, and no unix:PATH")
        })
    }
}

impl fmt::Display for AdminAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(addr) => write!(f, "{addr}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_port_or_a_path() {
        for (text, want) in [
            ("[::1]:7", Ok("[::1]:7")),
            ("unix:/run/o.sock", Ok("unix:/run/o.sock")),
            ("unix:", Err("after `unix:`")),
            ("localhost:1", Err("no IP address")),
            ("15000", Err("no IP address")),
        ] {
            let got = text.parse::<AdminAddr>().map(|addr| addr.to_string());
            match want {
                Ok(want) => assert_eq!(got.as_deref(), Ok(want)),
                Err(want) => assert!(got.unwrap_err().contains(want), "{text}"),
            }
        }
    }
}
