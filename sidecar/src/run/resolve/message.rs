//! DNS messages (RFC 1035 §4), as far as somebody speaks them who asks one question and reads its answer.
//!
//! They are read and written here and not by a package: what a stub needs are these lines, and the packages that know all
//! of DNS bring three dozen others, tables of Unicode among them. Owns the bytes; whom to ask, and again, is `ask`'s
//! business. No byte that a server sends panics, and a name is followed backwards only, so reading ends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// Bytes of a name, dots and ends of labels included.
const MAX_NAME: usize = 255;

/// Bytes of a label.
const MAX_LABEL: usize = 63;

/// Names that stand for each other, one after the other. Longer chains are faults.
const MAX_ALIASES: usize = 16;

const HEADER: usize = 12;
const IS_RESPONSE: u8 = 0x80;
const OPCODE: u8 = 0x78;
const IS_TRUNCATED: u8 = 0x02;
const RECURSION_DESIRED: u8 = 0x01;
const RCODE: u8 = 0x0f;
const NO_SUCH_NAME: u8 = 3;
const CLASS_IN: u16 = 1;
const CNAME: u16 = 5;

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// A records.
    V4,
    /// AAAA records.
    V6,
}

impl Family {
    const fn code(self) -> u16 {
        match self {
            Self::V4 => 1,
            Self::V6 => 28,
        }
    }

    fn address(self, data: &[u8]) -> Option<IpAddr> {
        match self {
            Self::V4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(data).ok()?).into()),
            Self::V6 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(data).ok()?).into()),
        }
    }
}

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// The name's addresses, in the order in which they came; none when it has none of this family.
    Addresses {
        /// Those.
        addresses: Vec<IpAddr>,
        /// How long all of it holds.
        ttl: Duration,
    },
    /// There is no such name.
    NoSuchName,
    /// The whole answer did not fit; it is to be had over TCP.
    Truncated,
    /// The server did not do it, with this code.
    Failed(u8),
}

/// A question for a name, which may end with a dot; `None` when it is no name.
pub(super) fn question(id: u16, name: &str, family: Family) -> Option<Vec<u8>> {
    let mut message = Vec::with_capacity(HEADER + name.len() + 6);
    message.extend(id.to_be_bytes());
    message.extend([RECURSION_DESIRED, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    let name = name.strip_suffix('.').unwrap_or(name);
    for label in name.split('.') {
        let is_label = matches!(label.len(), 1..=MAX_LABEL);
        message.push(u8::try_from(label.len()).ok().filter(|_| is_label)?);
        message.extend(label.bytes());
    }
    message.push(0);
    if message.len() - HEADER > MAX_NAME {
        return None;
    }
    message.extend(family.code().to_be_bytes());
    message.extend(CLASS_IN.to_be_bytes());
    Some(message)
}

/// Reads what may be the reply to a question; `None` when it is another one's, or no message.
pub(super) fn reply(question: &[u8], family: Family, message: &[u8]) -> Option<Reply> {
    let mut asked = Reader::new(question, HEADER);
    let (name, end) = (asked.name()?, question.len());
    let [id_high, id_low, flags, more_flags] = *message.first_chunk::<4>()?;
    let is_ours = question.starts_with(&[id_high, id_low])
        && flags & IS_RESPONSE != 0
        && flags & OPCODE == 0
        && count(message, 4)? == 1
        && message.len() >= end
        && message[HEADER..end].eq_ignore_ascii_case(&question[HEADER..]);
    if !is_ours {
        return None;
    }
    let rcode = more_flags & RCODE;
    Some(match rcode {
        _ if flags & IS_TRUNCATED != 0 => Reply::Truncated,
        0 => addresses(name, family, message, end)?,
        NO_SUCH_NAME => Reply::NoSuchName,
        code => Reply::Failed(code),
    })
}

/// The addresses at the end of the chain of aliases that begins with the name.
fn addresses(name: Vec<u8>, family: Family, message: &[u8], answers: usize) -> Option<Reply> {
    let mut reader = Reader::new(message, answers);
    let mut records = Vec::new();
    for _ in 0..count(message, 6)? {
        records.push(reader.record()?);
    }
    let mut name = name;
    let mut ttl = Duration::from_secs(u32::MAX.into());
    for _ in 0..MAX_ALIASES {
        let mut aliases = records.iter();
        let alias = aliases.find(|r| r.code == CNAME && r.owner == name);
        let Some(alias) = alias else { break };
        ttl = ttl.min(alias.ttl);
        name = Reader::new(message, alias.data).name()?;
    }
    let mut addresses = Vec::new();
    for record in &records {
        if record.code == family.code() && record.owner == name {
            let data = message.get(record.data..record.data + record.length)?;
            addresses.push(family.address(data)?);
            ttl = ttl.min(record.ttl);
        }
    }
    Some(Reply::Addresses { addresses, ttl })
}

fn count(message: &[u8], at: usize) -> Option<u16> {
    let bytes = message.get(at..at + 2)?;
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

struct Record {
    owner: Vec<u8>,
    code: u16,
    ttl: Duration,
    /// Where its data begins, because names in it point into the message.
    data: usize,
    length: usize,
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    const fn new(message: &'a [u8], at: usize) -> Self {
        Self { message, at }
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let bytes = self.message.get(self.at..)?.first_chunk::<N>()?;
        self.at += N;
        Some(*bytes)
    }

    /// A name in lower case, with the lengths of its labels; compressed or not (§4.1.4).
    fn name(&mut self) -> Option<Vec<u8>> {
        let mut name = Vec::new();
        // Where the name goes on once it has been followed elsewhere; each place must lie before the one before.
        let mut after = None;
        let mut before = self.at;
        loop {
            let [length] = self.take::<1>()?;
            match length {
                0 => break,
                1..=63 => {
                    let label = self.message.get(self.at..self.at + usize::from(length))?;
                    name.push(length);
                    name.extend(label.iter().map(u8::to_ascii_lowercase));
                    self.at += usize::from(length);
                }
                0xc0.. => {
                    let [low] = self.take::<1>()?;
                    after.get_or_insert(self.at);
                    let to = usize::from(length & 0x3f) << 8 | usize::from(low);
                    if to >= before {
                        return None;
                    }
                    before = to;
                    self.at = to;
                }
                64..0xc0 => return None,
            }
            if name.len() > MAX_NAME {
                return None;
            }
        }
        self.at = after.unwrap_or(self.at);
        Some(name)
    }

    fn record(&mut self) -> Option<Record> {
        let owner = self.name()?;
        let code = u16::from_be_bytes(self.take()?);
        let class = u16::from_be_bytes(self.take()?);
        let ttl = u32::from_be_bytes(self.take()?);
        let length = usize::from(u16::from_be_bytes(self.take()?));
        let data = self.at;
        self.at += length;
        (self.at <= self.message.len() && class == CLASS_IN).then_some(Record {
            owner,
            code,
            // RFC 2181 §8: with the highest bit it means nothing.
            ttl: Duration::from_secs(i32::try_from(ttl).unwrap_or(0).unsigned_abs().into()),
            data,
            length,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a.example` has an alias `b.example`, which has two addresses; names are compressed.
    fn answer() -> Vec<u8> {
        let mut message = question(7, "A.example.", Family::V4).unwrap();
        message[2] |= IS_RESPONSE;
        message[7] = 3;
        message.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 4, 1, b'B', 0xc0, 14]);
        for (last, ttl) in [(2, 30), (1, 90)] {
            message.extend([0xc0, 39, 0, 1, 0, 1, 0, 0, 0, ttl, 0, 4, 10, 0, 0, last]);
        }
        message
    }

    fn read(message: &[u8]) -> Option<Reply> {
        let asked = question(7, "a.example", Family::V4).unwrap();
        reply(&asked, Family::V4, message)
    }

    #[test]
    fn a_question_is_written_as_rfc_1035_has_it() {
        let want = b"\x01\x02\x01\0\0\x01\0\0\0\0\0\0\x01a\x07example\0\0\x1c\0\x01";
        for name in ["a.example", "a.example."] {
            let got = question(0x0102, name, Family::V6);
            assert_eq!(got.as_deref(), Some(&want[..]), "{name}");
        }
        let long = format!("{}.example", "a".repeat(64));
        let longer = ["a".repeat(63).as_str(); 4].join(".");
        for name in ["", ".", "a..b", ".a", &long, &longer] {
            assert_eq!(question(0, name, Family::V4), None, "{name}");
        }
    }

    #[test]
    fn aliases_are_followed_and_the_shortest_time_holds() {
        let want = Reply::Addresses {
            addresses: vec![[10, 0, 0, 2].into(), [10, 0, 0, 1].into()],
            ttl: Duration::from_secs(30),
        };
        assert_eq!(read(&answer()), Some(want));
    }

    #[test]
    fn what_is_no_answer_to_the_question_is_passed_over() {
        type Change = fn(&mut Vec<u8>);
        let cases: [(&str, Change, Option<Reply>); 9] = [
            ("another id", |m| m[1] = 8, None),
            ("a question", |m| m[2] &= !IS_RESPONSE, None),
            ("another name", |m| m[13] = b'c', None),
            ("another family", |m| m[24] = 28, None),
            ("another operation", |m| m[2] |= 0x28, None),
            ("too many answers", |m| m[7] = 4, None),
            ("no such name", |m| m[3] |= 3, Some(Reply::NoSuchName)),
            ("a failure", |m| m[3] |= 2, Some(Reply::Failed(2))),
            ("cut", |m| m[2] |= IS_TRUNCATED, Some(Reply::Truncated)),
        ];
        for (what, change, want) in cases {
            let mut message = answer();
            change(&mut message);
            assert_eq!(read(&message), want, "{what}");
        }
    }

    #[test]
    fn names_that_go_round_end() {
        // The alias stands for itself, or its name points at itself or forward.
        for (at, to) in [(41, 12), (41, 39), (27, 27), (27, 60)] {
            let mut message = answer();
            message[at..at + 2].copy_from_slice(&[0xc0, to]);
            let _ = read(&message);
        }
        let mut own = answer();
        own[27..29].copy_from_slice(&[0xc0, 27]);
        assert_eq!(read(&own), None);
    }

    /// Every byte with every value, and every length.
    #[test]
    fn no_byte_panics() {
        let whole = answer();
        for at in 0..whole.len() {
            for value in 0..=u8::MAX {
                let mut message = whole.clone();
                message[at] = value;
                let _ = read(&message);
            }
            assert_eq!(read(&whole[..at]), None, "{at}");
        }
    }
}
