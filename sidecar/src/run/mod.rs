//! The command `run`: the proxy itself.
//!
//! Owns the order in which things start and end. Reading configuration is in `configuration`, when it is read again in
//! `watch` and `control`, the admin endpoints in `admin`; everything about a request is in the runtime and in core.

mod admin;
mod admin_sockets;
mod awaited;
mod changes;
mod collectors;
pub(crate) mod command;
mod configuration;
mod control;
pub(crate) mod descriptors;
mod discovery;
mod dns;
mod drain;
pub(crate) mod events;
mod front;
mod gathered;
mod greeting;
mod held;
mod history;
mod identified;
mod identity;
mod inbound_end;
mod incidents;
mod jwks;
mod last_words;
mod listeners;
mod origin;
mod overload;
mod pod_labels;
mod proofs;
mod recording;
mod reloads;
mod resolve;
mod settings;
mod signals;
mod socket_file;
mod successors;
mod supervisor;
mod takeover;
mod telemetry;
pub(crate) mod watch;

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use outrigger_core::compile::Answers;
use outrigger_core::peer::ListenerKind;
use outrigger_core::snapshot::Snapshot;
use outrigger_core::worker::WorkerSettings;
use outrigger_dns::Lookup;
use outrigger_recording::Recorder;
use outrigger_runtime::{Arrival, Config, Handover, Listen, Notices, Running, Sinks, Stage, Whom};
use outrigger_tls::Identities;
use outrigger_xds::channel::OwnIdentity;
use tokio::sync::mpsc::UnboundedSender;
use tracing::{error, info, warn};

use crate::access_log_args::AccessLogChoice;
use crate::admin_args::AdminAddr;
use crate::cli::RunArgs;
use crate::event_levels::Levels;
use crate::intercept::ModeArg;
use crate::runtime::{self, Picked};
use crate::{environment, proxy_config};
use command::Command;
use configuration::{Configuration, Reading};
pub(crate) use control::print_findings;
use control::{Came, Control};
use discovery::Inbox;
use front::Front;
use greeting::{greeting, own_places};
use identified::Identified;
use identity::Keeper;
use jwks::{KeyFetcher, Trusted};
use listeners::Listeners;
use origin::Origin;
use proofs::Gatherer;
use recording::Pending;
use reloads::Reloads;
use resolve::Resolver;
use takeover::Takeover;
use watch::Watch;

/// The command line asks for what cannot be had.
const USAGE: u8 = 2;

/// The input was judged bad, or the system refused what we need.
const BAD: u8 = 1;

/// Runs the proxy until it is told to end, and says how it went.
pub(crate) fn run(args: &RunArgs) -> ExitCode {
    let levels = levels(args);
    events::start(&levels.clone().unwrap_or_default(), args.log_format);
    events::panics();
    let started = levels
        .map_err(|why| Failure::usage(&why))
        .and_then(|_| completed(args))
        .and_then(|args| start(&args));
    let code = match started {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { code, text }) => {
            if !text.is_empty() {
                error!(target: "main", "{text}");
            }
            ExitCode::from(code)
        }
    };
    events::flush();
    code
}

/// Why the proxy does not run.
struct Failure {
    code: u8,
    /// Empty when everything has been said.
    text: String,
}

impl Failure {
    fn bad(text: impl ToString) -> Self {
        Self {
            code: BAD,
            text: text.to_string(),
        }
    }

    fn usage(text: &str) -> Self {
        Self {
            code: USAGE,
            text: text.into(),
        }
    }
}

/// The command line goes before the environment.
fn levels(args: &RunArgs) -> Result<Levels, String> {
    match (&args.log_level, proxy_config::text("OUTRIGGER_LOG")) {
        (Some(levels), _) => Ok(levels.clone()),
        (None, Some(text)) => text.parse().map_err(|why| format!("OUTRIGGER_LOG: {why}")),
        (None, None) => Ok(Levels::default()),
    }
}

/// With the labels of a file, which are labels as any, and without a control plane that `PROXY_CONFIG` names where there are files.
fn completed(args: &RunArgs) -> Result<RunArgs, Failure> {
    let said = proxy_config::said().map_err(Failure::usage)?;
    if args.record.is_some() && said.rest(&environment::variables()).is_some() {
        return Err(Failure::usage(
            "a recording does not hold what `PROXY_CONFIG` says of requests: say it under `defaultConfig` of the mesh configuration",
        ));
    }
    let mut args = args.clone();
    // Together the command line cannot say them.
    if !args.config.is_empty() || args.mesh_config.is_some() || args.record.is_some() {
        args.xds.xds = None;
    }
    if args.config.is_empty() && args.xds.xds.is_none() {
        return Err(Failure::usage(
            "`--config` or `--xds` says where the configuration comes from",
        ));
    }
    args.labels_said.clone_from(&args.labels);
    if let Some(file) = &args.labels_file {
        let more = pod_labels::besides(&args.labels, file).map_err(|why| Failure::usage(&why))?;
        args.labels.extend(more);
    }
    Ok(args)
}

fn start(args: &RunArgs) -> Result<(), Failure> {
    if args.config.iter().any(|path| path.as_os_str() == "-") {
        return Err(Failure::usage(
            "`--config -` cannot be read a second time; give a file or a folder",
        ));
    }
    let is_virtual = args.inbound.iter().any(|arg| arg.application.is_none());
    if is_virtual && args.interception == ModeArg::None {
        return Err(Failure::usage(
            "`--inbound ADDR` is for connections that were to go elsewhere, and nobody brings any: say `--interception`, or the \
             application's address, `--inbound ADDR=APP_ADDR`",
        ));
    }
    descriptors::allow_all();
    let settings = settings::of(args)?;
    let runtime =
        runtime::pick(args.runtime, |told| warn!(target: "main", "{told}")).map_err(|missing| {
            Failure {
                code: missing.exit_code(),
                text: missing.to_string(),
            }
        })?;
    let notices: Notices = Arc::new(|notice| warn!(target: "runtime", "{notice}"));
    let recording = recording::prepare(args, &notices)?;
    let recorder = recording.as_ref().map(|pending| pending.recorder.clone());
    let (access_log, said) = args.log.choice().map_err(|why| Failure::usage(&why))?;
    for words in said {
        warn!(target: "access_log", "{words}");
    }
    let mut takeover = Takeover::start(args)?;
    let (control, commands) = Control::new()
        .map_err(|error| Failure::bad(format!("cannot wait for signals: {error}")))?;
    let mut front = Front::open(args, commands.clone(), &mut takeover)?;
    let prepared = Prepared {
        settings,
        runtime,
        notices,
        recording,
        recorder,
        access_log,
    };
    let served = serve(args, prepared, (control, commands), takeover, &mut front);
    front.close();
    served
}

/// What is known before anybody is asked.
struct Prepared<'a> {
    settings: WorkerSettings,
    runtime: Picked,
    notices: Notices,
    recording: Option<Pending<'a>>,
    recorder: Option<Recorder>,
    access_log: AccessLogChoice,
}

/// Waits for whatever there has to be, and serves until the end.
fn serve(
    args: &RunArgs,
    prepared: Prepared<'_>,
    (mut control, commands): (Control, UnboundedSender<Command>),
    mut takeover: Takeover,
    front: &mut Front,
) -> Result<(), Failure> {
    let Prepared {
        settings,
        runtime,
        notices,
        recording,
        recorder,
        access_log,
    } = prepared;
    let identified = identified::start(args, &mut control, front, &commands)?;
    let Some(Identified { keeper, held }) = identified else {
        return Ok(());
    };
    let identity = keeper.as_ref().map(Keeper::shared);
    let origin = origin(args, &commands, identified::shown(args, held.as_ref()))?;
    let discovered = match &origin {
        Origin::Discovered(inbox) => Some(Arc::clone(inbox)),
        Origin::Files(_) => None,
    };
    if let Some(inbox) = &discovered
        && !wait_for_first(args, inbox, &mut control, front)
    {
        return Ok(());
    }
    let mut configuration = Configuration::new(args, origin, access_log, recorder.clone(), keeper);
    let reloads = Arc::new(Reloads::default());
    let snapshot = match configuration.read() {
        Reading::Good { snapshot, findings } => {
            print_findings(&findings);
            reloads.found(&findings);
            snapshot
        }
        Reading::Bad { findings } => {
            print_findings(&findings);
            return Err(Failure::bad(
                "the configuration has errors; nothing was started",
            ));
        }
        Reading::NoIdentity { fault } => return Err(Failure::bad(fault)),
        Reading::Unreadable { errors } => {
            for error in errors {
                error!(target: "config", "{error}");
            }
            let text = String::new();
            return Err(Failure { code: USAGE, text });
        }
    };
    let names = dns::bind(args, &configuration, &mut takeover)?;
    let mut resolver = Resolver::new(&args.dns.dns_server);
    let trusted = Trusted::new(&args.jwks_ca).map_err(|why| Failure::usage(&why))?;
    let keys = KeyFetcher::new(Arc::new(trusted), args.jwks_refresh);
    let snapshot = if configuration.names().is_empty() {
        snapshot
    } else {
        if !control.resolve(&configuration, &mut resolver) {
            return Ok(());
        }
        let answered = configuration.answered(Answers {
            names: resolver.answers(),
            ..Answers::new()
        });
        answered.map_or(snapshot, Arc::new)
    };
    let mut proofs = Gatherer::new();
    configuration.gather(&mut proofs, &snapshot);
    let telemetry = telemetry::start(args, proofs.identities());
    telemetry.prepare(&snapshot);
    let told = Told {
        sinks: telemetry.sinks(),
        notices,
        recorder,
    };
    let listens = listeners::wanted(&snapshot, &args.gateway, configuration.virtual_inbound());
    let lookup = dns::lookup(args)?;
    let counts_of_lookup = Arc::clone(lookup.counts());
    let running = start_workers(
        args,
        settings,
        runtime,
        (&front.admin, &listens, takeover.handover()),
        Arc::clone(&snapshot),
        (proofs.identities(), lookup),
        told,
    )?;
    if let Some(direction) = front.awaited().drained() {
        running.handle().begin_drain(direction, Stage::Stopped);
    }
    let overload = overload::start(&args.overload, args.max_buffered_bytes, running.handle())
        .map_err(|error| Failure::bad(format!("cannot start a thread: {error}")))?;
    recording.map_or(Ok(()), Pending::begin)?;
    // Whatever can fail has been done.
    takeover.begin(running.handle())?;
    let dns_addrs: Vec<_> = names.iter().map(outrigger_dns::Sockets::addr).collect();
    let names = dns::start(args, names, running.handle())?;
    let own: Vec<String> = own_places(&listens).collect();
    let listeners = Listeners::new(
        &args.gateway,
        args.listener_drain_time.unwrap_or(args.drain_time),
        listens,
        running.handle(),
    );
    reloads.began(&configuration::summary(&snapshot));
    let times = inbound_end::DrainTimes::of(args);
    let labels = Arc::clone(configuration.labels());
    let sources = admin::Sources {
        beside: Arc::clone(&front.beside),
        times,
        handle: running.handle().clone(),
        telemetry: telemetry.clone(),
        settings,
        overload,
        marks: args.overload.marks(),
        reloads: Arc::clone(&reloads),
        listeners: Arc::clone(listeners.counts()),
        takeovers: Arc::clone(takeover.counts()),
        lookup: counts_of_lookup,
        dns: names.as_ref().map(|names| Arc::clone(names.counts())),
        identity,
        given: held,
        discovered,
        about: admin::About::new(args, labels, runtime.name, front.admin.to_string()),
    };
    front.begin(&args.admin, sources)?;
    let mut watch = Watch::start(&configuration.paths(), commands.clone());
    watch.also(&proofs.files());
    // Somebody may have changed a file since it was read and before it was watched.
    let _ = commands.send(Command::FilesChanged);
    let others = greeting::Others {
        admin: &front.admin,
        asked: &front.asked,
        dns: &dns_addrs,
        own,
    };
    let greeting = greeting(args, runtime, running.handle(), &others, &snapshot);
    info!(target: "main", "{greeting}");
    supervisor::ready(&configuration::summary(&snapshot));
    // From here on only the workers hold it, so that endpoints it names are forgotten when a later one does not.
    drop(snapshot);
    let files = control::Files {
        configuration,
        proofs,
        watch,
        telemetry,
        listeners,
        takeover,
    };
    let ending = drain::Ending {
        running,
        admin: front.take(),
        names,
        times,
        telemetry: files.telemetry.clone(),
    };
    control.serve(ending, files, resolver, keys, commands, reloads);
    Ok(())
}

/// Where the configuration comes from; a control plane is listened to from now on.
fn origin(
    args: &RunArgs,
    commands: &UnboundedSender<Command>,
    identity: Option<OwnIdentity>,
) -> Result<Origin, Failure> {
    let server = args.xds.server(&args.authority, identity);
    let server = server.map_err(|why| Failure::usage(&why))?;
    let Some(server) = server else {
        return Ok(Origin::Files(origin::Files::new(args)));
    };
    let labels = args.labels.iter();
    let labels = labels.map(|label| (label.key.as_str(), label.value.as_str()));
    let is_gateway = args.gateway.carried().is_gateway();
    let cluster = args.authority.cluster_id();
    let node = args.xds.node(&args.namespace, cluster, labels, is_gateway);
    discovery::start(server, node, commands.clone())
        .map(Origin::Discovered)
        .map_err(|error| Failure::bad(format!("cannot start a thread: {error}")))
}

/// Waits until a control plane has said what there is. `false`: somebody wants us to end.
fn wait_for_first(
    args: &RunArgs,
    inbox: &Arc<Inbox>,
    control: &mut Control,
    front: &Front,
) -> bool {
    front.door().discovers(inbox);
    let addr = args.xds.xds.as_deref().unwrap_or_default();
    let what = format!("a first configuration (--xds {addr})");
    let seen = Arc::clone(inbox);
    front.wait_for(&what, Box::new(move || seen.fault()));
    control.wait_for(front.awaited(), || inbox.has_news(), None) == Came::Here
}

/// Who hears of what the workers do.
struct Told {
    sinks: Option<Arc<dyn Sinks>>,
    notices: Notices,
    recorder: Option<Recorder>,
}

fn start_workers(
    args: &RunArgs,
    settings: WorkerSettings,
    runtime: Picked,
    (admin, coming, handover): (&AdminAddr, &[Listen], Handover),
    snapshot: Arc<Snapshot>,
    (identities, lookup): (Arc<Identities>, Lookup),
    told: Told,
) -> Result<Running, Failure> {
    let (outwards, inwards) = arrivals(args.interception);
    let outbound = Listen {
        arrival: outwards,
        ..Listen::direct(ListenerKind::Outbound, args.outbound)
    };
    let inbound = args.inbound.iter().enumerate().map(|(index, arg)| Listen {
        arrival: inwards,
        whom: match arg.application {
            Some(application) => Whom::To(application.port()),
            None => Whom::Brought,
        },
        ..Listen::direct(ListenerKind::Inbound(index), arg.listen)
    });
    let listeners = std::iter::once(outbound).chain(inbound);
    let listeners = listeners.chain(coming.iter().cloned());
    let config = Config {
        listeners: listeners.collect(),
        workers: workers(args),
        settings,
        seed: None,
        busy_poll: args.busy_poll,
        own_addrs: match admin {
            AdminAddr::Tcp(addr) => vec![*addr],
            AdminAddr::Unix(_) => Vec::new(),
        },
        handover,
        names: Some(Arc::new(dns::Given(lookup))),
        snapshot,
        recorder: told.recorder,
        sinks: told.sinks,
        notices: told.notices,
    };
    (runtime.start)(config, identities, args.limits.max_client_hello_bytes).map_err(Failure::bad)
}

/// How connections of the application, and those to it, come to their listeners. Those of the application are rewritten in
/// either mode, as Istio's rules do.
const fn arrivals(mode: ModeArg) -> (Arrival, Arrival) {
    match mode {
        ModeArg::None => (Arrival::Direct, Arrival::Direct),
        ModeArg::Redirect => (Arrival::Redirected, Arrival::Redirected),
        ModeArg::Tproxy => (Arrival::Redirected, Arrival::Transparent),
    }
}

fn workers(args: &RunArgs) -> NonZeroUsize {
    args.workers
        .or_else(|| thread::available_parallelism().ok())
        .unwrap_or(NonZeroUsize::MIN)
}
