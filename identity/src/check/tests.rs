//! Each fault of an identity, told apart.

use std::time::{Duration, SystemTime};

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::*;
use crate::authority::{Authority, Issued, Wanted};

const DAY: Duration = Duration::from_secs(86_400);

fn material(issued: &Issued, roots: &[String]) -> Material {
    let one = |text: &str| CertificateDer::from_pem_slice(text.as_bytes()).unwrap();
    Material {
        chain: vec![one(&issued.chain)],
        key: PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).unwrap(),
        roots: roots.iter().map(|root| one(root)).collect(),
        revoked: Vec::new(),
    }
}

fn checked(material: Material, now: SystemTime) -> Result<Identity, String> {
    let trust_domains = &["td", "old"];
    check(material, Allowed { trust_domains }, now).map_err(|fault| fault.to_string())
}

#[test]
fn a_good_identity_says_who_it_is() {
    let now = SystemTime::now();
    for domain in ["td", "old"] {
        let authority = Authority::new(domain).unwrap();
        let issued = authority.issue("shop", "cart", now, DAY).unwrap();
        let root = authority.root(now, DAY * 10).unwrap();
        let identity = checked(material(&issued, &[root]), now).unwrap();
        assert_eq!(identity.id, format!("spiffe://{domain}/ns/shop/sa/cart"));
        assert_eq!(identity.roots.len(), 1);
        assert_eq!(identity.leaf.subject, "");
        let left = identity.leaf.not_after.duration_since(now).unwrap();
        assert!(
            left <= DAY && left + Duration::from_secs(2) > DAY,
            "{left:?}"
        );
        let shown = format!("{identity:?}");
        assert!(!shown.contains("PrivateKey"), "{shown}");
    }
}

#[test]
fn faults_are_told_apart() {
    let now = SystemTime::now();
    let authority = Authority::new("td").unwrap();
    let root = [authority.root(now, DAY * 10).unwrap()];
    let issue = |uris: &[&str], since: SystemTime| {
        let wanted = Wanted {
            uri_names: uris.iter().map(|uri| (*uri).to_owned()).collect(),
            ..Wanted::default()
        };
        authority.issue_to(&wanted, since, DAY).unwrap()
    };
    let good = "spiffe://td/ns/shop/sa/cart";
    let fresh = issue(&[good], now);
    let other_key = Issued {
        key: issue(&[good], now).key,
        ..fresh.clone()
    };
    let others = [Authority::new("td").unwrap().root(now, DAY).unwrap()];
    for (what, issued, roots, wanted) in [
        ("another key", &other_key, &root, "key is not the one"),
        ("no name", &issue(&[], now), &root, "no URI name"),
        (
            "two names",
            &issue(&[good, good], now),
            &root,
            "2 URI names",
        ),
        (
            "no workload",
            &issue(&["spiffe://td/x"], now),
            &root,
            "names no workload",
        ),
        (
            "another mesh",
            &issue(&["spiffe://elsewhere/ns/a/sa/b"], now),
            &root,
            "another trust domain than the mesh (td, old)",
        ),
        (
            "over",
            &issue(&[good], now - DAY * 3),
            &root,
            "expired 2 days ago",
        ),
        (
            "not begun",
            &issue(&[good], now + DAY),
            &root,
            "look at the clocks",
        ),
        ("other roots", &fresh, &others, "does not lead to the roots"),
    ] {
        let told = checked(material(issued, roots), now).unwrap_err();
        assert!(told.contains(wanted), "{what}: {told}");
    }
    let told = checked(material(&fresh, &[]), now).unwrap_err();
    assert!(told.contains("no root is good"), "{told}");
    let later = now + DAY * 11;
    let late = authority.issue("shop", "cart", later, DAY).unwrap();
    let told = checked(material(&late, &root), later).unwrap_err();
    assert!(told.contains("no root is good"), "{told}");
}

#[test]
fn lists_that_cannot_be_read_are_a_fault() {
    let now = SystemTime::now();
    let authority = Authority::new("td").unwrap();
    let root = [authority.root(now, DAY).unwrap()];
    let issued = authority.issue("shop", "cart", now, DAY).unwrap();
    let revoked = vec![vec![0x30, 0x00].into()];
    let material = Material {
        revoked,
        ..material(&issued, &root)
    };
    let told = checked(material, now).unwrap_err();
    assert!(told.contains("list of revoked certificates"), "{told}");
}

#[test]
fn an_old_root_may_be_over_beside_a_new_one() {
    let now = SystemTime::now();
    let authority = Authority::new("td").unwrap();
    let old = Authority::new("td").unwrap().root(now - DAY * 9, DAY);
    let roots = [old.unwrap(), authority.root(now, DAY).unwrap()];
    let issued = authority.issue("shop", "cart", now, DAY).unwrap();
    assert!(checked(material(&issued, &roots), now).is_ok());
}
