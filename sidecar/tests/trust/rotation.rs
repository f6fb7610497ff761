//! Certificates and roots that change under load: no request is lost, and the next handshake shows what is new.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use outrigger_identity::authority::{Authority, write_identity};
use outrigger_identity::read_certificates;

use super::by_hand::{self, Client};
use super::mesh::{Mesh, mirror};
use super::proxy::{Proxy, ask, refused};
use super::runtimes;
use super::support::PATIENCE;

const DAY: Duration = Duration::from_secs(86_400);

/// Clients that ask without a pause, and say of each answer whether it is one.
pub(super) struct Load {
    answered: Receiver<String>,
    is_over: Arc<AtomicBool>,
    clients: Vec<JoinHandle<()>>,
}

impl Load {
    pub(super) fn on(addr: SocketAddr) -> Self {
        let (sender, answered) = channel();
        let is_over = Arc::new(AtomicBool::new(false));
        let client = |sender: Sender<String>| {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || {
                let request = "GET / HTTP/1.1\r\nhost: cart.shop\r\nconnection: close\r\n\r\n";
                while !is_over.load(Ordering::Relaxed) {
                    let answer = ask(addr, request);
                    let line = answer.lines().next().unwrap_or_default();
                    let _ = sender.send(line.to_owned());
                }
            })
        };
        let clients = (0..3).map(|_| client(sender.clone())).collect();
        Self {
            answered,
            is_over,
            clients,
        }
    }

    /// So many requests are answered from now on, and all before.
    pub(super) fn goes_on(&self, when: &str) {
        let before = self.answered.try_iter().collect::<Vec<_>>();
        let more = (0..30).map(|_| self.answered.recv_timeout(PATIENCE).unwrap());
        for line in before.into_iter().chain(more) {
            assert_eq!(line, "HTTP/1.1 200 OK", "{when}");
        }
    }

    /// All are answered.
    pub(super) fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().unwrap();
        }
        let mut rest = self.answered.iter();
        assert_eq!(rest.find(|line| line != "HTTP/1.1 200 OK"), None);
    }
}

/// Who connects now is shown the certificate that lies in the folder of the server.
fn shows_what_lies_there(mesh: &Mesh, server: &Proxy, when: &str) {
    let config = Arc::new(by_hand::config(&mesh.path("web"), rustls::ALL_VERSIONS));
    let mut client = Client::new(server.addr("inbound"), &config);
    assert_eq!(client.ask().as_deref(), Ok("HTTP/1.1 200 OK"), "{when}");
    let lies_there = read_certificates(&mesh.path("cart/cert-chain.pem")).unwrap();
    assert_eq!(client.shown(), lies_there[0], "{when}");
}

#[test]
fn no_request_is_lost_while_leaves_and_roots_rotate() {
    for runtime in runtimes() {
        let mesh = Mesh::new(&format!("under-load-{runtime}"));
        let server = ["--runtime", runtime];
        let server = mesh.server_with("{mtls: {mode: STRICT}}", mirror(), &server);
        // Each third request has a connection of its own.
        let policy = "{connectionPool: {http: {maxRequestsPerConnection: 3}}}";
        let client = mesh.client_with(&server, "cart", policy, &["--runtime", runtime]);
        let load = Load::on(client.addr("outbound"));
        let step = |when: &str| {
            load.goes_on(when);
            shows_what_lies_there(&mesh, &server, when);
        };
        step("at first");
        // Leaves alone.
        for account in ["cart", "web"] {
            mesh.issue(account);
        }
        server.wait_for("with 1 root");
        client.wait_for("with 1 root");
        step("with other leaves");
        // The new root beside the old one, before anybody shows a leaf of it.
        mesh.ca(&["rotate", "CA"]);
        let both = fs::read_to_string(mesh.path("ca/root-cert.pem")).unwrap();
        for account in ["cart", "web"] {
            mesh.folder
                .write(&format!("{account}/root-cert.pem"), &both);
        }
        server.wait_for("with 2 roots");
        client.wait_for("with 2 roots");
        step("with both roots");
        mesh.issue("cart");
        server.wait_for("with 2 roots");
        step("with a server of the new root");
        mesh.issue("web");
        client.wait_for("with 2 roots");
        step("with a client of the new root");
        // One that is no good: the last good one stays, and is told.
        let good = fs::read_to_string(mesh.path("cart/cert-chain.pem")).unwrap();
        let stranger = Authority::new("elsewhere").unwrap();
        let stranger = stranger.issue("shop", "cart", SystemTime::now(), DAY);
        mesh.folder
            .write("cart/cert-chain.pem", &stranger.unwrap().chain);
        server.wait_for("kept the one in use");
        load.goes_on("after a bad change");
        let stats = server.admin("GET /stats?filter=identity_refus");
        assert!(stats.contains("identity_refused: 1"), "{stats}");
        assert!(!stats.contains("identity_refusals: 0"), "{stats}");
        mesh.folder.write("cart/cert-chain.pem", &good);
        // The old root goes.
        mesh.ca(&["rotate", "CA", "--retire"]);
        for account in ["cart", "web"] {
            mesh.issue(account);
        }
        server.wait_for("with 1 root");
        client.wait_for("with 1 root");
        step("without the old root");
        load.end();
    }
}

#[test]
fn roots_and_certificates_that_are_over_open_no_listener() {
    let mesh = Mesh::new("over");
    let authority = Authority::new("cluster.local").unwrap();
    let now = SystemTime::now();
    let long_ago = now - 3 * DAY;
    for (leaf, root, want) in [
        (now, long_ago, "root"),
        (long_ago, now, "certificate"),
        (now + DAY, now, "is not good before"),
    ] {
        let issued = authority.issue("shop", "cart", leaf, DAY).unwrap();
        let root = authority.root(root, DAY).unwrap();
        write_identity(&mesh.path("cart"), &issued, &root).unwrap();
        let identity = mesh.text("cart");
        let (code, told) = refused(&mesh.path("client"), &["--identity", &identity]);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains(want), "{want}: {told}");
        assert!(!told.contains("outbound"), "no listener: {told}");
    }
}

/// Ended with the test.
struct Renewing(Child);

impl Drop for Renewing {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_throw_away_authority_renews_at_half_of_a_life() {
    let mesh = Mesh::new("renews");
    let out = mesh.text("cart");
    let began = Instant::now();
    let mut issuing = Command::new(env!("CARGO_BIN_EXE_outrigger"))
        .args(["ca", "issue", &mesh.text("ca"), "--namespace", "shop"])
        .args(["--service-account", "cart", "--out", &out])
        .args(["--lifetime", "4s", "--watch"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(issuing.stdout.take().unwrap()).lines();
    let _issuing = Renewing(issuing);
    let mut seen = Vec::new();
    for times in 0..10_u32 {
        let line = said.next().unwrap().unwrap();
        assert!(line.contains("good for 4 s"), "{line}");
        assert!(
            began.elapsed() >= Duration::from_secs(2) * times,
            "too soon"
        );
        // Whoever is slow finds a later one there, and the same again.
        let chain = read_certificates(&mesh.path("cart/cert-chain.pem")).unwrap();
        seen.push(chain[0].clone());
        seen.dedup();
        if seen.len() == 3 {
            return;
        }
    }
    panic!("{} are different", seen.len());
}
