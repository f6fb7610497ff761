//! Small random worlds, one for each seed: random services with random faults, random clients, and the invariants.
//!
//! A failure names its seed; `OUTRIGGER_SEED=N cargo test -p outrigger-sim` runs that world alone, and
//! `OUTRIGGER_SEEDS=N` as many as one has time for.

mod world;

use std::cell::RefCell;
use std::rc::Rc;

use outrigger_core::cluster::Registry;
use outrigger_core::decision::{MirrorFate, Mirrored};
use outrigger_core::peer::ListenerKind;
use outrigger_core::time::{Duration, Instant};
use outrigger_core::worker::WorkerSettings;
use outrigger_sim::{
    Complaints, Cut, Dice, Head, Piece, Reaction, Reader, Script, ScriptedClient, ScriptedService,
    Simulation, Then, Transcript, TranslatedService, Weather,
};
use world::{MIRROR, Shape, address, snapshot};

const SEEDS: u64 = 100;

const LISTENER: &str = "sidecar";

fn body(dice: &mut Dice) -> Vec<u8> {
    let len = [0, 1, 100, 20_000, 700_000][dice.below(5) as usize];
    (0..dice.below(len + 1))
        .map(|n| b'a' + (n % 26) as u8)
        .collect()
}

fn then(dice: &mut Dice) -> Then {
    [Then::Keep, Then::Close, Then::Reset, Then::Shutdown][dice.below(4) as usize]
}

fn reaction(dice: &mut Dice) -> Reaction {
    let pause = |dice: &mut Dice| Duration::from_millis(dice.below(2) * dice.below(6000));
    match dice.below(8) {
        0 if dice.coin() => Reaction::Respond(
            vec![(
                pause(dice),
                b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 9\r\n\r\nupstream ".to_vec(),
            )],
            Then::Keep,
        ),
        0 => Reaction::ok("fixed"),
        1 => Reaction::Silence,
        2 => {
            let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789";
            let cut = dice.below(whole.len() as u64 + 1) as usize;
            let parts = vec![(pause(dice), whole[..cut].to_vec())];
            Reaction::Respond(parts, then(dice))
        }
        3 => {
            let parts = [
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
                "5\r\n01234\r\n",
                "5\r\n56789\r\n0\r\nx-t: 1\r\n\r\n",
            ];
            let parts = parts.map(|p| (pause(dice), p.as_bytes().to_vec()));
            Reaction::Respond(parts.into(), Then::Keep)
        }
        4 => Reaction::Respond(
            vec![(
                pause(dice),
                b"HTTP/1.1 200 OK\r\n\r\nuntil the end".to_vec(),
            )],
            then(dice),
        ),
        _ => Reaction::Echo,
    }
}

fn script(dice: &mut Dice) -> Script {
    match dice.below(10) {
        0 => Script::Refuse,
        1 => Script::Ignore,
        2 => Script::Accept(then(dice)),
        _ => Script::Serve {
            reactions: (0..dice.between(1, 4)).map(|_| reaction(dice)).collect(),
            idle: dice
                .coin()
                .then(|| Duration::from_millis(dice.below(4000) + 1)),
        },
    }
}

fn request(dice: &mut Dice) -> Vec<u8> {
    let body = body(dice);
    match dice.below(4) {
        0 => b"GET /a HTTP/1.1\r\nhost: h\r\n\r\n".to_vec(),
        1 => b"HEAD /a HTTP/1.1\r\nhost: h\r\n\r\n".to_vec(),
        2 => {
            let mut bytes =
                b"PUT /a HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
            for chunk in body.chunks(dice.between(1, 50_000) as usize) {
                bytes.extend(format!("{:x}\r\n", chunk.len()).bytes());
                bytes.extend(chunk);
                bytes.extend(b"\r\n");
            }
            bytes.extend(b"0\r\n\r\n");
            bytes
        }
        _ => {
            let head = format!(
                "POST /a HTTP/1.1\r\nhost: h\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            [head.into_bytes(), body].concat()
        }
    }
}

/// A client that leaves without waiting for everything it asked for, or that sends half a request.
fn spoil(requests: &mut [Vec<u8>], dice: &mut Dice) {
    if dice.below(5) == 0
        && let Some(last) = requests.last_mut()
    {
        last.truncate(dice.below(last.len() as u64 + 1) as usize);
    }
}

/// Damages bytes at a few places: a bit, a byte too many, a byte too few, a piece twice.
fn damage(bytes: &mut Vec<u8>, dice: &mut Dice) {
    for _ in 0..dice.between(1, 3) {
        let head = bytes.len().min(120) as u64;
        if head == 0 {
            return;
        }
        let at = dice.below(head) as usize;
        match dice.below(4) {
            0 => bytes[at] ^= 1 << dice.below(8),
            1 => bytes.insert(at, b"\r\n \0:,9"[dice.below(7) as usize]),
            2 => drop(bytes.remove(at)),
            _ => {
                let end = dice.between(at as u64, head) as usize;
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
        }
    }
}

/// A service whose responses are damaged.
fn damaged(mut script: Script, dice: &mut Dice) -> Script {
    if let Script::Serve { reactions, .. } = &mut script {
        for reaction in reactions {
            if let Reaction::Respond(parts, _) = reaction {
                parts.iter_mut().for_each(|(_, bytes)| damage(bytes, dice));
            }
        }
    }
    script
}

/// Runs the world of a seed and gives a transcript of everything that was seen.
fn run(seed: u64) -> Result<String, String> {
    let mut dice = Dice::new(seed ^ 0x5eed);
    let weather = Weather {
        latency: Duration::from_micros(dice.below(3000)),
        jitter: Duration::from_micros(dice.below(3000)),
        cut: [Cut::Whole, Cut::Seeded, Cut::Seeded][dice.below(3) as usize],
        window: dice.between(1000, 200_000) as usize,
    };
    let mut sim = Simulation::new(seed, weather);
    // In every fourth world clients and services send damaged messages; then only the invariants are held.
    let hostile = seed % 4 == 3;
    // Of the others, some speak HTTP/2 on one side or on both.
    let (clients_speak_http2, services_speak_http2) = (
        !seed.is_multiple_of(4) && !hostile,
        seed % 8 >= 4 && !hostile,
    );
    let no_http2 = Complaints::default();
    let mut complaints: Vec<Complaints> = Vec::from([Complaints::clone(&no_http2)]);
    let endpoints = dice.between(1, 3) as usize;
    let addresses = (0..endpoints).map(address).chain([MIRROR.to_owned()]);
    for address in addresses {
        let mut scripts: Vec<Script> = (0..dice.between(1, 4)).map(|_| script(&mut dice)).collect();
        if hostile {
            scripts = scripts.into_iter().map(|s| damaged(s, &mut dice)).collect();
        }
        let service = ScriptedService::new(scripts);
        complaints.push(service.complaints());
        sim.serve(
            &address,
            match services_speak_http2 {
                true => Box::new(TranslatedService::new(Box::new(service), &no_http2)),
                false => Box::new(service),
            },
        );
    }
    let mut registry = Registry::default();
    let shape = Shape {
        hostile,
        http2: services_speak_http2,
    };
    let first = snapshot(&mut registry, endpoints, shape, &mut dice);
    let records = Rc::<RefCell<Vec<String>>>::default();
    let log = Rc::clone(&records);
    let copies = Rc::<RefCell<Copies>>::default();
    let copy_log = Rc::clone(&copies);
    let sidecar = sim.sidecar(
        first,
        WorkerSettings::default(),
        Box::new(move |record, _| {
            let line = format!("{} {} {}", record.status, record.flags(), record.details);
            if record.is_mirror() {
                copy_log.borrow_mut().ended.push(line);
            } else {
                let sent = |m: &&Mirrored| m.fate == MirrorFate::Sent;
                copy_log.borrow_mut().sent += record.mirrors.iter().filter(sent).count();
                log.borrow_mut().push(line);
            }
        }),
    );
    match clients_speak_http2 {
        true => sim.expose_in_http2(LISTENER, sidecar, ListenerKind::Inbound(0), &no_http2),
        false => sim.expose(LISTENER, sidecar, ListenerKind::Inbound(0)),
    }
    let mut clients: Vec<Client> = Vec::new();
    for _ in 0..dice.between(1, 4) {
        let mut requests: Vec<_> = (0..dice.between(1, 5))
            .map(|_| request(&mut dice))
            .collect();
        spoil(&mut requests, &mut dice);
        if hostile {
            requests.iter_mut().for_each(|r| damage(r, &mut dice));
        }
        let (client, seen) = ScriptedClient::new(requests.clone());
        sim.connect(LISTENER, Box::new(client));
        clients.push(Client { requests, seen });
    }
    if dice.coin() {
        sim.run(Instant::from_millis(dice.below(3000)))?;
        let count = dice.between(1, endpoints as u64) as usize;
        let next = snapshot(&mut registry, count, shape, &mut dice);
        sim.adopt(sidecar, next)?;
    }
    if dice.below(4) == 0 {
        sim.run(Instant::from_millis(dice.below(5000)))?;
        sim.drain(sidecar)?;
    }
    sim.run(Instant::from_millis(2 * 3_600_000))?;
    sim.signal("leave")?;
    sim.run(Instant::from_millis(4 * 3_600_000))?;
    if let Some(what) = complaints.iter().find_map(|c| c.borrow_mut().pop()) {
        return Err(format!("a service was sent what it cannot read: {what}"));
    }
    sim.at_rest(sidecar)?;
    let copies = copies.borrow();
    if copies.sent != copies.ended.len() {
        return Err(format!("copies do not end once each: {copies:?}"));
    }
    if !hostile {
        judge(&clients, records.borrow().len())?;
    }
    let seen: Vec<Transcript> = clients.iter().map(|c| c.seen.borrow().clone()).collect();
    let (digest, now) = (sim.digest(), sim.now());
    let records = records.borrow();
    Ok(format!(
        "{digest:x} {now:?} {records:?} {copies:?} {seen:?}"
    ))
}

/// What was seen of copies for mirrors.
#[derive(Debug, Default)]
struct Copies {
    /// As the requests tell that they are copies of.
    sent: usize,
    /// As they tell themselves.
    ended: Vec<String>,
}

/// A client, what it asked and what it saw.
struct Client {
    requests: Vec<Vec<u8>>,
    seen: Rc<RefCell<Transcript>>,
}

fn judge(clients: &[Client], records: usize) -> Result<(), String> {
    let mut answers = 0;
    for client in clients {
        let seen = client.seen.borrow();
        if let Some(trouble) = &seen.trouble
            && trouble.contains("framing")
        {
            return Err(trouble.clone());
        }
        answers += seen.responses.len();
        for ((head, body), request) in seen.responses.iter().zip(&client.requests) {
            if !is_plausible(head, body, request) {
                let begin = &body[..body.len().min(80)];
                return Err(format!(
                    "a client saw {} {}",
                    head.line,
                    begin.escape_ascii()
                ));
            }
        }
    }
    if answers > records {
        return Err(format!("{answers} answers for {records} records"));
    }
    Ok(())
}

/// A response that looks whole is whole: something a service sends, the echo of the request, or a local reply.
fn is_plausible(head: &Head, body: &[u8], request: &[u8]) -> bool {
    if request.starts_with(b"HEAD ") {
        return body.is_empty();
    }
    match head.status() {
        Some(200) => {
            let fixed: [&[u8]; 3] = [b"fixed", b"0123456789", b"until the end"];
            fixed.contains(&body) || body == sent_body(request)
        }
        Some(400 | 408) => true,
        Some(502..=504) => body.starts_with(b"upstream ") || body == b"no healthy upstream",
        _ => false,
    }
}

/// The body of a request, by the plain reader.
fn sent_body(request: &[u8]) -> Vec<u8> {
    let mut reader = Reader::requests();
    reader.feed(request);
    let mut body = Vec::new();
    while let Ok(Some(piece)) = reader.next_piece() {
        match piece {
            Piece::Head(_) => {}
            Piece::Body(bytes) => body.extend(bytes),
            Piece::End(_) => break,
        }
    }
    body
}

/// Names the seed when something panics under it.
struct Running(u64);

impl Drop for Running {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seed {}", self.0);
        }
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn random_worlds_keep_the_invariants_and_repeat() {
    let count = number("OUTRIGGER_SEEDS").unwrap_or(SEEDS);
    let seeds = number("OUTRIGGER_SEED").map_or(0..count, |seed| seed..seed + 1);
    for seed in seeds {
        let _running = Running(seed);
        match run(seed) {
            Err(what) => panic!("{what}"),
            Ok(story) if seed % 20 == 0 => {
                assert_eq!(Ok(story), run(seed), "the run does not repeat");
            }
            Ok(_) => {}
        }
    }
}
