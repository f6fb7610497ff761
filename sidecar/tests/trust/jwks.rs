//! Keys of issuers that are fetched over https: whoever answers must prove to be who the address says, to an authority of the machine
//! or of `--jwks-ca`. Until then tokens are refused; after that the last good keys stay.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use outrigger_identity::authority::{Authority, Wanted};
use outrigger_identity::{pem_certificates, pem_key};
use rustls::crypto::aws_lc_rs;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::mesh::mirror;
use super::proxy::{Folder, Proxy, ask, command};
use super::runtimes;

/// Two sets of keys, and a token by each. Nobody else trusts them: `conformance/peers/jwt` has their private parts.
const FIRST: (&str, &str) = (
    r#"{"keys":[{"crv":"P-256","kid":"ec","kty":"EC","x":"GHNX6Xly-eLDr14UrNc4RvB4pKUv8sf9dmtAPIyL61Q","y":"oy4d9RhnMCDXdHrNHPb0rBVaEzxByOfNrqZnntJhbFk"}]}"#,
    "eyJhbGciOiAiRVMyNTYiLCAia2lkIjogImVjIiwgInR5cCI6ICJKV1QifQ.eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZXN0Iiwic3ViIjoiYWxpY2UiLCJleHAiOjQxMDI0NDQ3OTl9.GLSY6Ife1afqMHFAjRebU1RR7oRkuXee5GOSY3IRJbnj7Aw_2OYvq8TQQfmU5obWgDtlbvJDVlPiNh0uLUPNGg",
);
const SECOND: (&str, &str) = (
    r#"{"keys":[{"crv":"Ed25519","kid":"ed","kty":"OKP","x":"83zCfSo_bwK8oG73ugK7ZQhny3mny1k1LvanMpQOpm0"}]}"#,
    "eyJhbGciOiAiRWREU0EiLCAia2lkIjogImVkIiwgInR5cCI6ICJKV1QifQ.eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZXN0Iiwic3ViIjoiYWxpY2UiLCJleHAiOjQxMDI0NDQ3OTl9.mEVL6hJwNxK4SJL6ssGqmgqlczPPkwYbYJh1p6IODJG1PPRPggmu_RPIVTdANmDhyKFycQN_EvZ-k8UdBFwWDA",
);

const DAY: Duration = Duration::from_secs(86_400);

/// Whoever answers for an issuer: what it proves, and its keys.
struct Issuer {
    port: u16,
    answers: Arc<Mutex<(Arc<ServerConfig>, &'static str)>>,
}

impl Issuer {
    fn new(proves: Arc<ServerConfig>, keys: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let answers = Arc::new(Mutex::new((proves, keys)));
        let known = Arc::clone(&answers);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, keys) = known.lock().unwrap().clone();
                let connection = ServerConnection::new(config).unwrap();
                let mut stream = StreamOwned::new(connection, stream);
                // Whoever does not believe us sends no request.
                let mut head = [0; 4096];
                if stream.read(&mut head).is_ok_and(|count| count > 0) {
                    let length = keys.len();
                    let _ = write!(
                        stream,
                        "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{keys}"
                    );
                }
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        });
        Self { port, answers }
    }

    fn becomes(&self, proves: &Arc<ServerConfig>, keys: &'static str) {
        *self.answers.lock().unwrap() = (Arc::clone(proves), keys);
    }
}

/// A certificate for this host.
fn proving(authority: &Authority, host: &str, since: SystemTime) -> Arc<ServerConfig> {
    let wanted = Wanted {
        dns_names: vec![host.into()],
        ..Wanted::default()
    };
    let issued = authority.issue_to(&wanted, since, DAY).unwrap();
    let chain = pem_certificates(issued.chain.as_bytes(), Path::new("chain")).unwrap();
    let key = pem_key(issued.key.as_bytes(), Path::new("key")).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let config = builder.with_no_client_auth().with_single_cert(chain, key);
    Arc::new(config.unwrap())
}

/// A sidecar whose rule names keys at this port.
fn rules(folder: &Folder, port: u16) {
    folder.write(
        "rules/tokens.yaml",
        &format!(
            "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{name: tokens}}\n\
             spec: {{jwtRules: [{{issuer: 'https://issuer.test', jwksUri: 'https://localhost:{port}/keys'}}]}}\n"
        ),
    );
}

/// The first line of an answer to who shows this token, and the text of a refusal.
fn shows(proxy: &Proxy, token: &str) -> String {
    let request = format!(
        "GET / HTTP/1.1\r\nhost: app.test\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    ask(proxy.addr("inbound"), &request)
}

fn assert_answer(proxy: &Proxy, token: &str, status: &str, words: &str, when: &str) {
    let seen = shows(proxy, token);
    assert!(
        seen.starts_with(&format!("HTTP/1.1 {status} ")),
        "{when}: {seen}"
    );
    assert!(seen.contains(words), "{when}: {seen}");
}

#[test]
fn keys_behind_https_are_believed_of_who_proves_to_have_them() {
    for runtime in runtimes() {
        let folder = Folder::new(&format!("jwks-{runtime}"));
        std::fs::create_dir_all(folder.0.join("rules")).unwrap();
        let authority = Authority::new("issuers").unwrap();
        let now = SystemTime::now();
        folder.write("ca.pem", &authority.root(now, DAY).unwrap());
        let ca = folder.0.join("ca.pem").to_string_lossy().into_owned();
        let good = proving(&authority, "localhost", now);
        let bad = [
            (
                "another authority",
                proving(&Authority::new("issuers").unwrap(), "localhost", now),
            ),
            ("another name", proving(&authority, "localhost.test", now)),
            ("over", proving(&authority, "localhost", now - 3 * DAY)),
        ];
        let issuer = Issuer::new(Arc::clone(&bad[0].1), FIRST.0);
        rules(&folder, issuer.port);
        let inbound = format!("127.0.0.1:0={}", mirror());
        let more = [
            "--runtime",
            runtime,
            "--inbound",
            &*inbound,
            "--jwks-refresh",
            "100ms",
            "--jwks-ca",
            &*ca,
        ];
        let proxy = Proxy::start(&folder.0.join("rules"), &more);
        // Nobody waits for keys, and nobody is believed without them.
        let told = proxy.wait_for("keys are not fetched");
        assert!(told.contains("its tokens are refused"), "{told}");
        assert_answer(
            &proxy,
            FIRST.1,
            "401",
            "Jwks remote fetch is failed",
            "without keys",
        );
        issuer.becomes(&good, FIRST.0);
        proxy.wait_for("1 keys were fetched, after");
        // They are put to work a moment later, and what was told holds from then on.
        let wait_until = |token: &str, status: &str| {
            let began = std::time::Instant::now();
            while !shows(&proxy, token).starts_with(&format!("HTTP/1.1 {status} ")) {
                assert!(
                    began.elapsed() < super::support::PATIENCE,
                    "{token} {status}"
                );
                thread::yield_now();
            }
        };
        wait_until(FIRST.1, "200");
        assert_answer(&proxy, SECOND.1, "401", "Jwt", "by a key that is not there");
        // Somebody else in its place: what was good stays, whatever keys he would like to be believed.
        for (what, proves) in &bad {
            issuer.becomes(proves, SECOND.0);
            let told = proxy.wait_for("keys are not fetched");
            assert!(
                told.contains("the keys that were fetched last stay"),
                "{what}: {told}"
            );
            assert_answer(&proxy, FIRST.1, "200", "", what);
            assert_answer(&proxy, SECOND.1, "401", "Jwt", what);
            issuer.becomes(&good, FIRST.0);
            proxy.wait_for("1 keys were fetched, after");
        }
        issuer.becomes(&good, SECOND.0);
        proxy.wait_for("1 keys were fetched");
        wait_until(SECOND.1, "200");
        assert_answer(&proxy, FIRST.1, "401", "Jwt", "by a key that is gone");
        let stats = proxy.admin("GET /stats?filter=jwks_sets");
        assert!(stats.contains("jwks_sets_missing: 0"), "{stats}");
    }
}

/// Whom the machine trusts: here, whom the environment says that it does.
#[test]
fn authorities_of_the_machine_may_speak_for_issuers() {
    let folder = Folder::new("jwks-machine");
    std::fs::create_dir_all(folder.0.join("rules")).unwrap();
    let authority = Authority::new("issuers").unwrap();
    let now = SystemTime::now();
    folder.write("ca.pem", &authority.root(now, DAY).unwrap());
    let issuer = Issuer::new(proving(&authority, "localhost", now), FIRST.0);
    rules(&folder, issuer.port);
    let inbound = format!("127.0.0.1:0={}", mirror());
    let config = folder.0.join("rules");
    let mut program = command(&config, &["--inbound", &inbound]);
    program.env("SSL_CERT_FILE", folder.0.join("ca.pem"));
    let proxy = Proxy::spawn(program);
    proxy.wait_for("1 keys were fetched");
    // The same without them.
    let mut program = command(&config, &["--inbound", &inbound]);
    program.env("SSL_CERT_FILE", "/dev/null");
    let proxy = Proxy::spawn(program);
    proxy.wait_for("keys are not fetched");
    assert_answer(
        &proxy,
        FIRST.1,
        "401",
        "Jwks remote fetch is failed",
        "nobody to trust",
    );
}
