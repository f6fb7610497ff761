//! The explanation of a request as data: everything that was decided, with why and where that was written.
//!
//! Owns the shape, which machines read: fields may be added, none is renamed or removed. Each part is made in a file of its
//! own.

mod access;
pub(crate) mod cluster;
mod connection;
mod host;
mod outcomes;
pub(crate) mod policies;
pub(crate) mod problems;
mod rules;
mod spoken;
mod transport;
pub(crate) mod words;

use std::sync::Arc;

use bytes::BytesMut;
use outrigger_core::cluster::Bucket;
use outrigger_core::decision::Record;
use outrigger_core::http1::Server;
use outrigger_core::message::{RequestHead, ResponseHead};
use outrigger_core::peer::{ListenerKind, Said};
use outrigger_core::request::{self, Context, NotRouted};
use outrigger_core::snapshot::{Action, DestinationCluster, Origin, Snapshot};
use outrigger_core::stream::Begins;
use outrigger_core::worker::Worker;
use serde::Serialize;

pub use access::{AccessTold, Decided, PolicyTold};
pub use connection::{ConnectionTold, explain_connection};
pub use host::nearest_known;

use crate::play::Circumstances;
use crate::question::Question;
use crate::told::as_text;

/// Why a request goes where it goes.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The request.
    pub request: Asked,
    /// What keeps it from being served as somebody meant, the worst first.
    pub problems: Vec<String>,
    /// Who may come in; `None` for what the application sends.
    pub access: Option<AccessTold>,
    /// What it is where it is a connection that is not HTTP; `None` for a request.
    pub connection: Option<ConnectionTold>,
    /// The virtual host; `None` when it is refused before one is looked for.
    pub host: Option<Host>,
    /// The rules that were tried, in order, up to the one that holds.
    pub rules: Vec<Tried>,
    /// So many rules stand behind the one that holds, and were not tried.
    pub rules_not_tried: usize,
    /// What the rule that holds does, in a word: `forward`, `redirect`, `direct_response`; else `no_rule`,
    /// `unknown_host`, `refused`; of a connection also `passthrough`, and `http` where a request decides.
    pub action: &'static str,
    /// Where it may go, in the order written.
    pub destinations: Vec<Goal>,
    /// The number drawn for the destination, and below which it was drawn; where there are several.
    pub draw: Option<Draw>,
    /// What the rule says besides.
    pub policies: Vec<Told>,
    /// The cluster that it goes to.
    pub cluster: Option<ClusterTold>,
    /// What would come of it, by how endpoints answer.
    pub outcomes: Vec<Outcome>,
}

/// The request that was asked about.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// `GET http://reviews/`.
    pub line: String,
    /// Fields, as given.
    pub headers: Vec<(String, String)>,
    /// Its random number, which every draw comes from. A text, because not all who read JSON have numbers of 64 bits.
    #[serde(serialize_with = "as_text")]
    pub random: u64,
    /// The application that an inbound listener has it for; `None` for one that the application sends.
    pub inbound: Option<String>,
    /// The revision of the configuration that decides.
    pub revision: u64,
}

/// A place in the user's files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// `VirtualService default/reviews`.
    pub resource: String,
    /// `spec.http[0].timeout`.
    pub path: String,
    /// As the user named it.
    pub file: String,
    /// From 1.
    pub line: u32,
}

impl Place {
    pub(crate) fn new(origin: &Origin, snapshot: &Snapshot) -> Option<Self> {
        let resource = snapshot.resources.get(origin.resource.0 as usize)?;
        Some(Self {
            resource: resource.to_string(),
            path: origin.path.to_string(),
            file: resource.file.to_string(),
            line: origin.line,
        })
    }
}

/// Which virtual host, and why.
#[derive(Clone, Debug, Serialize)]
pub struct Host {
    /// The host that was looked for, without port, in lower case.
    pub asked: String,
    /// The name or wildcard that it was found by.
    pub matched: Option<String>,
    /// `reviews.default.svc.cluster.local:9080`.
    pub virtual_host: Option<String>,
    /// Why this one, or why none.
    pub why: String,
    /// The known name that is nearest to one that is not known.
    pub nearest: Option<String>,
}

/// A rule that was held against the request.
#[derive(Clone, Debug, Serialize)]
pub struct Tried {
    /// Counted from 1.
    pub number: usize,
    /// The route's name.
    pub name: String,
    /// Where it stands; `None` for the route that every service has.
    pub origin: Option<Place>,
    /// Whether it holds.
    pub matches: bool,
    /// What it asks for; nothing holds always.
    pub conditions: Vec<String>,
    /// The first of its conditions that does not hold, and what was there.
    pub unmet: Option<String>,
}

/// Somewhere a rule sends requests.
#[derive(Clone, Debug, Serialize)]
pub struct Goal {
    /// Its cluster.
    pub cluster: String,
    /// Its share of `of`.
    pub weight: u64,
    /// The sum of the weights.
    pub of: u64,
    /// This request goes there.
    pub chosen: bool,
    /// What is wrong with it.
    pub problem: Option<String>,
}

/// A draw.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Draw {
    /// What was drawn, from 0.
    pub number: u64,
    /// It is below this.
    pub below: u64,
}

/// Something that holds, and where that was written.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// `timeout`, `retries` and so on.
    pub what: &'static str,
    /// What it comes to for this request.
    pub value: String,
    /// Where it stands; `None` for a default.
    pub origin: Option<Place>,
    /// What it took the place of.
    pub overrides: Vec<Place>,
}

/// A cluster.
#[derive(Clone, Debug, Serialize)]
pub struct ClusterTold {
    /// `outbound|9080|v1|reviews.default.svc.cluster.local`.
    pub name: String,
    /// The service and the subset that it is.
    pub made_of: Vec<Place>,
    /// Its settings.
    pub settings: Vec<Told>,
    /// Rules of other namespaces that another one keeps away.
    pub passed_over: Vec<Place>,
    /// It has no endpoints of its own: requests go where their clients wanted to go.
    pub original_destination: bool,
    /// Its endpoints.
    pub endpoints: Vec<EndpointTold>,
}

/// An endpoint.
#[derive(Clone, Debug, Serialize)]
pub struct EndpointTold {
    /// Where it listens.
    pub address: String,
    /// Its weight.
    pub weight: u32,
    /// `region/zone/subzone`, empty when unknown.
    pub locality: String,
    /// Its priority.
    pub priority: u32,
    /// Requests in flight.
    pub active: u32,
    /// Why it is out of rotation.
    pub ejected: Option<String>,
    /// The first attempt goes there.
    pub chosen: bool,
}

/// What would come of a kind of answer.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// How endpoints answer: `200`, `503`, `no answer`, `connection refused`; `-` where none is asked.
    pub when: &'static str,
    /// The status that the client sees; `None` when it waits for ever.
    pub status: Option<u16>,
    /// Where a redirect leads.
    pub location: Option<String>,
    /// Response flags, as the access log writes them.
    pub flags: String,
    /// Response code details; `tunnel` for a CONNECT whose tunnel is open.
    pub details: String,
    /// When the client has its answer, in milliseconds; connections and answers take no time in this.
    pub after_ms: Option<f64>,
    /// Attempts, in order.
    pub attempts: Vec<AttemptTold>,
    /// Copies for mirrors: the cluster, and what became of it.
    pub mirrors: Vec<String>,
    /// The request as it goes on, after rewrites and header operations.
    pub forwarded: Option<String>,
    /// The whole story.
    pub story: String,
}

/// An attempt.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptTold {
    /// The address of its endpoint.
    pub endpoint: String,
    /// When it began, in milliseconds.
    pub at_ms: f64,
    /// Why this endpoint.
    pub picked: String,
    /// How it ended.
    pub end: String,
    /// What the retry policy made of that.
    pub followed: String,
}

impl Explanation {
    /// Of something that was asked about and is not decided.
    fn begin(
        line: String,
        headers: Vec<(String, String)>,
        snapshot: &Snapshot,
        circumstances: &Circumstances,
    ) -> Self {
        Self {
            request: Asked {
                line,
                headers,
                random: circumstances.random.0,
                inbound: application(snapshot, circumstances.peer.listener),
                revision: snapshot.revision,
            },
            problems: Vec::new(),
            access: None,
            connection: None,
            host: None,
            rules: Vec::new(),
            rules_not_tried: 0,
            action: "refused",
            destinations: Vec::new(),
            draw: None,
            policies: Vec::new(),
            cluster: None,
            outcomes: Vec::new(),
        }
    }
}

/// Explains a request on a snapshot, whose live state is looked at and left as it is.
#[must_use]
pub fn explain(
    snapshot: &Snapshot,
    question: &Question,
    circumstances: &Circumstances,
) -> Explanation {
    let headers = question.fields().to_vec();
    let mut told = Explanation::begin(question.text(), headers, snapshot, circumstances);
    told.access = access::access(snapshot, circumstances);
    if access::is_cut_off(&mut told) {
        return told;
    }
    decide(&mut told, snapshot, question, circumstances);
    outcomes::add(&mut told, snapshot, question, circumstances);
    access::add_decided(&mut told);
    problems::add(&mut told, snapshot);
    told
}

/// The address of the application behind a listener, if it is an inbound one.
#[must_use]
pub fn application(snapshot: &Snapshot, listener: ListenerKind) -> Option<String> {
    let ListenerKind::Inbound(at) = listener else {
        return None;
    };
    if snapshot.inbound_ports.is_virtual(at) {
        return None;
    }
    let host = snapshot.virtual_host(*snapshot.inbound.get(at)?);
    let Action::Forward(forward) = &*host.rules.first()?.action else {
        return None;
    };
    let DestinationCluster::Known(id) = forward.destinations.first()?.cluster else {
        return None;
    };
    let application = snapshot.cluster(id).endpoints.first()?;
    Some(application.text.to_string())
}

/// Everything up to where an endpoint is tried.
fn decide(
    told: &mut Explanation,
    snapshot: &Snapshot,
    question: &Question,
    circumstances: &Circumstances,
) {
    let (head, begins) = match head(question) {
        Ok(read) => read,
        Err(refused) => {
            told.problems
                .push(format!("the proxy refuses it: {refused}"));
            return;
        }
    };
    // It tries rules and picks nothing.
    let worker = Worker::new(Arc::new(snapshot.apart()), circumstances.settings, 0);
    let context = Context {
        view: worker.view(),
        peer: &circumstances.peer,
        tls: circumstances.tls.as_ref(),
        said: &Said::default(),
        upgrade: begins.upgrade.as_deref(),
        own_bucket: &Bucket::default(),
        now: circumstances.now,
        complete_since: Some(circumstances.now),
    };
    let mut record = Record::default();
    record.restart(circumstances.now, circumstances.random);
    record.request = head;
    let virtual_host = match request::arrive(&context, &mut record) {
        Ok(id) => snapshot.virtual_host(id),
        Err(NotRouted::Refused(refused)) => {
            told.problems
                .push(format!("the proxy refuses it: {}", refused.explain));
            return;
        }
        Err(NotRouted::UnknownHost) => {
            told.action = "unknown_host";
            told.host = Some(host::unknown(&record.request, snapshot));
            return;
        }
    };
    told.host = Some(match told.request.inbound {
        Some(_) => host::inbound(&record.request, virtual_host),
        None => host::found(&record.request, virtual_host, snapshot),
    });
    let response = &mut ResponseHead::default();
    if request::who_asks(&context, virtual_host, &mut record, response).is_some() {
        let why = format!(
            "its token is refused before a rule is found: {}",
            record.details
        );
        told.problems.push(why);
        return;
    }
    let tried = rules::tried(virtual_host, &record, snapshot);
    told.rules = tried;
    let found = told.rules.iter().position(|rule| rule.matches);
    let Some(rule) = found.map(|at| &virtual_host.rules[at]) else {
        told.action = "no_rule";
        return;
    };
    told.rules_not_tried = virtual_host.rules.len() - told.rules.len();
    policies::limits(told, virtual_host, found.unwrap_or_default(), snapshot);
    match &*rule.action {
        Action::Redirect(_) => told.action = "redirect",
        Action::Respond(_) => told.action = "direct_response",
        Action::Forward(forward) => {
            told.action = "forward";
            policies::forward(told, rule, forward, &record, snapshot);
        }
    }
}

/// The head of the request, as the codec reads it, or why it does not.
fn head(question: &Question) -> Result<(RequestHead, Begins), &'static str> {
    let mut inbox = BytesMut::from(&question.bytes()[..]);
    let mut head = RequestHead::default();
    match Server::default().head(&mut inbox, &mut head) {
        Ok(Some(begins)) => Ok((head, begins)),
        Ok(None) => Err("its head has no end"),
        Err(refused) => Err(refused.explain),
    }
}
