//! `outrigger run --dns` for applications that ask for names.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "../../dns/tests/server/mod.rs"]
#[expect(dead_code, reason = "the resolver's own tests use all of it")]
mod dns;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use dns::Dns;
use outrigger_dns::{Family, Reply, question, reply};
use proxy::{Folder, Proxy, application, refused};
use support::PATIENCE;

const RULES: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: mail}
spec:
  hosts: [mail.example]
  ports: [{number: 25, name: tcp, protocol: TCP}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: bank}
spec:
  hosts: [bank.example]
  addresses: [10.9.9.9]
  ports: [{number: 25, name: tcp, protocol: TCP}]
  resolution: STATIC
  endpoints: [{address: 127.0.0.1}]
";

fn ask(at: SocketAddr, name: &str, family: Family) -> Reply {
    let socket = UdpSocket::bind((at.ip(), 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let asked = question(7, name, family).unwrap();
    socket.send_to(&asked, at).unwrap();
    let mut room = [0; 4096];
    let length = socket.recv(&mut room).unwrap();
    reply(&asked, family, &room[..length]).unwrap()
}

/// The only address.
fn address(at: SocketAddr, name: &str, family: Family) -> String {
    match ask(at, name, family) {
        Reply::Addresses { addresses, ttl } if addresses.len() == 1 => {
            assert_eq!(ttl, Duration::from_secs(30));
            addresses[0].to_string()
        }
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn applications_are_told_where_services_are() {
    let server = Dns::start();
    server.addresses("other.example", 30, &["127.0.0.7"]);
    let folder = Folder::new("dns");
    folder.write("rules.yaml", RULES);
    let at = server.addr.to_string();
    let options = ["--dns", "127.0.0.1:0", "--dns-server", &at];
    let proxy = Proxy::start(&folder.0, &options);
    let dns = proxy.addr("dns");
    assert_eq!(address(dns, "bank.example", Family::V4), "10.9.9.9");
    let none = Reply::Addresses {
        addresses: Vec::new(),
        ttl: Duration::from_secs(u32::MAX.into()),
    };
    assert_eq!(ask(dns, "bank.example", Family::V6), none);
    assert_eq!(address(dns, "other.example", Family::V4), "127.0.0.7");
    assert_eq!(ask(dns, "none.example", Family::V4), Reply::NoSuchName);
    // A service without an address has one all the same, and keeps it over a reload that brings others.
    let given = address(dns, "mail.example", Family::V4);
    assert!(given.starts_with("240.240."), "{given}");
    let given_v6 = address(dns, "mail.example", Family::V6);
    assert!(given_v6.starts_with("2001:2::f0f0:"), "{given_v6}");
    folder.write(
        "more.yaml",
        &RULES.replace("mail", "another").replace("bank", "third"),
    );
    while ask(dns, "third.example", Family::V4) == Reply::NoSuchName {
        std::thread::yield_now();
    }
    assert_eq!(address(dns, "mail.example", Family::V4), given);
    assert_ne!(address(dns, "another.example", Family::V4), given);
    let stats = proxy.admin("GET /stats?filter=dns_proxy");
    for words in [
        "dns_proxy.pending: 0",
        "dns_proxy.forward_failures: 0",
        "dns_proxy.overflow: 0",
    ] {
        assert!(stats.contains(words), "{stats}");
    }
    assert!(!stats.contains("dns_proxy.answered: 0"), "{stats}");
}

/// Two services on one port that nothing tells apart but their addresses, which only who answers for names gives them.
#[test]
fn what_services_are_given_is_known_to_check_and_explain() {
    let folder = Folder::new("dns-known");
    let (mail, _) = RULES.split_once("---").unwrap();
    folder.write(
        "rules.yaml",
        &format!("{mail}---{}", mail.replace("mail", "post")),
    );
    let config = folder.0.to_str().unwrap();
    for (args, says, with) in [
        (vec!["check", config], "tcp-conflict", "not"),
        (
            vec!["explain", "--config", config, "TCP post.example:25"],
            "outbound|25||post.example",
            "only",
        ),
    ] {
        for dns in [false, true] {
            let mut args = args.clone();
            if dns {
                args.insert(1, "--dns");
            }
            let output = Command::new(env!("CARGO_BIN_EXE_outrigger"))
                .args(&args)
                .output()
                .unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            assert_eq!(
                said.contains(says),
                dns == (with == "only"),
                "{args:?}: {said}"
            );
        }
    }
}

/// Hosts that no service has are looked up by us, once for as long as the answer holds.
#[test]
fn names_that_clients_give_are_looked_up_once() {
    for runtime in ["tokio", "auto"] {
        let server = Dns::start();
        server.addresses("other.example", 300, &["127.0.0.1"]);
        let folder = Folder::new(&format!("dns-lookup-{runtime}"));
        folder.write("rules.yaml", RULES);
        let at = server.addr.to_string();
        let proxy = Proxy::start(&folder.0, &["--runtime", runtime, "--dns-server", &at]);
        for _ in 0..2 {
            // Another port is another connection.
            let port = application("other").port();
            let seen = proxy.get(&format!("other.example:{port}"));
            assert!(seen.ends_with("other"), "{runtime}: {seen}");
        }
        assert!(proxy.get("none.example").starts_with("HTTP/1.1 503"));
        let stats = proxy.admin("GET /stats?filter=dns_lookup");
        for words in ["requests: 3", "hits: 1", "failures: 1", "names: 2"] {
            let words = format!("dns_lookup.{words}");
            assert!(stats.contains(&words), "{runtime}: {stats}");
        }
        assert_eq!(proxy.end().0, Some(0));
    }
}

/// At several addresses, of both families, the same is told.
#[test]
fn applications_may_ask_at_several_addresses() {
    let folder = Folder::new("dns-several");
    folder.write("rules.yaml", RULES);
    let options = ["--dns", "127.0.0.1:0", "--dns", "[::1]:0"];
    let proxy = Proxy::start(&folder.0, &options);
    let first = proxy.addr("dns");
    let second = proxy.addr(&format!("dns {first}, dns"));
    assert!(second.is_ipv6());
    for dns in [first, second] {
        assert_eq!(address(dns, "bank.example", Family::V4), "10.9.9.9");
    }
    assert_eq!(proxy.end().0, Some(0));
}

#[test]
fn a_recording_holds_no_such_option_but_the_mesh_configuration() {
    let folder = Folder::new("dns-recorded");
    folder.write("rules.yaml", RULES);
    let others = Folder::new("dns-recorded-others");
    let path = |name: &str| others.0.join(name).to_str().unwrap().to_owned();
    let recording = path("run.recording");
    let mut options = vec!["--dns", "127.0.0.1:0", "--record", &recording];
    let (code, said) = refused(&folder.0, &options);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("ISTIO_META_DNS_CAPTURE"), "{said}");
    others.write(
        "mesh.yaml",
        "defaultConfig: {proxyMetadata: {ISTIO_META_DNS_CAPTURE: 'true', ISTIO_META_DNS_AUTO_ALLOCATE: 'false'}}\n",
    );
    let mesh = path("mesh.yaml");
    options.extend(["--mesh-config", &mesh]);
    let server = Dns::start();
    let at = server.addr.to_string();
    options.extend(["--dns-server", &at]);
    let proxy = Proxy::start(&folder.0, &options);
    let dns = proxy.addr("dns");
    assert_eq!(address(dns, "bank.example", Family::V4), "10.9.9.9");
    // The mesh gives no addresses.
    assert_eq!(ask(dns, "mail.example", Family::V4), Reply::NoSuchName);
}

#[test]
fn an_address_that_is_taken_is_told() {
    let folder = Folder::new("dns-taken");
    folder.write("rules.yaml", RULES);
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = taken.local_addr().unwrap().to_string();
    let (code, said) = refused(&folder.0, &["--dns", &at]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("(--dns)"), "{said}");
}
