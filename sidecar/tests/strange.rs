//! A control plane that sends what is no object: nobody is let in by a policy that could not even be read.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/control.rs"]
mod control;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::sync::Arc;

use outrigger_xds::messages::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Resource,
};
use outrigger_xds::server::Session;
use outrigger_xds::service::{Discover, Discovery, Responses};
use outrigger_xds::whole;
use tokio_stream::wrappers::{TcpListenerStream, UnboundedReceiverStream};
use tonic::{Request, Status, Streaming};

use control::command;

/// Answers each first request of a kind: with nothing, and of one kind with what is none of it.
struct Strange(&'static str);

impl Discover<Session> for Strange {
    async fn stream(
        &self,
        requests: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Responses<DeltaDiscoveryResponse>, Status> {
        let (sender, responses) = tokio::sync::mpsc::unbounded_channel();
        let (mut requests, strange) = (requests.into_inner(), self.0);
        tokio::spawn(async move {
            while let Ok(Some(request)) = requests.message().await {
                if !request.response_nonce.is_empty() {
                    continue;
                }
                let resource = Resource {
                    name: "default/p".into(),
                    version: "1".into(),
                    resource: None,
                };
                let is_strange = request.type_url.ends_with(strange);
                let response = DeltaDiscoveryResponse {
                    resources: is_strange.then_some(resource).into_iter().collect(),
                    nonce: request.type_url.clone(),
                    type_url: request.type_url,
                    ..DeltaDiscoveryResponse::default()
                };
                let _ = sender.send(Ok(response));
            }
        });
        Ok(Box::pin(UnboundedReceiverStream::new(responses)))
    }
}

impl Discover<whole::Session> for Strange {
    async fn stream(
        &self,
        _: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Responses<DiscoveryResponse>, Status> {
        Err(Status::unimplemented("sidecars ask for changes"))
    }
}

#[test]
fn a_policy_that_is_no_object_lets_nobody_start() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let addr = runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let served = tonic::transport::Server::builder()
            .add_service(Discovery::new(Arc::new(Strange("AuthorizationPolicy"))))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(served);
        addr
    });
    let run = command(addr, "one", &[]).output().unwrap();
    let told = String::from_utf8(run.stderr).unwrap();
    assert_eq!(run.status.code(), Some(2), "{told}");
    assert!(told.contains("nothing stands in `default/p`"), "{told}");
}
