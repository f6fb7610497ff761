//! Files of an identity: what is read, from where, and what is refused.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use super::layout::Paths;
use super::*;
use crate::authority::{Folder, write_identity};

/// A folder that is gone when the test is over.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("outrigger-identity-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn folder(path: &Path) -> Files {
    Files::new(Layout::Folder {
        folder: path.to_owned(),
        revoked: None,
    })
}

/// An authority and a folder with an identity of it.
fn issued(scratch: &Scratch) -> Folder {
    let now = SystemTime::now();
    let day = Duration::from_secs(86_400);
    let ca = Folder::init(&scratch.file("ca"), "td", now, day).unwrap();
    ca.issue(("shop", "cart"), &scratch.file("id"), now, day)
        .unwrap();
    ca
}

#[test]
fn a_folder_is_read_under_either_names() {
    let scratch = Scratch::new("names");
    let ca = issued(&scratch);
    let istio = folder(&scratch.file("id")).fetch().unwrap();
    assert_eq!((istio.chain.len(), istio.roots.len()), (1, 1));
    assert!(istio.revoked.is_empty());
    for (from, to) in [
        ("cert-chain.pem", "tls.crt"),
        ("key.pem", "tls.key"),
        ("root-cert.pem", "ca.crt"),
    ] {
        let id = scratch.file("id");
        fs::rename(id.join(from), id.join(to)).unwrap();
    }
    let now = SystemTime::now();
    let crl = ca
        .authority()
        .revoked(&[vec![7]], now, Duration::from_secs(60));
    fs::write(scratch.file("id").join("ca-crl.pem"), crl.unwrap()).unwrap();
    let secret = folder(&scratch.file("id")).fetch().unwrap();
    assert_eq!(secret.chain, istio.chain);
    assert_eq!(secret.revoked.len(), 1);
}

#[test]
fn single_files_are_read_where_they_lie() {
    let scratch = Scratch::new("single");
    issued(&scratch);
    let id = scratch.file("id");
    let mut files = Files::new(Layout::Single(Paths {
        chain: id.join("cert-chain.pem"),
        key: id.join("key.pem"),
        roots: scratch.file("ca").join("root-cert.pem"),
        revoked: None,
    }));
    let single = files.fetch().unwrap();
    assert_eq!(single, folder(&id).fetch().unwrap());
    assert_eq!(files.watched().len(), 3);
}

#[test]
fn what_is_missing_or_open_is_told() {
    let scratch = Scratch::new("faults");
    issued(&scratch);
    let id = scratch.file("id");
    let told = || folder(&id).fetch().unwrap_err().to_string();
    let key = id.join("key.pem");
    for mode in [0o644, 0o604, 0o660] {
        fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        assert!(told().contains("chmod 600"), "{mode:o}: {}", told());
    }
    // Kubernetes mounts secrets so for a group.
    fs::set_permissions(&key, Permissions::from_mode(0o640)).unwrap();
    assert!(folder(&id).fetch().is_ok());
    let whole = fs::read_to_string(&key).unwrap();
    for (text, wanted) in [
        (String::new(), "holds no key"),
        (whole[..40].to_owned(), "does not end"),
        (whole.replace("MI", "!!"), "not base64"),
    ] {
        fs::write(&key, &text).unwrap();
        assert!(told().contains(wanted), "{}", told());
        // What stands in the file is not repeated.
        let secret: Vec<&str> = whole
            .lines()
            .filter(|line| !line.starts_with('-'))
            .collect();
        assert!(secret.iter().all(|line| !told().contains(line)));
    }
    fs::remove_file(&key).unwrap();
    assert!(told().contains("cannot read"), "{}", told());
    fs::remove_file(id.join("cert-chain.pem")).unwrap();
    assert!(told().contains("holds neither"), "{}", told());
}

#[test]
fn a_root_and_the_one_before_it_stand_side_by_side() {
    let scratch = Scratch::new("roots");
    let mut ca = issued(&scratch);
    let (now, day) = (SystemTime::now(), Duration::from_secs(86_400));
    ca.rotate(now, day).unwrap();
    let issued = ca.issue(("shop", "cart"), &scratch.file("new"), now, day);
    let both = folder(&scratch.file("new")).fetch().unwrap();
    assert_eq!(both.roots.len(), 2);
    ca.retire().unwrap();
    write_identity(
        &scratch.file("last"),
        &issued.unwrap(),
        &ca.roots().unwrap(),
    )
    .unwrap();
    let last = folder(&scratch.file("last")).fetch().unwrap();
    assert_eq!(last.roots, [both.roots[0].clone()]);
    let again = Folder::open(&scratch.file("ca")).unwrap();
    assert_eq!(again.authority().trust_domain(), "td");
    let twice = Folder::init(&scratch.file("ca"), "td", now, day).unwrap_err();
    assert!(twice.to_string().contains("ca rotate"), "{twice}");
    let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(scratch.file("ca").join("ca-key.pem")), 0o600);
    assert_eq!(mode(scratch.file("new").join("key.pem")), 0o600);
    assert_eq!(mode(scratch.file("new")), 0o700);
}
