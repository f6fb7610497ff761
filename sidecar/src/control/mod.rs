//! The command `control`: has the configuration of a mesh, and tells each sidecar its part.
//!
//! Owns the order in which things start and end. What is told to whom is said by `outrigger_control`.

mod admin;
mod cluster;
mod files;
mod injection;
mod secure;
mod telling;
mod wanted;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use outrigger_control::discovery::{Limits, Server, listen};
use outrigger_control::hub::Hub;
use outrigger_xds::KINDS;
use outrigger_xds::service::Discovery;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_stream::wrappers::TcpListenerStream;
use tracing::{error, info};

use crate::control_args::ControlArgs;
use crate::run::{descriptors, events};
use files::Files;
use secure::Secure;
use telling::{Teller, Telling, Writes};

/// The input was judged bad, or the system refused what we need.
const BAD: u8 = 1;

/// The command line asks for what cannot be had.
const USAGE: u8 = 2;

/// Changes that wait to be taken; whoever reads them waits then.
const CHANGES: usize = 1024;

/// A client that says nothing for so long is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// And this is how long it may take to say so.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Runs it until it is told to end.
pub(crate) fn control(args: &ControlArgs) -> ExitCode {
    events::start(&args.log_level.clone().unwrap_or_default(), args.log_format);
    events::panics();
    descriptors::allow_all();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let served = runtime
        .map_err(|error| (BAD, format!("cannot start threads: {error}")))
        .and_then(|runtime| runtime.block_on(serve(args)));
    let code = match served {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, text)) => {
            error!(target: "main", "{text}");
            ExitCode::from(code)
        }
    };
    events::flush();
    code
}

async fn serve(args: &ControlArgs) -> Result<(), (u8, String)> {
    if !args.plain.ip().is_loopback() {
        let why = format!(
            "--plain {}: what is told in clear text, to whoever asks, stays on this machine",
            args.plain
        );
        return Err((USAGE, why));
    }
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let hang_up = signal(SignalKind::hangup()).map_err(no_signals)?;
    let hub = Arc::new(Hub::default());
    let (sender, changes) = mpsc::channel(CHANGES);
    let cluster = cluster::start(&args.cluster, sender.clone()).await?;
    let files = match cluster {
        Some(_) => None,
        None => Some(Files::start(args, sender, hang_up).await?),
    };
    let limits = Limits {
        max_streams: args.max_clients,
        max_first: args.max_first_at_once.get(),
    };
    let server = Arc::new(Server::new(Arc::clone(&hub), limits));
    let secure = secure::open(&args.secure, cluster.as_ref()).await?;
    let (plain, plain_addr) = bind(args.plain, "--plain")?;
    let (admin, admin_addr) = bind(args.admin, "--admin")?;
    let kinds: Vec<_> = KINDS.iter().collect();
    let world = Arc::clone(&hub);
    tokio::spawn(async move { world.serve(changes, &kinds).await });
    let places = match &secure {
        Some(secure) => secure.serve(&args.secure, &server, &hub)?,
        None => Vec::new(),
    };
    let places: String = places
        .iter()
        .map(|(what, addr)| format!(" {what} {addr},"))
        .collect();
    let telling = cluster.as_ref().map(|cluster| {
        let telling = Telling::new(&cluster.client, Arc::clone(&cluster.board));
        let telling = Arc::new(telling);
        let from = (&hub, server.clients());
        let writes = Writes {
            events: !args.cluster.no_events,
            status: !args.cluster.no_status,
        };
        let teller = Teller::new(&telling, &cluster.client, from, writes);
        tokio::spawn(teller.run());
        telling
    });
    let told = admin::Told {
        telling,
        hub: Arc::clone(&hub),
        clients: server.clients(),
        authority: secure.as_ref().map(Secure::authority),
        reviews: secure.as_ref().map(Secure::reviews),
        waited: AtomicU64::new(0),
    };
    let most = args.max_admin_connections.get();
    tokio::spawn(admin::serve(admin, Arc::new(told), most));
    if let (Some(cluster), Some(secure)) = (cluster, &secure) {
        let webhooks = args.cluster.webhook_configuration.clone();
        tokio::spawn(cluster.write(Arc::clone(&hub), secure.authority(), webhooks));
    }
    let discovery = tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .http2_keepalive_timeout(Some(KEEP_ALIVE_TIMEOUT))
        .add_service(Discovery::new(Arc::clone(&server)))
        .serve_with_incoming(TcpListenerStream::new(plain));
    let discovery = tokio::spawn(discovery);
    info!(
        target: "main",
        "outrigger {} control: discovery {plain_addr},{places} admin {admin_addr}; {}",
        env!("CARGO_PKG_VERSION"),
        files
            .as_ref()
            .map_or_else(|| "watching Kubernetes".to_owned(), Files::summary),
    );
    let watching = files.map(|files| tokio::spawn(files.serve()));
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    info!(target: "main", "ending; clients go on by what they have, and look for another replica");
    if let Some(watching) = watching {
        watching.abort();
    }
    // Streams of clients have no end of their own.
    discovery.abort();
    Ok(())
}

fn no_signals(error: std::io::Error) -> (u8, String) {
    (BAD, format!("cannot wait for signals: {error}"))
}

/// Listens there, and says where that is.
fn bind(addr: SocketAddr, option: &str) -> Result<(TcpListener, SocketAddr), (u8, String)> {
    let bound = listen(addr);
    let cannot = |error| (BAD, format!("cannot listen on {addr} ({option}): {error}"));
    let listener = bound.map_err(cannot)?;
    let addr = listener.local_addr().map_err(cannot)?;
    Ok((listener, addr))
}
