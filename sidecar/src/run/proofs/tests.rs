//! What was good stays until what comes is good, too.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, SystemTime};

use outrigger_core::snapshot::{Alpn, ClientTls, Cluster, Sni, TlsParameters};
use outrigger_identity::authority::Authority;

use super::*;

const DAY: Duration = Duration::from_secs(86_400);

fn text(path: &Path) -> Box<str> {
    path.to_str().unwrap().into()
}

/// A configuration whose one cluster shows a certificate.
fn showing(chain: &Path, key: &Path) -> Snapshot {
    let tls = ClientTls {
        identity: Some(KeyName::Files(text(chain), text(key))),
        trust: Trust::Nothing,
        sni: Sni::None,
        alpn: Alpn::Mesh,
        parameters: TlsParameters::default(),
    };
    let cluster = Cluster {
        tls: Some(Arc::new(tls)),
        ..Cluster::new("outbound|443||shop".into(), Arc::default())
    };
    Snapshot {
        clusters: Arc::new(vec![cluster].into()),
        ..Snapshot::default()
    }
}

#[test]
fn a_key_that_comes_before_its_certificate_is_not_taken() {
    let folder = std::env::temp_dir().join(format!("outrigger-proofs-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let (chain, key) = (folder.join("chain.pem"), folder.join("key.pem"));
    let authority = Authority::new("td").unwrap();
    let issue = || authority.issue("shop", "cart", SystemTime::now(), DAY);
    let (first, second) = (issue().unwrap(), issue().unwrap());
    fs::write(&key, &first.key).unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let snapshot = showing(&chain, &key);
    let mut gatherer = Gatherer::new();
    for (chain_now, key_now, swaps, is_told) in [
        (&first.chain, &first.key, 1, false),
        (&first.chain, &second.key, 1, true),
        (&second.chain, &second.key, 2, false),
        (&second.chain, &second.key, 2, false),
    ] {
        fs::write(&chain, chain_now).unwrap();
        fs::write(&key, key_now).unwrap();
        gatherer.gather(&snapshot, None, &[]);
        let seen = (
            gatherer.identities().generation(),
            !gatherer.told.is_empty(),
        );
        assert_eq!(seen, (swaps, is_told));
    }
    fs::remove_dir_all(&folder).unwrap();
}
