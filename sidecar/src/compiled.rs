//! From paths to a snapshot that nobody serves by: for commands that ask what a configuration would do.
//!
//! Owns that such a command judges as `run` does, and goes on where `run` would not start, because that is when somebody
//! asks. Serving by a configuration, and reading it again, is `run`'s business.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use outrigger_core::cluster::Registry;
use outrigger_core::compile::{self, Answers, Carried, Compiled, Inbound, Workload};
use outrigger_core::config::{self, Finding, MeshConfig};
use outrigger_core::peer::SpiffeId;
use outrigger_core::snapshot::Snapshot;

use crate::options::{InboundArg, LabelArg};
use crate::sources::{self, Pattern, Reader, Source, Unreadable};

/// For whom a configuration is compiled: what `run` takes by the same names.
#[derive(Clone, Debug, Args)]
pub(crate) struct ForWhom {
    /// The namespace of the workload that asks
    #[arg(long, value_name = "NS", default_value = "default")]
    pub(crate) namespace: String,

    /// The labels of the workload that asks, such as app=cart,version=v2
    #[arg(
        long = "from",
        alias = "label",
        value_name = "LABELS",
        value_delimiter = ','
    )]
    pub(crate) labels: Vec<LabelArg>,

    /// Istio's mesh configuration (the `mesh` key of the ConfigMap `istio`, or its content)
    #[arg(long, value_name = "FILE")]
    pub(crate) mesh_config: Option<PathBuf>,

    /// Its sidecar answers applications that ask for names (`run --dns`), so that services without addresses have some
    #[arg(long)]
    pub(crate) dns: bool,

    /// Leave out of folders what is like GLOB, as in a `.gitignore`; may be repeated
    #[arg(long, value_name = "GLOB")]
    pub(crate) ignore: Vec<Pattern>,
}

/// An inbound listener, by the port of the application or as `run` takes it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InboundTo(pub(crate) Inbound);

impl FromStr for InboundTo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let arg = match text.parse::<u16>() {
            Ok(port) => InboundArg {
                listen: (Ipv4Addr::UNSPECIFIED, 15_006).into(),
                application: Some((Ipv4Addr::LOCALHOST, port).into()),
            },
            Err(_) => text.parse().map_err(|why: String| {
                format!("{why}; or the port of the application alone, such as 8080")
            })?,
        };
        Ok(Self(arg.listener()))
    }
}

/// A configuration that was read and compiled.
pub(crate) struct Read {
    pub(crate) snapshot: Snapshot,
    /// What `run` would refuse it for.
    pub(crate) blocking: Vec<Finding>,
    /// What stands in for the addresses of names, which nobody is asked for here: the address, and the name.
    pub(crate) names: BTreeMap<IpAddr, Box<str>>,
}

/// Who has an identity, so that TLS of the mesh is spoken where the configuration says so.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Holder<'a> {
    /// Nobody: all is clear text.
    Nobody,
    /// The workload, this one.
    Workload(&'a str),
    /// The workload and its clients. Which it is itself makes no difference to who may come in.
    Both,
}

impl Holder<'_> {
    fn of_workload(self, whom: &ForWhom, mesh: &MeshConfig) -> Option<Box<str>> {
        match self {
            Self::Nobody => None,
            Self::Workload(id) => Some(id.into()),
            Self::Both => {
                let id = SpiffeId {
                    trust_domain: mesh.trust_domains().next()?,
                    namespace: &whom.namespace,
                    service_account: "default",
                };
                Some(id.to_string().into())
            }
        }
    }
}

/// Reads and compiles what stands at the paths.
///
/// # Errors
/// Every path that cannot be read.
pub(crate) fn read(
    paths: &[PathBuf],
    whom: &ForWhom,
    (inbound, carries): (&[InboundTo], Carried),
    identity: Holder<'_>,
) -> Result<Read, Vec<Unreadable>> {
    let found = Reader::ignoring(&whom.ignore).read(paths)?;
    let mesh = sources::read(whom.mesh_config.as_slice())?;
    let mut findings = found.findings;
    let mut mesh = mesh
        .sources
        .first()
        .map_or_else(MeshConfig::default, |source| {
            let (mesh, of_mesh) = config::load_mesh(source.as_config());
            findings.extend(of_mesh);
            mesh
        });
    mesh.default_config.dns_capture |= whom.dns;
    let read: Vec<_> = found.sources.iter().map(Source::as_config).collect();
    let loaded = config::load(&read, &whom.namespace);
    findings.extend(loaded.findings);
    findings.extend(config::lint(&loaded.resources, &mesh));
    findings.retain(Finding::blocks);
    let labels = whom.labels.iter();
    let workload = Workload {
        namespace: whom.namespace.clone(),
        labels: labels.map(|l| (l.key.clone(), l.value.clone())).collect(),
        spiffe_id: identity.of_workload(whom, &mesh),
        carries: Box::new(carries),
        ..Workload::default()
    };
    let inbound: Vec<Inbound> = inbound.iter().map(|to| to.0).collect();
    let compile = |answers: &Answers| -> Compiled {
        let registry = &mut Registry::default();
        compile::compile(
            &loaded.resources,
            &workload,
            &mesh,
            &inbound,
            answers,
            registry,
            0,
        )
    };
    let mut compiled = compile(&Answers::new());
    let names = stand_ins(&compiled);
    if !names.is_empty() {
        let answers = names.iter().map(|(ip, name)| (name.clone(), vec![*ip]));
        compiled = compile(&Answers {
            names: answers.collect(),
            ..Answers::new()
        });
    }
    Ok(Read {
        snapshot: compiled.snapshot,
        blocking: findings,
        names,
    })
}

/// One address for each name, of those that are kept for documentation and testing (RFC 2544: 198.18.0.0/15).
fn stand_ins(compiled: &Compiled) -> BTreeMap<IpAddr, Box<str>> {
    let first = u32::from(Ipv4Addr::new(198, 18, 0, 1));
    let names = compiled.names.keys().take(0x1_0000);
    let names = (first..).zip(names);
    names
        .map(|(number, name)| (Ipv4Addr::from(number).into(), name.clone()))
        .collect()
}

impl Read {
    /// A text with names in the place of the addresses that stand in for them.
    pub(crate) fn with_names(&self, mut text: String) -> String {
        for (address, name) in &self.names {
            // What follows an address is a port.
            let address = format!("{address}:");
            if text.contains(&address) {
                text = text.replace(&address, &format!("{name}:"));
            }
        }
        text
    }
}
