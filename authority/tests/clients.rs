//! The client of `outrigger_identity` against this authority: asked over real sockets, by a token and then by what it holds.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::digest::{SHA256, digest};
use outrigger_authority::{
    Authority, CaFiles, Door, Gate, Keeper, KnownTokens, Limits, Serving, Signer, incoming,
};
use outrigger_identity::csr::{self, Held, KeyKind, Settings};
use outrigger_identity::{Allowed, Source as _, check};
use outrigger_xds::channel::{Address, Target, roots_of_file};
use tokio::net::TcpListener;

/// However slow a machine is.
const PATIENCE: Duration = Duration::from_secs(60);

async fn until(what: &str, is: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn id(held: &Held) -> String {
    let allowed = Allowed {
        trust_domains: &["td"],
    };
    let material = held.clone().fetch().unwrap();
    check(material, allowed, SystemTime::now()).unwrap().id
}

#[tokio::test]
async fn a_workload_goes_on_by_its_certificate_when_its_token_is_gone() {
    let folder = std::env::temp_dir().join(format!("outrigger-clients-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = |name: &str| -> PathBuf { folder.join(name) };
    let now = SystemTime::now();
    let files = CaFiles::make("td", now, Duration::from_secs(86_400)).unwrap();
    std::fs::write(path("roots.pem"), &files.roots).unwrap();
    let token = "a token of some length";
    let hex: String = digest(&SHA256, token.as_bytes())
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    std::fs::write(path("token"), token).unwrap();
    std::fs::write(path("tokens"), format!("{hex} shop/cart\n")).unwrap();
    let limits = Limits {
        max_lifetime: Duration::from_secs(12),
        ..Limits::default()
    };
    let signer = Signer::open(&files, "td", now).unwrap();
    let authority = Arc::new(Authority::new(signer, limits));
    let reviewer = Arc::new(KnownTokens::of_file(path("tokens")));
    let counts = Arc::clone(authority.counts());
    let keeper = Arc::new(Keeper::new(reviewer, limits, counts));
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let serving = Arc::new(Serving::new(Arc::clone(&authority), names, now).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let service = Gate::new(authority.service(), keeper);
    let server = tonic::transport::Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(incoming(
        listener,
        serving,
        Door::of_services(&limits),
    )));
    let settings = Settings {
        target: Target::new(
            Address::parse(&addr.to_string()).unwrap(),
            roots_of_file(path("roots.pem")),
        ),
        token: path("token"),
        id: None,
        cluster: "Kubernetes".into(),
        key: KeyKind::Rsa,
        lifetime: Duration::from_secs(86_400),
    };
    let held = csr::start(settings, Box::new(|| {})).unwrap();
    until("a first certificate", || held.is_here()).await;
    assert_eq!(id(&held), "spiffe://td/ns/shop/sa/cart");
    std::fs::remove_file(path("token")).unwrap();
    std::fs::write(path("tokens"), "").unwrap();
    let given = held.counts().given();
    until("two more", || held.counts().given() >= given + 2).await;
    assert_eq!(id(&held), "spiffe://td/ns/shop/sa/cart");
    assert_eq!((held.counts().failed(), held.fault()), (0, None));
    std::fs::remove_dir_all(&folder).unwrap();
}
