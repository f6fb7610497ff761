//! `demo --intercept`: applications without any proxy setting, in two pods whose connections the kernel brings to their sidecars.
//!
//! Owns what is played and what must come of it. The pods and the rules of the kernel are `pods`'s, what runs in them is
//! `applications`'s. The sidecars are those of `run`, in threads of this process that are of a pod, as the applications are.

mod applications;
mod pods;

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use outrigger_core::cluster::Registry;
use outrigger_core::compile::{Answers, Inbound, Workload, compile};
use outrigger_core::config::mesh::MeshConfig;
use outrigger_core::config::{self, Severity};
use outrigger_core::peer::ListenerKind;
use outrigger_core::worker::WorkerSettings;
use outrigger_runtime::{Arrival, Listen, Running, Whom};
use outrigger_telemetry::{Hears, Settings, Telemetry};
use outrigger_tls::{Identities, LONGEST_HELLO};
use serde::Serialize;

use self::pods::{Of, Pods};
use super::certificates::{Certificates, spiffe_id};
use crate::cli::DemoArgs;
use crate::options::Format;
use crate::runtime::Start;

/// What the sidecars know.
const MESH: &str = include_str!("mesh.yaml");

/// The namespace of everything.
const NAMESPACE: &str = "default";

/// The ports that connections are brought to.
const OUTBOUND: u16 = 15001;
const INBOUND: u16 = 15006;

/// The sidecars tell by then.
const PATIENCE: Duration = Duration::from_secs(5);

const TITLE: &str = "Two pods in network namespaces of their own. The kernel brings what goes in and out to their sidecars:\n\n  \
                     client ─▶ sidecar ═ mutual TLS ═▶ sidecar ─▶ greeter (HTTP), ledger (speaks first)\n";

/// Something that is tried.
struct Trial {
    what: &'static str,
    /// What an application then sees.
    expected: &'static str,
    /// Whether it is an application of the mesh, so that both sidecars tell of it.
    is_captured: bool,
    act: fn() -> String,
}

const TRIALS: [Trial; 3] = [
    Trial {
        what: "GET / at 10.96.0.1:80, the greeter's address, which nobody has",
        expected: "200 hello spiffe://cluster.local/ns/default/sa/client",
        is_captured: true,
        act: || applications::get(at([10, 96, 0, 1], 80), "greeter"),
    },
    Trial {
        what: "a connection to 10.96.0.2:7000, where the ledger speaks first",
        expected: "220 ledger ready, then 250 booked: one oar",
        is_captured: true,
        act: || applications::book(at([10, 96, 0, 2], 7000), "one oar"),
    },
    Trial {
        what: "GET / at the greeter's pod by somebody without a sidecar, in clear text",
        expected: "closed without an answer",
        is_captured: false,
        act: || applications::get(at([10, 77, 0, 2], 8080), "greeter"),
    },
];

fn at(ip: [u8; 4], port: u16) -> SocketAddr {
    (Ipv4Addr::from(ip), port).into()
}

/// What came of it.
#[derive(Serialize)]
struct Outcome {
    check: &'static str,
    expected: &'static str,
    observed: String,
    ok: bool,
    /// What the client's sidecar decided, and that of the services.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stories: Vec<String>,
}

/// Plays all of it; whether everything was as expected.
///
/// # Errors
/// It cannot be played here, and why.
pub(super) fn play(args: &DemoArgs, start: Start) -> Result<bool, String> {
    let pods = Pods::new()?;
    let certificates = Certificates::new()?;
    let (tell, told) = channel();
    let mut sidecars = Vec::new();
    for (of, account) in [(Of::Client, "client"), (Of::Services, "greeter")] {
        let certificates = &certificates;
        pods.capture(of)?;
        let hears = hears(&tell);
        let sidecar = pods.within(of, || sidecar(account, certificates, start, hears))?;
        sidecars.push(sidecar?);
    }
    pods.within(Of::Services, applications::start)??;
    let say = |line: std::fmt::Arguments<'_>| {
        if args.format == Format::Text {
            let _ = writeln!(anstream::stdout(), "{line}");
        }
    };
    say(format_args!("{TITLE}"));
    let mut outcomes = Vec::new();
    for trial in &TRIALS {
        let observed = match trial.is_captured {
            true => pods.as_application(Of::Client, trial.act)?,
            false => pods.within(Of::Client, trial.act)?,
        };
        let stories = if trial.is_captured {
            heard(&told)
        } else {
            Vec::new()
        };
        let is_told = !trial.is_captured || stories.len() == 2;
        let ok = observed == trial.expected && is_told;
        let verdict = if ok { "as expected" } else { "NOT as expected" };
        say(format_args!("{}\n  {verdict}: {observed}", trial.what));
        if !ok {
            say(format_args!("  expected: {}", trial.expected));
        }
        for story in &stories {
            say(format_args!("{}", indented(story)));
        }
        say(format_args!(""));
        outcomes.push(Outcome {
            check: trial.what,
            expected: trial.expected,
            observed,
            ok,
            stories,
        });
    }
    let ok = outcomes.iter().all(|outcome| outcome.ok);
    match args.format {
        Format::Json => {
            let mut out = io::stdout().lock();
            let document = serde_json::json!({ "ok": ok, "checks": outcomes });
            let _ = serde_json::to_writer_pretty(&mut out, &document);
            let _ = writeln!(out);
        }
        Format::Text => {
            let count = outcomes.len();
            say(format_args!(
                "{} of {count} checks as expected. Nothing of the pods is left: a descriptor held each namespace.",
                outcomes.iter().filter(|outcome| outcome.ok).count()
            ));
        }
    }
    drop(sidecars);
    Ok(ok)
}

/// Starts the sidecar of the pod that this thread is of, beside this service account.
fn sidecar(
    account: &'static str,
    certificates: &Certificates,
    start: Start,
    hears: Hears,
) -> Result<Running, String> {
    let source = config::Source {
        name: "mesh.yaml",
        bytes: MESH.as_bytes(),
    };
    let loaded = config::load(&[source], NAMESPACE);
    let errors = loaded.findings.iter();
    if let Some(error) = { errors }.find(|f| f.severity == Severity::Error) {
        return Err(format!("a rule of the demo is not accepted: {error}"));
    }
    let listen = SocketAddr::from((Ipv4Addr::UNSPECIFIED, INBOUND));
    let workload = Workload {
        namespace: NAMESPACE.into(),
        labels: [("app".to_owned(), account.to_owned())].into(),
        spiffe_id: Some(spiffe_id(NAMESPACE, account)),
        ..Workload::default()
    };
    let inbound = [Inbound {
        listen,
        application: (Ipv4Addr::UNSPECIFIED, 0).into(),
    }];
    let compiled = compile(
        &loaded.resources,
        &workload,
        &MeshConfig::default(),
        &inbound,
        &Answers::new(),
        &mut Registry::default(),
        0,
    );
    let outbound = Listen {
        arrival: Arrival::Redirected,
        ..Listen::direct(
            ListenerKind::Outbound,
            (Ipv4Addr::LOCALHOST, OUTBOUND).into(),
        )
    };
    let inbound = Listen {
        arrival: Arrival::Redirected,
        whom: Whom::Brought,
        ..Listen::direct(ListenerKind::Inbound(0), listen)
    };
    let telemetry = Telemetry::start(Settings {
        hears: Some(hears),
        ..Settings::default()
    });
    let config = outrigger_runtime::Config {
        listeners: vec![outbound, inbound],
        workers: NonZeroUsize::MIN,
        settings: WorkerSettings::default(),
        seed: None,
        busy_poll: Duration::ZERO,
        own_addrs: Vec::new(),
        handover: Default::default(),
        names: None,
        snapshot: Arc::new(compiled.snapshot),
        recorder: None,
        sinks: telemetry.sinks(),
        notices: Arc::new(|notice| anstream::eprintln!("warning: {notice}")),
    };
    let proofs = certificates.issue(NAMESPACE, account)?;
    let running = start(config, Arc::new(Identities::new(proofs)), LONGEST_HELLO);
    running.map_err(|error| error.to_string())
}

/// Tells each story, and whether it is the client's sidecar that tells it.
fn hears(tell: &Sender<(bool, String)>) -> Hears {
    let tell = tell.clone();
    Arc::new(move |ended| {
        let is_clients = ended.peer.listener == ListenerKind::Outbound;
        let story = ended.record.story(ended.snapshot).to_string();
        // Nobody listens any more once all has been tried.
        let _ = tell.send((is_clients, story));
    })
}

/// The stories of both sidecars, the client's first, as far as they come.
fn heard(told: &Receiver<(bool, String)>) -> Vec<String> {
    let mut both: Vec<(bool, String)> = std::iter::from_fn(|| told.recv_timeout(PATIENCE).ok())
        .take(2)
        .collect();
    both.sort_by_key(|(is_clients, _)| !is_clients);
    both.into_iter().map(|(_, story)| story).collect()
}

fn indented(story: &str) -> String {
    let lines = story.trim_end().lines();
    lines.map(|line| format!("    {line}\n")).collect()
}
