//! What `outrigger explain` takes, and the examples that its `--help` shows.

use std::path::PathBuf;

use clap::Args;
use outrigger_core::compile::{Carried, CarriedPorts};

use crate::compiled::{ForWhom, InboundTo};
use crate::gateway_args::GatewayAt;
use crate::options::{Format, parse_random, parse_spiffe_id};

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  outrigger explain --config rules/ 'GET http://reviews:9080/ratings'
  outrigger explain --config rules/ 'http://recommendation/' -H 'baggage-user-agent: Safari'
  outrigger explain --config rules/ 'GET /cart' -H 'Host: shop' --from app=web,version=v2 --namespace shop
  outrigger explain --config rules/ --inbound 8080 --from app=cart 'http://cart/'     as the mesh asks the workload
  outrigger explain --config rules/ --inbound 8080 --from app=cart --as spiffe://cluster.local/ns/shop/sa/web 'http://cart/'
  outrigger explain --config rules/ 'TCP redis:6379'            a connection that is not HTTP, to a service or an address
  outrigger explain --config rules/ 'TLS shop.test@10.0.0.1:443'    the same, begun with TLS that asks for a name
  outrigger explain --config rules/ --gateway 80 --from istio=ingressgateway 'http://shop.example/'     as anybody asks a gateway
  outrigger explain --config rules/ --random 7 'http://reviews/'      with other draws; a story tells its number
  outrigger explain --config rules/ --format json 'http://reviews/'   for machines

Nothing is sent. Endpoints are taken to be idle and healthy, and what would come of a 503, of no answer and of a refused
connection is played by the code that serves real requests.

Exit code 0: explained; 1: explained, and `run` would refuse the configuration; 2: the request or a path could not be read.

--format json writes one document; fields may be added, none is renamed or removed (docs/explain.md has all of them).";

/// What `outrigger explain` takes.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXPLAIN_EXAMPLES)]
pub(crate) struct ExplainArgs {
    /// Istio and Kubernetes YAML: files, or folders that are searched for *.yaml, *.yml and *.json
    #[arg(long, value_name = "PATH", required = true, num_args = 1..)]
    pub(crate) config: Vec<PathBuf>,

    /// The request, such as 'GET http://host/path', or the connection, such as 'TCP 10.0.0.1:6379' or 'TLS name:443'
    #[arg(value_name = "REQUEST")]
    pub(crate) request: Option<String>,

    /// A field of it, such as 'end-user: jason'; may be repeated
    #[arg(short = 'H', long = "header", value_name = "FIELD")]
    pub(crate) headers: Vec<String>,

    /// Its random number, from which every draw comes: decimal, or hexadecimal with 0x
    #[arg(long, value_name = "N", default_value = "0", value_parser = parse_random)]
    pub(crate) random: u64,

    /// It comes from the mesh to the application, on this port of it (or ADDR=APP_ADDR, as for `run`); the workload is --from
    #[arg(long, value_name = "APP")]
    pub(crate) inbound: Option<InboundTo>,

    /// It comes from outside to this port of the Gateways that select the workload of --from; where servers say where they are
    /// (bind), to ADDR:PORT or unix:///PATH
    #[arg(long, value_name = "PORT", conflicts_with = "inbound")]
    pub(crate) gateway: Option<GatewayAt>,

    /// Who asks has a certificate of the mesh with this SPIFFE ID, such as spiffe://cluster.local/ns/shop/sa/web: the client with
    /// --inbound, else the workload itself. Without it nobody has one, and all is clear text
    #[arg(long = "as", value_name = "ID", value_parser = parse_spiffe_id)]
    pub(crate) identity: Option<String>,

    #[command(flatten)]
    pub(crate) whom: ForWhom,

    /// For people or for machines
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

impl ExplainArgs {
    /// What the workload carries.
    pub(crate) fn carried(&self) -> Carried {
        Carried {
            ports: match &self.gateway {
                None => CarriedPorts::Nothing,
                Some(at) => CarriedPorts::These(vec![at.port]),
            },
            trusted_hops: None,
        }
    }

    /// Paths and the request. What stands behind `--config PATH` without an option of its own is the request.
    pub(crate) fn taken_apart(&self) -> (&[PathBuf], Option<&str>) {
        if let Some(request) = &self.request {
            return (&self.config, Some(request));
        }
        match self.config.split_last() {
            // A file that is there was meant as one, and the request forgotten.
            Some((last, paths @ [_, ..])) if !last.exists() => match last.to_str() {
                Some(request) => (paths, Some(request)),
                None => (&self.config, None),
            },
            Some(_) | None => (&self.config, None),
        }
    }
}
