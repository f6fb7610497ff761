//! What systemd is told (`NOTIFY_SOCKET`), over a real socket.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use proxy::{Folder, Proxy, application, command, shop};
use support::PATIENCE;

/// The next message that is no ping.
fn heard(socket: &UnixDatagram) -> String {
    loop {
        let text = any(socket);
        if text != "WATCHDOG=1" {
            return text;
        }
    }
}

fn any(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 4096];
    let length = socket.recv(&mut bytes).unwrap();
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

fn supervised(folder: &Folder, socket: &UnixDatagram, name: &str) -> Proxy {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    folder.write("shop.yaml", &shop(application("shop")));
    let mut command = command(&folder.0, &[]);
    command
        .env("NOTIFY_SOCKET", name)
        .env("WATCHDOG_USEC", "100000");
    Proxy::spawn(command)
}

#[test]
fn the_supervisor_hears_of_readiness_reloads_and_the_end() {
    let folder = Folder::new("supervisor");
    let place = std::env::temp_dir().join(format!("outrigger-notify-{}", std::process::id()));
    let socket = UnixDatagram::bind(&place).unwrap();
    let mut proxy = supervised(&folder, &socket, place.to_str().unwrap());
    let ready = heard(&socket);
    assert!(ready.starts_with("READY=1\nSTATUS=Serving: "), "{ready}");
    for _ in 0..3 {
        while any(&socket) != "WATCHDOG=1" {}
    }

    proxy.signal("-HUP");
    let reloading = heard(&socket);
    assert!(
        reloading.starts_with("RELOADING=1\nMONOTONIC_USEC="),
        "{reloading}"
    );
    assert!(heard(&socket).starts_with("READY=1\nSTATUS=Serving: "));

    folder.write("shop.yaml", "kind: [");
    let refused = heard(&socket);
    assert!(
        refused.starts_with("READY=1\nSTATUS=Serving what was there before"),
        "{refused}"
    );

    proxy.signal("-TERM");
    assert_eq!(heard(&socket), "STOPPING=1\nSTATUS=Draining");
    assert_eq!(proxy.wait().0, Some(0));
    std::fs::remove_file(place).unwrap();
}

#[test]
fn its_socket_may_have_no_file() {
    let folder = Folder::new("supervisor-abstract");
    let name = format!("outrigger-notify-{}", std::process::id());
    let addr = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&addr).unwrap();
    let _proxy = supervised(&folder, &socket, &format!("@{name}"));
    assert!(heard(&socket).starts_with("READY=1\n"));
}
