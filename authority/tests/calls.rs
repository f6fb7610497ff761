//! The authority over real sockets: who is let in, and by what.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use outrigger_authority::{
    Authority, CaFiles, Caller, Door, Gate, Keeper, Limits, Proof, Refused, Reviewer, Reviewing,
    Serving, Signer, incoming,
};
use outrigger_identity::{Certificate, pem_certificates, pem_key};
use outrigger_xds::certificates::{CertificateRequest, CertificateResponse, create_certificate};
use outrigger_xds::channel::{Address, Target};
use outrigger_xds::structs;
use rcgen::{CertificateParams, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tonic::{Code, Request, Status};

const NAME: &str = "outrigger.mesh.example";

/// Lets one token in, knows nothing of another, and never answers for a third.
struct Given;

impl Reviewer for Given {
    fn review<'a>(&'a self, token: &'a str) -> Reviewing<'a> {
        Box::pin(async move {
            match token {
                "good" => Caller::new("shop", "cart", Proof::Token),
                "later" => Err(Refused::Unknown("Kubernetes does not answer".into())),
                "never" => std::future::pending().await,
                _ => Err(Refused::NotProved("nobody has such a token".into())),
            }
        })
    }
}

struct Mesh {
    addr: SocketAddr,
    files: CaFiles,
    authority: Arc<Authority>,
    serving: Arc<Serving>,
}

impl Mesh {
    async fn start(limits: Limits) -> Self {
        let now = SystemTime::now();
        let files = CaFiles::make("td", now, Duration::from_secs(86_400)).unwrap();
        let signer = Signer::open(&files, "td", now).unwrap();
        let authority = Arc::new(Authority::new(signer, limits));
        let counts = Arc::clone(authority.counts());
        let keeper = Arc::new(Keeper::new(Arc::new(Given), limits, counts));
        let serving = Serving::new(Arc::clone(&authority), vec![NAME.into()], now).unwrap();
        let serving = Arc::new(serving);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let connections = incoming(listener, Arc::clone(&serving), Door::of_services(&limits));
        let service = Gate::new(authority.service(), keeper);
        let server = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(server.serve_with_incoming(connections));
        Self {
            addr,
            files,
            authority,
            serving,
        }
    }

    fn target(&self, roots: &str) -> Target {
        let address = Address::parse(&self.addr.to_string()).unwrap().named(NAME);
        let roots = pem_certificates(roots.as_bytes(), "roots".as_ref()).unwrap();
        Target::new(address, Arc::new(move || Ok(roots.clone())))
    }

    async fn ask(
        &self,
        target: &Target,
        token: Option<&str>,
        request: CertificateRequest,
    ) -> Result<CertificateResponse, Status> {
        let channel = target.connect().await.map_err(Status::unavailable)?;
        let mut request = Request::new(request);
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().unwrap();
            request.metadata_mut().insert("authorization", value);
        }
        create_certificate(channel, request).await
    }

    async fn ask_by_token(&self, token: Option<&str>) -> Result<CertificateResponse, Status> {
        let target = self.target(&self.files.roots);
        self.ask(&target, token, request(&KeyPair::generate().unwrap()))
            .await
    }
}

fn request(key: &KeyPair) -> CertificateRequest {
    let csr = CertificateParams::default().serialize_request(key).unwrap();
    CertificateRequest {
        csr: csr.pem().unwrap(),
        ..CertificateRequest::default()
    }
}

fn leaf(answer: &CertificateResponse) -> Certificate {
    let der = pem_certificates(answer.cert_chain[0].as_bytes(), "leaf".as_ref()).unwrap();
    Certificate::read(&der[0]).unwrap()
}

#[tokio::test]
async fn a_token_or_a_certificate_lets_in_and_nothing_else() {
    let limits = Limits {
        review_timeout: Duration::from_millis(50),
        ..Limits::default()
    };
    let mesh = Mesh::start(limits).await;
    let answer = mesh.ask_by_token(Some("good")).await.unwrap();
    assert_eq!(leaf(&answer).uri_names, ["spiffe://td/ns/shop/sa/cart"]);
    assert_eq!(answer.cert_chain.len(), 2);
    assert_eq!(answer.cert_chain[1], mesh.files.roots);
    for (token, code) in [
        (None, Code::Unauthenticated),
        (Some("bad"), Code::Unauthenticated),
        (Some("later"), Code::Unavailable),
        (Some("never"), Code::Unavailable),
    ] {
        let status = mesh.ask_by_token(token).await.unwrap_err();
        assert_eq!(status.code(), code, "{token:?}: {status}");
    }
    let counts = mesh.authority.counts();
    let value = |of: &std::sync::atomic::AtomicU64| of.load(Ordering::Relaxed);
    assert_eq!(
        (
            value(&counts.signed),
            value(&counts.not_proved),
            value(&counts.unknown)
        ),
        (1, 2, 2)
    );
}

#[tokio::test]
async fn a_certificate_of_the_mesh_is_renewed_by_itself() {
    let mesh = Mesh::start(Limits::default()).await;
    let key = KeyPair::generate().unwrap();
    let target = mesh.target(&mesh.files.roots);
    let first = mesh
        .ask(&target, Some("good"), request(&key))
        .await
        .unwrap();
    let chain = pem_certificates(first.cert_chain[0].as_bytes(), "leaf".as_ref()).unwrap();
    let with = |chain: &[rustls_pki_types::CertificateDer<'static>], key: &KeyPair| {
        let key = pem_key(key.serialize_pem().as_bytes(), "key".as_ref()).unwrap();
        let own = Mutex::new((chain.to_vec(), key));
        let mut target = mesh.target(&mesh.files.roots);
        target.identity = Some(Arc::new(move || {
            let own = own.lock().unwrap();
            Some((own.0.clone(), own.1.clone_key()))
        }));
        target
    };
    let target = with(&chain, &key);
    let second = mesh.ask(&target, None, request(&key)).await.unwrap();
    assert_eq!(leaf(&second).uri_names, leaf(&first).uri_names);
    assert_ne!(leaf(&second).serial, leaf(&first).serial);
    // A token that is no good is not made good by a certificate beside it.
    let status = mesh
        .ask(&target, Some("bad"), request(&key))
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    // Of another mesh that is called as ours is.
    let stranger = CaFiles::make("td", SystemTime::now(), Duration::from_secs(3_600)).unwrap();
    let stranger = Signer::open(&stranger, "td", SystemTime::now()).unwrap();
    let requested = outrigger_authority::Requested::read(&request(&key).csr, 16_384).unwrap();
    let hour = Duration::from_secs(3_600);
    let lifetime = outrigger_authority::Lifetime {
        wanted: hour,
        ordinary: hour,
        most: hour,
    };
    let caller = Caller::new("shop", "cart", Proof::Token).unwrap();
    let forged = stranger
        .sign(&requested, &caller, lifetime, SystemTime::now())
        .unwrap();
    let forged = pem_certificates(forged.leaf.as_bytes(), "leaf".as_ref()).unwrap();
    assert!(
        mesh.ask(&with(&forged, &key), None, request(&key))
            .await
            .is_err()
    );
    // A server's certificate is nobody's.
    let signer = mesh.authority.signer();
    let server = signer
        .for_server(&[NAME.into()], hour, SystemTime::now())
        .unwrap();
    let mut target = mesh.target(&mesh.files.roots);
    let own = Mutex::new((server.chain, server.key));
    target.identity = Some(Arc::new(move || {
        let own = own.lock().unwrap();
        Some((own.0.clone(), own.1.clone_key()))
    }));
    let status = mesh.ask(&target, None, request(&key)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
}

#[tokio::test]
async fn wishes_that_cannot_be_granted_are_said() {
    let mesh = Mesh::start(Limits::default()).await;
    let target = mesh.target(&mesh.files.roots);
    let key = KeyPair::generate().unwrap();
    let ask = |change: &dyn Fn(&mut CertificateRequest)| {
        let mut request = request(&key);
        change(&mut request);
        request
    };
    let signer = structs::from_json(&serde_json::json!({"CertSigner": "vault"}));
    let of_pod = structs::from_json(&serde_json::json!({"CertSigner": "", "WorkloadName": "cart"}));
    for (request, code) in [
        (
            ask(&|one| one.metadata = Some(signer.clone())),
            Code::Unimplemented,
        ),
        (ask(&|one| one.metadata = Some(of_pod.clone())), Code::Ok),
        (
            ask(&|one| one.csr = "rubbish".into()),
            Code::InvalidArgument,
        ),
        (
            ask(&|one| one.csr = "\n".repeat(17_000)),
            Code::InvalidArgument,
        ),
        (ask(&|one| one.csr = "\n".repeat(100_000)), Code::OutOfRange),
        (ask(&|one| one.validity_duration = -1), Code::Ok),
        (ask(&|one| one.validity_duration = i64::MAX), Code::Ok),
    ] {
        let answered = mesh.ask(&target, Some("good"), request).await;
        let got = answered.as_ref().map_or_else(Status::code, |_| Code::Ok);
        assert_eq!(got, code, "{answered:?}");
    }
}

#[tokio::test]
async fn the_server_proves_itself_and_renews_while_it_serves() {
    let mesh = Mesh::start(Limits::default()).await;
    let other = CaFiles::make("td", SystemTime::now(), Duration::from_secs(3_600)).unwrap();
    let why = mesh.target(&other.roots).connect().await.unwrap_err();
    assert!(why.contains("certificate"), "{why}");
    let mut target = mesh.target(&mesh.files.roots);
    target.address = target.address.named("somebody.else");
    let why = target.connect().await.unwrap_err();
    assert!(why.contains("not valid for"), "{why}");
    // Fresh: nothing to do but to look again within a minute. Past half of its life: another one.
    let now = SystemTime::now();
    let first = mesh.serving.not_after();
    assert!(mesh.serving.renew(now).unwrap() <= Duration::from_secs(60));
    assert_eq!(mesh.serving.not_after(), first);
    mesh.serving
        .renew(now + Duration::from_secs(13 * 3_600))
        .unwrap();
    assert_ne!(mesh.authority.counts().served.load(Ordering::Relaxed), 1);
    // Another root: clients that know it find it at their next connection.
    let signer = Signer::open(&other, "td", now).unwrap();
    mesh.authority.replace(signer);
    mesh.serving.renew(now).unwrap();
    let target = mesh.target(&other.roots);
    let key = KeyPair::generate().unwrap();
    let answer = mesh
        .ask(&target, Some("good"), request(&key))
        .await
        .unwrap();
    assert_eq!(answer.cert_chain[1], other.roots);
    assert!(
        mesh.ask_by_token(Some("good")).await.is_err(),
        "by the old root alone"
    );
}

#[tokio::test]
async fn who_is_slow_to_shake_hands_keeps_nobody_waiting() {
    let limits = Limits {
        max_handshakes: 2,
        handshake_timeout: Duration::from_secs(3600),
        ..Limits::default()
    };
    let mesh = Mesh::start(limits).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(mesh.addr).await.unwrap());
    }
    mesh.ask_by_token(Some("good")).await.unwrap();
}

#[tokio::test]
async fn who_says_nothing_is_not_kept() {
    let limits = Limits {
        handshake_timeout: Duration::from_secs(1),
        ..Limits::default()
    };
    let mesh = Mesh::start(limits).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(mesh.addr).await.unwrap());
    }
    let late = || {
        mesh.authority
            .counts()
            .handshakes_late
            .load(Ordering::Relaxed)
    };
    while late() < 4 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn more_connections_than_there_may_be_are_closed_and_a_place_that_is_free_is_given() {
    let limits = Limits {
        max_connections: 2,
        ..Limits::default()
    };
    let mesh = Mesh::start(limits).await;
    let too_many = || {
        let counts = mesh.authority.counts();
        counts.connections_too_many.load(Ordering::Relaxed)
    };
    let first = TcpStream::connect(mesh.addr).await.unwrap();
    let second = TcpStream::connect(mesh.addr).await.unwrap();
    for closed in 1..4 {
        let mut third = TcpStream::connect(mesh.addr).await.unwrap();
        let mut byte = [0];
        let read = tokio::io::AsyncReadExt::read(&mut third, &mut byte).await;
        assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
        assert_eq!(too_many(), closed);
    }
    assert!(mesh.ask_by_token(Some("good")).await.is_err());
    drop(first);
    // As soon as it is seen that it has gone.
    while mesh.ask_by_token(Some("good")).await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(second);
}

#[tokio::test]
async fn who_proves_nothing_is_not_kept() {
    let limits = Limits {
        proof_timeout: Duration::from_secs(1),
        ..Limits::default()
    };
    let mesh = Mesh::start(limits).await;
    let target = mesh.target(&mesh.files.roots);
    let counts = mesh.authority.counts();
    let unproved = || counts.connections_unproved.load(Ordering::Relaxed);
    let ask = |channel| {
        let mut request = Request::new(request(&KeyPair::generate().unwrap()));
        let value = "Bearer good".parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        create_certificate(channel, request)
    };
    let proved = loop {
        let channel = target.connect().await.unwrap();
        // A machine may be slower than the limit.
        if ask(channel.clone()).await.is_ok() {
            break channel;
        }
    };
    let before = unproved();
    let silent = target.connect().await.unwrap();
    while unproved() == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    ask(proved).await.unwrap();
    drop(silent);
}
