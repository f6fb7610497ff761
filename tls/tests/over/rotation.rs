//! What proves something is swapped while it is used.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use outrigger_core::snapshot::{MutualTls, RootsName};

use super::authority::Authority;
use super::mesh::{CLIENT, Client, SERVER, Sidecar, Sides, application};

/// Certificates, then the authority: with the old and the new root side by side nobody notices.
#[test]
fn nothing_is_lost_while_certificates_and_roots_are_swapped() {
    let (old, new) = (Authority::new(), Authority::new());
    let near = Sides::server(MutualTls::Strict);
    let near = Sidecar::start(application(), &near, old.identity(&[SERVER]));
    let far = Sidecar::start(near.addr, &Sides::client(SERVER), old.identity(&[CLIENT]));
    let is_over = Arc::new(AtomicBool::new(false));
    let addr = far.addr;
    let clients: Vec<_> = (0..4)
        .map(|at| {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || {
                let mut asked = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let mut client = Client::at(addr);
                    // Some keep their connections and some do not.
                    for _ in 0..=(at * 5) {
                        let (start, body) = client.ask("", b"hello");
                        assert_eq!((&*start, &*body), ("HTTP/1.1 200 OK", &b"hello"[..]));
                        asked += 1;
                    }
                }
                asked
            })
        })
        .collect();
    let both = [old.root.clone(), new.root.clone()];
    for round in 0..20 {
        let signs = match round < 10 {
            true => &old,
            false => &new,
        };
        for (sidecar, name) in [(&near, SERVER), (&far, CLIENT)] {
            let mut proofs = signs.identity(&[name]);
            proofs.roots(RootsName::Mesh, &both).unwrap();
            sidecar.identities.swap(proofs);
        }
        let told = near.told().len();
        // New requests go on, and new connections are made: nobody waits for a certain time.
        while near.told().len() < told + 20 {
            thread::yield_now();
        }
    }
    is_over.store(true, Ordering::Relaxed);
    let asked: usize = clients
        .into_iter()
        .map(|client| client.join().unwrap())
        .sum();
    assert!(asked >= 400, "{asked}");
    assert!(near.told().iter().all(|told| told.status == 200));
}

/// A session is taken up again by who began it, and by nobody once what it rests on was swapped.
#[test]
fn sessions_are_taken_up_only_in_the_context_that_began_them() {
    let authority = Authority::new();
    let near = Sides::server(MutualTls::Strict);
    let near = Sidecar::start(application(), &near, authority.identity(&[SERVER]));
    let far = Sides {
        is_each_anew: true,
        ..Sides::client(SERVER)
    };
    let far = Sidecar::start(near.addr, &far, authority.identity(&[CLIENT]));
    let resumed = |far: &Sidecar| {
        let (before, told) = (near.counted().0, near.told().len());
        let (start, _) = Client::to(far).ask("", b"x");
        assert_eq!(start, "HTTP/1.1 200 OK");
        let after = near.counted().0;
        assert_eq!(after.handshakes, before.handshakes + 1, "a new connection");
        let facts = near.told_of(told + 1).pop().unwrap().client.unwrap();
        let principal = facts.peer.as_ref().and_then(|peer| peer.principal());
        assert_eq!(principal, CLIENT.strip_prefix("spiffe://"));
        assert_eq!(after.resumed - before.resumed, u64::from(facts.resumed));
        facts.resumed
    };
    assert!(!resumed(&far), "the first one");
    assert!(resumed(&far), "the same context");
    near.identities.swap(authority.identity(&[SERVER]));
    assert!(!resumed(&far), "the server's was swapped");
    assert!(resumed(&far), "the same again");
    far.identities.swap(authority.identity(&[CLIENT]));
    assert!(!resumed(&far), "the client's was swapped");
}
