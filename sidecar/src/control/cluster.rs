//! The objects of a mesh in Kubernetes, instead of files; and what is written back there: the roots in each namespace, and whom
//! Kubernetes is to believe when it asks us.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use outrigger_authority::{Authority, CaFiles, ROOT_LIFETIME};
use outrigger_control::hub::Hub;
use outrigger_kubernetes::{
    Board, Client, NotWritten, Selection, Webhooks, authority, bundle, connect, roots, watch,
};
use outrigger_xds::Change;
use tokio::sync::mpsc::Sender;
use tracing::{info, warn};

use super::BAD;
use crate::control_args::{ClusterArgs, SecureArgs};

/// What was written there is looked at again after so long.
const WRITE_EVERY: Duration = Duration::from_secs(15);

/// A way to Kubernetes.
pub(super) struct Cluster {
    pub(super) client: Client,
    /// What is known of it beside its objects.
    pub(super) board: Arc<Board>,
}

/// Connects, and begins to watch. `None`: the mesh is in files.
///
/// # Errors
/// Kubernetes cannot be reached.
pub(super) async fn start(
    args: &ClusterArgs,
    changes: Sender<Change>,
) -> Result<Option<Cluster>, (u8, String)> {
    let Some(url) = &args.kubernetes else {
        return Ok(None);
    };
    let url = Some(url.as_str()).filter(|url| !url.is_empty());
    let client = connect(url).await;
    let client = client.map_err(|why| (BAD, format!("--kubernetes: {why}")))?;
    let selection = Selection::of(&args.root_namespace);
    let board = Arc::new(Board::default());
    let watched = watch(client.clone(), selection, Arc::clone(&board), changes);
    tokio::spawn(watched);
    Ok(Some(Cluster { client, board }))
}

impl Cluster {
    /// The authority that the Secret of `--ca-secret` holds, made if there is none; `None` where it is in a folder.
    ///
    /// # Errors
    /// It can be neither read nor made.
    pub(super) async fn authority(
        &self,
        args: &SecureArgs,
    ) -> Result<Option<CaFiles>, (u8, String)> {
        let Some(secret) = &args.ca_secret else {
            return Ok(None);
        };
        let Some((namespace, name)) = secret.split_once('/') else {
            let why = format!("--ca-secret {secret}: it is NAMESPACE/NAME");
            return Err((super::USAGE, why));
        };
        let make = || CaFiles::make(&args.trust_domain, SystemTime::now(), ROOT_LIFETIME);
        let files = authority(&self.client, namespace, name, make).await;
        files.map(Some).map_err(|why| (BAD, why.to_string()))
    }

    /// Keeps the roots in each namespace, and in the webhooks of that name, for as long as the program runs.
    pub(super) async fn write(self, hub: Arc<Hub>, ours: Arc<Authority>, webhooks: Option<String>) {
        let mut told = String::new();
        loop {
            let pem = ours.signer().roots().to_owned();
            let mut failed = None;
            let mut note = |what: &str, written: Result<bool, NotWritten>| match written {
                Ok(true) => info!(target: "config", "wrote our roots to {what}"),
                Ok(false) => {}
                Err(why) => {
                    failed.get_or_insert_with(|| why.to_string());
                }
            };
            if let Some(name) = &webhooks {
                for kind in [Webhooks::Mutating, Webhooks::Validating] {
                    note(name, bundle(&self.client, kind, name, &pem).await);
                }
            }
            for namespace in hub.ask(|world| world.namespaces()) {
                note(&namespace, roots(&self.client, &namespace, &pem).await);
            }
            let failed = failed.unwrap_or_default();
            if failed != told && !failed.is_empty() {
                warn!(target: "config", "{failed}; trying again");
            }
            told = failed;
            tokio::time::sleep(WRITE_EVERY).await;
        }
    }
}
