//! What `outrigger control` bounds, over real sockets: for how long a proof holds, connections, and reviews of tokens.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/control.rs"]
mod control;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::fs;
use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};

use control::{Control, proven, proving, until};
use proxy::{Folder, Proxy, application, shop};

const OVER: &str = "outrigger_control_clients_over_total";

#[test]
fn what_was_proved_is_proved_again_and_nothing_is_missed() {
    let config = Folder::new("control-over");
    config.write("shop.yaml", &shop(application("old")));
    let (_, mut more) = proving(&config);
    let short = ["--token-recheck", "1s", "--max-certificate-lifetime", "6s"];
    more.extend(short.map(String::from));
    let control = Control::start_with(&config, "127.0.0.1:0", &more);
    let shopping = Proxy::spawn(proven(&control, &config, "default-shop", &[]));
    until(&shopping, "shop.example", "old");
    // By its token, which has no end of its own.
    control.count(OVER, 2);
    control.told.wait_for("is to prove it again");
    // By its certificate alone, until that one is over, and then by the next.
    fs::remove_file(config.0.join("default-shop.token")).unwrap();
    fs::write(config.0.join("tokens"), "").unwrap();
    let before = control.count(OVER, 2);
    control.count(OVER, before + 3);
    config.write("shop.yaml", &shop(application("new")));
    until(&shopping, "shop.example", "new");
    control.page("/clients", "\"proven\":true");
}

/// Whether a connection is closed by the other side, which has not said a word.
fn is_closed(addr: SocketAddr) -> bool {
    let mut stream = TcpStream::connect(addr).unwrap();
    matches!(stream.read(&mut [0]), Ok(0) | Err(_))
}

#[test]
fn connections_have_their_number() {
    let config = Folder::new("control-connections");
    config.write("shop.yaml", &shop(application("old")));
    let (_, mut more) = proving(&config);
    let few = [
        "--max-connections",
        "2",
        "--max-webhook-connections",
        "1",
        "--max-admin-connections",
        "1",
        "--webhooks",
        "127.0.0.1:0",
        "--proof-timeout",
        "1s",
        "--handshake-timeout",
        "1h",
    ];
    more.extend(few.map(String::from));
    let control = Control::start_with(&config, "127.0.0.1:0", &more);
    let mut held = Vec::new();
    for (at, most) in [("secure", 2), ("webhooks", 1)] {
        let addr = control.addr(at);
        let there = (0..most).map(|_| TcpStream::connect(addr).unwrap());
        held.extend(there.collect::<Vec<_>>());
        assert!(is_closed(addr), "{at}");
    }
    let closed = "outrigger_control_authority_connections_too_many_total";
    assert_eq!(control.count(closed, 2), 2);
    // Each page was asked for on a connection of its own, and another one had to wait for it.
    control.count("outrigger_control_admin_connections_waited_total", 1);
    // Whoever goes makes room.
    drop(held);
    let shopping = Proxy::spawn(proven(&control, &config, "default-shop", &[]));
    until(&shopping, "shop.example", "old");
}

#[test]
fn a_token_is_reviewed_once_for_all_that_one_sidecar_asks() {
    let config = Folder::new("control-reviews");
    config.write("shop.yaml", &shop(application("old")));
    let (_, mut more) = proving(&config);
    more.extend(["--token-good-for", "1h"].map(String::from));
    let control = Control::start_with(&config, "127.0.0.1:0", &more);
    for _ in 0..3 {
        // A certificate and a configuration each.
        let shopping = Proxy::spawn(proven(&control, &config, "default-shop", &[]));
        until(&shopping, "shop.example", "old");
    }
    control.count("outrigger_control_authority_reviews_spared_total", 5);
    assert_eq!(
        control.count("outrigger_control_authority_reviews_total", 1),
        1
    );
}

/// A mesh has more sidecars than the 1,024 files that a program gets which does not ask for more.
#[test]
fn as_many_descriptors_as_the_system_grants_are_there() {
    let config = Folder::new("control-descriptors");
    let control = Control::start_with(&config, "127.0.0.1:0", &[]);
    let limits = fs::read_to_string(format!("/proc/{}/limits", control.pid())).unwrap();
    let row = limits.lines().find(|row| row.starts_with("Max open files"));
    let words: Vec<_> = row.unwrap().split_whitespace().collect();
    assert_eq!(words[3], words[4], "{row:?}");
}
