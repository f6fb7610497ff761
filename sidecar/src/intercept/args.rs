//! What `outrigger intercept` takes: Istio's annotations as flags, and the examples that its `--help` shows.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand, ValueEnum};
use outrigger_core::peer::AddressRange;
use outrigger_intercept::{Backend, Ports, Ranges};

const EXAMPLES: &str = "\
Examples:
  In an init container of a pod whose sidecar runs as user 1337, with the pod's own annotations:
    outrigger intercept apply --annotations /etc/istio/pod/annotations

  On a machine whose sidecar runs as user 990, for what goes to 10.0.0.0/8 only:
    outrigger intercept apply --proxy-uid 990 --proxy-gid 990 --include-inbound-ports '' --include-outbound-ip-ranges 10.0.0.0/8

  To read what would be done, or to give it to somebody else:
    outrigger intercept print --backend nft

  To take it all out again:
    outrigger intercept clean

`apply` needs NET_ADMIN and NET_RAW (root in a container has them) and iptables or nft; `print` needs nothing. Who does it twice
has it once: what an earlier `apply`, or Istio's own init container, has put in is replaced. Exit code 0: done, and it was seen to
work; 1: not so; 2: usage.";

/// What `outrigger intercept` takes.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InterceptArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) act: Act,
}

/// What to do with rules.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Act {
    /// Put the rules in, and look whether they work
    Apply(Box<ApplyArgs>),
    /// Print the rules; nothing is changed
    Print(Box<PrintArgs>),
    /// Take the rules out
    Clean(TproxyArgs),
}

/// By which tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BackendArg {
    /// iptables-restore and ip6tables-restore
    Iptables,
    /// nft
    Nft,
}

impl From<BackendArg> for Backend {
    fn from(backend: BackendArg) -> Self {
        match backend {
            BackendArg::Iptables => Self::Iptables,
            BackendArg::Nft => Self::Nft,
        }
    }
}

/// How inbound connections are captured (`sidecar.istio.io/interceptionMode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub(crate) enum ModeArg {
    /// By rewriting where they go
    Redirect,
    /// By routing them as they are, so that the application's log has the client's address; needs NET_ADMIN for the sidecar, too
    Tproxy,
    /// Not at all
    None,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    pub(crate) capture: CaptureArgs,

    /// By which tool [default: iptables where it is installed, else nft]
    #[arg(long, value_enum, env = "OUTRIGGER_INTERCEPT_BACKEND")]
    pub(crate) backend: Option<BackendArg>,

    /// Do not connect to anything to see whether it is captured
    #[arg(long)]
    pub(crate) no_probe: bool,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct PrintArgs {
    #[command(flatten)]
    pub(crate) capture: CaptureArgs,

    /// For which tool
    #[arg(long, value_enum, default_value_t = BackendArg::Iptables, env = "OUTRIGGER_INTERCEPT_BACKEND")]
    pub(crate) backend: BackendArg,
}

#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct TproxyArgs {
    /// The mark that packets get under TPROXY; `outrigger run` gives connections with a client's address 1337
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1337,
        env = "OUTRIGGER_INTERCEPT_TPROXY_MARK"
    )]
    pub(crate) tproxy_mark: u32,

    /// The routing table that holds their route
    #[arg(
        long,
        value_name = "N",
        default_value_t = 133,
        env = "OUTRIGGER_INTERCEPT_TPROXY_TABLE"
    )]
    pub(crate) tproxy_table: u32,
}

/// What is captured.
#[derive(Clone, Debug, Args)]
pub(crate) struct CaptureArgs {
    /// A file of a pod's annotations as Kubernetes writes it (`key="value"`), which say what flags do not
    #[arg(long, value_name = "FILE", env = "OUTRIGGER_INTERCEPT_ANNOTATIONS")]
    pub(crate) annotations: Option<PathBuf>,

    /// Inbound ports to capture: `*`, or a list with commas, or '' for none [default: *]
    #[arg(
        long,
        value_name = "PORTS",
        env = "OUTRIGGER_INTERCEPT_INCLUDE_INBOUND_PORTS"
    )]
    pub(crate) include_inbound_ports: Option<PortsArg>,

    /// Inbound ports not to capture, besides 15020, 15021 and 15090, when all are
    #[arg(
        long,
        value_name = "PORTS",
        env = "OUTRIGGER_INTERCEPT_EXCLUDE_INBOUND_PORTS"
    )]
    pub(crate) exclude_inbound_ports: Option<List<u16>>,

    /// Ports to which connections are captured wherever they go
    #[arg(
        long,
        value_name = "PORTS",
        env = "OUTRIGGER_INTERCEPT_INCLUDE_OUTBOUND_PORTS"
    )]
    pub(crate) include_outbound_ports: Option<List<u16>>,

    /// Ports to which connections are not captured
    #[arg(
        long,
        value_name = "PORTS",
        env = "OUTRIGGER_INTERCEPT_EXCLUDE_OUTBOUND_PORTS"
    )]
    pub(crate) exclude_outbound_ports: Option<List<u16>>,

    /// Addresses to which connections are captured: `*`, or ranges with commas, or '' for none [default: *]
    #[arg(
        long,
        value_name = "CIDRS",
        env = "OUTRIGGER_INTERCEPT_INCLUDE_OUTBOUND_IP_RANGES"
    )]
    pub(crate) include_outbound_ip_ranges: Option<RangesArg>,

    /// Addresses to which they are not
    #[arg(
        long,
        value_name = "CIDRS",
        env = "OUTRIGGER_INTERCEPT_EXCLUDE_OUTBOUND_IP_RANGES"
    )]
    pub(crate) exclude_outbound_ip_ranges: Option<List<AddressRange>>,

    /// Interfaces to leave alone, such as those of a second network
    #[arg(
        long,
        value_name = "NAMES",
        env = "OUTRIGGER_INTERCEPT_EXCLUDE_INTERFACES"
    )]
    pub(crate) exclude_interfaces: Option<List<String>>,

    /// Interfaces of virtual machines, of which what comes in is on its way out (KubeVirt)
    #[arg(
        long,
        value_name = "NAMES",
        env = "OUTRIGGER_INTERCEPT_REROUTE_VIRTUAL_INTERFACES"
    )]
    pub(crate) reroute_virtual_interfaces: Option<List<String>>,

    /// How inbound connections are captured [default: REDIRECT]
    #[arg(
        long,
        value_enum,
        value_name = "MODE",
        ignore_case = true,
        env = "OUTRIGGER_INTERCEPT_MODE"
    )]
    pub(crate) mode: Option<ModeArg>,

    #[command(flatten)]
    pub(crate) tproxy: TproxyArgs,

    /// Users as whom the sidecar runs
    #[arg(
        long,
        value_name = "IDS",
        default_value = "1337",
        env = "OUTRIGGER_INTERCEPT_PROXY_UID"
    )]
    pub(crate) proxy_uid: List<u32>,

    /// Groups as which it runs
    #[arg(
        long,
        value_name = "IDS",
        default_value = "1337",
        env = "OUTRIGGER_INTERCEPT_PROXY_GID"
    )]
    pub(crate) proxy_gid: List<u32>,

    /// Where it takes the application's connections
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 15001,
        env = "OUTRIGGER_INTERCEPT_OUTBOUND_PORT"
    )]
    pub(crate) outbound_port: u16,

    /// Where it takes connections to the application
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 15006,
        env = "OUTRIGGER_INTERCEPT_INBOUND_PORT"
    )]
    pub(crate) inbound_port: u16,

    /// Capture questions for names, too, which the sidecar answers at --dns-port of 127.0.0.1
    #[arg(long, env = "OUTRIGGER_INTERCEPT_DNS")]
    pub(crate) dns: bool,

    /// Whose: `*` for whoever is asked at port 53, or addresses with commas [default: those of /etc/resolv.conf]
    #[arg(
        long,
        value_name = "ADDRS",
        requires = "dns",
        env = "OUTRIGGER_INTERCEPT_DNS_SERVERS"
    )]
    pub(crate) dns_servers: Option<ServersArg>,

    /// Where the sidecar answers them
    #[arg(
        long,
        value_name = "PORT",
        default_value_t = 15053,
        env = "OUTRIGGER_INTERCEPT_DNS_PORT"
    )]
    pub(crate) dns_port: u16,

    /// Capture IPv6, too
    #[arg(long, env = "OUTRIGGER_INTERCEPT_IPV6")]
    pub(crate) ipv6: bool,
}

/// Values with commas between them; nothing is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T: FromStr> FromStr for List<T>
where
    T::Err: std::fmt::Display,
{
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let values = text.split(',').map(str::trim).filter(|one| !one.is_empty());
        let read = |one: &str| one.parse().map_err(|why| format!("`{one}`: {why}"));
        values.map(read).collect::<Result<_, _>>().map(Self)
    }
}

/// `*`, or ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PortsArg(pub(crate) Ports);

impl FromStr for PortsArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(match text.trim() {
            "*" => Ports::All,
            text => Ports::These(text.parse::<List<u16>>()?.0),
        }))
    }
}

/// `*`, or ranges of addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RangesArg(pub(crate) Ranges);

impl FromStr for RangesArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(match text.trim() {
            "*" => Ranges::All,
            text => Ranges::These(text.parse::<List<AddressRange>>()?.0),
        }))
    }
}

/// `*`, or addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServersArg(pub(crate) outrigger_intercept::NameServers);

impl FromStr for ServersArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        use outrigger_intercept::NameServers;
        Ok(Self(match text.trim() {
            "*" => NameServers::All,
            text => NameServers::These(text.parse::<List<_>>()?.0),
        }))
    }
}
