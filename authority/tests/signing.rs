//! What is signed, for whom, and what is not.

#![allow(clippy::unwrap_used, reason = "a failure of the stage fails the test")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use std::sync::Arc;

use outrigger_authority::{
    Authority, BadRequest, CaFiles, Caller, Follower, Lifetime, Limits, Proof, Requested, Signed,
    Signer,
};
use outrigger_identity::{Allowed, Certificate, check, pem_certificates, pem_material};
use rcgen::{CertificateParams, KeyPair, SanType};

const MAX: usize = 16 * 1024;

const DAY: Duration = Duration::from_secs(86_400);

fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn lifetime(wanted: u64) -> Lifetime {
    Lifetime {
        wanted: Duration::from_secs(wanted),
        ordinary: DAY,
        most: 90 * DAY,
    }
}

fn signer() -> Signer {
    let files = CaFiles::make("td", now(), 3_650 * DAY).unwrap();
    Signer::open(&files, "td", now()).unwrap()
}

fn cart() -> Caller {
    Caller::new("shop", "cart", Proof::Token).unwrap()
}

fn csr(key: &KeyPair, params: CertificateParams) -> String {
    params.serialize_request(key).unwrap().pem().unwrap()
}

fn plain(key: &KeyPair) -> String {
    csr(key, CertificateParams::default())
}

fn leaf(signed: &Signed) -> Certificate {
    let der = pem_certificates(signed.leaf.as_bytes(), "leaf".as_ref()).unwrap();
    Certificate::read(&der[0]).unwrap()
}

#[test]
fn keys_that_are_signed_for_and_those_that_are_not() {
    let rsa = |size| KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, size).unwrap();
    let of = |algorithm| KeyPair::generate_for(algorithm).unwrap();
    for (name, key, is_taken) in [
        ("P-256", of(&rcgen::PKCS_ECDSA_P256_SHA256), true),
        ("P-384", of(&rcgen::PKCS_ECDSA_P384_SHA384), true),
        ("Ed25519", of(&rcgen::PKCS_ED25519), true),
        ("RSA 2048", rsa(rcgen::RsaKeySize::_2048), true),
        ("P-521", of(&rcgen::PKCS_ECDSA_P521_SHA512), false),
    ] {
        let read = Requested::read(&plain(&key), MAX);
        assert_eq!(read.is_ok(), is_taken, "{name}: {read:?}");
        let Ok(requested) = read else {
            continue;
        };
        // What comes is an identity by every check that a sidecar makes.
        let signer = signer();
        let signed = signer
            .sign(&requested, &cart(), lifetime(0), now())
            .unwrap();
        let answer = signer.answer(&signed);
        let material = pem_material(&answer[0], &key.serialize_pem(), &answer[1]).unwrap();
        let allowed = Allowed {
            trust_domains: &["td"],
        };
        let identity = check(material, allowed, now()).unwrap();
        assert_eq!(identity.id, "spiffe://td/ns/shop/sa/cart", "{name}");
    }
    let short = Requested::read(include_str!("data/rsa1024.csr"), MAX).unwrap_err();
    assert!(matches!(short, BadRequest::Key(_)), "{short}");
    let weak = Requested::read(include_str!("data/sha1.csr"), MAX).unwrap_err();
    assert_eq!(weak, BadRequest::NotSigned);
}

#[test]
fn what_a_request_says_of_names_is_nothing() {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["bank.example".to_owned()]).unwrap();
    let foreign = "spiffe://td/ns/kube-system/sa/admin";
    params
        .subject_alt_names
        .push(SanType::URI(foreign.try_into().unwrap()));
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let requested = Requested::read(&csr(&key, params), MAX).unwrap();
    let signed = signer()
        .sign(&requested, &cart(), lifetime(0), now())
        .unwrap();
    let leaf = leaf(&signed);
    assert_eq!(leaf.uri_names, ["spiffe://td/ns/shop/sa/cart"]);
    assert!(
        leaf.dns_names.is_empty() && leaf.subject.is_empty(),
        "{leaf:?}"
    );
    let der = pem_certificates(signed.leaf.as_bytes(), "leaf".as_ref()).unwrap();
    let (_, read) = x509_parser::parse_x509_certificate(&der[0]).unwrap();
    assert!(!read.is_ca());
}

#[test]
fn who_asks_holds_the_key_and_asks_briefly() {
    let (own, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let der = |key: &KeyPair| {
        let request = CertificateParams::default().serialize_request(key).unwrap();
        request.der().to_vec()
    };
    let pem = |der: &[u8]| {
        use base64::Engine as _;
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        format!("-----BEGIN CERTIFICATE REQUEST-----\n{text}\n-----END CERTIFICATE REQUEST-----\n")
    };
    let point = |key: &KeyPair| rcgen::PublicKeyData::der_bytes(key).to_vec();
    // A stranger's key, in a request that one signs with one's own.
    let mut swapped = der(&own);
    let (from, to) = (point(&own), point(&other));
    let at = swapped
        .windows(from.len())
        .position(|part| part == from)
        .unwrap();
    swapped[at..at + to.len()].copy_from_slice(&to);
    assert_eq!(
        Requested::read(&pem(&swapped), MAX).unwrap_err(),
        BadRequest::NotSigned
    );
    // Every byte of it counts, but for the twelve between what is signed and its signature, which say the algorithm.
    let whole = der(&own);
    let signed = 6 + usize::from(whole[5]);
    let bytes = (0..signed).chain(signed + 12..whole.len());
    for at in bytes {
        let mut bent = whole.clone();
        bent[at] ^= 1;
        let read = Requested::read(&pem(&bent), MAX);
        assert!(read.is_err(), "byte {at} of {whole:02x?}");
    }
    for length in 0..whole.len() {
        assert!(
            Requested::read(&pem(&whole[..length]), MAX).is_err(),
            "{length} bytes"
        );
    }
    let mut longer = whole.clone();
    longer.push(0);
    assert!(Requested::read(&pem(&longer), MAX).is_err());
    assert!(Requested::read(&pem(&whole), MAX).is_ok());
    let long = format!("{}{}", "\n".repeat(MAX), pem(&whole));
    assert_eq!(
        Requested::read(&long, MAX).unwrap_err(),
        BadRequest::TooLong(long.len(), MAX)
    );
    for nothing in ["", "rubbish", &own.serialize_pem()] {
        assert!(matches!(
            Requested::read(nothing, MAX),
            Err(BadRequest::Malformed(_))
        ));
    }
}

#[test]
fn times_are_capped_and_begin_before_now() {
    let files = CaFiles::make("td", now(), 100 * DAY).unwrap();
    let signer = Signer::open(&files, "td", now()).unwrap();
    let key = KeyPair::generate().unwrap();
    let requested = Requested::read(&plain(&key), MAX).unwrap();
    let years = 10 * 365 * 86_400;
    for (wanted, at, seconds) in [
        (0, now(), 86_400),
        (3_600, now(), 3_600),
        (years, now(), 90 * 86_400),
        // The authority has ten days left, and one second.
        (years, now() + 90 * DAY, 10 * 86_400),
        (years, now() + 100 * DAY - Duration::from_secs(1), 1),
    ] {
        let signed = signer
            .sign(&requested, &cart(), lifetime(wanted), at)
            .unwrap();
        assert_eq!(
            signed.not_after,
            at + Duration::from_secs(seconds),
            "{wanted}"
        );
        let leaf = leaf(&signed);
        assert_eq!(leaf.not_after, signed.not_after);
        assert_eq!(leaf.not_before, at - Duration::from_secs(120));
    }
    let over = signer.sign(&requested, &cart(), lifetime(0), now() + 100 * DAY);
    assert!(over.unwrap_err().contains("is over"));
    // The same request twice: two certificates.
    let sign = || {
        signer
            .sign(&requested, &cart(), lifetime(0), now())
            .unwrap()
    };
    assert_ne!(leaf(&sign()).serial, leaf(&sign()).serial);
}

#[test]
fn a_root_is_plugged_in_by_istios_names() {
    let files = CaFiles::read("tests/data/cacerts".as_ref()).unwrap();
    let signer = Signer::open(&files, "cluster.local", now()).unwrap();
    let key = KeyPair::generate().unwrap();
    let requested = Requested::read(&plain(&key), MAX).unwrap();
    let signed = signer
        .sign(&requested, &cart(), lifetime(0), now())
        .unwrap();
    let answer = signer.answer(&signed);
    // The leaf, what is between, the root; the root once.
    assert_eq!(answer.len(), 3);
    assert_eq!(answer[2], files.roots);
    let chain = answer[..2].concat();
    let material = pem_material(&chain, &key.serialize_pem(), &answer[2]).unwrap();
    let allowed = Allowed {
        trust_domains: &["cluster.local"],
    };
    check(material, allowed, now()).unwrap();
    // By the names of a Secret.
    let named = files.named().map(|(name, text)| (name, text.to_owned()));
    let get = |name: &str| {
        named
            .iter()
            .find(|(own, _)| *own == name)
            .map(|(_, text)| text.clone())
    };
    assert_eq!(CaFiles::from_named(get), Ok(files));
    assert_eq!(CaFiles::from_named(|_| None), Err("ca-cert.pem"));
}

#[test]
fn pieces_that_do_not_belong_together_are_found_at_once() {
    let files = CaFiles::read("tests/data/cacerts".as_ref()).unwrap();
    let other = CaFiles::make("cluster.local", now(), DAY).unwrap();
    let with = |change: &dyn Fn(&mut CaFiles)| {
        let mut files = files.clone();
        change(&mut files);
        Signer::open(&files, "cluster.local", now()).unwrap_err()
    };
    for (why, words) in [
        (
            with(&|files| files.key.clone_from(&other.key)),
            "is not the key of",
        ),
        (
            with(&|files| files.roots.clone_from(&other.roots)),
            "is not believed",
        ),
        (with(&|files| files.key = "rubbish".into()), "ca-key.pem"),
        (with(&|files| files.cert = String::new()), "ca-cert.pem"),
        (
            with(&|files| files.chain = "rubbish".into()),
            "cert-chain.pem",
        ),
    ] {
        assert!(why.contains(words), "{why}");
    }
    let leaf = signer();
    let made = leaf.for_server(&["x.example".into()], DAY, now()).unwrap();
    assert_eq!(made.chain.len(), 1);
    assert!(leaf.for_server(&["not a name".into()], DAY, now()).is_err());
    assert!(Signer::open(&files, "Not A Domain", now()).is_err());
}

#[test]
fn replicas_that_begin_at_once_share_one_root() {
    let folder = std::env::temp_dir().join(format!("outrigger-ca-{}", std::process::id()));
    let made: Vec<CaFiles> = std::thread::scope(|scope| {
        let begin = || CaFiles::read_or_make(&folder, "td", now()).unwrap();
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(begin)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(made.windows(2).all(|pair| pair[0] == pair[1]));
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&folder.join("ca-key.pem")) & 0o777, 0o600);
    assert_eq!(mode(&folder) & 0o777, 0o700);
    // What is trusted is not made anew because the key is lost.
    std::fs::remove_file(folder.join("ca-key.pem")).unwrap();
    for gone in ["ca-cert.pem", "cert-chain.pem"] {
        let _ = std::fs::remove_file(folder.join(gone));
        let told = CaFiles::read_or_make(&folder, "td", now()).unwrap_err();
        assert!(told.contains("and no ca-key.pem"), "{told}");
    }
    let root = std::fs::read_to_string(folder.join("root-cert.pem")).unwrap();
    assert_eq!(root, made[0].roots);
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn another_root_in_the_folder_is_taken_and_a_broken_one_is_not() {
    let path = std::env::temp_dir().join(format!("outrigger-follow-{}", std::process::id()));
    let files = CaFiles::read_or_make(&path, "td", now()).unwrap();
    let signer = Signer::open(&files, "td", now()).unwrap();
    let authority = Arc::new(Authority::new(signer, Limits::default()));
    let mut follower = Follower::new(Arc::clone(&authority), path.clone(), files.clone());
    assert_eq!(follower.look(now()), Ok(false));
    let mut folder = outrigger_identity::authority::Folder::open(&path).unwrap();
    folder.rotate(now(), DAY).unwrap();
    assert_eq!(follower.look(now()), Ok(true));
    assert_eq!(authority.signer().roots_der().len(), 2);
    // Told once, and what is in use stays.
    std::fs::write(path.join("ca-cert.pem"), &files.cert).unwrap();
    assert!(
        follower
            .look(now())
            .unwrap_err()
            .contains("is not the key of")
    );
    assert_eq!(follower.look(now()), Ok(false));
    std::fs::remove_file(path.join("ca-cert.pem")).unwrap();
    assert!(follower.look(now()).unwrap_err().contains("ca-cert.pem"));
    assert_eq!(authority.signer().roots_der().len(), 2);
    let key = KeyPair::generate().unwrap();
    let requested = Requested::read(&plain(&key), MAX).unwrap();
    let signed = authority
        .signer()
        .sign(&requested, &cart(), lifetime(0), now());
    assert!(signed.is_ok());
    std::fs::remove_dir_all(&path).unwrap();
}
