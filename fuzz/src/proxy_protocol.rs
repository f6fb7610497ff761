//! Headers of the PROXY protocol, cut everywhere: what is said of them once stays, and what is read can be written and read again.

use outrigger_core::proxy_protocol::{Header, MOST, Version, read, write};

/// Reads every beginning of the bytes. Long ones are read in steps, because each reading begins anew.
pub fn headers(bytes: &[u8]) {
    let step = 1 + bytes.len() / 256;
    let mut said = Ok(None);
    for end in (0..bytes.len()).step_by(step).chain([bytes.len()]) {
        let now = read(&bytes[..end], MOST);
        assert!(said == Ok(None) || said == now, "{said:?}, then {now:?}");
        assert!(now != Ok(None) || end < MOST, "{end} bytes are waited on");
        said = now;
    }
    let Ok(Some(Header { length, addresses })) = said else {
        return;
    };
    assert!(length <= bytes.len().min(MOST), "it ends behind its end");
    let Some(addresses) = addresses else {
        return;
    };
    for version in [Version::V1, Version::V2] {
        let written = write(version, addresses);
        let again = read(&written, MOST).expect("what is written is a header");
        let again = again.expect("it is whole");
        assert_eq!(again.length, written.len());
        let again = again.addresses.expect("it says whose it is");
        let same = |a: core::net::SocketAddr, b: core::net::SocketAddr| {
            (a.ip().to_canonical(), a.port()) == (b.ip().to_canonical(), b.port())
        };
        assert!(same(again.source, addresses.source));
        assert!(same(again.destination, addresses.destination));
    }
}
