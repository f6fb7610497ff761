//! Passes a question on to name servers.
//!
//! Owns which servers are asked, which answer is passed back, and how often a failure is worth a line.

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use tracing::{info, warn};

use super::Shared;
use crate::ask::{Failure, Fault, in_time, over_tcp, over_udp};
use crate::message::is_reply;
use crate::query::Query;
use crate::random;

/// While no name server answers, it is told this often.
const TOLD_EVERY: Duration = Duration::from_secs(600);

/// Code of an answer that another server may do better than: SERVFAIL, NOTIMP, REFUSED.
const NOT_DONE: [u8; 3] = [2, 4, 5];

/// What a question came over, and is passed on over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    Udp,
    Tcp,
}

/// Since when there has been no answer, and when that was told.
#[derive(Default)]
pub(super) struct Troubles {
    told: Cell<Option<Instant>>,
}

impl Troubles {
    fn failed(&self, why: &str) {
        let is_told = |told: Instant| told.elapsed() < TOLD_EVERY;
        if !self.told.get().is_some_and(is_told) {
            self.told.set(Some(Instant::now()));
            warn!(target: "dns", "a question of an application has no answer: {why}");
        }
    }

    fn answered(&self) {
        if self.told.take().is_some() {
            info!(target: "dns", "questions of applications are answered again");
        }
    }
}

/// The answer of the first server that has one; whoever asks is told that it failed where none has.
pub(super) async fn forward(
    shared: &Rc<Shared>,
    message: &[u8],
    query: &Query,
    over: Over,
) -> Vec<u8> {
    shared.counts.forwarded.fetch_add(1, Relaxed);
    let system = shared.system();
    let ours = &shared.ours;
    let mut not_done = None;
    let mut why = "no name server is known but this program".to_owned();
    for _ in 0..system.attempts {
        let servers = system.in_turn(random());
        for server in servers.filter(|server| !ours.iter().any(|ours| is_ours(*server, *ours))) {
            let one = ask(message, query, server, over);
            match in_time(one, system.timeout).await {
                Ok(answer) if NOT_DONE.contains(&(answer[3] & 0xf)) => not_done = Some(answer),
                Ok(answer) => {
                    shared.troubles.answered();
                    return answer;
                }
                Err(fault) => why = Failure::Server(server, fault).to_string(),
            }
        }
        if not_done.is_some() {
            break;
        }
    }
    shared.counts.forward_failures.fetch_add(1, Relaxed);
    // What a server said is worth more than that we have nothing to say.
    not_done.unwrap_or_else(|| {
        shared.troubles.failed(&why);
        query.fail()
    })
}

/// Asks one server with a number of ours, and gives its answer the number that it was asked with.
async fn ask(
    message: &[u8],
    query: &Query,
    server: SocketAddr,
    over: Over,
) -> Result<Vec<u8>, Fault> {
    let (own, rest) = message.split_at(2);
    let asked = [&(random() as u16).to_be_bytes()[..], rest].concat();
    let most = query.payload();
    let accept = |said: &[u8]| {
        if over == Over::Udp && said.len() > most {
            // Longer than anybody has room for: to be had over TCP.
            return is_reply(&asked, &said[..most]).then(|| query.cut());
        }
        is_reply(&asked, said).then(|| [own, &said[2..]].concat())
    };
    match over {
        Over::Udp => over_udp(&asked, server, most + 1, accept).await,
        Over::Tcp => over_tcp(&asked, server, accept).await,
    }
}

/// Whether who is asked is who asks.
fn is_ours(server: SocketAddr, ours: SocketAddr) -> bool {
    server.port() == ours.port()
        && (server.ip() == ours.ip() || ours.ip().is_unspecified() && server.ip().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_asks_himself() {
        for (server, ours, want) in [
            ("127.0.0.1:53", "127.0.0.1:53", true),
            ("127.0.0.1:53", "0.0.0.0:53", true),
            ("[::1]:53", "[::]:53", true),
            ("127.0.0.1:53", "127.0.0.1:15053", false),
            ("10.0.0.10:53", "0.0.0.0:53", false),
        ] {
            let is_ours = is_ours(server.parse().unwrap(), ours.parse().unwrap());
            assert_eq!(is_ours, want, "{server} {ours}");
        }
    }
}
