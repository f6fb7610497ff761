//! The watch against an API over real sockets that fails as clusters do: whatever happens, what was told in the end is what is there.

#![allow(clippy::unwrap_used, reason = "a failure here fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use outrigger_kubernetes::{Board, Fares, Selection, Timing, connect, watch};
use outrigger_kubernetes_emulator::{Emulator, Fault, Resource};
use outrigger_xds::{Change, KINDS, Key, Kind};
use proptest::prelude::*;
use serde_json::{Value, json};
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::timeout;

/// Longer than anything here takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Quick, with small pages, so that much happens.
fn selection() -> Selection {
    let ms = Duration::from_millis;
    Selection {
        timing: Timing {
            page: 2,
            backoff: ms(1),
            most_backoff: ms(20),
            look_again: ms(20),
            patience: ms(30),
            ..Timing::default()
        },
        ..Selection::of("istio-system")
    }
}

/// What whoever listens knows.
struct Listener {
    changes: Receiver<Change>,
    known: BTreeMap<Key, Value>,
    told: BTreeSet<&'static Kind>,
    lists: usize,
    board: Arc<Board>,
}

impl Listener {
    async fn of(cluster: &Emulator, selection: Selection) -> Self {
        let client = connect(Some(&cluster.url())).await.unwrap();
        let (sender, changes) = channel(16);
        let board = Arc::new(Board::default());
        tokio::spawn(watch(client, selection, Arc::clone(&board), sender));
        Self {
            board,
            changes,
            known: BTreeMap::new(),
            told: BTreeSet::new(),
            lists: 0,
        }
    }

    /// Takes what is told until something is so.
    async fn until(&mut self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        while !is_so(self) {
            let change = timeout(PATIENCE, self.changes.recv()).await;
            let change = change.unwrap_or_else(|_| panic!("never: {what}"));
            self.take(change.unwrap());
        }
    }

    fn take(&mut self, change: Change) {
        match change {
            Change::Is(object) => {
                assert!(
                    self.told.contains(object.key.kind),
                    "all of a kind come first: {:?}",
                    object.key
                );
                self.known.insert(object.key, object.json);
            }
            Change::Gone(key) => {
                assert!(
                    self.known.remove(&key).is_some(),
                    "only what was there goes: {key:?}"
                );
            }
            Change::All(kind, objects) => {
                self.lists += 1;
                self.told.insert(kind);
                self.known.retain(|key, _| key.kind != kind);
                self.known
                    .extend(objects.into_iter().map(|object| (object.key, object.json)));
            }
        }
    }

    fn has(&self, kind: &str, name: &str) -> bool {
        self.known
            .keys()
            .any(|key| key.kind.kind == kind && &*key.name == name)
    }

    async fn all_told(&mut self) {
        self.until("all kinds are told of", |known| {
            known.told.len() == KINDS.len()
        })
        .await;
    }
}

fn service(name: &str, port: u16) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"},
        "spec": {"ports": [{"port": port}]},
    })
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(test);
}

/// One thing that happens to a cluster.
#[derive(Clone, Debug)]
enum Happens {
    Apply(u8, u16),
    Delete(u8),
    Break,
    Compact,
    Fault(Fault),
    Pause,
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        8 => (0..6u8, 1..4u16).prop_map(|(name, port)| Happens::Apply(name, port)),
        4 => (0..6u8).prop_map(Happens::Delete),
        1 => Just(Happens::Break),
        2 => Just(Happens::Compact),
        1 => Just(Happens::Fault(Fault::Refuse { code: 500, retry_after: None })),
        1 => Just(Happens::Fault(Fault::Refuse { code: 429, retry_after: Some(1) })),
        1 => Just(Happens::Fault(Fault::Refuse { code: 410, retry_after: None })),
        2 => (0..3usize).prop_map(|events| Happens::Fault(Fault::BreakAfter(events))),
        3 => Just(Happens::Pause),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn what_was_told_is_what_is_there(before in prop::collection::vec(happens(), 0..8), after in prop::collection::vec(happens(), 1..30)) {
        run(async {
            let cluster = Emulator::start().await.unwrap();
            // The other kinds are asked for each other's faults too, and answer sooner when there is little of them.
            let mut listener = Listener::of(&cluster, selection()).await;
            for happens in before {
                happen(&cluster, happens).await;
            }
            listener.all_told().await;
            for happens in after {
                happen(&cluster, happens).await;
            }
            cluster.apply(&service("zz-last", 1));
            listener.until("the last service is told of", |known| known.has("Service", "zz-last")).await;
            let services = listener.known.iter().filter(|(key, _)| key.kind.kind == "Service");
            let told: BTreeMap<String, Value> = services.map(|(key, json)| (key.name.to_string(), json["spec"].clone())).collect();
            let all = cluster.all("v1", "Service").into_iter();
            let there: BTreeMap<String, Value> =
                all.map(|object| (object["metadata"]["name"].as_str().unwrap().to_owned(), object["spec"].clone())).collect();
            assert_eq!(told, there);
        });
    }
}

async fn happen(cluster: &Emulator, happens: Happens) {
    match happens {
        Happens::Apply(name, port) => {
            cluster.apply(&service(&format!("s{name}"), port));
        }
        Happens::Delete(name) => {
            cluster.delete("v1", "Service", "shop", &format!("s{name}"));
        }
        Happens::Break => cluster.break_watches(),
        Happens::Compact => cluster.compact(),
        Happens::Fault(fault) => cluster.fault(fault),
        // Whoever else has something to do may do it.
        Happens::Pause => {
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
    }
}

#[test]
fn pages_are_read_to_their_end() {
    run(async {
        let cluster = Emulator::start().await.unwrap();
        for number in 0..7 {
            cluster.apply(&service(&format!("s{number}"), 80));
        }
        let mut listener = Listener::of(&cluster, selection()).await;
        listener.all_told().await;
        let services = listener
            .known
            .keys()
            .filter(|key| key.kind.kind == "Service")
            .count();
        assert_eq!(services, 7);
        let pages = cluster
            .requests()
            .into_iter()
            .filter(|request| request.contains("/services?limit=2"))
            .count();
        assert_eq!(pages, 4);
    });
}

#[test]
fn a_stream_goes_on_where_it_was_and_lists_only_what_is_forgotten() {
    run(async {
        let cluster = Emulator::start().await.unwrap();
        let mut listener = Listener::of(&cluster, selection()).await;
        listener.all_told().await;
        let lists = listener.lists;
        cluster.apply(&service("a", 1));
        listener
            .until("a service", |known| known.has("Service", "a"))
            .await;
        cluster.break_watches();
        cluster.apply(&service("b", 1));
        cluster.delete("v1", "Service", "shop", "a");
        listener
            .until("another", |known| {
                known.has("Service", "b") && !known.has("Service", "a")
            })
            .await;
        assert_eq!(listener.lists, lists, "nothing was listed again");
        cluster.break_watches();
        cluster.apply(&service("c", 1));
        cluster.compact();
        listener
            .until("all again", |known| {
                known.lists > lists && known.has("Service", "c")
            })
            .await;
    });
}

#[test]
fn bookmarks_spare_quiet_kinds_a_list() {
    run(async {
        let cluster = Emulator::start().await.unwrap();
        cluster.bookmark_every(Duration::from_millis(5));
        let mut listener = Listener::of(&cluster, selection()).await;
        listener.all_told().await;
        let lists = listener.lists;
        cluster.apply(&service("a", 1));
        listener
            .until("a service", |known| known.has("Service", "a"))
            .await;
        // Of pods nothing was ever told. Without bookmarks their version would be one from before the service.
        let version =
            cluster.get("v1", "Service", "shop", "a").unwrap()["metadata"]["resourceVersion"]
                .clone();
        let asked = format!("resourceVersion={}", version.as_str().unwrap());
        let until = std::time::Instant::now() + PATIENCE;
        while !cluster
            .requests()
            .iter()
            .any(|request| request.contains("/pods?") && request.contains(&asked))
        {
            assert!(
                std::time::Instant::now() < until,
                "never asked from the bookmark's version on"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
            cluster.break_watches();
        }
        assert_eq!(listener.lists, lists);
    });
}

#[test]
fn kinds_come_and_go_and_are_taken_in_other_versions() {
    run(async {
        let cluster = Emulator::start().await.unwrap();
        cluster.forget("networking.istio.io", "virtualservices");
        cluster.forget("gateway.networking.k8s.io", "grpcroutes");
        let mut listener = Listener::of(&cluster, selection()).await;
        listener.all_told().await;
        cluster.serve(Resource {
            group: "networking.istio.io".into(),
            versions: vec!["v1alpha3".into()],
            kind: "VirtualService".into(),
            plural: "virtualservices".into(),
            namespaced: true,
            has_status: true,
        });
        cluster.apply(&json!({
            "apiVersion": "networking.istio.io/v1alpha3", "kind": "VirtualService",
            "metadata": {"name": "old", "namespace": "shop"}, "spec": {"hosts": ["a"]},
        }));
        listener
            .until("the older version", |known| {
                known.has("VirtualService", "old")
            })
            .await;
        cluster.forget("networking.istio.io", "virtualservices");
        cluster.break_watches();
        listener
            .until("the kind is gone", |known| {
                !known.has("VirtualService", "old")
            })
            .await;
    });
}

#[test]
fn only_named_secrets_and_one_config_map_are_asked_for() {
    run(async {
        let cluster = Emulator::start().await.unwrap();
        let secret = |name: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "edge"}, "data": {"tls.crt": "eA=="}});
        let map = |name: &str, namespace: &str| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}});
        let gateway = |credential: &str| {
            json!({
                "apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "edge", "namespace": "edge"},
                "spec": {"servers": [{"tls": {"mode": "SIMPLE", "credentialName": credential}}]},
            })
        };
        for object in [
            secret("shown"),
            secret("hidden"),
            gateway("shown"),
            map("istio", "istio-system"),
            map("other", "istio-system"),
            map("istio", "shop"),
        ] {
            assert!(cluster.apply(&object));
        }
        let mut listener = Listener::of(&cluster, selection()).await;
        listener.all_told().await;
        assert!(
            listener.has("Secret", "shown"),
            "there when secrets are told of first"
        );
        assert!(!listener.has("Secret", "hidden"));
        let maps: Vec<_> = listener
            .known
            .keys()
            .filter(|key| key.kind.kind == "ConfigMap")
            .collect();
        assert!(
            matches!(maps[..], [key] if &*key.namespace == "istio-system" && &*key.name == "istio"),
            "{maps:?}"
        );
        cluster.apply(&gateway("later"));
        listener
            .until("it is followed no more", |known| {
                !known.has("Secret", "shown")
            })
            .await;
        cluster.apply(&secret("later"));
        listener
            .until("a secret that comes later", |known| {
                known.has("Secret", "later")
            })
            .await;
        for request in cluster.requests() {
            let is_secret = request.contains("/secrets") || request.contains("/configmaps");
            assert!(
                !is_secret || request.contains("fieldSelector=metadata.name%3D"),
                "{request}"
            );
        }
    });
}

#[test]
fn what_only_servers_read_is_no_change() {
    run(async {
        let cluster = Emulator::start().await.unwrap();
        let node = |image: &str| {
            json!({
                "apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "labels": {"zone": "a"}}, "status": {"images": [image]},
            })
        };
        cluster.apply(&node("a"));
        let mut listener = Listener::of(&cluster, selection()).await;
        listener.all_told().await;
        cluster.apply(&node("b"));
        cluster.apply(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "last"}}));
        let change = timeout(PATIENCE, listener.changes.recv()).await;
        let Change::Is(object) = change.unwrap().unwrap() else {
            panic!("nothing else is told");
        };
        assert_eq!(&*object.key.name, "last", "{:?}", object.json);
    });
}

#[test]
fn who_is_not_there_is_said_in_words() {
    run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        drop(listener);
        let why = connect(Some(&format!("http://{addr}")))
            .await
            .err()
            .unwrap()
            .to_string();
        assert!(
            why.contains(&addr.to_string()) && why.contains("cannot be reached"),
            "{why}"
        );
        let why = connect(Some("no url at all"))
            .await
            .err()
            .unwrap()
            .to_string();
        assert!(why.contains("no URL"), "{why}");
    });
}

#[test]
fn a_secret_that_may_not_be_read_is_none_until_it_may() {
    run(async {
        let cluster = Emulator::start().await.unwrap();
        let gateway = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "edge", "namespace": "edge"},
            "spec": {"servers": [{"tls": {"credentialName": "shown"}}]},
        });
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "shown", "namespace": "edge"}, "data": {"tls.crt": "eA=="}});
        cluster.apply(&gateway);
        cluster.apply(&secret);
        cluster.forbid(Some("/secrets"));
        let mut listener = Listener::of(&cluster, selection()).await;
        listener.all_told().await;
        assert!(!listener.has("Secret", "shown"));
        cluster.forbid(None);
        listener
            .until("the secret, once it may be read", |known| {
                known.has("Secret", "shown")
            })
            .await;
    });
}

/// Until a kind fares so.
async fn fares(board: &Board, plural: &str, is_so: impl Fn(&Fares) -> bool) {
    let mut changes = board.changes();
    loop {
        changes.mark_unchanged();
        let kinds = board.kinds();
        let mut kinds = kinds.iter();
        let found = kinds.find(|(kind, _)| kind.plural == plural);
        if found.is_some_and(|(_, fares)| is_so(fares)) {
            return;
        }
        let changed = timeout(PATIENCE, changes.changed()).await;
        changed.expect("a kind fares so in the end").unwrap();
    }
}

#[test]
fn a_kind_that_may_not_be_read_is_empty_until_it_may() {
    run(async {
        let cluster = Emulator::start().await.unwrap();
        cluster.apply(&service("cart", 80));
        cluster.forbid(Some("/services"));
        let mut listener = Listener::of(&cluster, selection()).await;
        listener.all_told().await;
        assert!(!listener.has("Service", "cart"));
        let is_left_out =
            |fares: &Fares| matches!(fares, Fares::LeftOut(why) if why.contains("403"));
        fares(&listener.board, "services", is_left_out).await;
        cluster.forbid(None);
        let has_cart = |known: &Listener| known.has("Service", "cart");
        listener.until("it may be read", has_cart).await;
        fares(&listener.board, "services", |fares| {
            *fares == Fares::Followed
        })
        .await;
        // What has come stays, whatever may be read later.
        cluster.forbid(Some("/services"));
        cluster.compact();
        cluster.break_watches();
        let is_failing = |fares: &Fares| matches!(fares, Fares::Failing(_));
        fares(&listener.board, "services", is_failing).await;
        assert!(listener.has("Service", "cart"));
    });
}

#[test]
fn what_decides_who_is_let_in_is_waited_for() {
    run(async {
        let cluster = Emulator::start().await.unwrap();
        cluster.forbid(Some("/authorizationpolicies"));
        let mut listener = Listener::of(&cluster, selection()).await;
        let all_others = |known: &Listener| known.told.len() == KINDS.len() - 1;
        listener.until("all others are told of", all_others).await;
        let is_failing =
            |fares: &Fares| matches!(fares, Fares::Failing(why) if why.contains("403"));
        fares(&listener.board, "authorizationpolicies", is_failing).await;
        tokio::time::sleep(selection().timing.patience * 2).await;
        fares(&listener.board, "authorizationpolicies", is_failing).await;
        cluster.forbid(None);
        listener.all_told().await;
    });
}
