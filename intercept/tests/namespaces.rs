//! The rules in the kernel: two network namespaces, a pod and a client of it, and connections between them.
//!
//! Needs to be root on Linux with `ip` and with iptables or nft. Where it may not make namespaces it says so and tests nothing.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use outrigger_intercept::{
    Backend, Capture, Dns, Mode, NameServers, Proof, Run as _, System, apply, clean, probe,
};
use rustix::process::Uid;
use rustix::thread::set_thread_res_uid;
use socket2::{Domain, SockRef, Socket, Type};

use cable::Cable;

mod cable;

const TIME: Duration = Duration::from_secs(10);

fn listen(cable: &Cable, address: &str) -> TcpListener {
    cable.in_pod(|| TcpListener::bind(address).unwrap())
}

fn connect(to: &str) -> TcpStream {
    TcpStream::connect_timeout(&to.parse().unwrap(), TIME)
        .unwrap_or_else(|error| panic!("{to}: {error}"))
}

/// A call that nothing interrupts.
fn whole<T>(mut call: impl FnMut() -> std::io::Result<T>) -> T {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            outcome => return outcome.unwrap(),
        }
    }
}

/// Where the next connection to a listener was to go, as the kernel remembers it.
fn original(listener: &TcpListener) -> String {
    let (stream, _) = listener.accept().unwrap();
    let socket = SockRef::from(&stream);
    let original = match stream.local_addr().unwrap().ip().to_canonical() {
        IpAddr::V4(_) => socket.original_dst_v4(),
        IpAddr::V6(_) => socket.original_dst_v6(),
    };
    let original = original.unwrap_or_else(|error| panic!("no original destination: {error}"));
    original.as_socket().unwrap().to_string()
}

/// Whether the next connection to a listener came from there.
fn is_from(listener: &TcpListener, stream: &TcpStream) -> bool {
    let (_, from) = listener.accept().unwrap();
    from.port() == stream.local_addr().unwrap().port()
}

/// What all tools say of the rules that there are.
fn all_rules() -> String {
    let said = |program, args: &[&str]| System.run(program, args, "").unwrap_or_default();
    [
        said("iptables-save", &[]),
        said("ip6tables-save", &[]),
        said("nft", &["list", "ruleset"]),
    ]
    .concat()
}

/// Plays something with each tool that is there; says so where it may not.
fn with_each(of: &str, play: impl Fn(&Cable, Backend)) {
    let cable = match Cable::new(of) {
        Ok(cable) => cable,
        Err(why) => {
            return eprintln!("not tried, because there can be no network namespaces: {why}");
        }
    };
    let backends = cable.in_pod(cable::backends);
    if backends.is_empty() {
        return eprintln!("not tried, because neither iptables nor nft works here");
    }
    for backend in backends {
        play(&cable, backend);
        let capture = Capture {
            mode: Mode::Tproxy {
                mark: 1337,
                table: 133,
            },
            ..Capture::default()
        };
        cable.in_pod(|| clean(&capture, &System)).unwrap();
        let left = cable.in_pod(all_rules);
        assert!(
            !left.contains("ISTIO") && !left.contains("outrigger"),
            "{backend:?} leaves {left}"
        );
    }
}

fn apply_to(cable: &Cable, capture: &Capture, backend: Backend) {
    cable
        .in_pod(|| apply(capture, Some(backend), &System))
        .unwrap_or_else(|failed| panic!("{backend:?}: {failed}"));
}

#[test]
fn redirected_connections_arrive_with_their_destination() {
    with_each("redirect", |cable, backend| {
        let capture = Capture {
            ipv6: true,
            ..Capture::default()
        };
        apply_to(cable, &capture, backend);
        // A second time changes nothing.
        let rules = || {
            cable.in_pod(|| {
                System
                    .run("nft", &["-s", "list", "ruleset"], "")
                    .unwrap_or_default()
            })
        };
        let before = rules();
        apply_to(cable, &capture, backend);
        assert_eq!(rules(), before, "{backend:?}");
        let proof = cable.in_pod(|| probe(&capture));
        assert_eq!(
            proof,
            Proof::Captured("192.0.2.1:65023".parse().unwrap()),
            "{backend:?}: {proof}"
        );

        let (inbound, outbound) = (listen(cable, "[::]:15006"), listen(cable, "[::]:15001"));
        for to in ["10.77.0.2:8080", "[fd77::2]:8080"] {
            let _arrives = cable.in_client(|| connect(to));
            assert_eq!(original(&inbound), to.replace("::ffff:", ""), "{backend:?}");
        }
        for to in ["10.99.0.9:80", "[fd99::9]:80"] {
            let _leaves = cable.in_pod(|| connect(to));
            assert_eq!(original(&outbound), to, "{backend:?}");
        }
        // What is exempt goes where it wants.
        let health = listen(cable, "0.0.0.0:15021");
        assert!(is_from(
            &health,
            &cable.in_client(|| connect("10.77.0.2:15021"))
        ));
        let neighbour = listen(cable, "127.0.0.1:9000");
        assert!(is_from(
            &neighbour,
            &cable.in_pod(|| connect("127.0.0.1:9000"))
        ));
    });
}

#[test]
fn the_sidecars_own_connections_are_not_captured() {
    with_each("own", |cable, backend| {
        // Who runs this is the sidecar.
        let capture = Capture {
            users: vec![0],
            groups: vec![0],
            ..Capture::default()
        };
        apply_to(cable, &capture, backend);
        let proof = cable.in_pod(|| probe(&capture));
        assert!(matches!(proof, Proof::Untried(_)), "{proof}");
        let elsewhere = cable.in_client(|| TcpListener::bind("10.77.0.1:9999").unwrap());
        assert!(is_from(
            &elsewhere,
            &cable.in_pod(|| connect("10.77.0.1:9999"))
        ));
        let (inbound, application) = (
            listen(cable, "0.0.0.0:15006"),
            listen(cable, "0.0.0.0:8080"),
        );
        // A service that calls itself meets its own sidecar, once.
        let _circle = cable.in_pod(|| connect("10.77.0.2:8080"));
        assert_eq!(original(&inbound), "10.77.0.2:8080", "{backend:?}");
        let from_inside = cable.in_pod(|| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket
                .bind(&"127.0.0.6:0".parse::<SocketAddr>().unwrap().into())
                .unwrap();
            socket
                .connect(&"10.77.0.2:8080".parse::<SocketAddr>().unwrap().into())
                .unwrap();
            TcpStream::from(socket)
        });
        assert!(is_from(&application, &from_inside), "{backend:?}");
    });
}

#[test]
fn one_tool_takes_over_from_the_other() {
    let cable = match Cable::new("turns") {
        Ok(cable) => cable,
        Err(why) => {
            return eprintln!("not tried, because there can be no network namespaces: {why}");
        }
    };
    let capture = Capture {
        ipv6: true,
        ..Capture::default()
    };
    let count = |said: &str| ["ISTIO_OUTPUT", "nat_istio_output"].map(|chain| said.contains(chain));
    for backend in cable.in_pod(cable::backends).into_iter().cycle().take(3) {
        apply_to(&cable, &capture, backend);
        let said = cable.in_pod(all_rules);
        assert_eq!(
            count(&said),
            [backend == Backend::Iptables, backend == Backend::Nft],
            "{backend:?}: {said}"
        );
    }
}

#[test]
fn questions_for_names_are_answered_by_the_sidecar() {
    with_each("dns", |cable, backend| {
        let capture = Capture {
            dns: Some(Dns {
                port: 15053,
                servers: NameServers::All,
            }),
            ..Capture::default()
        };
        apply_to(cable, &capture, backend);
        // Its answers are known by whose they are.
        let sidecar = cable.in_pod(|| {
            let user = Uid::from_raw(1337);
            set_thread_res_uid(user, user, user).unwrap();
            UdpSocket::bind("127.0.0.1:15053").unwrap()
        });
        let tcp = listen(cable, "0.0.0.0:15053");
        cable.in_pod(|| {
            let asks = UdpSocket::bind("0.0.0.0:0").unwrap();
            asks.set_read_timeout(Some(TIME)).unwrap();
            sidecar.set_read_timeout(Some(TIME)).unwrap();
            asks.connect("10.77.0.1:53").unwrap();
            asks.send(b"who").unwrap();
            let mut room = [0; 16];
            let (count, from) = whole(|| sidecar.recv_from(&mut room));
            assert_eq!(&room[..count], b"who");
            sidecar.send_to(b"me", from).unwrap();
            // It seems to come from who was asked.
            let count = whole(|| asks.recv(&mut room));
            assert_eq!(&room[..count], b"me");
        });
        let mut asks = cable.in_pod(|| connect("10.77.0.1:53"));
        let (mut answers, _) = tcp.accept().unwrap();
        answers.write_all(b"me").unwrap();
        let mut room = [0; 2];
        asks.read_exact(&mut room).unwrap();
        assert_eq!(&room, b"me", "{backend:?}");
    });
}

#[test]
fn under_tproxy_both_addresses_are_kept() {
    with_each("tproxy", |cable, backend| {
        let capture = Capture {
            mode: Mode::Tproxy {
                mark: 1337,
                table: 133,
            },
            ..Capture::default()
        };
        for _ in 0..2 {
            apply_to(cable, &capture, backend);
        }
        let listener = cable.in_pod(|| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_ip_transparent_v4(true).unwrap();
            socket
                .bind(&"0.0.0.0:15006".parse::<SocketAddr>().unwrap().into())
                .unwrap();
            socket.listen(16).unwrap();
            TcpListener::from(socket)
        });
        let mut client = cable.in_client(|| connect("10.77.0.2:8080"));
        let (mut stream, from) = listener.accept().unwrap();
        assert_eq!(
            stream.local_addr().unwrap().to_string(),
            "10.77.0.2:8080",
            "{backend:?}"
        );
        assert_eq!(from, client.local_addr().unwrap());
        // Bytes find their way both ways.
        client.write_all(b"ask").unwrap();
        let mut room = [0; 3];
        stream.read_exact(&mut room).unwrap();
        stream.write_all(&room).unwrap();
        client.read_exact(&mut room).unwrap();
        assert_eq!(&room, b"ask");
    });
}
