//! A control plane that tells of services without their endpoints and of endpoints apart, as istiod does: a sidecar asks for them, waits for
//! them once, and follows them.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/control.rs"]
mod control;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use outrigger_xds::carried::{key_of, pack};
use outrigger_xds::envoy::endpoint::{
    ClusterLoadAssignment, Endpoint, LbEndpoint, LocalityLbEndpoints,
};
use outrigger_xds::envoy::places::{Address, SocketAddress};
use outrigger_xds::envoy::{ENDPOINTS, any};
use outrigger_xds::messages::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Resource,
};
use outrigger_xds::server::Session;
use outrigger_xds::service::{Discover, Discovery, Responses};
use outrigger_xds::{Kind, Object, whole};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio_stream::wrappers::{TcpListenerStream, UnboundedReceiverStream};
use tonic::{Request, Status, Streaming};

use control::{command, until};
use proxy::{Proxy, application};
use support::Told;

type Sender = UnboundedSender<Result<DeltaDiscoveryResponse, Status>>;

/// What there is, and who is to hear of changes.
#[derive(Default)]
struct State {
    objects: Vec<Object>,
    /// By cluster; `None` of all that nothing is said about endpoints.
    endpoints: Option<BTreeMap<String, Vec<SocketAddr>>>,
    sender: Option<Sender>,
    /// Clusters that were asked about.
    asked: Vec<String>,
}

impl State {
    fn tell(&self, names: &[String]) {
        let (Some(endpoints), Some(sender)) = (&self.endpoints, &self.sender) else {
            return;
        };
        let response = DeltaDiscoveryResponse {
            resources: names.iter().map(|name| resource(name, endpoints)).collect(),
            type_url: ENDPOINTS.type_url(),
            nonce: "endpoints".into(),
            ..DeltaDiscoveryResponse::default()
        };
        let _ = sender.send(Ok(response));
    }
}

fn resource(name: &str, endpoints: &BTreeMap<String, Vec<SocketAddr>>) -> Resource {
    let all = endpoints.get(name).into_iter().flatten();
    let lb_endpoints = all.map(|at| LbEndpoint {
        endpoint: Some(Endpoint {
            address: Some(Address {
                socket_address: Some(SocketAddress {
                    address: at.ip().to_string(),
                    port_value: at.port().into(),
                }),
                pipe: None,
            }),
            hostname: String::new(),
        }),
        ..LbEndpoint::default()
    });
    let place = LocalityLbEndpoints {
        lb_endpoints: lb_endpoints.collect(),
        ..LocalityLbEndpoints::default()
    };
    let assignment = ClusterLoadAssignment {
        cluster_name: name.to_owned(),
        endpoints: vec![place],
    };
    Resource {
        name: name.to_owned(),
        resource: Some(any(ENDPOINTS, &assignment)),
        ..Resource::default()
    }
}

#[derive(Clone, Default)]
struct Istiod(Arc<Mutex<State>>);

impl Istiod {
    /// Serves these objects, and says where.
    fn serve(self, objects: &[Value]) -> SocketAddr {
        self.0.lock().unwrap().objects = objects.iter().map(object).collect();
        let (says, said) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                says.send(listener.local_addr().unwrap()).unwrap();
                let served = tonic::transport::Server::builder()
                    .add_service(Discovery::new(Arc::new(self)))
                    .serve_with_incoming(TcpListenerStream::new(listener));
                served.await.unwrap();
            });
        });
        said.recv().unwrap()
    }

    fn set(&self, endpoints: &[(&str, &[SocketAddr])]) {
        let mut state = self.0.lock().unwrap();
        let all = endpoints.iter();
        state.endpoints = Some(
            all.map(|(name, all)| ((*name).to_owned(), all.to_vec()))
                .collect(),
        );
        state.tell(&state.asked);
    }
}

fn object(json: &Value) -> Object {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let kind = Kind::named(&text(&json["apiVersion"]), &text(&json["kind"])).unwrap();
    let name = format!("default/{}", text(&json["metadata"]["name"]));
    Object {
        key: key_of(kind, &name).unwrap(),
        version: "1".into(),
        json: json.clone(),
    }
}

impl Discover<Session> for Istiod {
    async fn stream(
        &self,
        requests: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Responses<DeltaDiscoveryResponse>, Status> {
        let (sender, responses) = unbounded_channel();
        let (state, mut requests) = (Arc::clone(&self.0), requests.into_inner());
        state.lock().unwrap().sender = Some(sender.clone());
        tokio::spawn(async move {
            while let Ok(Some(request)) = requests.message().await {
                let mut state = state.lock().unwrap();
                if request.type_url == ENDPOINTS.type_url() {
                    let names = request.resource_names_subscribe;
                    state.asked.extend_from_slice(&names);
                    if !names.is_empty() {
                        state.tell(&names);
                    }
                } else if request.response_nonce.is_empty() {
                    let kind = Kind::of_type(&request.type_url).unwrap();
                    let objects = state.objects.iter();
                    let of_kind = objects.filter(|object| object.key.kind == kind);
                    let response = DeltaDiscoveryResponse {
                        resources: of_kind.map(pack).collect(),
                        nonce: request.type_url.clone(),
                        type_url: request.type_url,
                        ..DeltaDiscoveryResponse::default()
                    };
                    let _ = sender.send(Ok(response));
                }
            }
        });
        Ok(Box::pin(UnboundedReceiverStream::new(responses)))
    }
}

impl Discover<whole::Session> for Istiod {
    async fn stream(
        &self,
        _: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Responses<DiscoveryResponse>, Status> {
        Err(Status::unimplemented("sidecars ask for changes"))
    }
}

fn document(kind: &str, name: &str, spec: &Value) -> Value {
    json!({"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec})
}

/// As istiod tells of a Service of Kubernetes.
fn service() -> Value {
    document(
        "ServiceEntry",
        "synthetic-shop",
        &json!({
            "hosts": ["shop.example"], "location": "MESH_INTERNAL", "resolution": "STATIC",
            "workloadSelector": {"labels": {"app": "shop"}}, "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        }),
    )
}

const SHOP: &str = "outbound|80||shop.example";
const V2: &str = "outbound|80|v2|shop.example";

#[test]
fn endpoints_that_are_told_apart_are_asked_for_and_followed() {
    let (old, new) = (application("old"), application("new"));
    let istiod = Istiod::default();
    istiod.set(&[(SHOP, &[old])]);
    let at = istiod.clone().serve(&[service()]);
    let proxy = Proxy::spawn(command(at, "one", &["--xds-kind", "istiod"]));
    assert!(
        proxy.get("shop.example").ends_with("old"),
        "it waits for them"
    );
    istiod.set(&[(SHOP, &[new])]);
    until(&proxy, "shop.example", "new");
    istiod.set(&[]);
    until(&proxy, "shop.example", "no healthy upstream");
    istiod.set(&[(SHOP, &[old])]);
    until(&proxy, "shop.example", "old");
}

#[test]
fn a_subset_has_the_endpoints_that_it_is_told_to_have() {
    let (old, new) = (application("old"), application("new"));
    let istiod = Istiod::default();
    istiod.set(&[(SHOP, &[old, new]), (V2, &[new])]);
    let subset =
        json!({"host": "shop.example", "subsets": [{"name": "v2", "labels": {"version": "v2"}}]});
    let route = json!({"hosts": ["shop.example"], "http": [{"route": [{"destination": {"host": "shop.example", "subset": "v2"}}]}]});
    let at = istiod.clone().serve(&[
        service(),
        document("DestinationRule", "shop", &subset),
        document("VirtualService", "shop", &route),
    ]);
    let proxy = Proxy::spawn(command(at, "one", &["--xds-kind", "istiod"]));
    for _ in 0..8 {
        assert!(proxy.get("shop.example").ends_with("new"));
    }
    istiod.set(&[(SHOP, &[old, new]), (V2, &[old])]);
    until(&proxy, "shop.example", "old");
}

#[test]
fn what_does_not_come_is_waited_for_no_longer_than_that() {
    let istiod = Istiod::default();
    let at = istiod.clone().serve(&[service()]);
    let mut run = command(at, "one", &["--xds-kind", "istiod"]);
    let mut run = run.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let told = Told::by(run.stderr.take().unwrap());
    told.wait_for("the endpoints of 1 clusters have not come");
    told.wait_for("revision 1");
    istiod.set(&[(SHOP, &[application("late")])]);
    told.wait_for("revision 2");
    run.kill().unwrap();
    run.wait().unwrap();
}
