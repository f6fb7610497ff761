//! Clients of `outrigger control` that know Envoy's words, written by hand, over real sockets: told the state of the world, and told
//! what changes.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/control.rs"]
mod control;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::net::SocketAddr;

use http::uri::PathAndQuery;
use outrigger_xds::envoy::ENDPOINTS;
use outrigger_xds::envoy::endpoint::ClusterLoadAssignment;
use outrigger_xds::messages::{
    Any, DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
    Message, Node, Status,
};
use outrigger_xds::server::{Session, Telling};
use outrigger_xds::whole;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::timeout;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Streaming;
use tonic::transport::Endpoint;
use tonic_prost::ProstCodec;

use control::Control;
use proxy::{Folder, shop};
use support::PATIENCE;

/// A stream of a client.
struct Stream<T: Telling> {
    says: UnboundedSender<T::Request>,
    hears: Streaming<T::Response>,
}

impl<T: Telling<Response: Default>> Stream<T> {
    /// A server answers the first request, so that one is said at once.
    async fn open(control: SocketAddr, first: T::Request) -> Self {
        let channel = Endpoint::new(format!("http://{control}")).unwrap();
        let mut grpc = tonic::client::Grpc::new(channel.connect().await.unwrap());
        let (says, said) = unbounded_channel();
        says.send(first).unwrap();
        grpc.ready().await.unwrap();
        let codec: ProstCodec<T::Request, T::Response> = ProstCodec::default();
        let path = PathAndQuery::from_static(T::METHOD);
        let said = tonic::Request::new(UnboundedReceiverStream::new(said));
        let hears = grpc.streaming(said, path, codec).await.unwrap();
        Self {
            says,
            hears: hears.into_inner(),
        }
    }

    async fn hear(&mut self) -> T::Response {
        let heard = timeout(PATIENCE, self.hears.message()).await.unwrap();
        heard.unwrap().unwrap()
    }

    fn say(&self, request: T::Request) {
        self.says.send(request).unwrap();
    }
}

fn node() -> Option<Node> {
    Some(Node {
        id: "sidecar~10.0.0.1~one.default~default.svc.cluster.local".into(),
        ..Node::default()
    })
}

/// The ports of the endpoints of a cluster.
fn ports(any: &Any) -> (String, Vec<u32>) {
    assert_eq!(any.type_url, ENDPOINTS.type_url());
    let all = ClusterLoadAssignment::decode(any.value.clone()).unwrap();
    let endpoints = all
        .endpoints
        .into_iter()
        .flat_map(|place| place.lb_endpoints);
    let port = |one: outrigger_xds::envoy::endpoint::LbEndpoint| {
        let address = one.endpoint.unwrap().address.unwrap();
        address.socket_address.unwrap().port_value
    };
    (all.cluster_name, endpoints.map(port).collect())
}

fn at(port: u16) -> String {
    shop(SocketAddr::from(([127, 0, 0, 1], port)))
}

const SHOP: &str = "outbound|80||shop.example";
const OTHER: &str = "outbound|80||other.example";

/// With a thread of its own: what is said is sent also while a test looks at something else.
fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all().build().unwrap()
}

#[test]
fn the_state_of_the_world_is_told_of_endpoints() {
    let config = Folder::new("envoy-words-whole");
    config.write("shop.yaml", &at(1001));
    let control = Control::start(&config, "127.0.0.1:0");
    let ask = |names: &[&str], nonce: &str| DiscoveryRequest {
        node: node(),
        resource_names: names.iter().map(|&name| name.into()).collect(),
        type_url: ENDPOINTS.type_url(),
        response_nonce: nonce.into(),
        ..DiscoveryRequest::default()
    };
    let of =
        |response: &DiscoveryResponse| response.resources.iter().map(ports).collect::<Vec<_>>();
    runtime().block_on(async {
        let first = ask(&[SHOP, OTHER], "");
        let mut stream = Stream::<whole::Session>::open(control.addr("discovery"), first).await;
        let told = stream.hear().await;
        let want = [(SHOP.to_owned(), vec![1001]), (OTHER.to_owned(), vec![])];
        assert_eq!(of(&told), want);
        // A change while nothing was answered waits for the answer; an answer to something else is none.
        config.write("shop.yaml", &at(1002));
        stream.say(ask(&[SHOP, OTHER], "nothing"));
        stream.say(ask(&[SHOP, OTHER], &told.nonce));
        let told = stream.hear().await;
        assert_eq!(of(&told), [(SHOP.to_owned(), vec![1002])]);
        // Refused, it is not told again; the next one is.
        stream.say(DiscoveryRequest {
            error_detail: Some(Status {
                code: 3,
                message: "not this one".into(),
            }),
            ..ask(&[SHOP, OTHER], &told.nonce)
        });
        control.page("/clients", "not this one");
        config.write("other.yaml", &at(1003).replace("shop", "other"));
        let told = stream.hear().await;
        assert_eq!(of(&told), [(OTHER.to_owned(), vec![1003])]);
        stream.say(ask(&[SHOP, OTHER], &told.nonce));
        // What is gone has no endpoints.
        std::fs::remove_file(config.0.join("shop.yaml")).unwrap();
        let told = stream.hear().await;
        assert_eq!(of(&told), [(SHOP.to_owned(), vec![])]);
    });
}

#[test]
fn changes_are_told_of_endpoints() {
    let config = Folder::new("envoy-words-changes");
    config.write("shop.yaml", &at(1001));
    let control = Control::start(&config, "127.0.0.1:0");
    let request = || DeltaDiscoveryRequest {
        node: node(),
        type_url: ENDPOINTS.type_url(),
        ..DeltaDiscoveryRequest::default()
    };
    let of = |response: &DeltaDiscoveryResponse| {
        let resources = response.resources.iter();
        let told = resources.map(|one| ports(one.resource.as_ref().unwrap()));
        (told.collect::<Vec<_>>(), response.removed_resources.clone())
    };
    runtime().block_on(async {
        let first = DeltaDiscoveryRequest {
            resource_names_subscribe: vec![SHOP.into(), OTHER.into()],
            ..request()
        };
        let mut stream = Stream::<Session>::open(control.addr("discovery"), first).await;
        let told = stream.hear().await;
        let shop = |port| vec![(SHOP.to_owned(), vec![port])];
        assert_eq!(of(&told), (shop(1001), vec![OTHER.to_owned()]));
        let has = told.resources[0].version.clone();
        stream.say(DeltaDiscoveryRequest {
            response_nonce: told.nonce,
            ..request()
        });
        // Another stream says what it has, and is told what differs.
        let first = DeltaDiscoveryRequest {
            resource_names_subscribe: vec![SHOP.into()],
            initial_resource_versions: [(SHOP.to_owned(), has)].into(),
            ..request()
        };
        let mut again = Stream::<Session>::open(control.addr("discovery"), first).await;
        assert_eq!(of(&again.hear().await), (vec![], vec![]));
        config.write("shop.yaml", &at(1002));
        assert_eq!(of(&stream.hear().await), (shop(1002), vec![]));
    });
}
