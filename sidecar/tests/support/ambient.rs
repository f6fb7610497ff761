//! The workload API as a sidecar meets it, played: everything or what is asked for, sent once, changes alone, and taken away. After
//! istiod's `pilot/pkg/xds/workload.go`. Of everything else that is asked for there is only
//! what istiod makes of the one Service.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use outrigger_xds::carried::pack;
use outrigger_xds::messages::{
    Any, DeltaDiscoveryRequest, DeltaDiscoveryResponse, Message, Resource,
};
use outrigger_xds::server::{Session, Telling};
use outrigger_xds::service::{Discover, Discovery, Responses};
use outrigger_xds::whole;
use outrigger_xds::workload::messages::{
    Address, AppProtocol, Kind, NetworkAddress, Port, PortList, Service, Workload,
};
use outrigger_xds::workload::{ADDRESS, kind};
use outrigger_xds::{Key, Object};
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{TcpListenerStream, UnboundedReceiverStream};
use tonic::{Request, Status, Streaming};

use super::support::PATIENCE;

pub(crate) const HOST: &str = "cart.shop.svc.cluster.local";

/// As the service travels.
pub(crate) const NAME: &str = "shop/cart.shop.svc.cluster.local";

/// The service `cart`, at port 80.
pub(crate) fn cart() -> Service {
    Service {
        name: "cart".into(),
        namespace: "shop".into(),
        hostname: HOST.into(),
        addresses: vec![NetworkAddress {
            address: vec![10, 255, 0, 1],
            ..NetworkAddress::default()
        }],
        ports: vec![Port {
            service_port: 80,
            target_port: 80,
            app_protocol: AppProtocol::Http11.into(),
        }],
        ..Service::default()
    }
}

/// Something that runs at an address, for that service.
pub(crate) fn workload(uid: &str, at: SocketAddr) -> Workload {
    let IpAddr::V4(ip) = at.ip() else {
        panic!("applications listen on 127.0.0.1");
    };
    let port = Port {
        service_port: 80,
        target_port: at.port().into(),
        ..Port::default()
    };
    Workload {
        uid: uid.into(),
        namespace: "shop".into(),
        addresses: vec![ip.octets().to_vec()],
        services: [(NAME.into(), PortList { ports: vec![port] })].into(),
        ..Workload::default()
    }
}

#[derive(Clone, Default)]
struct World {
    addresses: BTreeMap<String, Resource>,
    changes: u64,
    /// How often all streams were ended.
    ended: u64,
    /// Nobody is let in.
    is_closed: bool,
}

/// What was seen of clients.
#[derive(Default)]
struct Seen {
    wanted: Vec<String>,
    refusals: Vec<String>,
    sent: BTreeMap<String, usize>,
}

/// A control plane with ambient on.
pub(crate) struct Ambient {
    world: watch::Sender<World>,
    seen: Arc<Mutex<Seen>>,
    pub(crate) addr: SocketAddr,
    _runtime: Runtime,
}

impl Ambient {
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (world, told) = watch::channel(World::default());
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let served = Served {
            world: told,
            seen: Arc::clone(&seen),
        };
        let addr = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let addr = listener.local_addr().unwrap();
            let service = Discovery::new(Arc::new(served));
            let server = tonic::transport::Server::builder().add_service(service);
            tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
            addr
        });
        Self {
            world,
            seen,
            addr,
            _runtime: runtime,
        }
    }

    pub(crate) fn set(&self, name: &str, kind: Kind) {
        self.set_bytes(name, Address { kind: Some(kind) }.encode_to_vec());
    }

    pub(crate) fn set_bytes(&self, name: &str, bytes: Vec<u8>) {
        self.world.send_modify(|world| {
            world.changes += 1;
            let resource = Resource {
                version: world.changes.to_string(),
                resource: Some(Any {
                    type_url: ADDRESS.into(),
                    value: bytes.into(),
                }),
                name: name.into(),
            };
            world.addresses.insert(name.into(), resource);
        });
    }

    pub(crate) fn remove(&self, name: &str) {
        self.world.send_modify(|world| {
            world.changes += 1;
            world.addresses.remove(name);
        });
    }

    /// Ends all streams, and lets nobody in until that was changed.
    pub(crate) fn change_unheard(&self, change: impl FnOnce(&Self)) {
        self.world.send_modify(|world| {
            world.ended += 1;
            world.is_closed = true;
        });
        change(self);
        self.world.send_modify(|world| world.is_closed = false);
    }

    /// What the last client asked for.
    pub(crate) fn wanted(&self) -> Vec<String> {
        self.seen.lock().unwrap().wanted.clone()
    }

    /// How often something was sent.
    pub(crate) fn sent(&self, name: &str) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.sent.get(name).copied().unwrap_or(0)
    }

    pub(crate) fn wait_for_refusal(&self, words: &str) {
        let begun = Instant::now();
        loop {
            let refusals = self.seen.lock().unwrap().refusals.clone();
            if refusals.iter().any(|refusal| refusal.contains(words)) {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{words} is not in {refusals:?}");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[derive(Clone)]
struct Served {
    world: watch::Receiver<World>,
    seen: Arc<Mutex<Seen>>,
}

impl Discover<whole::Session> for Served {
    async fn stream(
        &self,
        _requests: Request<Streaming<<whole::Session as Telling>::Request>>,
    ) -> Result<Responses<<whole::Session as Telling>::Response>, Status> {
        Err(Status::unimplemented("only changes are told of"))
    }
}

impl Discover<Session> for Served {
    async fn stream(
        &self,
        requests: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Responses<DeltaDiscoveryResponse>, Status> {
        if self.world.borrow().is_closed {
            return Err(Status::unavailable("nobody is let in"));
        }
        let (sender, responses) = mpsc::unbounded_channel();
        let requests = requests.into_inner();
        tokio::spawn(self.clone().serve(requests, sender));
        Ok(Box::pin(UnboundedReceiverStream::new(responses)))
    }
}

type Sender = mpsc::UnboundedSender<Result<DeltaDiscoveryResponse, Status>>;

impl Served {
    async fn serve(mut self, mut requests: Streaming<DeltaDiscoveryRequest>, sender: Sender) {
        let ended = self.world.borrow_and_update().ended;
        // Versions of what the client has; `None` before it has asked.
        let mut has: Option<BTreeMap<String, String>> = None;
        loop {
            tokio::select! {
                request = requests.message() => {
                    let Ok(Some(request)) = request else { return };
                    if request.type_url != ADDRESS {
                        if request.response_nonce.is_empty() {
                            let is_of_it = request.type_url == kind().type_url();
                            let mut told = response(request.type_url);
                            told.resources.extend(is_of_it.then(synthetic));
                            let _ = sender.send(Ok(told));
                        }
                        continue;
                    }
                    if let Some(refusal) = request.error_detail {
                        self.seen.lock().unwrap().refusals.push(refusal.message);
                    }
                    if request.response_nonce.is_empty() {
                        self.seen.lock().unwrap().wanted = request.resource_names_subscribe;
                        has = Some(request.initial_resource_versions);
                        self.send(&mut has, &sender, true);
                    }
                }
                changed = self.world.changed() => {
                    if changed.is_err() || self.world.borrow_and_update().ended != ended {
                        return;
                    }
                    self.send(&mut has, &sender, false);
                }
            }
        }
    }

    /// What differs from what the client has.
    fn send(&self, has: &mut Option<BTreeMap<String, String>>, sender: &Sender, is_asked: bool) {
        let Some(has) = has else { return };
        let world = self.world.borrow();
        let mut told = response(ADDRESS.into());
        for (name, resource) in &world.addresses {
            if has.get(name) != Some(&resource.version) {
                has.insert(name.clone(), resource.version.clone());
                *self
                    .seen
                    .lock()
                    .unwrap()
                    .sent
                    .entry(name.clone())
                    .or_default() += 1;
                told.resources.push(resource.clone());
            }
        }
        has.retain(|name, _| {
            let is_there = world.addresses.contains_key(name);
            if !is_there {
                told.removed_resources.push(name.clone());
            }
            is_there
        });
        if is_asked || !told.resources.is_empty() || !told.removed_resources.is_empty() {
            let _ = sender.send(Ok(told));
        }
    }
}

/// What istiod makes of the Service for who asks for ServiceEntries: all but its endpoints.
fn synthetic() -> Resource {
    pack(&Object {
        key: Key {
            kind: kind(),
            namespace: "shop".into(),
            name: "synthetic-cart".into(),
        },
        version: "1".into(),
        json: json!({
            "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
            "metadata": {
                "name": "synthetic-cart", "namespace": "shop", "creationTimestamp": "2020-01-01T00:00:00Z",
            },
            "spec": {
                "hosts": [HOST], "addresses": ["10.255.0.1"], "location": "MESH_INTERNAL", "resolution": "STATIC",
                "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
            },
        }),
    })
}

fn response(type_url: String) -> DeltaDiscoveryResponse {
    DeltaDiscoveryResponse {
        type_url,
        nonce: "n".into(),
        ..DeltaDiscoveryResponse::default()
    }
}
