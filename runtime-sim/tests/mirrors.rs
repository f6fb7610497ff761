//! A client of a mirrored service sees what it would see without the mirror, at the same moment, whatever the mirror does.

use std::cell::RefCell;
use std::rc::Rc;

use outrigger_core::compile::from_yaml;
use outrigger_core::decision::MirrorFate;
use outrigger_core::peer::ListenerKind;
use outrigger_core::time::{Duration, Instant};
use outrigger_core::worker::WorkerSettings;
use outrigger_sim::{
    Cut, Reaction, Script, ScriptedClient, ScriptedService, Simulation, Then, Transcript, Weather,
};

fn rules(mirror: &str) -> String {
    let entry = |host: &str, address: &str| {
        format!(
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: {host}}}\n\
             spec: {{hosts: [{host}.test], resolution: STATIC, ports: [{{number: 80, name: http, protocol: HTTP}}], \
             endpoints: [{{address: {address}}}]}}\n---\n"
        )
    };
    entry("a", "10.0.0.1")
        + &entry("b", "10.0.0.2")
        + &format!(
            "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: a}}\n\
             spec: {{hosts: [a.test], http: [{{{mirror} route: [{{destination: {{host: a.test}}}}]}}]}}\n"
        )
}

fn requests() -> Vec<Vec<u8>> {
    let long = "x".repeat(300_000);
    let post = |body: &str| {
        format!(
            "POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let get = "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n".to_owned();
    let chunked = "POST / HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_owned();
    let all = [get.clone(), post("hello"), chunked, post(&long), get];
    all.map(String::into_bytes).into()
}

/// What the client saw, and of each request when it began and ended and with what.
type Story = (Transcript, Vec<(Instant, Instant, u16)>);

/// Plays the same requests; also says how many copies were sent, and how many of them have ended.
fn play(mirror: &str, service: Script) -> Result<(Story, [usize; 2]), String> {
    let weather = Weather {
        latency: Duration::from_millis(1),
        jitter: Duration::ZERO,
        cut: Cut::Whole,
        window: 10_000_000,
    };
    let mut sim = Simulation::new(7, weather);
    let echo = ScriptedService::always(Reaction::Echo);
    sim.serve("10.0.0.1:80", Box::new(echo));
    let service = ScriptedService::new([service]);
    let complaints = service.complaints();
    sim.serve("10.0.0.2:80", Box::new(service));
    let told = Rc::<RefCell<(Vec<_>, [usize; 2])>>::default();
    let log = Rc::clone(&told);
    let sidecar = sim.sidecar(
        from_yaml(&rules(mirror)).snapshot.into(),
        WorkerSettings::default(),
        Box::new(move |record, _| {
            let (requests, copies) = &mut *log.borrow_mut();
            if record.is_mirror() {
                copies[1] += 1;
                return;
            }
            let mirrors = record.mirrors.iter();
            copies[0] += mirrors.filter(|m| m.fate == MirrorFate::Sent).count();
            requests.push((record.began, record.ended, record.status));
        }),
    );
    sim.expose("sidecar", sidecar, ListenerKind::Outbound);
    let (client, seen) = ScriptedClient::new(requests());
    sim.connect("sidecar", Box::new(client));
    sim.run(Instant::from_millis(4 * 3_600_000))?;
    sim.at_rest(sidecar)?;
    if let Some(what) = complaints.borrow_mut().pop() {
        return Err(what);
    }
    let (requests, copies) = told.take();
    let seen = seen.borrow().clone();
    Ok(((seen, requests), copies))
}

#[test]
fn a_client_cannot_tell_whether_its_requests_are_copied() {
    let serve = |reaction| Script::Serve {
        reactions: vec![reaction],
        idle: None,
    };
    let respond = |delay: u64, text: &str, then| {
        let parts = vec![(Duration::from_millis(delay), text.as_bytes().to_vec())];
        serve(Reaction::Respond(parts, then))
    };
    let huge = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 3000000\r\n\r\n{}",
        "y".repeat(3_000_000)
    );
    let services = [
        ("echo", serve(Reaction::Echo)),
        ("refuse", Script::Refuse),
        ("ignore", Script::Ignore),
        ("reset", Script::Accept(Then::Reset)),
        ("silence", serve(Reaction::Silence)),
        ("huge", respond(0, &huge, Then::Keep)),
        (
            "slow",
            respond(
                60_000,
                "HTTP/1.1 500 Late\r\ncontent-length: 0\r\n\r\n",
                Then::Keep,
            ),
        ),
        ("nonsense", respond(0, "nonsense\r\n\r\n", Then::Close)),
        (
            "cut",
            respond(
                0,
                "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx",
                Then::Reset,
            ),
        ),
    ];
    let (alone, none) = play("", Script::Refuse).expect("it runs");
    assert_eq!(none, [0, 0]);
    let all = requests().len();
    assert_eq!((alone.0.responses.len(), alone.1.len()), (all, all));
    for (name, service) in services {
        for (mirror, each) in [
            ("mirror: {host: b.test},", 1),
            (
                "mirrors: [{destination: {host: b.test}}, {destination: {host: nobody.test}}, {destination: {host: b.test}}],",
                2,
            ),
        ] {
            let (story, copies) =
                play(mirror, service.clone()).unwrap_or_else(|what| panic!("{name}: {what}"));
            assert_eq!(copies, [each * all; 2], "{name}");
            assert!(story == alone, "{name}: {:?}, not {:?}", story.1, alone.1);
        }
    }
}
