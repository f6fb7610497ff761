//! OpenSSL as the other side, where it is installed: another reading of the same specifications.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use outrigger_core::peer::TlsVersion;
use outrigger_core::snapshot::MutualTls;
use rustls_pki_types::PrivateKeyDer;

use super::authority::{Authority, Signed};
use super::by_hand::{ask, by_hand, connect, shake};
use super::mesh::{CLIENT, Client, PATIENCE, SERVER, Sidecar, Sides, application, client};

/// Whether there is one; where there is none, what needs it passes and says so.
fn is_installed() -> bool {
    let found = Command::new("openssl").arg("version").output();
    let is_there = found.is_ok_and(|output| output.status.success());
    if !is_there {
        eprintln!("nothing tested: there is no openssl");
    }
    is_there
}

/// A folder of its own, which is removed in the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("outrigger-tls-{name}-{}", std::process::id());
        let path = std::env::temp_dir()
            .join(name)
            .join(format!("{:?}", thread::current().id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, label: &str, der: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, pem(label, der)).unwrap();
        path
    }

    /// The files of an identity and of who is believed: certificate, key, roots.
    fn identity(&self, (chain, key): &Signed, authority: &Authority) -> [PathBuf; 3] {
        let PrivateKeyDer::Pkcs8(key) = key else {
            panic!("an unknown kind of key");
        };
        [
            self.write("cert.pem", "CERTIFICATE", &chain[0]),
            self.write("key.pem", "PRIVATE KEY", key.secret_pkcs8_der()),
            self.write("root.pem", "CERTIFICATE", &authority.root),
        ]
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// RFC 7468.
fn pem(label: &str, der: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in der.chunks(48) {
        for three in line.chunks(3) {
            let bits = three
                .iter()
                .fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
            let bits = bits << (8 * (3 - three.len()));
            for at in 0..4 {
                let letter = LETTERS[(bits >> (18 - 6 * at) & 63) as usize];
                text.push(if at <= three.len() {
                    letter as char
                } else {
                    '='
                });
            }
        }
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

/// Ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn openssl(command: &str, [cert, key, root]: &[PathBuf; 3]) -> Command {
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let mut openssl = Command::new("openssl");
    openssl.args([
        command,
        "-cert",
        &path(cert),
        "-key",
        &path(key),
        "-CAfile",
        &path(root),
    ]);
    openssl
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    openssl
}

#[test]
fn openssl_as_a_client_gets_an_answer_with_a_certificate_and_none_without() {
    if !is_installed() {
        return;
    }
    let authority = Authority::new();
    let near = Sides::server(MutualTls::Strict);
    let near = Sidecar::start(application(), &near, authority.identity(&[SERVER]));
    let folder = Folder::new("client");
    let files = folder.identity(&authority.sign(&[CLIENT]), &authority);
    for (version, want) in [
        ("-tls1_2", TlsVersion::Tls12),
        ("-tls1_3", TlsVersion::Tls13),
    ] {
        let before = near.told().len();
        let mut child = openssl("s_client", &files)
            .args([
                "-connect",
                &near.addr.to_string(),
                "-alpn",
                "istio,h2",
                "-quiet",
                "-verify_return_error",
                version,
            ])
            .spawn()
            .unwrap();
        let mut asks = child.stdin.take().unwrap();
        asks.write_all(b"GET /12 HTTP/1.1\r\nhost: cart\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = Vec::new();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_end(&mut answer)
            .unwrap();
        drop((asks, Running(child)));
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with("HTTP/1.1 200 OK"), "{version}: {text}");
        let facts = near.told_of(before + 1).pop().unwrap().client.unwrap();
        assert_eq!(facts.version, want);
        assert_eq!(
            facts.peer.unwrap().principal(),
            CLIENT.strip_prefix("spiffe://")
        );
    }
    for version in ["-tls1_1", "-tls1"] {
        let refused = openssl("s_client", &files)
            .args([
                "-connect",
                &near.addr.to_string(),
                "-alpn",
                "istio",
                version,
            ])
            .args(["-cipher", "ALL:@SECLEVEL=0"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&refused.stdout);
        assert!(
            told.contains("no peer certificate available"),
            "{version}: {told}"
        );
    }
}

/// Who would shake hands once more on a connection of TLS 1.2 is told that nobody does (RFC 5746 §4.5 leaves that to the server).
#[test]
fn nobody_renegotiates() {
    if !is_installed() {
        return;
    }
    let authority = Authority::new();
    let near = Sides::server(MutualTls::Strict);
    let near = Sidecar::start(application(), &near, authority.identity(&[SERVER]));
    let folder = Folder::new("renegotiates");
    let files = folder.identity(&authority.sign(&[CLIENT]), &authority);
    let mut child = openssl("s_client", &files)
        .args([
            "-connect",
            &near.addr.to_string(),
            "-alpn",
            "istio",
            "-tls1_2",
        ])
        .spawn()
        .unwrap();
    // A line that begins so is a command of the tool's.
    let mut asks = child.stdin.take().unwrap();
    asks.write_all(b"R\n").unwrap();
    let mut told = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut told).unwrap();
    drop((asks, Running(child)));
    assert!(told.contains("RENEGOTIATING"), "{told}");
    assert!(told.contains("no renegotiation"), "{told}");
    let mut client = by_hand(Some(authority.sign(&[CLIENT])), &["istio"], true);
    let mut stream = connect(&near);
    assert_eq!(shake(&mut client, &mut stream, 1000, usize::MAX), Ok(true));
    assert!(
        ask(&mut client, &mut stream).is_ok(),
        "the next one is served"
    );
}

/// Where `openssl s_server` listens, once it does.
fn serve(files: &[PathBuf; 3], more: &[&str]) -> (Running, SocketAddr) {
    // A port that was free a moment ago.
    let addr = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let child = openssl("s_server", files)
        .args([
            "-accept",
            &addr.to_string(),
            "-www",
            "-quiet",
            "-alpn",
            "http/1.1",
            "-Verify",
            "2",
        ])
        .arg("-verify_return_error")
        .args(more)
        .spawn()
        .unwrap();
    let running = Running(child);
    let began = Instant::now();
    while TcpStream::connect(addr).is_err() {
        assert!(began.elapsed() < PATIENCE);
        thread::yield_now();
    }
    (running, addr)
}

#[test]
fn openssl_as_an_endpoint_answers_and_learns_who_asks() {
    if !is_installed() {
        return;
    }
    let authority = Authority::new();
    for (version, want) in [
        ("-tls1_2", TlsVersion::Tls12),
        ("-tls1_3", TlsVersion::Tls13),
    ] {
        let folder = Folder::new("server");
        let files = folder.identity(&authority.sign(&[SERVER]), &authority);
        let (_openssl, addr) = serve(&files, &[version]);
        let far = Sides {
            client: Some(client(SERVER)),
            ..Sides::default()
        };
        let far = Sidecar::start(addr, &far, authority.identity(&[CLIENT]));
        let asks = Client::to(&far);
        let request = b"GET / HTTP/1.1\r\nhost: cart\r\nconnection: close\r\n\r\n";
        asks.0.get_ref().write_all(request).unwrap();
        let answer = asks.rest();
        let text = String::from_utf8_lossy(&answer);
        assert!(text.starts_with("HTTP/1.1 200"), "{version}: {text}");
        // It shows what it knows of its client.
        assert!(
            text.contains("URI:spiffe://td/ns/shop/sa/web") || text.contains("Client certificate"),
            "{text}"
        );
        let facts = far.told_of(1).pop().unwrap().endpoint.unwrap();
        assert_eq!(facts.version, want);
        assert_eq!(&*facts.peer.unwrap().uri_names[0], SERVER);
    }
}
