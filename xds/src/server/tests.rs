//! Both machines against a plain map: whatever is changed, lost, cut off and opened again, in the end a client has what
//! one that starts now is given.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::carried::{key_of, pack};
use crate::client::{Client, Taken};
use crate::messages::Node;
use crate::object::Object;

/// What there is, as plain as it can be.
#[derive(Debug, Default)]
pub(crate) struct World(pub(crate) BTreeMap<(&'static Kind, String), Arc<Resource>>);

impl Offer for World {
    fn get(&self, kind: &'static Kind, name: &str) -> Option<Arc<Resource>> {
        self.0.get(&(kind, name.to_owned())).cloned()
    }

    fn all(&self, kind: &'static Kind) -> impl Iterator<Item = Arc<Resource>> {
        self.0
            .iter()
            .filter(move |((of, _), _)| *of == kind)
            .map(|(_, resource)| Arc::clone(resource))
    }
}

fn kinds() -> [&'static Kind; 2] {
    [
        Kind::named("networking.istio.io/v1", "VirtualService").unwrap(),
        Kind::named("v1", "Service").unwrap(),
    ]
}

pub(crate) fn resource(kind: &'static Kind, name: &str, version: u32) -> Resource {
    pack(&Object {
        key: key_of(kind, name).unwrap(),
        version: version.to_string().into(),
        json: json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": {}, "spec": {"v": version}}),
    })
}

#[derive(Clone, Debug)]
enum Step {
    /// Something is there, or is another.
    Set(usize, usize),
    /// Something is gone.
    Remove(usize, usize),
    /// The server sends what is due.
    Send,
    /// One thing on the way to the client arrives.
    Arrive,
    /// The client judges what it has, and answers.
    Settle,
    /// One answer arrives.
    Answer,
    /// The stream breaks: what is on its way is lost, and another server is asked.
    Break,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_usize..2, 0_usize..4).prop_map(|(kind, name)| Step::Set(kind, name)),
        2 => (0_usize..2, 0_usize..4).prop_map(|(kind, name)| Step::Remove(kind, name)),
        3 => Just(Step::Send),
        4 => Just(Step::Arrive),
        3 => Just(Step::Settle),
        4 => Just(Step::Answer),
        1 => Just(Step::Break),
    ];
    prop::collection::vec(step, 0..80)
}

/// One server, one client, and what is on its way between them.
struct Play {
    world: World,
    version: u32,
    session: Session,
    client: Client,
    down: Vec<DeltaDiscoveryResponse>,
    up: Vec<DeltaDiscoveryRequest>,
}

impl Play {
    fn new() -> Self {
        let mut client = Client::new(Node::default(), &kinds());
        let up = client.open();
        Self {
            world: World::default(),
            version: 0,
            session: Session::default(),
            client,
            down: Vec::new(),
            up,
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Set(kind, name) => {
                self.version += 1;
                let (kind, name) = (kinds()[kind], format!("ns/{name}"));
                let is = Arc::new(resource(kind, &name, self.version));
                self.world.0.insert((kind, name.clone()), is);
                self.session.touch(kind, name.as_str().into());
            }
            Step::Remove(kind, name) => {
                let (kind, name) = (kinds()[kind], format!("ns/{name}"));
                self.world.0.remove(&(kind, name.clone()));
                self.session.touch(kind, name.as_str().into());
            }
            Step::Send => self.down.extend(self.session.responses(&self.world, "v")),
            Step::Arrive if !self.down.is_empty() => {
                let taken = self.client.take(self.down.remove(0));
                assert_ne!(taken, Taken::Unasked);
            }
            Step::Settle => self
                .up
                .extend(self.client.settle(&BTreeMap::new(), self.client.now())),
            Step::Answer if !self.up.is_empty() => {
                let heard = self.session.hear(self.up.remove(0));
                assert!(!matches!(heard, Heard::Unknown(_)));
            }
            Step::Arrive | Step::Answer => {}
            Step::Break => {
                self.down.clear();
                self.session = Session::default();
                self.up = self.client.open();
            }
        }
        assert!(self.down.len() <= 2, "one of a kind is on its way");
    }

    /// Until nobody has anything left to say.
    fn rest(&mut self) {
        for _ in 0..8 {
            while !self.up.is_empty() {
                self.step(&Step::Answer);
            }
            self.step(&Step::Send);
            while !self.down.is_empty() {
                self.step(&Step::Arrive);
            }
            self.step(&Step::Settle);
        }
        assert!(self.up.is_empty() && self.session.is_settled());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_happens_it_ends_as_a_fresh_start(steps in steps()) {
        let mut play = Play::new();
        steps.iter().for_each(|step| play.step(step));
        play.rest();
        let mut fresh = Play::new();
        fresh.world = std::mem::take(&mut play.world);
        fresh.rest();
        let has = |play: &Play| play.client.in_use().cloned().collect::<Vec<_>>();
        prop_assert_eq!(has(&play), has(&fresh));
        prop_assert_eq!(has(&play).len(), fresh.world.0.len());
    }
}

#[test]
fn a_reconnected_client_is_sent_what_it_lacks() {
    let mut play = Play::new();
    for step in [Step::Set(0, 1), Step::Set(0, 2), Step::Set(1, 1)] {
        play.step(&step);
    }
    play.rest();
    play.step(&Step::Break);
    play.step(&Step::Set(0, 2));
    play.step(&Step::Remove(1, 1));
    play.step(&Step::Answer);
    play.step(&Step::Answer);
    play.step(&Step::Send);
    let sent: Vec<_> = play
        .down
        .iter()
        .map(|response| {
            let names = response
                .resources
                .iter()
                .map(|resource| resource.name.as_str());
            (
                names.collect::<Vec<_>>(),
                response.removed_resources.clone(),
            )
        })
        .collect();
    // Services come first, as `KINDS` are ordered by group.
    assert!(sent.contains(&(vec!["ns/2"], vec![])), "{sent:?}");
    assert!(
        sent.contains(&(vec![], vec!["ns/1".to_owned()])),
        "{sent:?}"
    );
}

#[test]
fn a_refusal_is_heard_once_and_nothing_is_sent_again() {
    let mut play = Play::new();
    play.step(&Step::Set(0, 1));
    play.rest();
    play.step(&Step::Set(0, 1));
    play.step(&Step::Send);
    play.step(&Step::Arrive);
    let key = key_of(kinds()[0], "ns/1").unwrap();
    let judged = play.client.now();
    let mut answers = play
        .client
        .settle(&[(key, "bad".to_owned())].into_iter().collect(), judged);
    let heard = play.session.hear(answers.remove(0));
    assert_eq!(heard, Heard::Refused(kinds()[0], "ns/1: bad".to_owned()));
    assert!(play.session.responses(&play.world, "v").is_empty());
}

#[test]
fn an_answer_is_of_the_version_that_was_asked_for() {
    let mut session = Session::default();
    let other = "networking.istio.io/v1alpha3/VirtualService";
    let asked = DeltaDiscoveryRequest {
        type_url: other.into(),
        ..DeltaDiscoveryRequest::default()
    };
    session.hear(asked);
    let responses = session.responses(&World::default(), "v");
    let urls: Vec<_> = responses
        .iter()
        .map(|said| said.type_url.as_str())
        .collect();
    assert_eq!(urls, [other]);
}

#[test]
fn names_can_be_asked_for() {
    let [rules, services] = kinds();
    let mut world = World::default();
    for name in ["ns/1", "ns/2"] {
        let is = Arc::new(resource(services, name, 1));
        world.0.insert((services, name.to_owned()), is);
    }
    let mut session = Session::default();
    let ask = |more: &[&str], less: &[&str]| DeltaDiscoveryRequest {
        type_url: services.type_url(),
        resource_names_subscribe: more.iter().map(|&name| name.into()).collect(),
        resource_names_unsubscribe: less.iter().map(|&name| name.into()).collect(),
        ..DeltaDiscoveryRequest::default()
    };
    let told = |session: &mut Session| {
        let responses = session.responses(&world, "v");
        let names = responses.iter().flat_map(|response| &response.resources);
        let names: Vec<String> = names.map(|resource| resource.name.clone()).collect();
        for response in responses {
            session.hear(DeltaDiscoveryRequest {
                type_url: response.type_url,
                response_nonce: response.nonce,
                ..DeltaDiscoveryRequest::default()
            });
        }
        names
    };
    assert_eq!(
        session.hear(ask(&["ns/2", "ns/3"], &[])),
        Heard::Wants(services)
    );
    let gone = session.responses(&world, "v").remove(0).removed_resources;
    assert_eq!(gone, ["ns/3"], "who asks for it would wait for it");
    let mut session = Session::default();
    session.hear(ask(&["ns/2"], &[]));
    assert_eq!(told(&mut session), ["ns/2"]);
    session.hear(ask(&["ns/1"], &["ns/2"]));
    assert_eq!(told(&mut session), ["ns/1"]);
    // Who wants all has had one of them.
    session.hear(ask(&["*"], &[]));
    assert_eq!(told(&mut session), ["ns/2"]);
    let many: Vec<String> = (0..=MAX_NAMES).map(|at| format!("ns/{at}")).collect();
    let many = DeltaDiscoveryRequest {
        type_url: rules.type_url(),
        resource_names_subscribe: many,
        ..DeltaDiscoveryRequest::default()
    };
    assert_eq!(Session::default().hear(many), Heard::TooMany(rules));
    for (length, is_heard) in [(MAX_NAME_BYTES, true), (MAX_NAME_BYTES + 1, false)] {
        let name = "n".repeat(length);
        let named = DeltaDiscoveryRequest {
            type_url: rules.type_url(),
            ..DeltaDiscoveryRequest::default()
        };
        for request in [
            DeltaDiscoveryRequest {
                resource_names_subscribe: vec![name.clone()],
                ..named.clone()
            },
            DeltaDiscoveryRequest {
                resource_names_unsubscribe: vec![name.clone()],
                ..named.clone()
            },
            DeltaDiscoveryRequest {
                initial_resource_versions: [(name.clone(), String::new())].into(),
                ..named.clone()
            },
            DeltaDiscoveryRequest {
                initial_resource_versions: [(String::new(), name.clone())].into(),
                ..named.clone()
            },
        ] {
            let heard = Session::default().hear(request);
            assert_eq!(heard == Heard::Wants(rules), is_heard, "{length} {heard:?}");
        }
    }
    let had = |from: usize| DeltaDiscoveryRequest {
        type_url: rules.type_url(),
        initial_resource_versions: (from..=from + MAX_HAD / 2)
            .map(|at| (at.to_string(), String::new()))
            .collect(),
        ..DeltaDiscoveryRequest::default()
    };
    let mut full = Session::default();
    assert_eq!(full.hear(had(0)), Heard::Wants(rules));
    assert_eq!(full.hear(had(MAX_HAD)), Heard::TooMany(rules));
    let other = DeltaDiscoveryRequest {
        type_url: "of/v1/Nobody".into(),
        ..DeltaDiscoveryRequest::default()
    };
    assert_eq!(session.hear(other), Heard::Unknown("of/v1/Nobody".into()));
    session.touch(rules, "ns/1".into());
    assert!(
        session.responses(&World::default(), "v").is_empty(),
        "nobody wants rules"
    );
}
