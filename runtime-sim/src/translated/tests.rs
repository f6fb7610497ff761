//! A translated client on a wire with a translated service: what one says in HTTP/1 the other one hears in HTTP/1.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use outrigger_core::message::RequestHead;
use outrigger_core::stream::{Begins, Broken, Reset};
use outrigger_core::time::{Duration, Instant};

use super::link::Link;
use super::{TranslatedClient, TranslatedService};
use crate::peer::{Accept, Action, Event, Peer, Serve};
use crate::service::Complaints;

type Step = (&'static str, Vec<Action>);

/// Does something whenever it has heard something.
struct Puppet {
    heard: Rc<RefCell<String>>,
    steps: VecDeque<Step>,
    reads: bool,
}

impl Peer for Puppet {
    fn on_event(&mut self, event: Event<'_>, _now: Instant, actions: &mut Vec<Action>) {
        let mut heard = self.heard.borrow_mut();
        match event {
            Event::Opened | Event::Secured(_) | Event::NotSecured(_) => {}
            Event::Bytes(bytes) => *heard += &String::from_utf8_lossy(bytes),
            Event::Eof => *heard += "<eof>",
            Event::Woken => *heard += "<woken>",
            Event::Broken | Event::Refused => *heard += "<broken>",
            Event::Signal(_) => return,
        }
        while let Some((when, _)) = self.steps.front()
            && heard.ends_with(when)
        {
            let (_, does) = self.steps.pop_front().unwrap();
            actions.extend(does);
            heard.push('|');
        }
    }

    fn is_reading(&self) -> bool {
        self.reads
    }
}

fn puppet(steps: &[Step]) -> (Puppet, Rc<RefCell<String>>) {
    let heard = Rc::<RefCell<String>>::default();
    let puppet = Puppet {
        heard: Rc::clone(&heard),
        steps: steps.to_vec().into(),
        reads: true,
    };
    (puppet, heard)
}

struct Puppets {
    scripts: VecDeque<Puppet>,
    accepted: Rc<Cell<usize>>,
}

impl Serve for Puppets {
    fn accept(&mut self, _now: Instant) -> Accept {
        self.accepted.set(self.accepted.get() + 1);
        match self.scripts.pop_front() {
            Some(peer) => Accept::Peer(Box::new(peer)),
            None => Accept::Refuse,
        }
    }
}

fn service(scripts: Vec<Puppet>, complaints: &Complaints) -> (TranslatedService, Rc<Cell<usize>>) {
    let accepted = Rc::<Cell<usize>>::default();
    let puppets = Puppets {
        scripts: scripts.into(),
        accepted: Rc::clone(&accepted),
    };
    (
        TranslatedService::new(Box::new(puppets), complaints),
        accepted,
    )
}

fn accept(service: &mut TranslatedService) -> Box<dyn Peer> {
    match service.accept(Instant::ZERO) {
        Accept::Peer(peer) => peer,
        other => panic!("{other:?}"),
    }
}

/// Carries what one does to the other, until nothing moves.
fn carry(ends: [&mut dyn Peer; 2], first: Vec<(usize, Event<'_>)>) {
    let mut queue: VecDeque<(usize, Action)> = VecDeque::new();
    let mut gone = [false; 2];
    let tell = |ends: &mut [&mut dyn Peer; 2], at: usize, event: Event<'_>| {
        let mut actions = Vec::new();
        ends[at].on_event(event, Instant::ZERO, &mut actions);
        actions
            .into_iter()
            .map(move |action| (at, action))
            .collect::<Vec<_>>()
    };
    let mut ends = ends;
    for (at, event) in first {
        queue.extend(tell(&mut ends, at, event));
    }
    while let Some((from, action)) = queue.pop_front() {
        let to = 1 - from;
        let event = match &action {
            Action::Send(bytes) => Event::Bytes(bytes),
            Action::Shutdown | Action::Close => Event::Eof,
            Action::Reset => Event::Broken,
            Action::Sleep(_) | Action::Signal(_) => continue,
        };
        gone[from] |= matches!(action, Action::Close | Action::Reset);
        if !gone[to] {
            queue.extend(tell(&mut ends, to, event));
        }
    }
}

fn send(text: &str) -> Action {
    Action::Send(text.as_bytes().to_vec())
}

/// What both have heard. `|` stands where a step was done.
fn play(client: &[Step], services: &[&[Step]]) -> (String, Vec<String>) {
    let complaints = Complaints::default();
    let (peer, told) = puppet(client);
    let (scripts, heard): (Vec<_>, Vec<_>) = services.iter().map(|steps| puppet(steps)).unzip();
    let (mut service, accepted) = service(scripts, &complaints);
    let mut client = TranslatedClient::new(Box::new(peer), &complaints);
    let mut accepting = accept(&mut service);
    carry(
        [&mut client, &mut *accepting],
        vec![(1, Event::Opened), (0, Event::Opened)],
    );
    assert_eq!(*complaints.borrow(), Vec::<String>::new());
    assert_eq!(accepted.get(), services.len());
    let heard = heard.iter().map(|heard| heard.borrow().clone()).collect();
    (told.borrow().clone(), heard)
}

const GET: &str = "GET /a HTTP/1.1\r\nhost: h\r\n\r\n";
const WS: &str = "GET /w HTTP/1.1\r\nhost: h\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const NO: &str = "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\nok";
const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
const BIG: &str = "POST / HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\nabc";

#[test]
fn what_one_says_the_other_hears() {
    type Case<'a> = (
        &'a str,
        &'a [Step],
        &'a [&'a [Step]],
        &'a str,
        &'a [&'a str],
    );
    let chunked = "POST / HTTP/1.1\r\nhost: h\r\nte: trailers\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nt: 1\r\n\r\n";
    let trailers =
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nyo\r\n0\r\nu: 2\r\n\r\n";
    let cases: &[Case<'_>] = &[
        (
            "one after the other, on one connection of each",
            &[("", vec![send(GET), send(GET)])],
            &[&[("\r\n\r\n", vec![send(OK)]), ("\r\n\r\n", vec![send(OK)])]],
            &format!("|{OK}{OK}"),
            &[&format!("{GET}|{GET}|")],
        ),
        (
            "bodies of unknown length, and trailers",
            &[("", vec![send(chunked)])],
            &[&[("t: 1\r\n\r\n", vec![send(trailers)])]],
            &format!("|{trailers}"),
            &[&format!("{chunked}|")],
        ),
        (
            "interim heads",
            &[("", vec![send(GET)])],
            &[&[(
                "\r\n\r\n",
                vec![
                    send("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"),
                    send(OK),
                ],
            )]],
            &format!("|HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n{OK}"),
            &[&format!("{GET}|")],
        ),
        (
            "HEAD has a length and no body",
            &[("", vec![send("HEAD / HTTP/1.1\r\nhost: h\r\n\r\n")])],
            &[&[(
                "\r\n\r\n",
                vec![send("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n")],
            )]],
            "|HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n",
            &["HEAD / HTTP/1.1\r\nhost: h\r\n\r\n|"],
        ),
        (
            "a tunnel ends in each direction by itself",
            &[
                ("", vec![send(WS)]),
                ("\r\n\r\n", vec![send("ping"), Action::Shutdown]),
            ],
            &[&[
                ("\r\n\r\n", vec![send(SWITCH)]),
                ("<eof>", vec![send("late"), Action::Close]),
            ]],
            &format!("|{SWITCH}|late<eof>"),
            &[
                "GET /w HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n|ping<eof>|",
            ],
        ),
        (
            "a switch that is refused",
            &[("", vec![send(WS)]), ("ok", vec![send(GET)])],
            &[&[("\r\n\r\n", vec![send(NO)]), ("\r\n\r\n", vec![send(OK)])]],
            &format!("|{NO}|{OK}"),
            &[&format!(
                "GET /w HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n|{GET}|"
            )],
        ),
        (
            "a service that closes without an answer",
            &[("", vec![send(GET)])],
            &[&[("\r\n\r\n", vec![Action::Close])]],
            "|<eof>",
            &[&format!("{GET}|")],
        ),
        (
            "a service that closes within an answer",
            &[("", vec![send(GET)])],
            &[&[("\r\n\r\n", vec![send(&OK[..OK.len() - 1]), Action::Close])]],
            &format!("|{}<eof>", &OK[..OK.len() - 1]),
            &[&format!("{GET}|")],
        ),
        (
            "a body until the end, which is that of the connection",
            &[("", vec![send(GET)])],
            &[&[(
                "\r\n\r\n",
                vec![send("HTTP/1.1 200 OK\r\n\r\nall"), Action::Close],
            )]],
            "|HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n3\r\nall\r\n0\r\n\r\n<eof>",
            &[&format!("{GET}|")],
        ),
        (
            "a service that resets",
            &[("", vec![send(GET)])],
            &[&[("\r\n\r\n", vec![Action::Reset])]],
            "|<broken>",
            &[&format!("{GET}|")],
        ),
        (
            "a client that says close",
            &[(
                "",
                vec![send(
                    "GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
                )],
            )],
            &[&[("\r\n\r\n", vec![send(OK)])]],
            "|HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok<eof>",
            &["GET / HTTP/1.1\r\nhost: h\r\n\r\n|"],
        ),
        (
            "a client that leaves within its request",
            &[("", vec![send(BIG), Action::Close])],
            &[&[]],
            "|",
            &[&format!("{BIG}<eof>")],
        ),
        (
            "an answer before the request is whole, and one that is not waited for",
            &[("", vec![send(BIG)]), ("ok", vec![send("defghi")])],
            &[&[("abc", vec![send(OK)])]],
            "|HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok|<eof>",
            &[&format!("{BIG}|defghi")],
        ),
    ];
    for (what, client, services, told, heard) in cases {
        let got = play(client, services);
        assert_eq!(got.0, *told, "{what}");
        assert_eq!(got.1, *heard, "{what}");
    }
}

#[test]
fn each_stream_at_a_time_has_a_connection_of_the_service() {
    let complaints = Complaints::default();
    let quick: &[Step] = &[("\r\n\r\n", vec![send(OK)]), ("\r\n\r\n", vec![send(OK)])];
    let (slow, slow_heard) = puppet(&[("\r\n\r\n", vec![])]);
    let (other, _) = puppet(quick);
    let (last, _) = puppet(&[("\r\n\r\n", vec![Action::Close])]);
    let (mut service, accepted) = service(vec![slow, other, last], &complaints);
    let mut peer = accept(&mut service);
    let mut link = Link::<usize>::client(Complaints::clone(&complaints));
    let mut told = |link: &mut Link<usize>| {
        let mut sent = Vec::new();
        link.flush(Instant::ZERO, &mut sent);
        let mut back = Vec::new();
        for action in &sent {
            if let Action::Send(bytes) = action {
                peer.on_event(Event::Bytes(bytes), Instant::ZERO, &mut back);
            }
        }
        for action in &back {
            if let Action::Send(bytes) = action {
                link.feed(bytes);
                while link.understand(Instant::ZERO).is_some() {}
            }
        }
        back.iter().any(|action| matches!(action, Action::Close))
    };
    let head = RequestHead {
        authority: b"h".to_vec(),
        path: b"/".to_vec(),
        ..RequestHead::default()
    };
    let ask = |link: &mut Link<usize>, n| {
        let out = &mut link.outbox;
        link.codec.ask(&head, &Begins::default(), n, out).unwrap()
    };
    let first = ask(&mut link, 1);
    told(&mut link);
    for (n, connections) in [(2, 2), (3, 2)] {
        ask(&mut link, n);
        assert!(!told(&mut link));
        assert_eq!(
            accepted.get(),
            connections,
            "the one that is free is used again"
        );
    }
    // A fourth one finds the second free: ask two at once for another connection.
    let (busy, broken) = (ask(&mut link, 4), ask(&mut link, 5));
    assert!(!told(&mut link), "others go on");
    assert_eq!(accepted.get(), 3);
    let _ = busy;
    assert_eq!(
        link.codec.broken(broken),
        Some(Broken::Reset(Reset::Failed)),
        "its service has closed"
    );
    link.codec.reset(first, Reset::Cancelled);
    told(&mut link);
    assert!(
        slow_heard.borrow().ends_with("<eof>"),
        "its stream was reset"
    );
    assert_eq!(*complaints.borrow(), Vec::<String>::new());
}

#[test]
fn who_does_not_read_gives_no_credit() {
    let complaints = Complaints::default();
    let (mut peer, _) = puppet(&[("", vec![send(GET)])]);
    peer.reads = false;
    let body = "x".repeat(1 << 20);
    let long = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let (script, _) = puppet(&[("\r\n\r\n", vec![send(&long)])]);
    let (mut service, _) = service(vec![script], &complaints);
    let mut client = TranslatedClient::new(Box::new(peer), &complaints);
    let mut accepting = accept(&mut service);
    let (mut asked, mut answer) = (Vec::new(), Vec::new());
    client.on_event(Event::Opened, Instant::ZERO, &mut asked);
    let mut sent = 0;
    for _ in 0..10 {
        for action in std::mem::take(&mut asked) {
            if let Action::Send(bytes) = action {
                accepting.on_event(Event::Bytes(&bytes), Instant::ZERO, &mut answer);
            }
        }
        for action in std::mem::take(&mut answer) {
            if let Action::Send(bytes) = action {
                sent += bytes.len();
                client.on_event(Event::Bytes(&bytes), Instant::ZERO, &mut asked);
            }
        }
    }
    assert!((65_535..70_000).contains(&sent), "{sent}");
}

#[test]
fn http1_is_left_alone_and_sleepers_are_woken() {
    let complaints = Complaints::default();
    let nap = Duration::from_secs(1);
    for text in ["PRI * HTTP/1.1\r\n\r\n", "G"] {
        let (script, heard) = puppet(&[("", vec![Action::Sleep(nap), send("early")])]);
        let (mut service, _) = service(vec![script], &complaints);
        let mut peer = accept(&mut service);
        let mut out = Vec::new();
        peer.on_event(Event::Opened, Instant::ZERO, &mut out);
        assert_eq!(out, [Action::Sleep(nap)], "what is spoken is not known yet");
        for byte in text.as_bytes() {
            peer.on_event(Event::Bytes(&[*byte]), Instant::ZERO, &mut out);
        }
        assert_eq!(out, [Action::Sleep(nap), send("early")]);
        peer.on_event(Event::Woken, Instant::ZERO + nap, &mut out);
        assert_eq!(*heard.borrow(), format!("|{text}<woken>"));
    }
}
