//! A name server on loopback that says what a case says of names, for a program that resolves them itself.
//!
//! Owns as much of DNS (RFC 1035 §4.1) as a question for addresses and its answer need. Answers hold for a second, so that a
//! program asks again soon after a reload has changed them.

use std::cell::RefCell;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use ::tokio::net::UdpSocket;
use ::tokio::task::JoinHandle;
use outrigger_core::compile::NameAnswers;

/// The length of a head.
const HEAD: usize = 12;

/// For how long an answer holds, in seconds.
const TTL: u32 = 1;

/// The server; it ends when this is dropped. Needs a `LocalSet` around it.
#[derive(Debug)]
pub(crate) struct NameServer {
    addr: SocketAddr,
    answers: Rc<RefCell<NameAnswers>>,
    task: JoinHandle<()>,
}

impl NameServer {
    /// Begins to answer.
    ///
    /// # Errors
    /// There is no port.
    pub(crate) async fn start(answers: NameAnswers) -> io::Result<Self> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let addr = socket.local_addr()?;
        let answers = Rc::new(RefCell::new(answers));
        let known = Rc::clone(&answers);
        let task = ::tokio::task::spawn_local(async move {
            let mut room = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut room).await {
                let answer = answer(&room[..length], &known.borrow());
                if let Some(answer) = answer {
                    // Who does not get it asks again.
                    let _ = socket.send_to(&answer, from).await;
                }
            }
        });
        Ok(Self {
            addr,
            answers,
            task,
        })
    }

    /// Where it listens.
    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// From now on it says this of these names.
    pub(crate) fn say(&self, answers: NameAnswers) {
        self.answers.borrow_mut().extend(answers);
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The answer to a question; `None` when it is none. A name of which nothing is known does not exist.
fn answer(question: &[u8], answers: &NameAnswers) -> Option<Vec<u8>> {
    let (mut name, mut at) = (String::new(), HEAD);
    loop {
        let length = usize::from(*question.get(at)?);
        if length == 0 {
            break;
        }
        let label = question.get(at + 1..at + 1 + length)?;
        let dot = if name.is_empty() { "" } else { "." };
        name += dot;
        name += &std::str::from_utf8(label).ok()?.to_ascii_lowercase();
        at += 1 + length;
    }
    let kind = *question.get(at + 2)?;
    let mut answer = question.to_vec();
    answer[2] |= 0x80;
    let Some(known) = answers.get(&*name) else {
        answer[3] |= 3;
        return Some(answer);
    };
    for ip in known {
        let (is_kind, data) = match ip {
            IpAddr::V4(ip) => (1, ip.octets().to_vec()),
            IpAddr::V6(ip) => (28, ip.octets().to_vec()),
        };
        if kind == is_kind {
            answer[7] += 1;
            // The name of the question, by its place.
            answer.extend([0xc0, HEAD as u8, 0, kind, 0, 1]);
            answer.extend(TTL.to_be_bytes());
            answer.extend((data.len() as u16).to_be_bytes());
            answer.extend(data);
        }
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_answered_by_name_and_family() {
        let answers = NameAnswers::from([(
            "A.test".to_lowercase().into(),
            ["127.0.0.1", "::1"].map(|ip| ip.parse().unwrap()).to_vec(),
        )]);
        let question = |name: &[u8], kind| {
            let head = [7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
            [&head[..], name, &[0, 0, kind, 0, 1]].concat()
        };
        for (name, kind, code, count, data) in [
            (&b"\x01a\x04TEST"[..], 1, 0, 1, &[127, 0, 0, 1][..]),
            (b"\x01a\x04test", 28, 0, 1, &[0, 1]),
            (b"\x01a\x04test", 15, 0, 0, &[1]),
            (b"\x01b\x04test", 1, 3, 0, &[1]),
        ] {
            let got = answer(&question(name, kind), &answers).unwrap();
            assert_eq!((got[3], got[7]), (code, count), "{name:?} {kind}");
            assert!(got.ends_with(data), "{got:?}");
        }
        assert_eq!(answer(&question(b"\x09a", 1), &answers), None);
        assert_eq!(answer(b"", &answers), None);
    }
}
