//! The configuration that a control plane tells of: what has come, what of it is to be judged, and what is answered.
//!
//! Owns the joint between the thread that hears of changes ([`stream`]) and the one that compiles. What is sent and answered is
//! said by `outrigger_xds`; whether an object is any good by `configuration`.

mod apart;
mod filled;
mod stream;
mod workloads;

pub(super) use stream::start;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use outrigger_core::config::Finding;
use outrigger_xds::client::{self, Taken};
use outrigger_xds::messages::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Node};
use outrigger_xds::workload;
use outrigger_xds::{Asked, Key, Kind, Object, protobuf, structs};
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedSender;

use self::apart::Apart;
use self::filled::Subsets;
use self::workloads::{Defined, Workloads};
use super::gathered::Gathered;
use crate::sources::Source;

/// Objects that are no good, with the reasons.
pub(super) type Refused = BTreeMap<Key, String>;

/// What has come.
#[derive(Debug)]
pub(super) struct Inbox {
    client: Mutex<client::Client>,
    /// Where endpoints come from the workload API.
    workloads: Option<Mutex<Workloads>>,
    /// That of this workload.
    namespace: String,
    /// Something came that nobody has judged.
    news: AtomicBool,
    answers: UnboundedSender<Vec<DeltaDiscoveryRequest>>,
    /// Endpoints, where services come without them.
    apart: Option<Apart>,
    pub(super) counts: Counts,
    /// Why the stream before this one broke, or could not be opened.
    broke: Mutex<Option<String>>,
    /// A stream is to be opened anew.
    again: Notify,
}

/// What is known of the control plane, for whoever asks.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// A stream is open.
    pub(crate) connected: AtomicBool,
    /// Streams that were opened.
    pub(crate) opened: AtomicU64,
    /// Streams that could not be opened, or broke.
    pub(crate) failed: AtomicU64,
    /// Responses that came.
    pub(crate) responses: AtomicU64,
    /// Objects that were refused.
    pub(crate) refused: AtomicU64,
}

impl Inbox {
    /// An empty one, that asks for what there is to ask for there, and whose answers go there.
    pub(super) fn new(
        node: Node,
        asked: Asked,
        workloads: Option<workload::Asked>,
        answers: UnboundedSender<Vec<DeltaDiscoveryRequest>>,
    ) -> Self {
        let workloads = workloads.map(|asked| Workloads::new(node.clone(), asked));
        let metadata = structs::to_json(node.metadata.clone().unwrap_or_default());
        let namespace = metadata["NAMESPACE"].as_str().unwrap_or_default();
        let is_apart = asked == Asked::Istiod && workloads.is_none();
        Self {
            namespace: namespace.to_owned(),
            client: Mutex::new(client::Client::new(node, &asked.kinds())),
            workloads: workloads.map(Mutex::new),
            news: AtomicBool::new(false),
            answers,
            apart: is_apart.then(Apart::default),
            counts: Counts::default(),
            broke: Mutex::default(),
            again: Notify::new(),
        }
    }

    /// The workload has these labels from now on: what concerns it is asked for anew.
    pub(super) fn relabel(&self, labels: &BTreeMap<String, String>) {
        let mut client = self.client();
        let mut node = client.node().clone();
        let metadata = node.metadata.take().map(structs::to_json);
        let mut metadata = metadata.unwrap_or_else(|| json!({}));
        metadata["LABELS"] = json!(labels);
        node.metadata = Some(structs::from_json(&metadata));
        client.call_itself(node);
        drop(client);
        self.again.notify_one();
    }

    /// A stream broke, or could not be opened.
    fn broke(&self, why: &str) {
        let mut broke = self.broke.lock().unwrap_or_else(PoisonError::into_inner);
        *broke = Some(why.to_owned());
    }

    /// Why nobody is listened to, if that is so.
    pub(super) fn fault(&self) -> Option<String> {
        let broke = self.broke.lock().unwrap_or_else(PoisonError::into_inner);
        let is_connected = self.counts.connected.load(Ordering::Relaxed);
        broke.clone().filter(|_| !is_connected)
    }

    /// Whether all kinds of objects have come, and what the workload API tells of, where it is asked.
    fn is_complete(&self) -> bool {
        let has_workloads = || self.workloads().is_none_or(|told| told.is_complete());
        self.client().is_complete() && has_workloads()
    }

    fn client(&self) -> MutexGuard<'_, client::Client> {
        // Each change of it is whole.
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn workloads(&self) -> Option<MutexGuard<'_, Workloads>> {
        let workloads = self.workloads.as_ref()?;
        // Each change of it is whole.
        Some(workloads.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What is said first on a new stream.
    fn open(&self) -> Vec<DeltaDiscoveryRequest> {
        let mut requests = self.client().open();
        requests.extend(self.workloads().map(|workloads| workloads.open()));
        requests.extend(self.apart.as_ref().and_then(Apart::open));
        requests
    }

    /// Takes what came. What says nothing new is answered at once where everything else was judged: istiod sends all of each kind
    /// again whenever anything has changed.
    fn take(&self, response: DeltaDiscoveryResponse) -> Taken {
        if Workloads::is_of(&response) {
            return self.take_workloads(response);
        }
        let response = match self.take_endpoints(response) {
            Ok(taken) => return taken,
            Err(response) => response,
        };
        let mut client = self.client();
        let taken = client.take(response);
        match taken {
            Taken::Unasked => {}
            Taken::Same if client.is_judged() && !self.news.load(Ordering::Acquire) => {
                let judged = client.now();
                let answers = client.settle(&Refused::new(), judged);
                // Nobody listens when the program ends.
                let _ = self.answers.send(answers);
            }
            Taken::News | Taken::Same => self.news.store(true, Ordering::Release),
        }
        drop(client);
        if taken == Taken::News {
            self.ask_for_endpoints();
        }
        taken
    }

    /// Takes what the workload API says. It is answered at once: what comes of it is judged by us, and is nothing to the server.
    fn take_workloads(&self, response: DeltaDiscoveryResponse) -> Taken {
        let heard = self.workloads().map(|mut told| told.take(response));
        let Some((taken, answer)) = heard else {
            return Taken::Unasked;
        };
        // Nobody listens when the program ends.
        let _ = self.answers.send(answer.into_iter().collect());
        if taken == Taken::News {
            self.news.store(true, Ordering::Release);
        }
        taken
    }

    /// Takes endpoints, which are answered at once; gives back what is something else.
    fn take_endpoints(
        &self,
        response: DeltaDiscoveryResponse,
    ) -> Result<Taken, DeltaDiscoveryResponse> {
        let Some(apart) = &self.apart else {
            return Err(response);
        };
        let (answer, is_news) = apart.take(response)?;
        // Nobody listens when the program ends.
        let _ = self.answers.send(vec![answer]);
        self.news.fetch_or(is_news, Ordering::AcqRel);
        Ok(if is_news { Taken::News } else { Taken::Same })
    }

    /// Asks for the endpoints of what has come, if anything else is lacking now.
    fn ask_for_endpoints(&self) {
        let Some(apart) = &self.apart else {
            return;
        };
        let client = self.client();
        let objects: Vec<&Object> = client.candidates().map(|one| one.object).collect();
        if let Some(request) = apart.want(objects.into_iter()) {
            let _ = self.answers.send(vec![request]);
        }
    }

    /// How many clusters a first configuration still waits for, when nothing else is missing.
    fn awaited_endpoints(&self) -> Option<usize> {
        let apart = self.apart.as_ref()?;
        let waits = !apart.is_ready() && self.is_complete();
        waits.then(|| apart.missing())
    }

    /// Endpoints are waited for no more.
    fn wait_no_more(&self) {
        if let Some(apart) = &self.apart {
            apart.wait_no_more();
        }
    }

    /// Whether something came that nobody has judged. Before all kinds have come nothing is judged at all: half a configuration
    /// is none.
    pub(super) fn has_news(&self) -> bool {
        let is_ready = || self.apart.as_ref().is_none_or(Apart::is_ready);
        self.news.load(Ordering::Acquire) && self.is_complete() && is_ready()
    }

    /// What is to be judged now.
    pub(super) fn candidates(&self) -> Candidates {
        self.news.store(false, Ordering::Release);
        self.wait_no_more();
        let client = self.client();
        let workloads = self.workloads();
        let subsets = Subsets::new(client.candidates().map(|one| one.object));
        let fill = |object: &Object| {
            let apart = self.apart.as_ref();
            let filled = apart.and_then(|apart| apart.filled(object, &subsets));
            source(object, filled.as_ref())
        };
        let mut all: Vec<One> = match &workloads {
            None => {
                let candidates = client.candidates();
                let all = candidates.map(|candidate| One {
                    source: fill(candidate.object),
                    good: candidate.good.map(fill),
                    ..One::of(candidate)
                });
                all.collect()
            }
            Some(told) => joined(&client, told),
        };
        // Gateways that istiod has made of Kubernetes' API are for proxies beside them.
        let objects = client.candidates().map(|candidate| candidate.object);
        let elsewhere: BTreeSet<&Key> = objects
            .filter(|of| *of.key.namespace != *self.namespace && protobuf::is_of_api(of))
            .map(|of| &of.key)
            .collect();
        all.retain(|one| !elsewhere.contains(&one.key));
        let strange = client.strange();
        Candidates {
            all,
            findings: workloads
                .as_ref()
                .map_or_else(Vec::new, |told| told.findings()),
            workloads_at: workloads.map(|told| told.now()),
            strange: strange.map(|(kind, why)| (kind, why.to_owned())).collect(),
            at: client.now(),
        }
    }

    /// What has been judged is answered. What came meanwhile is judged later, and not answered with it.
    pub(super) fn settle(&self, refused: &Refused, judged: &Candidates) {
        let answers = self.client().settle(refused, judged.at);
        if let Some((mut told, at)) = self.workloads().zip(judged.workloads_at) {
            told.settle(refused, at);
        }
        let more = (refused.len() + judged.strange.len()) as u64;
        self.counts.refused.fetch_add(more, Ordering::Relaxed);
        // Nobody listens when the program ends.
        let _ = self.answers.send(answers);
    }
}

/// What is to be judged.
#[derive(Debug)]
pub(super) struct Candidates {
    all: Vec<One>,
    /// What came and is no object at all.
    pub(super) strange: Vec<(&'static Kind, String)>,
    at: client::Moment,
    workloads_at: Option<client::Moment>,
    /// What of the workload API is not in effect.
    findings: Vec<Finding>,
}

#[derive(Debug)]
struct One {
    key: Key,
    source: Source,
    is_fresh: bool,
    good: Option<Source>,
}

/// Objects, and what the workload API tells of as far as they do not say it themselves.
fn joined(client: &client::Client, told: &Workloads) -> Vec<One> {
    let written = client.candidates();
    let written: BTreeSet<_> = written.flat_map(|one| Defined::by(one.object)).collect();
    let candidates: Vec<_> = told.candidates(&written).collect();
    let hosts = Defined::told(&candidates);
    let kept = client.candidates();
    let kept = kept.filter(|one| !Defined::replace(&hosts, one.object));
    kept.chain(candidates).map(One::of).collect()
}

impl One {
    fn of(candidate: client::Candidate<'_>) -> Self {
        Self {
            key: candidate.object.key.clone(),
            source: source(candidate.object, None),
            is_fresh: candidate.is_fresh,
            good: candidate.good.map(|good| source(good, None)),
        }
    }
}

impl Candidates {
    /// All of them, with the last good one for each that was refused.
    pub(super) fn gathered(&self, refused: &Refused) -> Gathered {
        let mut gathered = Gathered {
            findings: self.findings.clone(),
            ..Gathered::default()
        };
        for one in &self.all {
            let source = match refused.contains_key(&one.key) {
                true => one.good.as_ref(),
                false => Some(&one.source),
            };
            let Some(source) = source.cloned() else {
                continue;
            };
            if one.key.kind.kind == "ConfigMap" || one.key.kind.is_mesh_config() {
                gathered.mesh = Some(source);
            } else {
                gathered.rules.push(source);
            }
        }
        gathered
    }

    /// Refuses the new objects that findings name, or all new ones where they name none of them. `false` when there is nothing
    /// left to refuse.
    pub(super) fn blame<'f>(
        &self,
        findings: impl Iterator<Item = &'f Finding>,
        refused: &mut Refused,
    ) -> bool {
        let before = refused.len();
        let mut why = None;
        for finding in findings {
            let text = format!("{} [{}]", finding.message, finding.code.as_str());
            let place = match finding.path.is_empty() {
                true => text,
                false => format!("{}: {text}", finding.path),
            };
            let named = self.all.iter().find(|one| one.source.name == finding.file);
            if let Some(one) = named.filter(|one| one.is_fresh) {
                refused
                    .entry(one.key.clone())
                    .or_insert_with(|| place.clone());
            }
            why.get_or_insert(place);
        }
        // Without a last good one of anything, nothing at all would be in use.
        let has_good = self.all.iter().any(|one| one.good.is_some());
        if refused.len() == before && has_good {
            let fresh = self.all.iter().filter(|one| one.is_fresh);
            for one in fresh {
                let why = why.clone().unwrap_or_default();
                refused.entry(one.key.clone()).or_insert(why);
            }
        }
        refused.len() > before
    }
}

/// An object as a file that was named after it; what stands in it may be more than what came.
fn source(object: &Object, filled: Option<&Value>) -> Source {
    let Key {
        kind,
        namespace,
        name,
    } = &object.key;
    let slash = if namespace.is_empty() { "" } else { "/" };
    Source {
        name: format!("{} {namespace}{slash}{name}", kind.kind).into(),
        // Of lines, so that a finding's position says something. A value of JSON can always be written.
        bytes: serde_json::to_vec_pretty(filled.unwrap_or(&object.json)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use outrigger_xds::messages::Resource;
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;

    #[test]
    fn what_says_nothing_new_is_answered_at_once() {
        let (answers, mut answered) = unbounded_channel();
        let inbox = Inbox::new(Node::default(), Asked::Istiod, None, answers);
        let response = |kind: &Kind, nonce: &str, names: &[&str]| {
            let object = |name: &&str| Resource {
                name: (*name).to_owned(),
                ..Resource::default()
            };
            DeltaDiscoveryResponse {
                type_url: kind.type_url(),
                nonce: nonce.into(),
                resources: names.iter().map(object).collect(),
                ..DeltaDiscoveryResponse::default()
            }
        };
        let kinds = Asked::Istiod.kinds();
        for kind in &kinds {
            inbox.take(response(kind, "first", &[]));
        }
        assert!(inbox.has_news());
        inbox.settle(&Refused::new(), &inbox.candidates());
        assert_eq!(answered.try_recv().unwrap().len(), kinds.len());
        inbox.take(response(kinds[0], "again", &[]));
        assert!(!inbox.has_news());
        let nonces = |answers: Vec<DeltaDiscoveryRequest>| -> Vec<String> {
            let answers = answers.into_iter();
            answers.map(|answer| answer.response_nonce).collect()
        };
        assert_eq!(nonces(answered.try_recv().unwrap()), ["again"]);
        // Nothing stands in it: that is to be judged, and what comes behind it waits for that.
        inbox.take(response(kinds[0], "strange", &["default/a"]));
        inbox.take(response(kinds[1], "behind", &[]));
        assert!(inbox.has_news() && answered.try_recv().is_err());
        inbox.settle(&Refused::new(), &inbox.candidates());
        assert_eq!(nonces(answered.try_recv().unwrap()), ["strange", "behind"]);
    }

    #[test]
    fn gateways_of_the_api_are_for_who_is_beside_them() {
        let (answers, _answered) = unbounded_channel();
        let metadata = structs::from_json(&json!({"NAMESPACE": "edge"}));
        let node = Node {
            metadata: Some(metadata),
            ..Node::default()
        };
        let inbox = Inbox::new(node, Asked::Istiod, None, answers);
        let gateways = Asked::Istiod.kinds();
        let gateways = gateways.iter().find(|kind| kind.kind == "Gateway").unwrap();
        let made = [(
            "internal.istio.io/gateway-service",
            "a.edge.svc.cluster.local",
        )];
        let gateway = |name: &str, annotations: &[(&str, &str)]| {
            let json = json!({
                "metadata": {"annotations": annotations.iter().copied().collect::<BTreeMap<_, _>>()}, "spec": {},
            });
            outrigger_xds::carried::pack(&Object {
                key: outrigger_xds::carried::key_of(gateways, name).unwrap(),
                version: "1".into(),
                json,
            })
        };
        inbox.take(DeltaDiscoveryResponse {
            type_url: gateways.type_url(),
            resources: vec![
                gateway("edge/made", &made),
                gateway("other/made", &made),
                gateway("other/written", &[]),
            ],
            ..DeltaDiscoveryResponse::default()
        });
        let candidates = inbox.candidates();
        let names: Vec<_> = candidates.all.iter().map(|one| &*one.source.name).collect();
        assert_eq!(names, ["Gateway edge/made", "Gateway other/written"]);
    }
}
