//! Why a connection that is not HTTP goes where it goes: who listens there, which of its rules is for it, which endpoint.
//!
//! Owns how that is told. Listeners and rules are chosen, and endpoints picked, by what serves real connections.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use outrigger_core::cluster::Bucket;
use outrigger_core::decision::{Connection, Details, Record, ToldBy};
use outrigger_core::message::{Known, ResponseHead};
use outrigger_core::peer::{AddressRange, ListenerKind, Peer, Said, TlsFacts, TlsVersion};
use outrigger_core::policy::filter_chain::{self, Chosen, Seen};
use outrigger_core::request::{self, Context, Heard, Verdict};
use outrigger_core::snapshot::{
    Action, ChainRule, FilterChain, GatewayListener, HttpSpoken, Listener, Snapshot, UnknownHosts,
};
use outrigger_core::worker::Worker;
use serde::Serialize;

use super::{ClusterTold, Explanation, Place, Told, Tried, access, cluster, policies, words};
use crate::play::Circumstances;
use crate::reach::{Reach, Says};

/// A connection that is not HTTP.
#[derive(Clone, Debug, Serialize)]
pub struct ConnectionTold {
    /// Where its client wanted to go: `10.0.0.1:6379`; `0.0.0.0` stands for any address that nobody listens at in particular.
    pub destination: String,
    /// The server name that TLS on it asks for.
    pub server_name: Option<String>,
    /// Who listens there, as Istio names it: `10.0.0.1_6379`, `0.0.0.0_443`; `None` where nobody does.
    pub listener: Option<String>,
    /// What is spoken there and how that is known, and why it is this listener.
    pub why: String,
    /// Where it is connected to; `None` where it is closed.
    pub endpoint: Option<String>,
    /// Why this endpoint, or why it is closed.
    pub picked: String,
    /// Response flags, as the access log writes them.
    pub flags: String,
}

/// Explains a connection on a snapshot, whose live state is looked at and left as it is.
#[must_use]
pub fn explain_connection(
    snapshot: &Snapshot,
    reach: &Reach,
    circumstances: &Circumstances,
) -> Explanation {
    let mut told = Explanation::begin(reach.text(), Vec::new(), snapshot, circumstances);
    told.access = access::of_connections(snapshot, circumstances);
    if access::is_cut_off(&mut told) {
        return told;
    }
    let is_inbound = circumstances.peer.listener.is_inbound();
    let application = told.request.inbound.as_ref();
    let application = application.and_then(|application| application.parse().ok());
    let destination = match circumstances.peer.listener {
        ListenerKind::Inbound(_) => application.unwrap_or_else(|| circumstances.peer.destination()),
        ListenerKind::Gateway(_) => circumstances.peer.local,
        ListenerKind::Outbound => SocketAddr::new(address(snapshot, reach), reach.port),
    };
    let peer = Peer {
        original: match circumstances.peer.listener {
            ListenerKind::Inbound(_) => circumstances.peer.original,
            ListenerKind::Gateway(_) => None,
            ListenerKind::Outbound => Some(destination),
        },
        ..circumstances.peer
    };
    let at_gateway = match peer.listener {
        ListenerKind::Gateway(port) => {
            let at = (port, peer.local.ip());
            Some(AtGateway::new(snapshot, at, reach))
        }
        ListenerKind::Outbound | ListenerKind::Inbound(_) => None,
    };
    let asked = Asked {
        snapshot,
        reach,
        destination,
        listener: match peer.listener {
            ListenerKind::Outbound => snapshot.listeners.find(destination),
            ListenerKind::Inbound(_) => {
                let at = snapshot.inbound_ports.position(&peer);
                at.and_then(|at| snapshot.inbound_listeners.get(at))
            }
            ListenerKind::Gateway(_) => at_gateway.as_ref().and_then(AtGateway::passed),
        },
        is_inbound,
        at_gateway: at_gateway.as_ref(),
    };
    let chosen = asked.choose(&peer);
    told.connection = Some(asked.begin(chosen != Chosen::Unknown));
    let rule = match chosen {
        Chosen::Http | Chosen::Look => {
            told.action = "http";
            told.problems.push(format!(
                "HTTP is spoken there, so that a request decides: ask with `GET http://HOST:{}/`; what is no HTTP is refused",
                reach.port
            ));
            return told;
        }
        Chosen::Rule(rule) => Some(rule),
        Chosen::Unknown => None,
        Chosen::Nowhere => {
            told.action = "refused";
            if let Some(connection) = &mut told.connection {
                connection.picked = "it is closed: nothing is behind it".to_owned();
            }
            asked.tell_chains(None, &mut told);
            return told;
        }
    };
    asked.tell_chains(rule, &mut told);
    asked.play(rule, &peer, circumstances, &mut told);
    told
}

/// The address that is meant: of a name the one that its service has, and that nobody has where there is none.
fn address(snapshot: &Snapshot, reach: &Reach) -> IpAddr {
    let of_service = |name: &String| {
        let mut all = snapshot.listeners.iter();
        let listener = all.find(|listener| {
            listener.name.ends_with(&format!("_{}", reach.port))
                && listener
                    .chains()
                    .iter()
                    .any(|chain| is_of(chain, name, snapshot))
        })?;
        listener.name.rsplit_once('_')?.0.parse().ok()
    };
    let named = || reach.name.as_ref().and_then(of_service);
    let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    reach.address.or_else(named).unwrap_or(nowhere)
}

/// Whether a chain is of the service of this name, which may be its first part.
fn is_of(chain: &FilterChain, name: &str, snapshot: &Snapshot) -> bool {
    let host = &snapshot.virtual_host(chain.rule.virtual_host).name;
    let host = host.rsplit_once(':').map_or(&**host, |(host, _)| host);
    let rest = host.strip_prefix(name);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// A connection that is asked about, and who listens where it goes.
struct Asked<'a> {
    snapshot: &'a Snapshot,
    reach: &'a Reach,
    destination: SocketAddr,
    listener: Option<&'a Listener>,
    is_inbound: bool,
    at_gateway: Option<&'a AtGateway<'a>>,
}

impl Asked<'_> {
    fn choose(&self, peer: &Peer) -> Chosen {
        let seen = match self.reach.says {
            Says::Bytes => Seen::Other,
            // Who asks as a sidecar does is one.
            Says::Hello => Seen::Tls {
                name: self.reach.server_name(),
                of_mesh: true,
            },
        };
        let tls = self.at_gateway.and_then(|at| at.taken_off.as_ref());
        match filter_chain::of_peer(self.snapshot, peer, tls, Seen::Nothing) {
            Chosen::Look => filter_chain::of_peer(self.snapshot, peer, tls, seen),
            chosen @ (Chosen::Http | Chosen::Rule(_) | Chosen::Unknown | Chosen::Nowhere) => chosen,
        }
    }

    fn begin(&self, is_known: bool) -> ConnectionTold {
        ConnectionTold {
            destination: self.destination.to_string(),
            server_name: self.reach.server_name().map(str::to_owned),
            listener: match self.at_gateway {
                None => self.listener.map(|listener| listener.name.to_string()),
                Some(at) => at.listener.map(|one| format!("0.0.0.0_{}", one.port)),
            },
            why: match self.at_gateway {
                None => self.why(is_known),
                Some(at) => at.why(self.reach),
            },
            endpoint: None,
            picked: String::new(),
            flags: String::new(),
        }
    }

    fn why(&self, is_known: bool) -> String {
        let policy = match &self.snapshot.settings.unknown_hosts {
            UnknownHosts::AllowAny => "ALLOW_ANY lets it through to where it was to go",
            UnknownHosts::RegistryOnly => "REGISTRY_ONLY refuses it",
            UnknownHosts::EgressProxy(_) => "sends it to the egress proxy",
        };
        let Some(listener) = self.listener else {
            return format!("no service listens there; outboundTrafficPolicy {policy}");
        };
        let unknown = match is_known {
            true => String::new(),
            false => format!("\nnone of its rules is for it; outboundTrafficPolicy {policy}"),
        };
        let spoken = match listener.http {
            HttpSpoken::Never if listener.is_to_look() => {
                "the name of its port says that it is not HTTP; the server name of TLS is looked at"
            }
            HttpSpoken::Never => "the name of its port says that it is not HTTP",
            HttpSpoken::Always => "the name of its port says HTTP",
            HttpSpoken::Perhaps => {
                "the first bytes tell: HTTP is routed as requests are, and everything else as here"
            }
            HttpSpoken::Unsaid => {
                "nobody says what the application speaks: on a listener of its own that is HTTP, and of whom the kernel \
                 brought the first bytes tell"
            }
        };
        let at = match (self.is_inbound, listener.name.starts_with("0.0.0.0_")) {
            (true, _) => "the application's port",
            (false, true) => "no service of this port has the address",
            (false, false) => "a service has this address",
        };
        format!("{at}\n{spoken}{unknown}")
    }

    /// The chains of the listener; of those the one that was chosen.
    fn tell_chains(&self, chosen: Option<ChainRule>, told: &mut Explanation) {
        let chains = self.listener.map_or(&[][..], Listener::chains);
        let name = self.reach.server_name();
        for (number, chain) in (1..).zip(chains) {
            let host = self.snapshot.virtual_host(chain.rule.virtual_host);
            let Some(rule) = host.rules.get(chain.rule.rule as usize) else {
                continue;
            };
            let matches = chosen == Some(chain.rule);
            let conditions = conditions(chain);
            let unmet = (!matches).then(|| self.unmet(chain, name));
            told.rules.push(Tried {
                number,
                name: host.name.to_string(),
                origin: (rule.origin.as_ref()).and_then(|origin| Place::new(origin, self.snapshot)),
                matches,
                conditions,
                unmet,
            });
        }
        // The rule of a server is for all who come to it.
        let of_server = chosen.filter(|_| told.rules.iter().all(|tried| !tried.matches));
        let host = of_server.map(|of| (of, self.snapshot.virtual_host(of.virtual_host)));
        if let Some((of, host)) = host
            && let Some(rule) = host.rules.get(of.rule as usize)
        {
            told.rules.push(Tried {
                number: 1,
                name: host.name.to_string(),
                origin: (rule.origin.as_ref()).and_then(|origin| Place::new(origin, self.snapshot)),
                matches: true,
                conditions: Vec::new(),
                unmet: None,
            });
        }
    }

    /// What keeps a chain from being for it.
    fn unmet(&self, chain: &FilterChain, name: Option<&str>) -> String {
        if chain.prefix_of(self.destination.ip()).is_none() {
            return format!(
                "{}: it goes to {}",
                at(&chain.destinations),
                self.destination.ip()
            );
        }
        let alone = Listener::new(Box::default(), HttpSpoken::Never, vec![chain.clone()]);
        match (alone.find(self.destination.ip(), name), name) {
            (Some(_), _) => "that no other is more particular, or stands before it".to_owned(),
            (None, Some(name)) => format!("{}: it asks for `{name}`", names(chain)),
            (None, None) => format!("{}: it asks for nobody", names(chain)),
        }
    }

    /// Where it goes on.
    fn play(
        &self,
        rule: Option<ChainRule>,
        peer: &Peer,
        circumstances: &Circumstances,
        told: &mut Explanation,
    ) {
        let snapshot = Arc::new(self.snapshot.to_try());
        let worker = Worker::new(Arc::clone(&snapshot), circumstances.settings, 0);
        let tls = self.at_gateway.and_then(|at| at.taken_off.clone());
        let tls = tls.map(Arc::new);
        let context = Context {
            view: worker.view(),
            peer,
            tls: tls.as_ref().or(circumstances.tls.as_ref()),
            said: &Said::default(),
            upgrade: None,
            own_bucket: &Bucket::default(),
            now: circumstances.now,
            complete_since: None,
        };
        let mut record = Record::default();
        record.restart(circumstances.now, circumstances.random);
        record.revision = Some(snapshot.revision);
        let connection = Connection {
            destination: self.destination,
            to: self.destination.to_string().into(),
            told_by: match (
                self.listener.is_some_and(Listener::is_to_look),
                self.reach.says,
            ) {
                (false, _) => ToldBy::Destination,
                (true, Says::Hello) => ToldBy::Tls,
                (true, Says::Bytes) => ToldBy::FirstBytes,
            },
            server_name: self.reach.server_name().map(Into::into),
        };
        let mut response = ResponseHead::default();
        let (told_of, answer) = (&mut record, &mut response);
        let mut verdict = request::begin_connection(connection, rule, &context, told_of, answer);
        // Who is asked about it is taken to let it pass.
        while let Verdict::Ask(question) = verdict {
            verdict = request::after_answer(question, Some(&yes()), &context, told_of, answer);
        }
        access::add_decided_of(told, &record.story(&snapshot).to_string());
        if let Some(ChainRule { virtual_host, rule }) = rule {
            let rule = &snapshot.virtual_host(virtual_host).rules[rule as usize];
            told.action = "forward";
            if let Action::Forward(forward) = &*rule.action {
                policies::forward(told, rule, forward, &record, &snapshot);
            }
        } else {
            told.action = match &snapshot.settings.unknown_hosts {
                UnknownHosts::AllowAny => "passthrough",
                UnknownHosts::RegistryOnly => "refused",
                UnknownHosts::EgressProxy(_) => "forward",
            };
        }
        self.tell_endpoint(&record, &snapshot, told);
        told.policies = times(&record, &snapshot, told.cluster.as_mut());
    }

    fn tell_endpoint(&self, record: &Record, snapshot: &Snapshot, told: &mut Explanation) {
        let attempt = record.attempt();
        if let Some(id) = attempt.and_then(|attempt| attempt.cluster)
            && told.cluster.is_none()
        {
            told.cluster = Some(cluster::tell(snapshot.cluster(id), snapshot));
        }
        let Some(connection) = &mut told.connection else {
            return;
        };
        connection.flags = record.flags().to_string();
        let Some(attempt) = attempt else {
            connection.picked = match &record.details {
                Details::AccessDenied(_) => "it is closed: policies refuse it".to_owned(),
                details => format!("it is closed: {details}"),
            };
            told.problems.extend(
                told.destinations
                    .iter()
                    .filter_map(|goal| goal.problem.clone().filter(|_| goal.chosen)),
            );
            return;
        };
        let endpoint = match attempt.endpoint(snapshot) {
            Some(endpoint) => endpoint.text.to_string(),
            None => self.destination.to_string(),
        };
        connection.picked = attempt.picked.to_string();
        let endpoints = told.cluster.iter_mut().flat_map(|of| &mut of.endpoints);
        endpoints.for_each(|of| of.chosen = of.address == endpoint);
        connection.endpoint = Some(endpoint);
    }
}

/// What a connection meets at a port of Gateways.
struct AtGateway<'a> {
    listener: Option<&'a GatewayListener>,
    /// What the connection is in, once TLS was taken off that it begins with.
    taken_off: Option<TlsFacts>,
}

impl<'a> AtGateway<'a> {
    fn new(snapshot: &'a Snapshot, (port, local): (u16, IpAddr), reach: &Reach) -> Self {
        let listener = snapshot.gateways.find(port, local);
        let tls = listener.and_then(|one| one.tls.as_ref());
        let tls = tls.filter(|_| reach.says == Says::Hello);
        let server = tls.and_then(|tls| tls.servers.get(tls.server(reach.server_name())?));
        let is_taken_off = server.is_some_and(|server| server.termination.is_some());
        Self {
            listener,
            taken_off: is_taken_off.then(|| TlsFacts {
                version: TlsVersion::Tls13,
                cipher: "TLS_AES_128_GCM_SHA256".into(),
                sni: reach.server_name().map(Into::into),
                alpn: None,
                resumed: false,
                peer: None,
            }),
        }
    }

    /// Where connections are chosen among whose TLS passes.
    fn passed(&self) -> Option<&'a Listener> {
        let listener = self.listener.filter(|one| one.tls.is_some())?;
        self.taken_off.is_none().then_some(&listener.passed)
    }

    fn why(&self, reach: &Reach) -> String {
        let Some(listener) = self.listener else {
            return "no Gateway that selects this workload has the port".to_owned();
        };
        let port = match &listener.bind {
            None => format!("port {}", listener.port),
            Some(place) => place.to_string(),
        };
        let said = match (&listener.tls, reach.says, &self.taken_off) {
            (None, _, _) => "its first server in clear text is for all who connect",
            (Some(_), Says::Bytes, _) => "TLS is spoken there, and this is none",
            (Some(_), Says::Hello, Some(_)) => "the server of this name takes TLS off",
            (Some(_), Says::Hello, None) => "TLS passes there, by the name that is asked for",
        };
        format!("{port} of Gateways\n{said}")
    }
}

/// How long nothing may pass on it, and how long it may last, which its cluster says. What that says of requests is not told.
fn times(record: &Record, snapshot: &Snapshot, cluster: Option<&mut ClusterTold>) -> Vec<Told> {
    let (idle, most) = request::connection_times(record, snapshot);
    let never = |what: &str| what.to_owned();
    let settings = cluster.map(|cluster| &mut cluster.settings);
    let written = settings.and_then(|settings| {
        settings.retain(|setting| setting.what != "protocol");
        let pool = settings
            .iter()
            .find(|setting| setting.what == "connections");
        pool.and_then(|pool| pool.origin.clone())
    });
    let tell = |what, value| Told {
        what,
        value,
        origin: written.clone(),
        overrides: Vec::new(),
    };
    vec![
        tell(
            "idle",
            idle.map_or_else(|| never("it may be silent for ever"), words::time),
        ),
        tell(
            "duration",
            most.map_or_else(|| never("it may last for ever"), words::time),
        ),
    ]
}

fn conditions(chain: &FilterChain) -> Vec<String> {
    let of_names = (!chain.server_names.is_empty()).then(|| names(chain));
    let of_places = (!chain.destinations.is_empty()).then(|| at(&chain.destinations));
    of_names.into_iter().chain(of_places).collect()
}

fn names(chain: &FilterChain) -> String {
    format!("TLS that asks for {}", chain.server_names.join(" or "))
}

fn at(ranges: &[AddressRange]) -> String {
    let each = ranges.iter();
    let each: Vec<String> = each
        .map(|range| format!("{}/{}", range.base(), range.prefix()))
        .collect();
    format!("an address of {}", each.join(" or "))
}

/// What a provider says over gRPC of a connection that may pass: a message in which nothing stands.
fn yes() -> Heard {
    let mut head = ResponseHead::default();
    head.headers.set(Known::GrpcStatus, b"0");
    Heard {
        head,
        body: Bytes::from_static(&[0; 5]),
        trailers: None,
    }
}
