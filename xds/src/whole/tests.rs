//! The session against a plain client: whatever is wanted, changed, lost, cut off and opened again, in the end a client has what one that
//! starts now is given, and what one has that is told changes.

use std::sync::Arc;

use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::envoy::endpoint::{ClusterLoadAssignment, LocalityLbEndpoints};
use crate::envoy::{ENDPOINTS, any};
use crate::messages::{McpResource, Resource, Status};
use crate::server::tests::{World, resource};

/// One that is told whole, and one that is not.
fn kinds() -> [&'static Kind; 2] {
    [
        Kind::named("networking.istio.io/v1", "VirtualService").unwrap(),
        ENDPOINTS,
    ]
}

fn made(kind: &'static Kind, name: &str, version: u32) -> Resource {
    if !kind.is_made() {
        return resource(kind, name, version);
    }
    let endpoints = ClusterLoadAssignment {
        cluster_name: name.into(),
        endpoints: vec![LocalityLbEndpoints {
            priority: version,
            ..LocalityLbEndpoints::default()
        }],
    };
    Resource {
        version: version.to_string(),
        resource: Some(any(kind, &endpoints)),
        name: name.into(),
    }
}

/// The name of what came; `None` where it is an empty one, which says that there is none.
fn named(kind: &Kind, any: &Any) -> (String, bool) {
    let bytes = any.value.clone();
    if kind.is_made() {
        let came = ClusterLoadAssignment::decode(bytes).unwrap();
        (came.cluster_name, !came.endpoints.is_empty())
    } else {
        let came = McpResource::decode(bytes).unwrap();
        (came.metadata.unwrap().name, true)
    }
}

/// What a client has of a kind.
#[derive(Clone, Debug, Default)]
struct Held {
    /// `None` wants all.
    wanted: Option<BTreeSet<String>>,
    has: BTreeMap<String, Any>,
    nonce: String,
    version: String,
    is_open: bool,
}

impl Held {
    fn wants(&self, name: &str) -> bool {
        self.wanted
            .as_ref()
            .is_none_or(|names| names.contains(name))
    }

    fn request(&mut self, kind: &Kind, is_refused: bool) -> DiscoveryRequest {
        self.is_open = true;
        DiscoveryRequest {
            version_info: self.version.clone(),
            resource_names: self.wanted.iter().flatten().cloned().collect(),
            type_url: kind.type_url(),
            response_nonce: self.nonce.clone(),
            error_detail: is_refused.then(|| Status {
                code: 3,
                message: "bad".into(),
            }),
            ..DiscoveryRequest::default()
        }
    }

    /// Whether it says anything at all on a new stream: no names would be all of them.
    fn is_wanted(&self) -> bool {
        self.wanted.as_ref().is_none_or(|names| !names.is_empty())
    }
}

#[derive(Clone, Debug)]
enum Step {
    Set(usize, usize),
    Remove(usize, usize),
    /// Exactly these are wanted, by the bits of a number.
    Want(usize, u8),
    Send,
    /// A response arrives and is answered, perhaps with a refusal.
    Arrive(bool),
    /// One thing that the client said arrives.
    Answer,
    Break,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_usize..2, 0_usize..4).prop_map(|(kind, name)| Step::Set(kind, name)),
        2 => (0_usize..2, 0_usize..4).prop_map(|(kind, name)| Step::Remove(kind, name)),
        3 => (0_usize..2, 0_u8..16).prop_map(|(kind, names)| Step::Want(kind, names)),
        3 => Just(Step::Send),
        4 => any_bool().prop_map(Step::Arrive),
        4 => Just(Step::Answer),
        1 => Just(Step::Break),
    ];
    prop::collection::vec(step, 0..80)
}

fn any_bool() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.2)
}

struct Play {
    world: World,
    version: u32,
    session: Session,
    client: [Held; 2],
    down: Vec<DiscoveryResponse>,
    up: Vec<DiscoveryRequest>,
}

impl Play {
    fn new(world: World, wanted: [Option<BTreeSet<String>>; 2]) -> Self {
        let mut play = Self {
            world,
            version: 0,
            session: Session::default(),
            client: wanted.map(|wanted| Held {
                wanted,
                ..Held::default()
            }),
            down: Vec::new(),
            up: Vec::new(),
        };
        play.open();
        play
    }

    fn open(&mut self) {
        self.session = Session::default();
        self.down.clear();
        self.up.clear();
        for (kind, held) in kinds().into_iter().zip(&mut self.client) {
            held.nonce.clear();
            held.is_open = false;
            if held.is_wanted() {
                self.up.push(held.request(kind, false));
            }
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Set(kind, name) => {
                self.version += 1;
                let (kind, name) = (kinds()[kind], format!("ns/{name}"));
                let is = Arc::new(made(kind, &name, self.version));
                self.world.0.insert((kind, name.clone()), is);
                self.session.session().touch(kind, name.as_str().into());
            }
            Step::Remove(kind, name) => {
                let (kind, name) = (kinds()[kind], format!("ns/{name}"));
                self.world.0.remove(&(kind, name.clone()));
                self.session.session().touch(kind, name.as_str().into());
            }
            Step::Want(at, bits) => {
                let names = (0..4).filter(|name| bits & (1 << name) != 0);
                let names: BTreeSet<String> = names.map(|name| format!("ns/{name}")).collect();
                let held = &mut self.client[at];
                held.has.retain(|name, _| names.contains(name));
                // Of a kind that nobody has asked for yet, no names would be all.
                if names.is_empty() && !held.is_open {
                    held.wanted = Some(names);
                    return;
                }
                held.wanted = Some(names);
                self.up.push(held.request(kinds()[at], false));
            }
            Step::Send => self.down.extend(self.session.responses(&self.world, "v")),
            Step::Arrive(is_refused) if !self.down.is_empty() => {
                let response = self.down.remove(0);
                self.take(response, is_refused);
            }
            Step::Answer if !self.up.is_empty() => {
                let heard = self.session.hear(self.up.remove(0));
                assert!(!matches!(heard, Heard::Unknown(_)));
            }
            Step::Arrive(_) | Step::Answer => {}
            Step::Break => self.open(),
        }
        assert!(self.down.len() <= 2, "one of a kind is on its way");
    }

    fn take(&mut self, response: DiscoveryResponse, is_refused: bool) {
        let at = kinds().into_iter();
        let mut at = at.enumerate();
        let (at, kind) = at
            .find(|(_, kind)| kind.type_url() == response.type_url)
            .unwrap();
        let held = &mut self.client[at];
        if envoy::is_told_whole(kind) {
            held.has.clear();
        }
        for any in response.resources {
            let (name, is_there) = named(kind, &any);
            if !is_there {
                held.has.remove(&name);
            } else if held.wants(&name) {
                held.has.insert(name, any);
            }
        }
        held.nonce = response.nonce;
        held.version = response.version_info;
        let answer = held.request(kind, is_refused);
        self.up.push(answer);
    }

    fn rest(&mut self) {
        for _ in 0..8 {
            while !self.up.is_empty() {
                self.step(&Step::Answer);
            }
            self.step(&Step::Send);
            while !self.down.is_empty() {
                self.step(&Step::Arrive(false));
            }
        }
        assert!(self.up.is_empty() && self.session.session().is_settled());
    }

    fn has(&self) -> [BTreeMap<String, Any>; 2] {
        self.client.clone().map(|held| held.has)
    }
}

/// What a client has that wants the same and is told what changes.
fn told_changes(
    world: &World,
    wanted: [Option<BTreeSet<String>>; 2],
) -> [BTreeMap<String, Any>; 2] {
    let mut session = server::Session::default();
    let mut has = [BTreeMap::new(), BTreeMap::new()];
    for ((kind, wanted), has) in kinds().into_iter().zip(wanted).zip(&mut has) {
        let names =
            wanted.map_or_else(|| vec![ALL.to_owned()], |names| names.into_iter().collect());
        if names.is_empty() {
            continue;
        }
        session.hear(DeltaDiscoveryRequest {
            type_url: kind.type_url(),
            resource_names_subscribe: names,
            ..DeltaDiscoveryRequest::default()
        });
        for response in session.responses(world, "v") {
            let came = response.resources.into_iter();
            has.extend(came.map(|one| (one.name, one.resource.unwrap())));
        }
    }
    has
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_happens_it_ends_as_a_fresh_start_and_as_changes_do(steps in steps()) {
        let mut play = Play::new(World::default(), [None, Some(["ns/1".to_owned()].into())]);
        steps.iter().for_each(|step| play.step(step));
        play.rest();
        let wanted = || play.client.clone().map(|held| held.wanted);
        let has = play.has();
        let world = std::mem::take(&mut play.world);
        let changes = told_changes(&world, wanted());
        let mut fresh = Play::new(world, wanted());
        fresh.rest();
        prop_assert_eq!(&has, &fresh.has());
        prop_assert_eq!(&has, &changes);
    }
}

fn request(kind: &Kind, names: &[&str], nonce: &str) -> DiscoveryRequest {
    DiscoveryRequest {
        type_url: kind.type_url(),
        resource_names: names.iter().map(|&name| name.into()).collect(),
        response_nonce: nonce.into(),
        ..DiscoveryRequest::default()
    }
}

/// The names of what is sent, an empty one with a `-`; `None` where nothing is.
fn sent(session: &mut Session, world: &World, kind: &Kind) -> Option<(String, Vec<String>)> {
    let response = session.responses(world, "v").pop()?;
    let names = response.resources.iter().map(|any| {
        let (name, is_there) = named(kind, any);
        format!("{}{name}", if is_there { "" } else { "-" })
    });
    Some((response.nonce.clone(), names.collect()))
}

fn world(kind: &'static Kind, names: &[&str]) -> World {
    let all = names.iter();
    World(
        all.map(|name| ((kind, (*name).to_owned()), Arc::new(made(kind, name, 1))))
            .collect(),
    )
}

#[test]
fn an_answer_to_an_older_response_says_nothing() {
    let [rules, _] = kinds();
    let all = world(rules, &["ns/1", "ns/2"]);
    let mut session = Session::default();
    let of = |names: &[&str], nonce: &str| request(rules, names, nonce);
    assert_eq!(session.hear(of(&["ns/1"], "")), Heard::Wants(rules));
    let told = sent(&mut session, &all, rules);
    assert_eq!(told, Some(("1".into(), vec!["ns/1".into()])));
    // What is wanted counts at once, and is told when the response was answered.
    let both = ["ns/1", "ns/2"];
    assert_eq!(session.hear(of(&both, "")), Heard::Wants(rules));
    assert_eq!(session.hear(of(&both, "0")), Heard::Late(rules));
    assert_eq!(sent(&mut session, &all, rules), None);
    assert_eq!(session.hear(of(&both, "1")), Heard::Took(rules));
    // What is told whole is told whole when it grows.
    let told = sent(&mut session, &all, rules);
    assert_eq!(told, Some(("2".into(), both.map(String::from).into())));
    assert_eq!(session.hear(of(&both, "1")), Heard::Late(rules));
    let refusal = DiscoveryRequest {
        error_detail: Some(Status {
            code: 3,
            message: "bad".into(),
        }),
        ..of(&both, "2")
    };
    let heard = session.hear(refusal);
    assert_eq!(heard, Heard::Refused(rules, "bad".into()));
    assert_eq!(
        sent(&mut session, &all, rules),
        None,
        "it is the same still"
    );
    // Given up and asked for again before any answer.
    session.hear(of(&["ns/2"], ""));
    session.hear(of(&both, ""));
    let told = sent(&mut session, &all, rules);
    assert_eq!(told, Some(("3".into(), both.map(String::from).into())));
    assert_eq!(session.hear(of(&both, "3")), Heard::Took(rules));
    // Who has named some and names none wants none.
    assert_eq!(session.hear(of(&[], "3")), Heard::Wants(rules));
    session.session().touch(rules, "ns/1".into());
    assert_eq!(sent(&mut session, &all, rules), None);
}

#[test]
fn of_endpoints_only_changes_are_told_and_who_has_none() {
    let all = world(ENDPOINTS, &["a", "b"]);
    let mut session = Session::default();
    let of = |names: &[&str], nonce: &str| request(ENDPOINTS, names, nonce);
    // No names are no wish here.
    session.hear(of(&[], ""));
    assert_eq!(sent(&mut session, &all, ENDPOINTS), None);
    session.hear(of(&["a", "x"], ""));
    let told = sent(&mut session, &all, ENDPOINTS);
    assert_eq!(told, Some(("1".into(), vec!["a".into(), "-x".into()])));
    session.hear(of(&["a", "b", "x"], "1"));
    let told = sent(&mut session, &all, ENDPOINTS);
    assert_eq!(told, Some(("2".into(), vec!["b".into()])));
    session.hear(of(&["a", "b", "x"], "2"));
    session.session().touch(ENDPOINTS, "a".into());
    let told = sent(&mut session, &World::default(), ENDPOINTS);
    assert_eq!(told, Some(("3".into(), vec!["-a".into()])));
    // Given up and asked for again, it is told again.
    session.hear(of(&["a"], "3"));
    session.hear(of(&["a", "b"], "3"));
    let told = sent(&mut session, &all, ENDPOINTS);
    assert_eq!(told, Some(("4".into(), vec!["a".into(), "b".into()])));
}
