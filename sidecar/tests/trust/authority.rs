//! Identities that an authority gives: taken before anything listens, renewed under load, and its roots changed without a
//! request that is lost.

use std::fs;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use outrigger_authority::{
    Authority, CaFiles, Door, Gate, Keeper, KnownTokens, Limits, Serving, Signer, incoming,
};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

use super::mesh::mirror;
use super::proxy::{Folder, Proxy, command};
use super::rotation::Load;
use super::support::PATIENCE;

/// How long certificates are good: renewed every six seconds, so that a machine that is busy is in time.
const LIFETIME: Duration = Duration::from_secs(12);

const YEAR: Duration = Duration::from_secs(365 * 86_400);

/// An authority, the tokens that it knows, and the files of workloads.
struct Stage {
    folder: Folder,
    addr: SocketAddr,
    files: CaFiles,
    authority: Arc<Authority>,
    serving: Arc<Serving>,
}

impl Stage {
    fn new(test: &str) -> Self {
        let folder = Folder::new(test);
        let now = SystemTime::now();
        let files = CaFiles::make("cluster.local", now, YEAR).unwrap();
        let signer = Signer::open(&files, "cluster.local", now).unwrap();
        let limits = Limits {
            lifetime: LIFETIME,
            ..Limits::default()
        };
        let authority = Arc::new(Authority::new(signer, limits));
        let name = vec!["127.0.0.1".to_owned()];
        let serving = Arc::new(Serving::new(Arc::clone(&authority), name, now).unwrap());
        let mut tokens = String::new();
        for account in ["cart", "web"] {
            let token = format!("a long token of {account}");
            let digest = digest(&SHA256, token.as_bytes());
            let hex: String = digest
                .as_ref()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            tokens.push_str(&format!("{hex} shop/{account}\n"));
            folder.write(&format!("{account}.token"), &format!("{token}\n"));
        }
        folder.write("tokens", &tokens);
        folder.write("roots.pem", &files.roots);
        let reviewer = Arc::new(KnownTokens::of_file(folder.0.join("tokens")));
        let counts = Arc::clone(authority.counts());
        let keeper = Arc::new(Keeper::new(reviewer, limits, counts));
        let (sender, receiver) = channel();
        let (signing, shown) = (Arc::clone(&authority), Arc::clone(&serving));
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                sender.send(listener.local_addr().unwrap()).unwrap();
                tokio::spawn(Arc::clone(&shown).keep());
                let service = Gate::new(signing.service(), keeper);
                let server = tonic::transport::Server::builder().add_service(service);
                let served = server.serve_with_incoming(incoming(
                    listener,
                    shown,
                    Door::of_services(&limits),
                ));
                served.await.unwrap();
            });
        });
        Self {
            addr: receiver.recv().unwrap(),
            folder,
            files,
            authority,
            serving,
        }
    }

    /// The arguments of a workload.
    fn of(&self, account: &str) -> Vec<String> {
        let (addr, path) = (self.addr.to_string(), |name: &str| {
            self.folder.0.join(name).to_string_lossy().into_owned()
        });
        let (roots, token) = (path("roots.pem"), path(&format!("{account}.token")));
        let args = [
            "--namespace",
            "shop",
            "--service-account",
            account,
            "--ca",
            &addr,
            "--ca-roots",
            &roots,
            "--token",
            &token,
            "--certificate-lifetime",
            "0s",
            "--runtime",
            "tokio",
        ];
        args.iter().map(|arg| (*arg).to_owned()).collect()
    }

    fn start(&self, account: &str, rules: &str, more: &[&str]) -> Proxy {
        fs::create_dir_all(self.folder.0.join(account)).unwrap();
        self.folder.write(&format!("{account}/rules.yaml"), rules);
        let mut args = self.of(account);
        args.extend(more.iter().map(|arg| (*arg).to_owned()));
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        Proxy::start(&self.folder.0.join(account), &args)
    }

    /// Waits until so many more certificates were given.
    fn gives(&self, more: u64) {
        let signed = || self.authority.counts().signed.load(Ordering::Relaxed);
        let (before, begun) = (signed(), Instant::now());
        while signed() < before + more {
            assert!(
                begun.elapsed() < PATIENCE,
                "{} of {more}",
                signed() - before
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Signs by these files from now on.
    fn sign_by(&self, files: &CaFiles) {
        let now = SystemTime::now();
        let signer = Signer::open(files, "cluster.local", now).unwrap();
        self.authority.replace(signer);
        self.serving.renew(now).unwrap();
    }
}

#[test]
fn identities_are_renewed_and_roots_change_under_load() {
    let stage = Stage::new("authority-load");
    let inbound = format!("127.0.0.1:0={}", mirror());
    let strict = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: p, namespace: shop}\nspec: {mtls: {mode: STRICT}}\n";
    let server = stage.start("cart", strict, &["--inbound", &inbound]);
    let port = server.addr("inbound").port();
    // Each third request has a connection of its own, so that handshakes go on.
    let rules = format!(
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: cart}}\n\
         spec:\n  hosts: [cart.shop]\n  location: MESH_INTERNAL\n  resolution: STATIC\n  \
         ports: [{{number: 80, name: http, protocol: HTTP, targetPort: {port}}}]\n  \
         endpoints: [{{address: 127.0.0.1, serviceAccount: cart}}]\n---\n\
         apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: r}}\n\
         spec: {{host: cart.shop, trafficPolicy: {{connectionPool: {{http: {{maxRequestsPerConnection: 3}}}}}}}}\n"
    );
    let client = stage.start("web", &rules, &[]);
    let load = Load::on(client.addr("outbound"));
    load.goes_on("at first");
    let page = client.page("/stats/prometheus", "outrigger_identity_given_total");
    assert!(
        page.contains("outrigger_identity_not_given_total 0"),
        "{page}"
    );
    stage.gives(3);
    load.goes_on("with other certificates");
    // Both roots for everybody, and then certificates of the new one.
    let new = CaFiles::make("cluster.local", SystemTime::now(), YEAR).unwrap();
    let roots = format!("{}{}", stage.files.roots, new.roots);
    stage.folder.write("roots.pem", &roots);
    let with_both = |files: &CaFiles| CaFiles {
        roots: roots.clone(),
        ..files.clone()
    };
    stage.sign_by(&with_both(&stage.files));
    server.wait_for("with 2 roots");
    client.wait_for("with 2 roots");
    load.goes_on("with both roots");
    stage.sign_by(&with_both(&new));
    stage.gives(3);
    load.goes_on("with certificates of the new root");
    load.end();
    let certs = client.admin("GET /certs");
    assert!(
        certs.contains("spiffe://cluster.local/ns/shop/sa/web"),
        "{certs}"
    );
    assert!(!certs.contains("not_renewed"), "{certs}");
    // A token that is taken away: what is in use stays, and why nothing newer comes is said.
    stage.folder.write("tokens", "");
    client.wait_for("nobody has such a token");
    assert!(
        client
            .page("/certs", "not_renewed")
            .contains("Unauthenticated")
    );
    assert!(client.get("cart.shop").starts_with("HTTP/1.1 200"));
}

#[test]
fn nothing_starts_without_an_identity() {
    let stage = Stage::new("authority-none");
    fs::create_dir_all(stage.folder.0.join("cart")).unwrap();
    let ended = |change: &dyn Fn(&mut Vec<String>)| {
        let mut args = stage.of("cart");
        args.extend(["--first-certificate-timeout", "1s"].map(str::to_owned));
        change(&mut args);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command: Command = command(&stage.folder.0.join("cart"), &args);
        let output = command.stdin(Stdio::null()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{told}");
        told
    };
    let put = |args: &mut Vec<String>, option: &str, value: String| {
        let at = args.iter().position(|arg| arg == option).unwrap();
        args[at + 1] = value;
    };
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone_addr = gone.local_addr().unwrap().to_string();
    drop(gone);
    let path = |name: &str| stage.folder.0.join(name).to_string_lossy().into_owned();
    let other = CaFiles::make("cluster.local", SystemTime::now(), YEAR).unwrap();
    stage.folder.write("other.pem", &other.roots);
    stage
        .folder
        .write("bad.token", "nobody's token of some length");
    for (told, words) in [
        (
            ended(&|args| put(args, "--ca", gone_addr.clone())),
            "refused",
        ),
        (
            ended(&|args| put(args, "--token", path("none"))),
            "cannot read the token",
        ),
        (
            ended(&|args| put(args, "--token", path("bad.token"))),
            "Unauthenticated",
        ),
        // Somebody else's token.
        (
            ended(&|args| put(args, "--token", path("web.token"))),
            "the answer is for",
        ),
        (
            ended(&|args| put(args, "--ca-roots", path("other.pem"))),
            "certificate",
        ),
        (
            ended(&|args| put(args, "--ca-roots", path("none.pem"))),
            "cannot read",
        ),
    ] {
        assert!(told.contains(words), "{words}: {told}");
        assert!(told.contains("nothing was started"), "{told}");
    }
}
