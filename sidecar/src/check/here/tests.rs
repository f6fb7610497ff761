//! Identities and files, good and bad ones, and what is told of them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use outrigger_core::config::{Source, load};
use outrigger_identity::authority::{Authority, Issued, write_identity};

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: CheckArgs,
}

/// A folder that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("outrigger-check-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn text(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

/// A certificate that was made so long ago, for so long.
fn issued(authority: &Authority, ago: Duration, lifetime: Duration) -> Issued {
    let then = SystemTime::now() - ago;
    authority.issue("shop", "cart", then, lifetime).unwrap()
}

#[test]
fn identities_that_will_not_do_are_told() {
    let ours = Authority::new("cluster.local").unwrap();
    let root = |of: &Authority| of.root(SystemTime::now(), 100 * HOUR).unwrap();
    let theirs = Authority::new("elsewhere").unwrap();
    let folder = Folder::new("identities");
    let zero = Duration::ZERO;
    for (name, written, want) in [
        (
            "good",
            Some((issued(&ours, zero, 10 * HOUR), root(&ours))),
            "",
        ),
        ("missing", None, "unusable-identity"),
        (
            "over",
            Some((issued(&ours, 10 * HOUR, HOUR), root(&ours))),
            "unusable-identity",
        ),
        (
            "elsewhere",
            Some((issued(&theirs, zero, HOUR), root(&theirs))),
            "unusable-identity",
        ),
        (
            "unknown",
            Some((issued(&ours, zero, HOUR), root(&theirs))),
            "unusable-identity",
        ),
        (
            "due",
            Some((issued(&ours, 6 * HOUR, 10 * HOUR), root(&ours))),
            "identity-expires",
        ),
    ] {
        if let Some((issued, root)) = &written {
            write_identity(&folder.0.join(name), issued, root).unwrap();
        }
        let at = folder.text(name);
        let line = ["check", ".", "--identity", &*at];
        let args = Line::parse_from(line).args;
        let (id, found) = identity(&args, &MeshConfig::default());
        let told: Vec<&str> = found.iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!(told.join(" "), want, "{name}: {found:?}");
        assert_eq!(id.is_some(), want != "unusable-identity", "{name}");
        assert!(
            found.iter().all(|finding| *finding.file == *at),
            "{found:?}"
        );
    }
}

#[test]
fn files_that_will_not_do_are_told_by_their_field() {
    let authority = Authority::new("cluster.local").unwrap();
    let root = authority.root(SystemTime::now(), 100 * HOUR).unwrap();
    let folder = Folder::new("files");
    for (name, made) in [
        ("good", issued(&authority, Duration::ZERO, HOUR)),
        ("over", issued(&authority, 10 * HOUR, HOUR)),
    ] {
        write_identity(&folder.0.join(name), &made, &root).unwrap();
    }
    let file = |name: &str| folder.text(name);
    fs::write(file("nothing"), "nothing").unwrap();
    fs::copy(file("good/key.pem"), file("open.pem")).unwrap();
    fs::set_permissions(file("open.pem"), Permissions::from_mode(0o644)).unwrap();
    let (chain, key, roots) = (
        file("good/cert-chain.pem"),
        file("good/key.pem"),
        file("good/root-cert.pem"),
    );
    let mutual = |chain: &str, key: &str, roots: &str| {
        format!(
            "{{mode: MUTUAL, clientCertificate: {chain}, privateKey: {key}, caCertificates: {roots}}}"
        )
    };
    let missing = file("missing");
    for (tls, want) in [
        (mutual(&chain, &key, &roots), &[][..]),
        (
            mutual(&missing, &missing, &file("nothing")),
            &["clientCertificate", "privateKey", "caCertificates"],
        ),
        (
            mutual(&file("over/cert-chain.pem"), &file("open.pem"), "system"),
            &["clientCertificate", "privateKey"],
        ),
        (
            format!("{{mode: SIMPLE, caCertificates: {missing}, insecureSkipVerify: true}}"),
            &[],
        ),
        (format!("{{mode: SIMPLE, caCrl: {missing}}}"), &["caCrl"]),
        ("{mode: ISTIO_MUTUAL}".to_owned(), &[]),
    ] {
        let yaml = format!(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: r}}\n\
             spec: {{host: x, trafficPolicy: {{tls: {tls}}}}}\n"
        );
        let source = Source {
            name: "f.yaml",
            bytes: yaml.as_bytes(),
        };
        let resources = load(&[source], "default").resources;
        let found = files(&resources);
        let told: Vec<&str> = found
            .iter()
            .map(|finding| {
                assert_eq!((finding.code, finding.line), (Code::UnusableFile, 4));
                let path = finding.path.strip_prefix("spec.trafficPolicy.tls.");
                path.expect("a field of the block")
            })
            .collect();
        assert_eq!(told, want, "{tls}");
    }
}
