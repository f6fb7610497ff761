//! Where the workload's identity comes from, from the start on: files, an authority, or nowhere.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use outrigger_identity::Source;
use outrigger_identity::csr::{self, Held};
use outrigger_xds::channel::OwnIdentity;
use tokio::sync::mpsc::UnboundedSender;

use super::Failure;
use super::command::Command;
use super::control::{Came, Control};
use super::front::Front;
use super::identity::Keeper;
use crate::cli::RunArgs;

/// Who reads it again and again, and what an authority gives.
#[derive(Debug, Default)]
pub(super) struct Identified {
    pub(super) keeper: Option<Keeper>,
    /// What an authority gives, if one is asked.
    pub(super) held: Option<Held>,
}

/// Begins to look at files or to ask an authority, and waits for its first answer. `None`: somebody wants us to end.
///
/// # Errors
/// The command line says nonsense, or no identity came in time: without one what other workloads send in the clear would be let in.
pub(super) fn start(
    args: &RunArgs,
    control: &mut Control,
    front: &Front,
    commands: &UnboundedSender<Command>,
) -> Result<Option<Identified>, Failure> {
    if let Some(files) = args.identity.files() {
        return Ok(Some(Identified {
            keeper: Some(Keeper::new(Box::new(files))),
            held: None,
        }));
    }
    let settings = args
        .authority
        .settings(&args.namespace, false)
        .map_err(|why| Failure::usage(&why))?;
    let Some(settings) = settings else {
        return Ok(Some(Identified::default()));
    };
    let told = commands.clone();
    // Nobody listens when the program ends.
    let tell = move || drop(told.send(Command::FilesChanged));
    let held = csr::start(settings, Box::new(tell))
        .map_err(|error| Failure::bad(format!("cannot start a thread: {error}")))?;
    let limit = args.authority.first_certificate_timeout;
    let seen = held.clone();
    front.wait_for("a first certificate (--ca)", Box::new(move || seen.fault()));
    match control.wait_for(front.awaited(), || held.is_here(), Some(limit)) {
        Came::Here => Ok(Some(Identified {
            keeper: Some(Keeper::new(Box::new(held.clone()))),
            held: Some(held),
        })),
        Came::End => Ok(None),
        Came::Late => Err(late(&held, limit)),
    }
}

/// What a control plane is shown: what lies in the files or was given, at each connection. Whether that is any good for the mesh
/// is known only once the mesh is.
pub(super) fn shown(args: &RunArgs, held: Option<&Held>) -> Option<OwnIdentity> {
    let source: Box<dyn Source> = match (args.identity.files(), held) {
        (Some(files), _) => Box::new(files),
        (None, Some(held)) => Box::new(held.clone()),
        (None, None) => return None,
    };
    let source = Mutex::new(source);
    Some(Arc::new(move || {
        let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
        let material = source.fetch().ok()?;
        Some((material.chain, material.key))
    }))
}

fn late(held: &Held, limit: Duration) -> Failure {
    let why = held.fault();
    let why = why.unwrap_or_else(|| "nobody has answered".into());
    Failure::bad(format!(
        "no certificate within {} s (--first-certificate-timeout): {why}; nothing was started",
        limit.as_secs()
    ))
}
