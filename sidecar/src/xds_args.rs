//! Where the command line says that a control plane is, and what this workload calls itself there.

use std::net::IpAddr;
use std::time::Duration;

use clap::Args;
use outrigger_xds::messages::Node;
use outrigger_xds::structs;
use serde_json::{Map, Value, json};
use tonic::transport::{Channel, Endpoint};

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection that says nothing for so long is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// And this is how long it may take to say so.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// After the first failure, and doubled with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// Longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// A control plane instead of files.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Control plane")]
pub(crate) struct XdsArgs {
    /// The control plane to learn rules and endpoints from, instead of files: `HOST:PORT` of `outrigger control`, with
    /// `http://` before it where it is in clear text, which goes to this machine alone. Nothing listens before a first
    /// configuration has come; without the control plane, what came last stays in use
    #[arg(
        long,
        value_name = "ADDR",
        env = "OUTRIGGER_XDS",
        conflicts_with_all = ["config", "mesh_config", "record"],
        required_unless_present = "config"
    )]
    pub(crate) xds: Option<String>,

    /// What this workload is called there [default: its host name]
    #[arg(long, value_name = "NAME", env = "POD_NAME", requires = "xds")]
    pub(crate) workload_name: Option<String>,

    /// Its address, for those who look at the control plane
    #[arg(long, value_name = "IP", env = "INSTANCE_IP", requires = "xds")]
    pub(crate) workload_ip: Option<IpAddr>,
}

/// A control plane.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    addr: String,
}

impl XdsArgs {
    /// The control plane, if there is one.
    ///
    /// # Errors
    /// It is no address, or one that is not to be spoken to in clear text.
    pub(crate) fn server(&self) -> Result<Option<Server>, String> {
        let Some(addr) = &self.xds else {
            return Ok(None);
        };
        let plain = addr.strip_prefix("http://");
        let host = plain.unwrap_or(addr).rsplit_once(':').map(|(host, _)| host);
        let Some(host) = host.filter(|host| !host.is_empty()) else {
            return Err(format!("--xds {addr}: an address is HOST:PORT"));
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        if plain.is_some() && !is_here {
            return Err(format!(
                "--xds {addr}: rules in clear text could be anybody's; leave out `http://`, or have the control plane on this machine"
            ));
        }
        Ok(Some(Server { addr: addr.clone() }))
    }

    /// Who this workload says it is.
    pub(crate) fn node<'a>(
        &self,
        namespace: &str,
        labels: impl Iterator<Item = (&'a str, &'a str)>,
        is_gateway: bool,
    ) -> Node {
        let role = if is_gateway { "router" } else { "sidecar" };
        let ip = self
            .workload_ip
            .map_or_else(|| "0.0.0.0".to_owned(), |ip| ip.to_string());
        let name = self.workload_name.clone().unwrap_or_else(host_name);
        let labels: Map<String, Value> = labels
            .map(|(key, value)| (key.to_owned(), value.into()))
            .collect();
        let metadata = json!({"GENERATOR": "api", "NAMESPACE": namespace, "LABELS": labels});
        Node {
            id: format!("{role}~{ip}~{name}.{namespace}~{namespace}.svc.cluster.local"),
            cluster: format!("{name}.{namespace}"),
            metadata: Some(structs::from_json(&metadata)),
            user_agent_name: format!("outrigger/{}", env!("CARGO_PKG_VERSION")),
        }
    }
}

impl Server {
    /// For people.
    pub(crate) fn addr(&self) -> &str {
        &self.addr
    }

    /// Connects.
    ///
    /// # Errors
    /// Why not, in words.
    pub(crate) async fn connect(&self) -> Result<Channel, String> {
        let endpoint =
            Endpoint::from_shared(self.addr.clone()).map_err(|error| error.to_string())?;
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        endpoint.connect().await.map_err(|error| chain(&error))
    }

    /// How long to wait after that many failures in a row: doubled with each, and cut by chance to as little as half, so that
    /// those who lost the same control plane do not come back as one.
    pub(crate) fn pause(&self, failures: u32) -> Duration {
        let whole = FIRST_PAUSE
            .saturating_mul(1 << failures.min(6))
            .min(LONGEST_PAUSE);
        whole.mul_f64(0.5 + 0.5 * chance())
    }
}

/// From 0 to 1.
fn chance() -> f64 {
    let mut bytes = [0; 4];
    // Where there is no chance, all come back at once.
    let _ = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

fn host_name() -> String {
    rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned()
}

/// An error and what it came from.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(addr: &str) -> XdsArgs {
        XdsArgs {
            xds: Some(addr.into()),
            ..XdsArgs::default()
        }
    }

    #[test]
    fn clear_text_stays_on_this_machine() {
        for (addr, is_taken) in [
            ("http://127.0.0.1:15010", true),
            ("http://[::1]:15010", true),
            ("http://localhost:15010", true),
            ("http://10.0.0.1:15010", false),
            ("http://control.mesh:15010", false),
            ("control.mesh:15012", true),
            ("control.mesh", false),
            (":15012", false),
        ] {
            assert_eq!(args(addr).server().is_ok(), is_taken, "{addr}");
        }
        assert!(XdsArgs::default().server().unwrap().is_none());
    }

    #[test]
    fn a_node_is_called_as_istios_are() {
        let args = XdsArgs {
            workload_name: Some("cart-1".into()),
            workload_ip: Some([10, 0, 0, 7].into()),
            ..XdsArgs::default()
        };
        let node = args.node("shop", [("app", "cart")].into_iter(), false);
        assert_eq!(
            node.id,
            "sidecar~10.0.0.7~cart-1.shop~shop.svc.cluster.local"
        );
        let metadata = structs::to_json(node.metadata.unwrap());
        assert_eq!(metadata["LABELS"], json!({"app": "cart"}));
        assert!(
            args.node("shop", [].into_iter(), true)
                .id
                .starts_with("router~")
        );
    }

    #[test]
    fn pauses_grow_to_their_limit() {
        let server = args("http://127.0.0.1:1").server().unwrap().unwrap();
        for failures in [0, 1, 5, 1000] {
            let whole = FIRST_PAUSE
                .saturating_mul(1 << failures.min(6))
                .min(LONGEST_PAUSE);
            let pause = server.pause(failures);
            assert!(
                pause >= whole / 2 && pause <= whole,
                "{failures}: {pause:?}"
            );
        }
    }
}
