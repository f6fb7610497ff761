//! What somebody says who asks for addresses, and what he understands of the replies (RFC 1035 §4).
//!
//! Owns what counts as the reply to a question, and which addresses it has. The bytes are hickory's, whom to ask, and again,
//! is `ask`'s business. No byte that a server sends panics, and only what the chain of aliases from the asked name reaches is
//! believed: what else an answer holds was not asked for.

use std::net::IpAddr;
use std::time::Duration;

use hickory_proto::op::{Header, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

/// Names that stand for each other, one after the other. Longer chains are faults.
const MAX_ALIASES: usize = 16;

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// A records.
    V4,
    /// AAAA records.
    V6,
}

impl Family {
    const fn asked(self) -> RecordType {
        match self {
            Self::V4 => RecordType::A,
            Self::V6 => RecordType::AAAA,
        }
    }

    fn address(self, data: &RData) -> Option<IpAddr> {
        match (self, data) {
            (Self::V4, RData::A(ip)) => Some(ip.0.into()),
            (Self::V6, RData::AAAA(ip)) => Some(ip.0.into()),
            (Self::V4 | Self::V6, _) => None,
        }
    }
}

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
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
    /// The name stands for another one, and so on, without an end.
    Endless,
    /// The server did not do it, with this code.
    Failed(u8),
}

/// A question for a name, which may end with a dot; `None` when it is no name.
#[must_use]
pub fn question(id: u16, name: &str, family: Family) -> Option<Vec<u8>> {
    let name = name.strip_suffix('.').unwrap_or(name);
    // Bytes as they are: neither escapes nor Unicode mean anything here.
    let name = Name::from_labels(name.split('.').map(str::as_bytes)).ok()?;
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name, family.asked()));
    message.to_vec().ok()
}

/// How a message begins that has one question, and what follows.
pub(crate) struct Beginning<'a> {
    pub(crate) header: Header,
    pub(crate) query: Query,
    rest: BinDecoder<'a>,
}

impl<'a> Beginning<'a> {
    /// `None` when it is no such message.
    pub(crate) fn read(message: &'a [u8]) -> Option<Self> {
        let mut rest = BinDecoder::new(message);
        let header = Header::read(&mut rest).ok()?;
        if header.counts.queries != 1 {
            return None;
        }
        let query = Query::read(&mut rest).ok()?;
        Some(Self {
            header,
            query,
            rest,
        })
    }

    /// Whether it can be the reply to this: the same number, and the same question.
    pub(crate) fn is_reply_to(&self, asked: &Self) -> bool {
        let (said, was) = (&self.header.metadata, &asked.header.metadata);
        let (query, wanted) = (&self.query, &asked.query);
        said.id == was.id
            && said.message_type == MessageType::Response
            && said.op_code == was.op_code
            && query.name == wanted.name
            && query.query_type == wanted.query_type
            && query.query_class == wanted.query_class
    }

    /// The records of the answer; nothing else of a message is read.
    fn answers(mut self) -> Option<Vec<Record>> {
        let count = self.header.counts.answers.into();
        let read = Message::read_records(&mut self.rest, count, false, OpCode::Query);
        let (mut records, _, _) = read.ok()?;
        records.retain(|record| record.dns_class == DNSClass::IN);
        Some(records)
    }
}

/// Whether a message can be the reply to a question.
pub(crate) fn is_reply(question: &[u8], message: &[u8]) -> bool {
    match (Beginning::read(question), Beginning::read(message)) {
        (Some(asked), Some(said)) => said.is_reply_to(&asked),
        (None, _) | (_, None) => false,
    }
}

/// Reads what may be the reply to a question; `None` when it is another one's, or no message.
#[must_use]
pub fn reply(question: &[u8], family: Family, message: &[u8]) -> Option<Reply> {
    let asked = Beginning::read(question)?;
    let said = Beginning::read(message)?;
    if !said.is_reply_to(&asked) {
        return None;
    }
    let metadata = &said.header.metadata;
    Some(match metadata.response_code {
        _ if metadata.truncation => Reply::Truncated,
        ResponseCode::NoError => addresses(asked.query.name, family, &said.answers()?),
        ResponseCode::NXDomain => Reply::NoSuchName,
        code => Reply::Failed(code.low()),
    })
}

/// The addresses at the end of the chain of aliases that begins with the name.
fn addresses(name: Name, family: Family, records: &[Record]) -> Reply {
    let mut name = &name;
    let mut ttl = Duration::from_secs(u32::MAX.into());
    let mut aliases = 0;
    while let Some((to, holds)) = records.iter().find_map(|record| alias(record, name)) {
        if aliases == MAX_ALIASES {
            return Reply::Endless;
        }
        aliases += 1;
        name = to;
        ttl = ttl.min(holds);
    }
    let mut addresses = Vec::new();
    for record in records.iter().filter(|record| record.name == *name) {
        if let Some(address) = family.address(&record.data) {
            addresses.push(address);
            ttl = ttl.min(seconds(record.ttl));
        }
    }
    Reply::Addresses { addresses, ttl }
}

/// What a name stands for, if this record says so, and for how long.
fn alias<'r>(record: &'r Record, name: &Name) -> Option<(&'r Name, Duration)> {
    match &record.data {
        RData::CNAME(to) if record.name == *name => Some((&to.0, seconds(record.ttl))),
        _ => None,
    }
}

/// RFC 2181 §8: with the highest bit it means nothing.
fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(i32::try_from(ttl).unwrap_or(0).unsigned_abs().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `a.example` has an alias `b.example`, which has two addresses; names are compressed.
    fn answer() -> Vec<u8> {
        let mut message = question(7, "A.example.", Family::V4).unwrap();
        message[2] |= 0x80;
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
        let cases: [(&str, Change, Option<Reply>); 10] = [
            ("another id", |m| m[1] = 8, None),
            ("a question", |m| m[2] &= !0x80, None),
            ("another name", |m| m[13] = b'c', None),
            ("another family", |m| m[24] = 28, None),
            ("another operation", |m| m[2] |= 0x28, None),
            ("too many answers", |m| m[7] = 4, None),
            ("no such name", |m| m[3] |= 3, Some(Reply::NoSuchName)),
            ("a failure", |m| m[3] |= 2, Some(Reply::Failed(2))),
            ("two questions", |m| m[5] = 2, None),
            ("cut", |m| m[2] |= 2, Some(Reply::Truncated)),
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

    /// A message that says of the first name that it stands for the second, and so on.
    fn chain(aliases: &[(&str, &str)], of: &str, address: [u8; 4]) -> Vec<u8> {
        let name = |text: &str| Name::from_labels(text.split('.').map(str::as_bytes)).unwrap();
        let mut message = Message::response(7, OpCode::Query);
        message.add_query(Query::query(name("a.example"), RecordType::A));
        for (from, to) in aliases {
            let to = RData::CNAME(hickory_proto::rr::rdata::CNAME(name(to)));
            message.add_answer(Record::from_rdata(name(from), 60, to));
        }
        let data = RData::A(std::net::Ipv4Addr::from(address).into());
        message.add_answer(Record::from_rdata(name(of), 60, data));
        message.to_vec().unwrap()
    }

    #[test]
    fn only_what_the_asked_name_leads_to_is_believed() {
        let found = |message: &[u8]| match read(message) {
            Some(Reply::Addresses { addresses, .. }) => addresses,
            other => panic!("{other:?}"),
        };
        // Of a name that nobody asked for, however near.
        for of in ["bank.example", "x.a.example", "example"] {
            assert_eq!(found(&chain(&[], of, [6; 4])), [] as [IpAddr; 0], "{of}");
        }
        let ip = IpAddr::from([10, 0, 0, 1]);
        let aliases = [("a.example", "b.test"), ("b.test", "c.test")];
        assert_eq!(found(&chain(&aliases, "c.test", [10, 0, 0, 1])), [ip]);
        // An alias of another name is none of this one.
        let foreign = [("other.example", "c.test")];
        assert!(found(&chain(&foreign, "c.test", [10, 0, 0, 1])).is_empty());
    }

    #[test]
    fn aliases_without_an_end_are_a_fault() {
        let round = [("a.example", "b.test"), ("b.test", "a.example")];
        let own = [("a.example", "a.example")];
        let names: Vec<String> = (0..MAX_ALIASES).map(|at| format!("n{at}.test")).collect();
        let mut long: Vec<(&str, &str)> = vec![("a.example", &names[0])];
        long.extend(names.windows(2).map(|pair| (&*pair[0], &*pair[1])));
        assert_eq!(long.len(), MAX_ALIASES);
        let end = names.last().unwrap();
        let fits = read(&chain(&long, end, [10, 0, 0, 1]));
        assert!(
            matches!(fits, Some(Reply::Addresses { ref addresses, .. }) if addresses.len() == 1)
        );
        let last = (end.as_str(), "too.far");
        long.push(last);
        for aliases in [&round[..], &own, &long] {
            let message = chain(aliases, "too.far", [10, 0, 0, 1]);
            assert_eq!(read(&message), Some(Reply::Endless), "{aliases:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_comes_is_read_or_passed_over(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = read(&bytes);
            let asked = question(7, "a.example", Family::V4).unwrap();
            let mut behind = asked;
            behind[2] |= 0x80;
            behind[6..8].copy_from_slice(&[0, 9]);
            behind.extend(bytes);
            let _ = read(&behind);
        }

        #[test]
        fn a_question_is_read_as_it_was_written(labels in proptest::collection::vec("[a-z0-9_-]{1,63}", 1..6), id in any::<u16>()) {
            let name = labels.join(".");
            match question(id, &name, Family::V6) {
                None => prop_assert!(name.len() > 253),
                Some(bytes) => {
                    let read = Beginning::read(&bytes).unwrap();
                    prop_assert_eq!(read.header.metadata.id, id);
                    let read = read.query.name.iter().map(|label| String::from_utf8_lossy(label).into_owned());
                    prop_assert_eq!(read.collect::<Vec<_>>(), labels);
                }
            }
        }
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
