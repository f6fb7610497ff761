//! A name server on loopback for tests, over UDP and TCP on one port, that says what it is told to say.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::thread;

/// What is said of a name. A name that nothing is said of does not exist.
#[derive(Clone)]
pub(crate) enum Says {
    /// These addresses, for so many seconds. A question for a family that none is of gets an empty answer.
    Addresses(u32, Vec<IpAddr>),
    /// The same, cut over UDP.
    Cut(Vec<IpAddr>),
    /// The name stands for another one, for so many seconds.
    Alias(u32, &'static str),
    /// The server fails with this code.
    Fails(u8),
    /// It fails when it is asked for addresses of IPv6, and has these of IPv4.
    FailsForV6(Vec<IpAddr>),
}

/// The server.
pub(crate) struct Dns {
    pub(crate) addr: SocketAddr,
    zone: Arc<Mutex<Zone>>,
}

#[derive(Default)]
struct Zone {
    names: BTreeMap<&'static str, Says>,
    asked: Vec<String>,
}

impl Dns {
    pub(crate) fn start() -> Self {
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
            // Another program may have the same port of TCP.
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
                break (udp, tcp);
            }
        };
        let addr = udp.local_addr().unwrap();
        let zone = Arc::<Mutex<Zone>>::default();
        let of_udp = Arc::clone(&zone);
        thread::spawn(move || {
            let mut room = [0; 512];
            while let Ok((length, from)) = udp.recv_from(&mut room) {
                let answer = of_udp.lock().unwrap().answer(&room[..length], true);
                // Somebody else's answer first, which must not be taken.
                let mut foreign = answer.clone();
                foreign[0] ^= 0xff;
                let _ = udp.send_to(&foreign, from);
                let _ = udp.send_to(&answer, from);
            }
        });
        let of_tcp = Arc::clone(&zone);
        thread::spawn(move || {
            for stream in tcp.incoming().map_while(Result::ok) {
                let _ = over_tcp(stream, &of_tcp);
            }
        });
        Self { addr, zone }
    }

    /// What is said of a name from now on.
    pub(crate) fn say(&self, name: &'static str, says: Says) {
        self.zone.lock().unwrap().names.insert(name, says);
    }

    pub(crate) fn addresses(&self, name: &'static str, ttl: u32, addresses: &[&str]) {
        let addresses = addresses.iter().map(|text| text.parse().unwrap());
        self.say(name, Says::Addresses(ttl, addresses.collect()));
    }

    /// The name exists no more.
    pub(crate) fn forget(&self, name: &str) {
        self.zone.lock().unwrap().names.remove(name);
    }

    /// The names that were asked for so far, each once, in the order in which they were first asked for.
    pub(crate) fn asked(&self) -> Vec<String> {
        let mut asked: Vec<String> = Vec::new();
        for name in &self.zone.lock().unwrap().asked {
            if !asked.contains(name) {
                asked.push(name.clone());
            }
        }
        asked
    }
}

fn over_tcp(mut stream: TcpStream, zone: &Mutex<Zone>) -> std::io::Result<()> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut question = vec![0; u16::from_be_bytes(length).into()];
    stream.read_exact(&mut question)?;
    let answer = zone.lock().unwrap().answer(&question, false);
    stream.write_all(&(answer.len() as u16).to_be_bytes())?;
    stream.write_all(&answer)
}

impl Zone {
    fn answer(&mut self, question: &[u8], is_udp: bool) -> Vec<u8> {
        let (mut name, mut at) = (String::new(), 12);
        while question[at] != 0 {
            let end = at + 1 + usize::from(question[at]);
            name += std::str::from_utf8(&question[at + 1..end]).unwrap();
            name.push('.');
            at = end;
        }
        let is_v4 = question[at + 2] == 1;
        let mut answer = question.to_vec();
        answer[2] |= 0x80;
        let name = name.to_ascii_lowercase();
        self.asked.push(name.trim_end_matches('.').to_owned());
        let mut name = name.trim_end_matches('.');
        let mut owner = vec![0xc0, 12];
        loop {
            match self.names.get(name) {
                None => answer[3] |= 3,
                Some(Says::Fails(code)) => answer[3] |= code,
                Some(Says::FailsForV6(_)) if !is_v4 => answer[3] |= 2,
                Some(Says::FailsForV6(all)) => put(&mut answer, &owner, 60, all, is_v4),
                Some(Says::Cut(_)) if is_udp => answer[2] |= 2,
                Some(Says::Cut(all)) => put(&mut answer, &owner, 60, all, is_v4),
                Some(Says::Addresses(ttl, all)) => put(&mut answer, &owner, *ttl, all, is_v4),
                Some(Says::Alias(ttl, other)) => {
                    let mut written = Vec::new();
                    for label in other.split('.') {
                        written.push(label.len() as u8);
                        written.extend(label.bytes());
                    }
                    written.push(0);
                    record(&mut answer, &owner, 5, *ttl, &written);
                    (name, owner) = (other, written);
                    continue;
                }
            }
            return answer;
        }
    }
}

fn put(answer: &mut Vec<u8>, owner: &[u8], ttl: u32, addresses: &[IpAddr], is_v4: bool) {
    for address in addresses {
        match address {
            IpAddr::V4(ip) if is_v4 => record(answer, owner, 1, ttl, &ip.octets()),
            IpAddr::V6(ip) if !is_v4 => record(answer, owner, 28, ttl, &ip.octets()),
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
    }
}

fn record(answer: &mut Vec<u8>, owner: &[u8], code: u8, ttl: u32, data: &[u8]) {
    answer[7] += 1;
    answer.extend(owner);
    answer.extend([0, code, 0, 1]);
    answer.extend(ttl.to_be_bytes());
    answer.extend((data.len() as u16).to_be_bytes());
    answer.extend(data);
}
