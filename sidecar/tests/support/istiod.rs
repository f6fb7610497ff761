//! istiod's discovery as a sidecar meets it, played: what its `api` generator answers, sends again and takes away, with bodies of
//! Istio's types from messages of their own. After `pilot/pkg/xds/delta.go` and `pilot/pkg/networking/apigen`.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use outrigger_xds::messages::{
    Any, DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
    McpResource, Message, Metadata, Resource,
};
use outrigger_xds::server::Session;
use outrigger_xds::service::{Discover, Discovery, Responses};
use outrigger_xds::{structs, whole};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio_stream::wrappers::{TcpListenerStream, UnboundedReceiverStream};
use tonic::{Request, Status, Streaming};

use super::support::PATIENCE;

/// By type, and by name.
type Objects = BTreeMap<String, BTreeMap<String, Any>>;

#[derive(Clone, Default)]
struct World {
    objects: Objects,
    /// How often somebody ended all streams.
    restarts: u32,
    refuses: bool,
}

/// A played istiod.
pub(crate) struct Istiod {
    world: watch::Sender<World>,
    refusals: Arc<Mutex<Vec<(String, String)>>>,
    pub(crate) addr: SocketAddr,
    _runtime: Runtime,
}

#[derive(Clone)]
struct Service {
    world: watch::Receiver<World>,
    refusals: Arc<Mutex<Vec<(String, String)>>>,
}

impl Istiod {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (world, seen) = watch::channel(World::default());
        let refusals: Arc<Mutex<Vec<_>>> = Arc::default();
        let service = Service {
            world: seen,
            refusals: Arc::clone(&refusals),
        };
        let addr = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let served = tonic::transport::Server::builder()
                .add_service(Discovery::new(Arc::new(service)))
                .serve_with_incoming(TcpListenerStream::new(listener));
            tokio::spawn(served);
            addr
        });
        Self {
            world,
            refusals,
            addr,
            _runtime: runtime,
        }
    }

    /// Puts an object of this type there, `namespace/name`.
    pub(crate) fn set(&self, type_url: &str, name: &str, message: &str, body: &impl Message) {
        let body = Any {
            type_url: format!("type.googleapis.com/istio.{message}"),
            value: body.encode_to_vec().into(),
        };
        self.put(type_url, name, body);
    }

    pub(crate) fn put(&self, type_url: &str, name: &str, body: Any) {
        self.world.send_modify(|world| {
            let of_type = world.objects.entry(type_url.to_owned()).or_default();
            of_type.insert(name.to_owned(), body);
        });
    }

    pub(crate) fn remove(&self, type_url: &str, name: &str) {
        self.world.send_modify(|world| {
            world.objects.get_mut(type_url).unwrap().remove(name);
        });
    }

    /// Ends all streams, as another one would that took its place.
    pub(crate) fn restart(&self) {
        self.world.send_modify(|world| world.restarts += 1);
    }

    /// Whether nobody is told anything.
    pub(crate) fn refuse(&self, refuses: bool) {
        self.world.send_modify(|world| world.refuses = refuses);
    }

    /// A refusal of this type, once there is one.
    pub(crate) fn refusal(&self, type_url: &str) -> String {
        let begun = Instant::now();
        loop {
            let heard = self.refusals.lock().unwrap().clone();
            if let Some((_, why)) = heard.iter().rev().find(|(of, _)| of == type_url) {
                return why.clone();
            }
            assert!(begun.elapsed() < PATIENCE, "no refusal but {heard:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Discover<Session> for Service {
    async fn stream(
        &self,
        requests: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Responses<DeltaDiscoveryResponse>, Status> {
        let (sender, responses) = tokio::sync::mpsc::unbounded_channel();
        let (mut requests, mut service) = (requests.into_inner(), self.clone());
        let began = service.world.borrow_and_update().restarts;
        tokio::spawn(async move {
            let mut stream = Stream::default();
            loop {
                let answers = tokio::select! {
                    request = requests.message() => match request {
                        Ok(Some(request)) => stream.hear(request, &service),
                        _ => return,
                    },
                    changed = service.world.changed() => match changed {
                        Ok(()) if service.world.borrow().restarts == began => {
                            let world = service.world.borrow_and_update().clone();
                            Ok(stream.push(&world))
                        }
                        _ => return,
                    },
                };
                let is_end = answers.is_err();
                let answers = match answers {
                    Ok(answers) => answers.into_iter().map(Ok).collect(),
                    Err(status) => vec![Err(status)],
                };
                for answer in answers {
                    let _ = sender.send(answer);
                }
                if is_end {
                    return;
                }
            }
        });
        Ok(Box::pin(UnboundedReceiverStream::new(responses)))
    }
}

impl Discover<whole::Session> for Service {
    async fn stream(
        &self,
        _: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Responses<DiscoveryResponse>, Status> {
        Err(Status::unimplemented("sidecars ask for changes"))
    }
}

/// One client.
#[derive(Default)]
struct Stream {
    is_known: bool,
    nonces: u32,
    /// Names of each type that it has.
    watched: BTreeMap<String, BTreeSet<String>>,
}

impl Stream {
    fn hear(
        &mut self,
        request: DeltaDiscoveryRequest,
        service: &Service,
    ) -> Result<Vec<DeltaDiscoveryResponse>, Status> {
        if !std::mem::replace(&mut self.is_known, true) {
            let node = request.node.unwrap_or_default();
            let metadata = structs::to_json(node.metadata.unwrap_or_default());
            let is_whole = node.id.split('~').count() == 4
                && metadata["GENERATOR"] == "api"
                && metadata["NAMESPACE"] == "default"
                && metadata["CLUSTER_ID"] == "Kubernetes";
            if !is_whole {
                return Err(Status::invalid_argument("missing node information"));
            }
        }
        if let Some(error) = request.error_detail {
            let mut refusals = service.refusals.lock().unwrap();
            refusals.push((request.type_url, error.message));
            return Ok(Vec::new());
        }
        if self.watched.contains_key(&request.type_url) {
            return Ok(Vec::new());
        }
        let world = service.world.borrow().clone();
        if world.refuses {
            let why = "the api generator is restricted to the control-plane (root) namespace";
            return Err(Status::permission_denied(why));
        }
        let had = request.initial_resource_versions.into_keys().collect();
        self.watched.insert(request.type_url.clone(), had);
        Ok(vec![self.whole(&request.type_url, &world)])
    }

    /// All of each type again, whatever has changed.
    fn push(&mut self, world: &World) -> Vec<DeltaDiscoveryResponse> {
        let types: Vec<String> = self.watched.keys().cloned().collect();
        types.iter().map(|of| self.whole(of, world)).collect()
    }

    fn whole(&mut self, type_url: &str, world: &World) -> DeltaDiscoveryResponse {
        let objects = world.objects.get(type_url).cloned().unwrap_or_default();
        let names: BTreeSet<String> = objects.keys().cloned().collect();
        let had = self
            .watched
            .insert(type_url.to_owned(), names.clone())
            .unwrap_or_default();
        self.nonces += 1;
        DeltaDiscoveryResponse {
            resources: objects.into_iter().map(resource).collect(),
            type_url: type_url.to_owned(),
            nonce: self.nonces.to_string(),
            removed_resources: had.difference(&names).cloned().collect(),
            ..DeltaDiscoveryResponse::default()
        }
    }
}

/// Without a version, and what has no name bare.
fn resource((name, body): (String, Any)) -> Resource {
    let any = if name.is_empty() {
        body
    } else {
        let carried = McpResource {
            metadata: Some(Metadata {
                name: name.clone(),
                version: "7".into(),
                ..Metadata::default()
            }),
            body: Some(body),
        };
        Any {
            type_url: "type.googleapis.com/istio.mcp.v1alpha1.Resource".into(),
            value: carried.encode_to_vec().into(),
        }
    };
    Resource {
        name,
        resource: Some(any),
        ..Resource::default()
    }
}
