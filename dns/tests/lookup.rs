//! Names that clients give, looked up at a name server of our own.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[expect(dead_code, reason = "other tests use the rest of it")]
mod server;

use std::net::UdpSocket;

use outrigger_dns::{Lookup, LookupSettings};
use server::{Dns, Says};
use tokio::runtime::{Builder, Runtime};

fn start(servers: &[&str], most_kept: usize, most_pending: usize) -> Lookup {
    let servers = servers.iter().map(|server| server.parse().unwrap());
    Lookup::start(LookupSettings {
        servers: servers.collect(),
        most_kept,
        most_pending,
    })
    .unwrap()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Where a name leads; what is wrong begins with `!`.
fn ask(lookup: &Lookup, name: &str) -> String {
    let outcome = runtime().block_on(lookup.resolve(name));
    match outcome {
        Ok(all) => (all.iter().map(ToString::to_string).collect::<Vec<_>>()).join(" "),
        Err(why) => format!("!{why}"),
    }
}

fn count(lookup: &Lookup, name: &str) -> u64 {
    let all = lookup.counts().named();
    all.iter().find(|(other, _)| *other == name).unwrap().1
}

#[test]
fn what_is_known_is_not_asked_for_again() {
    let dns = Dns::start();
    dns.addresses("a.test", 300, &["127.0.0.7", "127.0.0.8"]);
    dns.addresses("b.test", 300, &["127.0.0.9"]);
    dns.say("fails.test", Says::Fails(2));
    let lookup = start(&[&dns.addr.to_string()], 1, 10);
    assert_eq!(ask(&lookup, "a.test"), "127.0.0.7 127.0.0.8");
    // Somebody else's answer from now on, which nobody asks for.
    dns.addresses("a.test", 300, &["127.0.0.1"]);
    assert_eq!(ask(&lookup, "A.TEST"), "127.0.0.7 127.0.0.8");
    assert_eq!((count(&lookup, "requests"), count(&lookup, "hits")), (2, 1));
    assert_eq!(ask(&lookup, "fails.test")[..4], *"!the");
    assert_eq!(ask(&lookup, "none.test"), "!there is no such name");
    assert_eq!(count(&lookup, "failures"), 2);
    // There is room for one.
    assert_eq!(ask(&lookup, "b.test"), "127.0.0.9");
    assert_eq!(ask(&lookup, "a.test"), "127.0.0.1");
    assert_eq!(ask(&lookup, "localhost"), ask(&lookup, "LocalHost"));
}

#[test]
fn who_asks_for_the_same_waits_for_the_same_answer_and_not_too_many_do() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let lookup = start(&[&silent.local_addr().unwrap().to_string()], 10, 2);
    let (first, second) = (lookup.resolve("a.test"), lookup.resolve("a.test"));
    while count(&lookup, "pending") == 0 {
        std::thread::yield_now();
    }
    // These two have not been told anything when a third comes.
    let third = ask(&lookup, "b.test");
    assert_eq!(third, "!too many names are asked for");
    let counted = ["requests", "overflow", "pending"].map(|name| count(&lookup, name));
    assert_eq!(counted, [3, 1, 1], "one question for both");
    drop((first, second));
}
