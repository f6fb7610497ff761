//! Small random worlds, one for each seed: random services with random faults, random clients, and the invariants.
//!
//! A failure names its seed; `OUTRIGGER_SEED=N cargo test -p outrigger-sim` runs that world alone.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use outrigger_core::cluster::{HostKey, Registry};
use outrigger_core::decision::AttemptEnd;
use outrigger_core::exchange::ListenerKind;
use outrigger_core::snapshot::{
    Action, Address, Balancing, Cluster, ClusterId, Condition, Destination, DestinationCluster,
    Endpoint, Forward, HeaderOps, Rule, Snapshot, VirtualHost, VirtualHostId,
};
use outrigger_core::time::{Duration, Instant};
use outrigger_core::worker::WorkerSettings;
use outrigger_sim::{
    Cut, Dice, Reaction, Script, ScriptedClient, ScriptedService, Seen, Simulation, Then, Weather,
};

const SEEDS: u64 = 300;
const LISTENER: &str = "sidecar";

fn snapshot(endpoints: usize, balancing: Balancing, dice: &mut Dice) -> Arc<Snapshot> {
    let mut registry = Registry::default();
    let endpoints = (0..endpoints).map(|n| {
        let text: Box<str> = address(n).into();
        Endpoint {
            address: Address::Socket(text.parse().expect("an address")),
            weight: dice.between(1, 3) as u32,
            locality: "".into(),
            state: registry.host(HostKey {
                cluster: "c".into(),
                address: text.clone(),
            }),
            text,
        }
    });
    let cluster = Cluster {
        name: "inbound|80||".into(),
        host: "".into(),
        port: 80,
        subset: "".into(),
        endpoints: endpoints.collect(),
        balancing,
        connect_timeout: Duration::from_secs(10),
        idle_timeout: Some(Duration::from_secs(dice.between(1, 3600))),
        max_requests_per_connection: dice.coin().then_some(2),
    };
    let destination = Destination {
        weight: 1,
        cluster: DestinationCluster::Known(ClusterId(0)),
        request: HeaderOps::default(),
        response: HeaderOps::default(),
    };
    let forward = Forward {
        destinations: [destination].into(),
        total_weight: 1,
        timeout: dice.coin().then_some(Duration::from_secs(3)),
        ..Forward::default()
    };
    let rule = Rule {
        name: "default".into(),
        origin: None,
        condition: Condition::default(),
        action: Arc::new(Action::Forward(forward)),
    };
    Arc::new(Snapshot {
        virtual_hosts: [VirtualHost {
            name: "inbound|http|80".into(),
            rules: [rule].into(),
            index: None,
        }]
        .into(),
        clusters: [cluster].into(),
        inbound: [VirtualHostId(0)].into(),
        ..Snapshot::default()
    })
}

fn address(number: usize) -> String {
    format!("10.0.0.{}:80", number + 1)
}

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
    let endpoints = dice.between(1, 3) as usize;
    for number in 0..endpoints {
        let scripts: Vec<Script> = (0..dice.between(1, 4)).map(|_| script(&mut dice)).collect();
        sim.serve(&address(number), Box::new(ScriptedService::new(scripts)));
    }
    let balancing = [
        Balancing::RoundRobin,
        Balancing::Random,
        Balancing::LeastRequest,
    ];
    let snapshot = snapshot(endpoints, balancing[dice.below(3) as usize], &mut dice);
    let records = Rc::<RefCell<Vec<String>>>::default();
    let (log, faults) = (Rc::clone(&records), Rc::<RefCell<Vec<String>>>::default());
    let fault_log = Rc::clone(&faults);
    let sidecar = sim.sidecar(
        snapshot,
        WorkerSettings::default(),
        Box::new(move |record| {
            if record.attempts.iter().any(|a| a.end == AttemptEnd::Open) {
                fault_log
                    .borrow_mut()
                    .push(format!("an attempt never ended: {record:?}"));
            }
            let line = format!("{} {} {}", record.status, record.flags, record.details);
            log.borrow_mut().push(line);
        }),
    );
    sim.expose(LISTENER, sidecar, ListenerKind::Inbound(0));
    let mut clients: Vec<Rc<RefCell<Seen>>> = Vec::new();
    for _ in 0..dice.between(1, 4) {
        let mut requests: Vec<_> = (0..dice.between(1, 5))
            .map(|_| request(&mut dice))
            .collect();
        spoil(&mut requests, &mut dice);
        let (client, seen) = ScriptedClient::new(requests);
        sim.connect(LISTENER, Box::new(client));
        clients.push(seen);
    }
    let drains = dice.below(4) == 0;
    if drains {
        sim.run(Instant::from_millis(dice.below(5000)))?;
        sim.drain(sidecar)?;
    }
    sim.run(Instant::from_millis(2 * 3_600_000))?;
    sim.signal("leave")?;
    sim.run(Instant::from_millis(4 * 3_600_000))?;
    if let Some(fault) = faults.borrow_mut().pop() {
        return Err(fault);
    }
    judge(&sim, sidecar, &clients, records.borrow().len())?;
    let seen: Vec<Seen> = clients.iter().map(|c| c.borrow().clone()).collect();
    Ok(format!("{:?} {:?} {seen:?}", sim.now(), records.borrow()))
}

fn judge(
    sim: &Simulation,
    sidecar: outrigger_sim::SidecarId,
    clients: &[Rc<RefCell<Seen>>],
    records: usize,
) -> Result<(), String> {
    let gauges = sim.gauges(sidecar);
    if (gauges.active, gauges.connections, gauges.idle) != (0, 0, 0) {
        return Err(format!("not at rest: {gauges:?}"));
    }
    if sim.exchanges(sidecar) > 0 {
        return Err(format!("{} exchanges are left", sim.exchanges(sidecar)));
    }
    let mut answers = 0;
    for client in clients {
        let seen = client.borrow();
        if let Some(trouble) = &seen.trouble
            && trouble.contains("framing")
        {
            return Err(trouble.clone());
        }
        answers += seen.responses.len();
        for (head, _) in &seen.responses {
            if !matches!(head.status(), Some(200 | 400 | 408 | 502 | 503 | 504)) {
                return Err(format!("a client was told {}", head.line));
            }
        }
    }
    if answers > records {
        return Err(format!("{answers} answers for {records} records"));
    }
    Ok(())
}

#[test]
fn random_worlds_keep_the_invariants_and_repeat() {
    let only = std::env::var("OUTRIGGER_SEED")
        .ok()
        .and_then(|s| s.parse().ok());
    let seeds = only.map_or(0..SEEDS, |seed: u64| seed..seed + 1);
    for seed in seeds {
        match run(seed) {
            Err(what) => panic!("seed {seed}: {what}"),
            Ok(story) if seed % 20 == 0 => {
                assert_eq!(Ok(story), run(seed), "seed {seed} does not repeat");
            }
            Ok(_) => {}
        }
    }
}
