//! Options of `run` for names: who is asked for them, and where applications may ask. `docs/dns.md` tells the rest.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use clap::Args;

use crate::options::parse_addr;

/// Names.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Names")]
pub(crate) struct DnsArgs {
    /// Answer applications that ask for names, over UDP and TCP, such as at 127.0.0.1:15053, where `outrigger intercept apply
    /// --dns` sends their questions. Services of the mesh are answered here, and those without addresses get some of
    /// 240.240.0.0/16 and 2001:2::/48; all other questions are passed on. May be repeated, as for port 15053 of ::1 where IPv6 is captured
    #[arg(
        long,
        value_name = "ADDR",
        env = "OUTRIGGER_DNS",
        value_delimiter = ','
    )]
    pub(crate) dns: Vec<SocketAddr>,

    /// A name server to ask, with its port, in the place of those in /etc/resolv.conf; may be repeated
    #[arg(long, value_name = "ADDR", value_parser = parse_addr)]
    pub(crate) dns_server: Vec<SocketAddr>,

    /// Names that clients give, in requests to hosts that no service has, of which the answer is kept at a time, each for as long as
    /// it holds
    #[arg(long, value_name = "N", default_value = "1000")]
    pub(crate) dns_cached_names: usize,

    /// Questions of applications that wait for name servers, and their connections, at a time; who comes then is told that it
    /// failed. As many connections may wait for names that clients give
    #[arg(long, value_name = "N", default_value = "1024")]
    pub(crate) dns_pending: NonZeroUsize,
}
