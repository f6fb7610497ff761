//! What sidecars tell each other of their workloads: put on requests to services of the mesh, taken off before an application
//! sees it, and the same for responses on their way back (Istio's metadata exchange).

use super::Context;
use crate::decision::Record;
use crate::message::{Headers, Known, ResponseHead};
use crate::peer::ListenerKind;
use crate::snapshot::{DestinationCluster, LONGEST_METADATA, Snapshot};

/// A request has come in for the application: what its client's sidecar told is taken off it.
pub(super) fn take_from_request(context: &Context<'_>, record: &mut Record) {
    if !context.peer.listener.is_inbound() {
        // What a client from elsewhere says of itself counts for nothing and goes no further.
        if matches!(context.peer.listener, ListenerKind::Gateway(_)) {
            take(&mut record.request.headers, None);
        }
        return;
    }
    let Record {
        request,
        peer_metadata,
        ..
    } = record;
    let headers = &mut request.headers;
    peer_metadata.wants_id = headers.get(Known::XEnvoyPeerMetadataId).is_some();
    peer_metadata.wants_value = headers.get(Known::XEnvoyPeerMetadata).is_some();
    take(headers, Some(&mut peer_metadata.told));
}

/// A request goes to a cluster: one of the mesh is told who sends it.
pub(super) fn put_on_request(context: &Context<'_>, to: &DestinationCluster, record: &mut Record) {
    let snapshot = &context.view.snapshot;
    let Some(own) = &snapshot.peer_metadata else {
        return;
    };
    if !context.peer.listener.is_inbound() && is_of_mesh(to, snapshot) {
        let headers = &mut record.request.headers;
        headers.set(Known::XEnvoyPeerMetadataId, &own.id);
        // A base64 that we have made.
        headers.set_own(Known::XEnvoyPeerMetadata, &own.value);
    }
}

/// A response has come from an endpoint: who that is, if its sidecar told it, is taken off; a service that is not of the mesh is
/// not believed. One that leaves for a client who told who it is, is told who answers.
pub(super) fn on_response(context: &Context<'_>, record: &mut Record, response: &mut ResponseHead) {
    if context.peer.listener.is_inbound() {
        put_on_response(context, record, response);
        return;
    }
    let headers = &response.headers;
    if headers.get(Known::XEnvoyPeerMetadata).is_none()
        && headers.get(Known::XEnvoyPeerMetadataId).is_none()
    {
        record.peer_metadata.told.clear();
        return;
    }
    let snapshot = &context.view.snapshot;
    let cluster = record.attempt().and_then(|attempt| attempt.cluster);
    let is_of_mesh = cluster.is_some_and(|id| !snapshot.cluster(id).is_external);
    let told = &mut record.peer_metadata.told;
    take(&mut response.headers, is_of_mesh.then_some(told));
}

/// The same of an answer of our own.
pub(super) fn put_on_response(context: &Context<'_>, record: &Record, response: &mut ResponseHead) {
    let Some(own) = &context.view.snapshot.peer_metadata else {
        return;
    };
    let headers = &mut response.headers;
    if record.peer_metadata.wants_id {
        headers.set(Known::XEnvoyPeerMetadataId, &own.id);
    }
    if record.peer_metadata.wants_value {
        // A base64 that we have made.
        headers.set_own(Known::XEnvoyPeerMetadata, &own.value);
    }
}

fn take(headers: &mut Headers, into: Option<&mut Vec<u8>>) {
    if let Some(into) = into {
        into.clear();
        let told = headers.get(Known::XEnvoyPeerMetadata);
        into.extend_from_slice(
            told.filter(|told| told.len() <= LONGEST_METADATA)
                .unwrap_or(b""),
        );
    }
    headers.remove(Known::XEnvoyPeerMetadataId);
    headers.remove(Known::XEnvoyPeerMetadata);
}

fn is_of_mesh(to: &DestinationCluster, snapshot: &Snapshot) -> bool {
    match to {
        DestinationCluster::Known(id) => !snapshot.cluster(*id).is_external,
        DestinationCluster::Missing(_) | DestinationCluster::Passthrough => false,
    }
}
