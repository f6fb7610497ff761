//! Two sidecars that speak mutual TLS to each other, with identities of `outrigger ca`: who comes in, who is refused, what the
//! application is told, and what happens when certificates change.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

#[path = "support/mesh.rs"]
mod mesh;
#[path = "support/proxy.rs"]
mod proxy;
mod support;

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::thread;

use mesh::{Mesh, mirror};
use proxy::{Proxy, ask, refused};

/// What a client gets that speaks clear text to an inbound listener; nothing when it is cut off.
fn in_clear_text(server: &Proxy) -> String {
    let mut stream = TcpStream::connect(server.addr("inbound")).unwrap();
    let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: cart.shop\r\nconnection: close\r\n\r\n");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[test]
fn strict_lets_in_who_proves_to_be_of_the_mesh() {
    for mesh in Mesh::each("strict") {
        let server = mesh.server("{mtls: {mode: STRICT}}", mirror());
        let client = mesh.client(&server, "cart", "");
        let forged = "GET / HTTP/1.1\r\nhost: cart.shop\r\nx-forwarded-client-cert: URI=spiffe://forged\r\n\
                      connection: close\r\n\r\n";
        let seen = ask(client.addr("outbound"), forged);
        assert!(seen.starts_with("HTTP/1.1 200"), "{seen}");
        let told = seen
            .lines()
            .find(|line| line.starts_with("x-forwarded-client-cert:"));
        let told = told.expect("the application is told");
        assert!(
            told.starts_with(
                "x-forwarded-client-cert: By=spiffe://cluster.local/ns/shop/sa/cart;Hash="
            ),
            "{told}"
        );
        assert!(
            told.ends_with(";Subject=\"\";URI=spiffe://cluster.local/ns/shop/sa/web"),
            "{told}"
        );
        assert!(!told.contains("forged"), "{told}");
        assert_eq!(in_clear_text(&server), "");
        let certs = server.admin("GET /certs");
        assert!(
            certs.contains("spiffe://cluster.local/ns/shop/sa/cart"),
            "{certs}"
        );
        assert!(!certs.contains("PRIVATE"), "{certs}");
    }
}

#[test]
fn permissive_takes_both() {
    for mesh in Mesh::each("permissive") {
        let server = mesh.server("{mtls: {mode: PERMISSIVE}}", mirror());
        let client = mesh.client(&server, "cart", "");
        let seen = client.get("cart.shop");
        assert!(
            seen.contains("URI=spiffe://cluster.local/ns/shop/sa/web"),
            "{seen}"
        );
        let plain = in_clear_text(&server);
        assert!(plain.starts_with("HTTP/1.1 200"), "{plain}");
        assert!(!plain.contains("x-forwarded-client-cert"), "{plain}");
    }
}

/// An application that speaks first.
fn greeter() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.write_all(b"220 ready\r\n");
        }
    });
    addr
}

/// Where clear text may be spoken and HTTP is not, silence is clear text: the application may be the one to speak first. It is
/// not where only TLS may be spoken, nor where rules for requests hold.
#[test]
fn an_application_that_speaks_first_is_heard_on_a_permissive_port() {
    for (port, mode, want) in [
        ("tcp", "PERMISSIVE", "220 ready\r\n"),
        ("http", "PERMISSIVE", ""),
        ("tcp", "STRICT", ""),
    ] {
        for mesh in Mesh::each(&format!("first-{port}-{mode}")) {
            let application = greeter();
            let number = application.port();
            mesh.folder.write(
                "server/service.yaml",
                &format!(
                    "kind: Service\napiVersion: v1\nmetadata: {{name: mail, namespace: shop}}\n\
                     spec: {{selector: {{app: mail}}, ports: [{{port: {number}, name: {port}}}]}}\n"
                ),
            );
            let policy = format!("{{mtls: {{mode: {mode}}}}}");
            let more = [
                "--label",
                "app=mail",
                "--protocol-detection-timeout",
                "100ms",
                "--tls-handshake-timeout",
                "1s",
            ];
            let server = mesh.server_with(&policy, application, &more);
            let mut stream = TcpStream::connect(server.addr("inbound")).unwrap();
            stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
            let mut heard = String::new();
            let _ = stream.read_to_string(&mut heard);
            assert_eq!(heard, want, "{port} {mode}");
        }
    }
}

#[test]
fn a_server_that_is_somebody_else_gets_no_request() {
    for mesh in Mesh::each("else") {
        let server = mesh.server("{mtls: {mode: STRICT}}", mirror());
        let client = mesh.client(&server, "till", "");
        let seen = client.get("cart.shop");
        assert!(seen.starts_with("HTTP/1.1 503"), "{seen}");
    }
}

#[test]
fn a_client_of_another_authority_is_refused() {
    for mesh in Mesh::each("other") {
        let server = mesh.server("{mtls: {mode: STRICT}}", mirror());
        fs::remove_dir_all(mesh.path("ca")).unwrap();
        mesh.ca(&["init", "CA"]);
        mesh.issue("web");
        let client = mesh.client(&server, "cart", "{mode: ISTIO_MUTUAL}");
        let seen = client.get("cart.shop");
        assert!(seen.starts_with("HTTP/1.1 503"), "{seen}");
    }
}

#[test]
fn a_rule_names_its_certificates_by_file_and_by_secret() {
    for mesh in Mesh::each("mutual") {
        let server = mesh.server("{mtls: {mode: STRICT}}", mirror());
        let names = "subjectAltNames: ['spiffe://cluster.local/ns/shop/sa/cart']";
        let (chain, key, roots) = (
            mesh.text("web/cert-chain.pem"),
            mesh.text("web/key.pem"),
            mesh.text("web/root-cert.pem"),
        );
        let by_file = format!(
            "{{mode: MUTUAL, clientCertificate: {chain}, privateKey: {key}, caCertificates: {roots}, {names}}}"
        );
        let client = mesh.client(&server, "cart", &by_file);
        let seen = client.get("cart.shop");
        assert!(
            seen.contains("URI=spiffe://cluster.local/ns/shop/sa/web"),
            "{seen}"
        );
        drop(client);
        let indented = |path: &str| {
            let text = fs::read_to_string(path).unwrap();
            let lines = text.lines().map(|line| format!("    {line}\n"));
            lines.collect::<String>()
        };
        let secret = format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: web, namespace: shop}}\nstringData:\n  tls.crt: |\n{}  tls.key: |\n{}  ca.crt: |\n{}",
            indented(&chain),
            indented(&key),
            indented(&roots)
        );
        mesh.folder.write("client/secret.yaml", &secret);
        let by_secret = format!("{{mode: MUTUAL, credentialName: web, {names}}}");
        let client = mesh.client(&server, "cart", &by_secret);
        let seen = client.get("cart.shop");
        assert!(
            seen.contains("URI=spiffe://cluster.local/ns/shop/sa/web"),
            "{seen}"
        );
        let dump = client.admin("GET /config_dump");
        let line = fs::read_to_string(&key)
            .unwrap()
            .lines()
            .nth(1)
            .unwrap()
            .to_owned();
        assert!(!dump.contains(&line));
    }
}

#[test]
fn certificates_and_roots_change_while_it_runs() {
    for mesh in Mesh::each("rotate") {
        let server = mesh.server("{mtls: {mode: STRICT}}", mirror());
        let client = mesh.client(&server, "cart", "");
        let works = |when: &str| {
            let seen = client.get("cart.shop");
            assert!(seen.starts_with("HTTP/1.1 200"), "{when}: {seen}");
        };
        works("at first");
        mesh.ca(&["rotate", "CA"]);
        // Each trusts both roots before the other has an identity by the new one: those of the old authority are still good.
        for account in ["cart", "web"] {
            let (from, to) = (
                mesh.path("ca/root-cert.pem"),
                mesh.path(account).join("root-cert.pem"),
            );
            let new = to.with_extension("new");
            fs::copy(from, &new).unwrap();
            fs::rename(new, to).unwrap();
        }
        server.wait_for("with 2 roots");
        client.wait_for("with 2 roots");
        works("with both roots");
        mesh.issue("cart");
        server.wait_for("with 2 roots");
        works("with a new server");
        mesh.issue("web");
        client.wait_for("with 2 roots");
        works("with a new client");
        mesh.ca(&["rotate", "CA", "--retire"]);
        mesh.issue("cart");
        server.wait_for("with 1 root");
        works("without the old root");
        // What is no good is not taken.
        fs::write(mesh.path("cart/key.pem"), "nothing").unwrap();
        server.wait_for("kept the one in use");
        works("after a bad change");
        let stats = server.admin("GET /stats?filter=identity_refused");
        assert!(stats.contains("identity_refused: 1"), "{stats}");
    }
}

#[test]
fn an_identity_that_is_no_good_opens_no_listener() {
    let mesh = Mesh::new("refused");
    let identity = mesh.text("cart");
    let (config, more) = (mesh.path("client"), ["--identity", &*identity]);
    let told = |wanted: &str| {
        let (code, told) = refused(&config, &more);
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains(wanted), "{told}");
    };
    let key = mesh.path("cart/key.pem");
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    told("chmod 600");
    fs::copy(mesh.path("web/key.pem"), &key).unwrap();
    fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    told("not the one of the certificate");
    fs::remove_file(&key).unwrap();
    told("cannot read");
    mesh.ca(&["issue", "CA", "--out", &identity]);
    let mesh_config = mesh.text("mesh.yaml");
    fs::write(&mesh_config, "trustDomain: elsewhere\n").unwrap();
    let (code, said) = refused(
        &config,
        &["--identity", &identity, "--mesh-config", &mesh_config],
    );
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("another trust domain"), "{said}");
}
