//! As much of Kubernetes' API as a control plane needs, in memory: lists in pages, watches with bookmarks, writes with conflicts,
//! patches, reviews of tokens, discovery, and faults on demand. For tests, and for looking at what a control plane does.
//!
//! Owns the words of the API as a server says them. Nothing is checked of what stands in objects, nobody has to prove who he is,
//! and nothing but what clients write changes: there is no controller behind it. Server-side apply is a merge, without managers.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! use outrigger_kubernetes_emulator::Emulator;
//! use serde_json::json;
//!
//! let cluster = Emulator::start().await?;
//! cluster.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}));
//! // A client finds it at `http://{cluster.addr}`.
//! assert!(cluster.get("v1", "Namespace", "", "shop").is_some());
//! # Ok(())
//! # }
//! ```

mod path;
mod resources;
mod server;
mod status;
mod store;
mod watch;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub use resources::Resource;
use status::Failure;
use store::{Part, Store};

/// What goes wrong, once each, in the order in which it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The next request is refused with this code, and with `Retry-After` in seconds.
    Refuse {
        /// Such as 429 or 500.
        code: u16,
        /// Seconds.
        retry_after: Option<u64>,
    },
    /// The next watch breaks after so many events.
    BreakAfter(usize),
}

/// Whose a token is, for reviews.
#[derive(Clone, Debug, Default)]
pub struct Token {
    /// Such as `system:serviceaccount:shop:cart`.
    pub username: String,
    /// For whom it is.
    pub audiences: Vec<String>,
    /// The pod that it was given to.
    pub pod: Option<String>,
}

/// A cluster that answers until it is dropped.
#[derive(Debug)]
pub struct Emulator {
    /// Where it listens.
    pub addr: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    store: Mutex<Store>,
    changed: tokio::sync::watch::Sender<u64>,
    faults: Mutex<VecDeque<Fault>>,
    requests: Mutex<Vec<String>>,
    forbidden: Mutex<Option<String>>,
    tokens: Mutex<BTreeMap<String, Token>>,
    generation: AtomicU64,
    bookmarks_ms: AtomicU64,
}

impl Emulator {
    /// Listens on a port of its own, on this machine.
    ///
    /// # Errors
    /// The system has none.
    pub async fn start() -> std::io::Result<Self> {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Listens there.
    ///
    /// # Errors
    /// Somebody else does.
    pub async fn listen(addr: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let store = Store::of(Resource::usual());
        let shared = Arc::new(Shared {
            store: Mutex::new(store),
            changed: tokio::sync::watch::Sender::new(0),
            faults: Mutex::default(),
            requests: Mutex::default(),
            forbidden: Mutex::default(),
            tokens: Mutex::default(),
            generation: AtomicU64::new(0),
            bookmarks_ms: AtomicU64::new(60_000),
        });
        let task = tokio::spawn(serve(listener, Arc::clone(&shared)));
        Ok(Self { addr, shared, task })
    }

    /// Where clients find it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Makes an object, or another of it, its status included. Says whether its kind is served.
    pub fn apply(&self, object: &Value) -> bool {
        self.put(object, Part::Everything)
    }

    /// The same as a client does it: where the status has a path of its own, it stays as it is.
    pub fn edit(&self, object: &Value) -> bool {
        self.put(object, Part::Main)
    }

    fn put(&self, object: &Value, part: Part) -> bool {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let mut store = self.shared.store();
        let Some((resource, _)) = store.named(&text(&object["apiVersion"]), &text(&object["kind"]))
        else {
            return false;
        };
        let mut object = object.clone();
        let namespace = match (resource.namespaced, text(&object["metadata"]["namespace"])) {
            (false, _) => String::new(),
            (true, namespace) if namespace.is_empty() => "default".to_owned(),
            (true, namespace) => namespace,
        };
        if !namespace.is_empty() {
            object["metadata"]["namespace"] = json!(namespace);
        }
        let name = text(&object["metadata"]["name"]);
        let key = (
            resource.group.clone(),
            resource.plural.clone(),
            namespace,
            name,
        );
        let has_status = part == Part::Everything || resource.has_status;
        store.put(key, object, part, has_status);
        self.shared.changed();
        true
    }

    /// Takes an object away; says whether there was one.
    pub fn delete(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> bool {
        let mut store = self.shared.store();
        let Some((resource, _)) = store.named(api_version, kind) else {
            return false;
        };
        let (group, plural) = (resource.group.clone(), resource.plural.clone());
        let removed = store.remove(&(group, plural, namespace.to_owned(), name.to_owned()));
        self.shared.changed();
        removed.is_some()
    }

    /// An object as it is.
    #[must_use]
    pub fn get(&self, api_version: &str, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        let store = self.shared.store();
        let (resource, version) = store.named(api_version, kind)?;
        let (group, plural) = (resource.group.clone(), resource.plural.clone());
        let object = store.get(&(group, plural, namespace.to_owned(), name.to_owned()))?;
        Some(resources::shown(object, resource, &version))
    }

    /// All objects of a kind.
    #[must_use]
    pub fn all(&self, api_version: &str, kind: &str) -> Vec<Value> {
        let store = self.shared.store();
        let Some((resource, version)) = store.named(api_version, kind) else {
            return Vec::new();
        };
        let wanted = store::Wanted {
            group: resource.group.clone(),
            plural: resource.plural.clone(),
            namespace: None,
            name: None,
        };
        let all = store.all(&wanted).into_iter();
        all.map(|(_, object)| resources::shown(&object, resource, &version))
            .collect()
    }

    /// Serves a kind from now on, in place of what it served under its group and plural.
    pub fn serve(&self, resource: Resource) {
        self.forget(&resource.group, &resource.plural);
        self.shared.store().resources.push(resource);
    }

    /// Serves a kind no more. Its objects stay, for when it is served again.
    pub fn forget(&self, group: &str, plural: &str) {
        let mut store = self.shared.store();
        store
            .resources
            .retain(|known| known.group != group || known.plural != plural);
    }

    /// Whose a token is.
    pub fn token(&self, token: &str, of: Token) {
        lock(&self.shared.tokens).insert(token.to_owned(), of);
    }

    /// Something that is to go wrong.
    pub fn fault(&self, fault: Fault) {
        lock(&self.shared.faults).push_back(fault);
    }

    /// Refuses whatever has this in its path (403), until something else is forbidden, or nothing.
    pub fn forbid(&self, part: Option<&str>) {
        *lock(&self.shared.forbidden) = part.map(str::to_owned);
    }

    /// Breaks all watches that there are.
    pub fn break_watches(&self) {
        self.shared.generation.fetch_add(1, Ordering::SeqCst);
        self.shared.changed();
    }

    /// Forgets all that has happened: who asks for it is told to list again (410).
    pub fn compact(&self) {
        self.shared.store().compact();
    }

    /// How often watches are told how far they are; once a minute at first, as Kubernetes does.
    pub fn bookmark_every(&self, interval: Duration) {
        let ms = u64::try_from(interval.as_millis()).unwrap_or(u64::MAX);
        self.shared.bookmarks_ms.store(ms.max(1), Ordering::SeqCst);
    }

    /// What was asked until now, such as `GET /api/v1/pods?limit=500`.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        lock(&self.shared.requests).clone()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.task.abort();
        self.break_watches();
    }
}

async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        while connections.try_join_next().is_some() {}
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(move |request| server::answer(Arc::clone(&shared), request));
            // A client that goes away is none of our troubles.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }

    fn changed(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::SeqCst)
    }

    fn bookmark_every(&self) -> Duration {
        Duration::from_millis(self.bookmarks_ms.load(Ordering::SeqCst))
    }

    fn heard(&self, head: &http::request::Parts) {
        lock(&self.requests).push(format!("{} {}", head.method, head.uri));
    }

    /// The refusal that is next.
    fn fault(&self) -> Option<Failure> {
        let mut faults = lock(&self.faults);
        let &Fault::Refuse { code, retry_after } = faults.front()? else {
            return None;
        };
        faults.pop_front();
        let mut failure = Failure::new(code, "InternalError", "refused as asked for");
        failure.retry_after = retry_after;
        Some(failure)
    }

    fn breaks_after(&self) -> Option<usize> {
        let mut faults = lock(&self.faults);
        let &Fault::BreakAfter(events) = faults.front()? else {
            return None;
        };
        faults.pop_front();
        Some(events)
    }

    /// What comes of a review (`authentication.k8s.io/v1 TokenReview`).
    fn review(&self, mut review: Value) -> Value {
        let tokens = lock(&self.tokens);
        let known = review["spec"]["token"]
            .as_str()
            .and_then(|token| tokens.get(token));
        let asked: Vec<String> = review["spec"]["audiences"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|name| name.as_str().map(str::to_owned))
            .collect();
        review["status"] = match known {
            Some(token) => {
                let both = token.audiences.iter().filter(|name| asked.contains(name));
                let both: Vec<_> = both.cloned().collect();
                if both.is_empty() && !asked.is_empty() {
                    json!({"error": "token audiences are invalid for what is asked"})
                } else {
                    let pods: Vec<_> = token.pod.iter().collect();
                    json!({
                        "authenticated": true, "audiences": both,
                        "user": {"username": token.username, "extra": {"authentication.kubernetes.io/pod-name": pods}},
                    })
                }
            }
            None => json!({"error": "invalid bearer token"}),
        };
        review
    }
}

/// Whoever panicked has left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
