//! Asking, against a name server on loopback.

use super::*;

#[expect(dead_code, reason = "the tests of other packages use all of it")]
#[path = "../../tests/server/mod.rs"]
mod dns;

use dns::{Dns, Says};
use std::net::IpAddr;
use tokio::runtime::Builder;

fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.unwrap().block_on(future)
}

/// A machine that searches `a.test` first and asks these servers.
fn machine(servers: &[SocketAddr]) -> System {
    System {
        servers: servers.to_vec(),
        search: vec!["a.test".to_owned()],
        ndots: 2,
        timeout: Duration::from_secs(30),
        attempts: 1,
        rotates: false,
        hosts: "127.0.0.9 known.test\n".to_owned(),
    }
}

fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn answers_are_found_in_every_way() {
    let dns = Dns::start();
    dns.addresses("api.b.test", 30, &["127.0.0.2", "127.0.0.1"]);
    dns.addresses("db.a.test", 7, &["127.0.0.3"]);
    dns.say("alias.b.test", Says::Alias(5, "api.b.test"));
    dns.say("many.b.test", Says::Cut(ips(&["127.0.0.4", "127.0.0.5"])));
    dns.say("empty.b.test", Says::Addresses(30, Vec::new()));
    dns.say("broken.b.test", Says::Fails(2));
    dns.say("half.b.test", Says::FailsForV6(ips(&["127.0.0.6"])));
    let system = machine(&[dns.addr]);
    let broken = Failure::Server(dns.addr, Fault::Failed(2));
    for (name, want) in [
        ("api.b.test", Ok((&["127.0.0.2", "127.0.0.1"][..], 30))),
        ("API.b.test.", Ok((&["127.0.0.2", "127.0.0.1"], 30))),
        ("db", Ok((&["127.0.0.3"], 7))),
        ("alias.b.test", Ok((&["127.0.0.2", "127.0.0.1"], 5))),
        ("many.b.test", Ok((&["127.0.0.4", "127.0.0.5"], 60))),
        ("half.b.test", Ok((&["127.0.0.6"], 60))),
        ("known.test", Ok((&["127.0.0.9"], 5))),
        ("none.b.test", Err(Failure::NoSuchName)),
        ("empty.b.test", Err(Failure::NoAddress)),
        ("broken.b.test", Err(broken)),
        ("no..name", Err(Failure::NoName)),
    ] {
        let want = want.map(|(addresses, ttl)| Answer {
            addresses: ips(addresses),
            ttl: Duration::from_secs(ttl),
        });
        assert_eq!(run(ask(name, &system)), want, "{name}");
    }
    let asked = dns.asked();
    assert!(!asked.contains(&"known.test".to_owned()), "{asked:?}");
    assert!(
        asked.contains(&"none.b.test.a.test".to_owned()),
        "{asked:?}"
    );
}

#[test]
fn the_next_server_is_asked_when_one_fails() {
    let (failing, good) = (Dns::start(), Dns::start());
    failing.say("api.b.test", Says::Fails(5));
    good.addresses("api.b.test", 30, &["127.0.0.1"]);
    // Nobody listens at the first one.
    let gone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let nobody = gone.local_addr().unwrap();
    drop(gone);
    let answer = run(ask(
        "api.b.test",
        &machine(&[nobody, failing.addr, good.addr]),
    ));
    assert_eq!(answer.map(|a| a.addresses), Ok(ips(&["127.0.0.1"])));
    assert_eq!(failing.asked(), ["api.b.test"]);
    let alone = run(ask("api.b.test", &machine(&[nobody])));
    let text = alone.unwrap_err().to_string();
    assert!(text.contains("cannot be asked"), "{text}");
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let server = silent.local_addr().unwrap();
    let system = System {
        timeout: Duration::from_millis(1),
        attempts: 2,
        ..machine(&[server])
    };
    let failure = Failure::Server(server, Fault::Silent);
    assert_eq!(run(ask("api.b.test", &system)), Err(failure));
    silent.set_nonblocking(true).unwrap();
    let mut questions = 0;
    while silent.recv(&mut [0; 512]).is_ok() {
        questions += 1;
    }
    assert_eq!(questions, 4, "of two families, twice");
}
