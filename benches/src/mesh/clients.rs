//! Clients that want what a sidecar wants, answer at once, and keep nothing but counts.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use outrigger_xds::messages::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Node};
use outrigger_xds::service::discover;
use outrigger_xds::{KINDS, Kind};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Status;
use tonic::transport::Endpoint;

/// What all of them have got.
#[derive(Debug, Default)]
pub struct Got {
    /// Clients that have had an answer for each kind.
    pub complete: AtomicU64,
    /// Objects.
    pub objects: AtomicU64,
    /// Bytes of them.
    pub bytes: AtomicU64,
    /// Responses.
    pub responses: AtomicU64,
    /// Responses of EndpointSlices after the first, and when the last of them came, in microseconds since the epoch.
    pub changes: AtomicU64,
    /// See [`Got::changes`].
    pub last: AtomicU64,
    /// Why the first of those that ended did.
    pub failed: OnceLock<String>,
}

/// Now, in microseconds since the epoch.
#[must_use]
pub fn now() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// One client, for as long as the server is there.
///
/// # Errors
/// It cannot be reached, or breaks off.
pub async fn client(
    server: SocketAddr,
    namespace: &str,
    number: usize,
    got: Arc<Got>,
) -> Result<(), Status> {
    let endpoint = Endpoint::from_shared(format!("http://{server}"));
    let endpoint = endpoint.map_err(|error| Status::internal(error.to_string()))?;
    let channel = endpoint.connect().await;
    let channel = channel.map_err(|error| Status::unavailable(error.to_string()))?;
    let (sender, requests) = unbounded_channel();
    let id = format!("sidecar~10.0.0.1~pod-{number}.{namespace}~{namespace}.svc.cluster.local");
    let mut node = Some(Node {
        id,
        ..Node::default()
    });
    for kind in KINDS {
        let request = DeltaDiscoveryRequest {
            node: node.take(),
            type_url: kind.type_url(),
            resource_names_subscribe: vec!["*".to_owned()],
            ..DeltaDiscoveryRequest::default()
        };
        // The stream below is still to be made of it.
        let _ = sender.send(request);
    }
    let mut responses = discover(channel, UnboundedReceiverStream::new(requests), None).await?;
    let mut kinds = 0;
    while let Some(response) = responses.message().await? {
        take(&response, kinds >= KINDS.len(), &got, &sender);
        kinds += 1;
        if kinds == KINDS.len() {
            got.complete.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}

fn take(
    response: &DeltaDiscoveryResponse,
    is_change: bool,
    got: &Got,
    sender: &UnboundedSender<DeltaDiscoveryRequest>,
) {
    let bytes: usize = response
        .resources
        .iter()
        .map(outrigger_xds::carried::weight)
        .sum();
    got.responses.fetch_add(1, Ordering::Relaxed);
    got.objects
        .fetch_add(response.resources.len() as u64, Ordering::Relaxed);
    got.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    let _ = sender.send(DeltaDiscoveryRequest {
        type_url: response.type_url.clone(),
        response_nonce: response.nonce.clone(),
        ..DeltaDiscoveryRequest::default()
    });
    if is_change
        && Kind::of_type(&response.type_url).is_some_and(|kind| kind.kind == "EndpointSlice")
    {
        got.last.fetch_max(now(), Ordering::Relaxed);
        got.changes.fetch_add(1, Ordering::Relaxed);
    }
}
