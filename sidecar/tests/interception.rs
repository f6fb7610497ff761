//! An application that knows of no proxy, in a network namespace of which everything is captured, and a client outside.
//!
//! Needs to be root on Linux with `ip`, and iptables or nft. Where it may not make namespaces it says so and tests nothing.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream, UdpSocket};
use std::process::Command;

use outrigger_dns::{Family, Reply, question, reply};
use rustix::process::Uid;
use rustix::thread::set_thread_res_uid;

use cable::Cable;
use proxy::{Folder, Proxy, ask, command, has_glommio, serve};

#[path = "../../intercept/tests/cable/mod.rs"]
mod cable;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

const RULES: &str = "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop}
spec:
  hosts: [shop.test]
  addresses: [10.77.9.9]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: STATIC
  endpoints: [{address: 10.77.0.1, ports: {http: 8000}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: mail}
spec:
  hosts: [mail.test]
  addresses: [10.77.9.8]
  ports: [{number: 25, name: tcp, protocol: TCP}, {number: 2525, name: any}]
  resolution: STATIC
  endpoints: [{address: 10.77.0.1, ports: {tcp: 2500, any: 2500}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: post}
spec:
  hosts: [post.test]
  ports: [{number: 110, name: tcp, protocol: TCP}]
  resolution: STATIC
  endpoints: [{address: 10.77.0.1, ports: {tcp: 2500}}]
";

/// Whom the application asks. Nobody is there: either the sidecar answers, or nobody does.
const NAME_SERVER: &str = "10.77.0.1:53";

/// Whom the sidecar asks.
const SERVER_BEHIND: &str = "10.77.0.1:5300";

fn get(host: &str) -> String {
    format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
}

/// Who answers at an address to a request for a host.
fn who(to: &str, host: &str) -> String {
    let answer = ask(to.parse().unwrap(), &get(host));
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    body.to_owned()
}

/// The same as the application's user: who runs the test is the sidecar.
fn who_to_application(cable: &Cable, to: &str, host: &str) -> String {
    cable.in_pod(|| {
        let user = Uid::from_raw(1000);
        set_thread_res_uid(user, user, user).unwrap();
        who(to, host)
    })
}

/// Whether a connection ends without an answer.
fn is_closed(to: &str) -> bool {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
    // It may be closed before.
    let _ = stream.write_all(get("pod.test").as_bytes());
    match stream.read(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

/// Speaks first to everybody, then says again what it hears, until that ends.
fn serve_first(listener: TcpListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            std::thread::spawn(move || {
                // Who goes away early has heard enough.
                let _ = stream.write_all(b"220 ready\r\n");
                let mut heard = Vec::new();
                if stream.read_to_end(&mut heard).is_ok() {
                    let _ = stream.write_all(&heard);
                }
            });
        }
    });
}

/// What a server says that speaks first, and after that has heard something and its end; as the application's user.
fn hear_first(cable: &Cable, to: &str) -> String {
    cable.in_pod(|| {
        let user = Uid::from_raw(1000);
        set_thread_res_uid(user, user, user).unwrap();
        let mut stream = TcpStream::connect(to).unwrap();
        stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
        let mut first = [0; 11];
        stream.read_exact(&mut first).unwrap();
        stream.write_all(b"QUIT").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = String::new();
        stream.read_to_string(&mut rest).unwrap();
        String::from_utf8(first.to_vec()).unwrap() + &rest
    })
}

/// A sidecar in the pod, which ends with this.
fn start(cable: &Cable, folder: &Folder, runtime: &str, mode: &str) -> Proxy {
    folder.write("rules.yaml", RULES);
    let options = [
        ["--runtime", runtime],
        ["--interception", mode],
        ["--outbound", "127.0.0.1:15001"],
        ["--dns", "127.0.0.1:15053"],
        ["--dns-server", SERVER_BEHIND],
        ["--inbound", "0.0.0.0:15006=127.0.0.1:8080"],
        ["--inbound", "0.0.0.0:15006=127.0.0.1:9090"],
    ];
    cable.in_pod(|| Proxy::spawn(command(&folder.0, options.as_flattened())))
}

/// The first address of a name, as the application's user asks for it at its name server.
fn resolve(cable: &Cable, name: &str) -> IpAddr {
    cable.in_pod(|| {
        let user = Uid::from_raw(1000);
        set_thread_res_uid(user, user, user).unwrap();
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        socket.set_read_timeout(Some(support::PATIENCE)).unwrap();
        // From then on only what seems to come from there is heard.
        socket.connect(NAME_SERVER).unwrap();
        let asked = question(7, name, Family::V4).unwrap();
        socket.send(&asked).unwrap();
        let mut room = [0; 512];
        let length = socket.recv(&mut room).unwrap();
        match reply(&asked, Family::V4, &room[..length]) {
            Some(Reply::Addresses { addresses, .. }) => addresses[0],
            other => panic!("{name}: {other:?}"),
        }
    })
}

/// A name server outside that has one address for every name.
fn serve_names(cable: &Cable) {
    let socket = cable.in_client(|| UdpSocket::bind(SERVER_BEHIND).unwrap());
    std::thread::spawn(move || {
        let mut room = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut room) {
            let mut said = room[..length].to_vec();
            said[2] |= 0x80;
            said[7] = 1;
            said.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 77, 0, 9]);
            let _ = socket.send_to(&said, from);
        }
    });
}

fn intercept(cable: &Cable, args: &[&str]) -> String {
    let run = || {
        Command::new(env!("CARGO_BIN_EXE_outrigger"))
            .arg("intercept")
            .args(args)
            .output()
    };
    let output = cable.in_pod(run).unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(output.status.success(), "{args:?}: {said}");
    said
}

#[test]
fn an_application_that_knows_of_no_proxy_is_served_by_one() {
    let cable = match Cable::new("run") {
        Ok(cable) => cable,
        Err(why) => {
            return eprintln!("not tried, because there can be no network namespaces: {why}");
        }
    };
    if cable.in_pod(cable::backends).is_empty() {
        return eprintln!("not tried, because neither iptables nor nft works here");
    }
    for (address, name) in [("10.77.0.1:8000", "shop"), ("10.77.0.1:7000", "elsewhere")] {
        serve(
            cable.in_client(|| TcpListener::bind(address).unwrap()),
            name,
        );
    }
    serve_names(&cable);
    serve_first(cable.in_client(|| TcpListener::bind("10.77.0.1:2500").unwrap()));
    for (address, name) in [("127.0.0.1:8080", "a"), ("127.0.0.1:9090", "b")] {
        serve(cable.in_pod(|| TcpListener::bind(address).unwrap()), name);
    }
    let folder = Folder::new("interception");
    for (runtime, mode) in [
        ("tokio", "REDIRECT"),
        ("tokio", "TPROXY"),
        ("glommio", "REDIRECT"),
    ] {
        if runtime == "glommio" && !has_glommio() {
            eprintln!("glommio is not tried: this machine does not let us");
            continue;
        }
        // Who runs this is the sidecar, and so exempt.
        let apply = ["apply", "--proxy-uid", "0", "--mode", mode];
        let names = ["--dns", "--dns-servers", "*"];
        intercept(&cable, &[&apply[..], &names].concat());
        let sidecar = start(&cable, &folder, runtime, mode);
        let what = format!("{runtime} {mode}");
        let out = |to, host| who_to_application(&cable, to, host);
        assert_eq!(out("10.77.9.9:80", "shop.test"), "shop", "{what}");
        // The port that was connected to counts, whatever the host says.
        assert_eq!(out("10.77.9.9:80", "shop.test:9999"), "shop", "{what}");
        // Whom nobody knows is where the application wanted to go, and no name is asked for.
        assert_eq!(
            out("10.77.0.1:7000", "nobody.invalid"),
            "elsewhere",
            "{what}"
        );
        assert_eq!(out("10.77.0.1:7000", "shop.test"), "elsewhere", "{what}");
        // By the name of the port, by its silence, and where nobody knows what is spoken.
        for to in ["10.77.9.8:25", "10.77.9.8:2525", "10.77.0.1:2500"] {
            assert_eq!(hear_first(&cable, to), "220 ready\r\nQUIT", "{what} {to}");
        }
        // By its name, and an address that nobody has but the sidecar.
        let given = resolve(&cable, "post.test");
        assert!(given.to_string().starts_with("240.240."), "{what}: {given}");
        let to = format!("{given}:110");
        assert_eq!(hear_first(&cable, &to), "220 ready\r\nQUIT", "{what}");
        assert_eq!(
            resolve(&cable, "shop.test").to_string(),
            "10.77.9.9",
            "{what}"
        );
        assert_eq!(
            resolve(&cable, "other.test").to_string(),
            "10.77.0.9",
            "{what}"
        );
        let into = |to: &str| cable.in_client(|| who(to, "pod.test"));
        assert_eq!(into("10.77.0.2:8080"), "a", "{what}");
        assert_eq!(into("10.77.0.2:9090"), "b", "{what}");
        let is_closed = cable.in_client(|| is_closed("10.77.0.2:9191"));
        assert!(is_closed, "{what}: nobody is for that port");
        let stats = cable.in_pod(move || sidecar.admin("GET /stats?filter=no_filter_chain_match"));
        assert!(
            stats.contains("0.0.0.0_15006.no_filter_chain_match: 1"),
            "{what}: {stats}"
        );
        intercept(&cable, &["clean"]);
    }
}
