//! Circuit limits and the waiting line of one worker, against lists (Envoy reference §3, with what `docs/differences.md`
//! says of it). A fuzz target calls [`as_the_model`]; core's tests replay the corpus through it, and random events through the model.

use std::collections::VecDeque;
use std::sync::Arc;

use outrigger_core::cluster::Counted;
use outrigger_core::compile::from_yaml;
use outrigger_core::entropy::Entropy;
use outrigger_core::snapshot::Snapshot;

use crate::draws::Draws;
use crate::house::House;

pub const CLIENTS: usize = 6;

/// What is allowed at a time.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    pub connections: usize,
    pub pending: usize,
    pub requests: usize,
}

pub struct Model {
    allowed: Allowed,
    connections: Vec<Connection>,
    /// Clients that wait for a connection, and the endpoint that each was given.
    line: VecDeque<(usize, u32)>,
    clients: [Client; CLIENTS],
}

/// Connections are listed in the order in which they became what they are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Connection {
    endpoint: u32,
    user: Option<(usize, Use)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Use {
    Connecting,
    Busy,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Client {
    Quiet,
    Waiting,
    Connecting,
    Busy,
    Answered(u16, &'static str),
}

impl Model {
    pub fn new(allowed: Allowed) -> Self {
        Self {
            allowed,
            connections: Vec::new(),
            line: VecDeque::new(),
            clients: [Client::Quiet; CLIENTS],
        }
    }

    fn count(&self, used: impl Fn(Option<(usize, Use)>) -> bool) -> usize {
        self.connections.iter().filter(|c| used(c.user)).count()
    }

    fn pending(&self) -> usize {
        let connecting = |user| matches!(user, Some((_, Use::Connecting)));
        self.line.len() + self.count(connecting)
    }

    fn requests(&self) -> usize {
        self.count(|user| user.is_some())
    }

    fn idle(&self, endpoint: u32) -> Vec<usize> {
        let all = self.connections.iter().enumerate();
        let idle = all.filter(|(_, c)| c.endpoint == endpoint && c.user.is_none());
        idle.map(|(at, _)| at).collect()
    }

    /// A request, and the endpoint that the balancer gave it.
    fn asks(&mut self, client: usize, endpoint: u32) {
        if self.line.is_empty() && !self.idle(endpoint).is_empty() {
            self.uses_idle(client, endpoint);
        } else if self.pending() >= self.allowed.pending {
            self.clients[client] = Client::Answered(503, "UO");
        } else if self.line.is_empty() && self.makes_room() {
            self.connects(client, endpoint);
        } else {
            self.line.push_back((client, endpoint));
            self.clients[client] = Client::Waiting;
        }
    }

    fn uses_idle(&mut self, client: usize, endpoint: u32) {
        if self.requests() >= self.allowed.requests {
            self.clients[client] = Client::Answered(503, "UO");
            return;
        }
        let last = self.idle(endpoint).pop().expect("there is one");
        self.connections[last].user = Some((client, Use::Busy));
        self.clients[client] = Client::Busy;
    }

    fn connects(&mut self, client: usize, endpoint: u32) {
        if self.requests() >= self.allowed.requests {
            self.clients[client] = Client::Answered(503, "UO");
            return;
        }
        let user = Some((client, Use::Connecting));
        self.connections.push(Connection { endpoint, user });
        self.clients[client] = Client::Connecting;
    }

    /// Whether there may be one more connection; an idle one is closed for it.
    fn makes_room(&mut self) -> bool {
        while self.connections.len() >= self.allowed.connections {
            let endpoints = self.connections.iter().map(|c| c.endpoint);
            let with_idle = endpoints.filter(|e| !self.idle(*e).is_empty()).min();
            let Some(endpoint) = with_idle else {
                return false;
            };
            self.connections.remove(self.idle(endpoint)[0]);
        }
        true
    }

    /// Serves the line as far as it can be served, after each thing that happened.
    pub fn serve(&mut self) {
        while let Some((client, endpoint)) = self.line.front().copied() {
            let is_idle = !self.idle(endpoint).is_empty();
            if !is_idle && !self.makes_room() {
                return;
            }
            self.line.pop_front();
            if is_idle {
                self.uses_idle(client, endpoint);
            } else {
                self.connects(client, endpoint);
            }
        }
    }

    fn of(&mut self, client: usize) -> Option<usize> {
        let mut all = self.connections.iter();
        all.position(|c| c.user.is_some_and(|(user, _)| user == client))
    }

    fn connected(&mut self, client: usize) {
        let at = self.of(client).expect("it connects");
        self.connections[at].user = Some((client, Use::Busy));
        self.clients[client] = Client::Busy;
    }

    /// The connection of a client is over, and so is its request.
    fn loses(&mut self, client: usize, end: Client) {
        let at = self.of(client).expect("it has one");
        self.connections.remove(at);
        self.clients[client] = end;
    }

    fn answered(&mut self, client: usize) {
        let at = self.of(client).expect("it has one");
        let connection = self.connections.remove(at);
        self.connections.push(Connection {
            user: None,
            ..connection
        });
        self.clients[client] = Client::Answered(200, "-");
    }

    fn leaves(&mut self, client: usize) {
        self.line.retain(|(waiting, _)| *waiting != client);
        if let Some(at) = self.of(client) {
            self.connections.remove(at);
        }
        self.clients[client] = Client::Quiet;
    }
}

pub fn snapshot(allowed: Allowed) -> Arc<Snapshot> {
    let Allowed {
        connections,
        pending,
        requests,
    } = allowed;
    Arc::new(
        from_yaml(&format!(
            "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: h}}
spec:
  hosts: [h.test]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: 10.0.0.1}}, {{address: 10.0.0.2}}, {{address: 10.0.0.3}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: h}}
spec: {{hosts: [h.test], http: [{{retries: {{attempts: 0}}, route: [{{destination: {{host: h.test}}}}]}}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: h}}
spec:
  host: h.test
  trafficPolicy:
    loadBalancer: {{simple: RANDOM}}
    connectionPool:
      tcp: {{maxConnections: {connections}}}
      http: {{http1MaxPendingRequests: {pending}, http2MaxRequests: {requests}}}
"
        ))
        .snapshot,
    )
}

/// A request that is not sent again by itself when a kept connection ends under it.
pub const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: h.test\r\nContent-Length: 0\r\n\r\n";
pub const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// A client that has no request begins one.
    Asks,
    Connected,
    Refused,
    Answers,
    EndpointCloses,
    ClientLeaves,
    IdleEnds,
}

/// One of the clients that are in this state.
pub fn one_of(model: &Model, choice: usize, is: impl Fn(Client) -> bool) -> Option<usize> {
    let all: Vec<_> = (0..CLIENTS).filter(|at| is(model.clients[*at])).collect();
    (!all.is_empty()).then(|| all[choice % all.len()])
}

pub fn step(house: &mut House, model: &mut Model, event: Event, choice: usize) {
    let connecting = |client| client == Client::Connecting;
    let busy = |client| client == Client::Busy;
    match event {
        Event::Asks => {
            let free = |client| matches!(client, Client::Quiet | Client::Answered(..));
            let Some(at) = one_of(model, choice, free) else {
                return;
            };
            house.clients[at].end = None;
            house.client_sends(at, POST);
            let endpoint = house.clients[at].endpoint;
            model.asks(at, endpoint.expect("an endpoint was picked"));
        }
        Event::Connected => {
            let Some(at) = one_of(model, choice, connecting) else {
                return;
            };
            house.connected(at);
            model.connected(at);
        }
        Event::Refused => {
            let Some(at) = one_of(model, choice, connecting) else {
                return;
            };
            house.refused(at);
            model.loses(at, Client::Answered(503, "UF"));
        }
        Event::Answers => {
            let Some(at) = one_of(model, choice, busy) else {
                return;
            };
            house.endpoint_sends(at, OK);
            model.answered(at);
        }
        Event::EndpointCloses => {
            let Some(at) = one_of(model, choice, busy) else {
                return;
            };
            house.endpoint_closes(at);
            model.loses(at, Client::Answered(503, "UC"));
        }
        Event::ClientLeaves => {
            house.client_leaves(choice % CLIENTS);
            model.leaves(choice % CLIENTS);
        }
        Event::IdleEnds => {
            let all = model.connections.iter().enumerate();
            let idle: Vec<_> = all
                .filter(|(_, c)| c.user.is_none())
                .map(|(at, _)| at)
                .collect();
            if idle.is_empty() {
                return;
            }
            let at = idle[choice % idle.len()];
            let endpoint = model.connections[at].endpoint;
            let position = model.idle(endpoint).iter().position(|idle| *idle == at);
            house.idle_ends(endpoint, position.expect("it is one of them"));
            model.connections.remove(at);
        }
    }
}

/// Everything that can be seen of the two is the same.
pub fn same(house: &House, model: &Model) {
    for (at, client) in house.clients.iter().enumerate() {
        let got = match &client.end {
            Some(end) => (Some((end.status, end.flags.as_str())), false, false, false),
            None => (None, client.waits, client.connecting, client.attached),
        };
        let want = match model.clients[at] {
            Client::Quiet => (None, false, false, false),
            Client::Waiting => (None, true, false, false),
            Client::Connecting => (None, false, true, false),
            Client::Busy => (None, false, false, true),
            Client::Answered(status, flags) => (Some((status, flags)), false, false, false),
        };
        assert_eq!(
            got, want,
            "client {}: answer, waits, connects, is served",
            at
        );
    }
    let gauges = house.cluster().state.gauges();
    for (counted, want) in [
        (Counted::Connections, model.connections.len()),
        (Counted::Pending, model.pending()),
        (Counted::Requests, model.requests()),
        (Counted::Waiting, model.line.len()),
        (Counted::Retries, 0),
    ] {
        assert_eq!(gauges.current(counted) as usize, want, "{:?}", counted);
    }
    assert!(model.connections.len() <= model.allowed.connections);
    for endpoint in 0..3 {
        let kept = house.idle.get(&endpoint).map_or(0, Vec::len);
        assert_eq!(
            kept,
            model.idle(endpoint).len(),
            "idle ones of {}",
            endpoint
        );
    }
}

/// Limits and events, as the bytes say: core and the model are the same after each.
pub fn as_the_model(bytes: &[u8]) {
    use Event::{Answers, Asks, ClientLeaves, Connected, EndpointCloses, IdleEnds, Refused};
    const EVENTS: &[Event] = &[
        Asks,
        Asks,
        Asks,
        Asks,
        Asks,
        Asks,
        Connected,
        Connected,
        Connected,
        Answers,
        Answers,
        Answers,
        Refused,
        EndpointCloses,
        ClientLeaves,
        IdleEnds,
    ];
    let mut draws = Draws(bytes);
    let allowed = Allowed {
        connections: 1 + draws.below(4),
        pending: 1 + draws.below(4),
        requests: 1 + draws.below(5),
    };
    let mut house = House::new(snapshot(allowed), CLIENTS, Entropy(7));
    let mut model = Model::new(allowed);
    while !draws.0.is_empty() {
        let event = draws.of(EVENTS);
        step(&mut house, &mut model, event, usize::from(draws.byte()));
        model.serve();
        same(&house, &model);
    }
    (0..CLIENTS).for_each(|at| house.client_leaves(at));
    let kept: usize = house.idle.values().map(Vec::len).sum();
    assert_eq!(house.worker.counts().idle, kept);
}
