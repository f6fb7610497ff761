//! Files that rules name: taken when they change, and kept when what comes is no good.

use std::fs;
use std::time::{Duration, SystemTime};

use outrigger_identity::authority::{Folder as AuthorityFolder, write_identity};

use super::mesh::{Mesh, mirror};

const DAY: Duration = Duration::from_secs(86_400);

/// What a client gets whose rule names its certificate, its key, its roots and a list of what was revoked by file, and makes a
/// connection for each request.
#[test]
fn what_a_rule_names_is_taken_when_it_changes() {
    let mesh = Mesh::new("files");
    let server = mesh.server("{mtls: {mode: STRICT}}", mirror());
    let authority = AuthorityFolder::open(&mesh.path("ca")).unwrap();
    let now = SystemTime::now();
    let signs = authority.authority();
    let revoked = |serials: &[Vec<u8>]| signs.revoked(serials, now, DAY).unwrap();
    let put = |name: &str, text: &str| mesh.folder.write(name, text);
    put("crl.pem", &revoked(&[vec![1, 2, 3]]));
    let [chain, key, roots, crl] = [
        "web/cert-chain.pem",
        "web/key.pem",
        "web/root-cert.pem",
        "crl.pem",
    ]
    .map(|name| mesh.text(name));
    let policy = format!(
        "{{connectionPool: {{http: {{maxRequestsPerConnection: 1}}}}, tls: {{mode: MUTUAL, clientCertificate: {chain}, \
         privateKey: {key}, caCertificates: {roots}, caCrl: {crl}, \
         subjectAltNames: ['spiffe://cluster.local/ns/shop/sa/cart']}}}}"
    );
    let client = mesh.client_with(&server, "cart", &policy, &[]);
    let gets = |want: &str, when: &str| {
        let seen = client.get("cart.shop");
        assert!(seen.starts_with(want), "{when}: {seen}");
        seen
    };
    gets("HTTP/1.1 200", "at first");

    // Other roots vouch for nobody here; nonsense changes nothing.
    let good = fs::read_to_string(&roots).unwrap();
    let other = outrigger_identity::authority::Authority::new("cluster.local").unwrap();
    put("web/root-cert.pem", &other.root(now, DAY).unwrap());
    client.wait_for("took the authorities of");
    gets("HTTP/1.1 503", "with other roots");
    put("web/root-cert.pem", "nothing");
    client.wait_for("kept what it was");
    gets("HTTP/1.1 503", "still with other roots");
    put("web/root-cert.pem", &good);
    client.wait_for("took the authorities of");
    gets("HTTP/1.1 200", "with the roots again");

    // A server that was revoked, and one in its place.
    let cart = |lifetime| signs.issue("shop", "cart", now, lifetime).unwrap();
    let first = cart(DAY);
    write_identity(&mesh.path("cart"), &first, &authority.roots().unwrap()).unwrap();
    server.wait_for("took `spiffe://cluster.local/ns/shop/sa/cart`");
    gets("HTTP/1.1 200", "before it is revoked");
    put("crl.pem", &revoked(std::slice::from_ref(&first.serial)));
    client.wait_for("took what");
    gets("HTTP/1.1 503", "revoked");
    put(
        "crl.pem",
        "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
    );
    client.wait_for("kept what it was");
    gets("HTTP/1.1 503", "still revoked");
    write_identity(&mesh.path("cart"), &cart(DAY), &authority.roots().unwrap()).unwrap();
    server.wait_for("took `spiffe://cluster.local/ns/shop/sa/cart`");
    gets("HTTP/1.1 200", "another one in its place");

    // A key that comes before its certificate is not taken, and both are once both are there.
    let seen = gets("HTTP/1.1 200", "as who it is");
    let hash = |seen: &str| {
        let (_, rest) = seen.split_once(";Hash=").unwrap();
        rest.split(';').next().unwrap().to_owned()
    };
    let before = hash(&seen);
    let next = signs.issue("shop", "web", now, DAY).unwrap();
    fs::write(&key, &next.key).unwrap();
    client.wait_for("kept what it was");
    assert_eq!(hash(&gets("HTTP/1.1 200", "with half of a pair")), before);
    put("web/cert-chain.pem", &next.chain);
    client.wait_for("took the certificate and key of");
    assert_ne!(hash(&gets("HTTP/1.1 200", "with the new pair")), before);
}
