//! What an application asks, and how it is answered (RFC 1035 §4, RFC 6891).
//!
//! Owns which messages deserve an answer at all, what of an answer fits, and the bytes, which are hickory's. What is said of
//! a name is core's business.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, ResponseCode};
use hickory_proto::rr::rdata::CNAME;
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};
use outrigger_core::policy::dns::{Kind, TTL};

use crate::message::Beginning;

/// The bytes of an answer that fit without extensions (RFC 1035 §2.3.4).
const WITHOUT_EXTENSIONS: u16 = 512;

/// What we take ourselves: no packet of it is cut into pieces (DNS flag day 2020).
const OUR_PAYLOAD: u16 = 1232;

/// Bytes of a header.
const HEADER: usize = 12;

/// The bit of a header's third byte that says that it is of a response.
const IS_RESPONSE: u8 = 0x80;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    metadata: Metadata,
    question: hickory_proto::op::Query,
    /// In lower case, without a dot at the end; empty where it is no name that a service could have.
    name: Box<str>,
    has_extensions: bool,
    /// Bytes that fit into a datagram.
    payload: u16,
}

/// What is not answered as a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// It is no question: no answer, so that two servers do not go on answering each other.
    Dropped,
    /// This is the answer.
    Refused(Vec<u8>),
}

impl Query {
    /// Reads a message.
    ///
    /// # Errors
    /// What else it is.
    pub fn read(message: &[u8]) -> Result<Self, Unread> {
        match message.get(2) {
            Some(flags) if message.len() >= HEADER && flags & IS_RESPONSE == 0 => {}
            Some(_) | None => return Err(Unread::Dropped),
        }
        let id = u16::from_be_bytes([message[0], message[1]]);
        let op_code = OpCode::from_u8(message[2] >> 3 & 0xf);
        if op_code != OpCode::Query {
            return Err(refused(id, op_code, ResponseCode::NotImp));
        }
        let malformed = || refused(id, op_code, ResponseCode::FormErr);
        let beginning = Beginning::read(message).ok_or_else(malformed)?;
        let whole = Message::from_vec(message).map_err(|_| malformed())?;
        let question = beginning.query;
        Ok(Self {
            metadata: whole.metadata,
            name: name_of(&question.name),
            question,
            has_extensions: whole.edns.is_some(),
            payload: whole.edns.map_or(WITHOUT_EXTENSIONS, |edns| {
                edns.max_payload().max(WITHOUT_EXTENSIONS)
            }),
        })
    }

    /// The name, in lower case and without a dot at its end; empty where it is none that a service could have.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is asked of it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match (self.question.query_class, self.question.query_type) {
            (DNSClass::IN, RecordType::A) => Kind::V4,
            (DNSClass::IN, RecordType::AAAA) => Kind::V6,
            (DNSClass::IN, RecordType::SVCB | RecordType::HTTPS) => Kind::Binding,
            _ => Kind::Other,
        }
    }

    /// Bytes of an answer that fit into a datagram.
    #[must_use]
    pub const fn payload(&self) -> usize {
        self.payload as usize
    }

    /// The answer: these addresses, of the name or of the one that it stands for. No longer than `most` bytes: the last ones
    /// are left out, and the answer says so.
    #[must_use]
    pub fn answer(
        &self,
        alias: Option<&str>,
        addresses: impl Iterator<Item = IpAddr>,
        most: usize,
    ) -> Vec<u8> {
        let mut message = self.response(ResponseCode::NoError);
        message.metadata.authoritative = true;
        let mut owner = self.question.name.clone();
        if let Some(alias) = alias.and_then(name) {
            let data = RData::CNAME(CNAME(alias.clone()));
            message.add_answer(Record::from_rdata(owner, TTL, data));
            owner = alias;
        }
        for address in addresses {
            let data = match address {
                IpAddr::V4(ip) => RData::A(ip.into()),
                IpAddr::V6(ip) => RData::AAAA(ip.into()),
            };
            message.add_answer(Record::from_rdata(owner.clone(), TTL, data));
        }
        fit(message, most)
    }

    /// The answer that there is none.
    #[must_use]
    pub fn fail(&self) -> Vec<u8> {
        bytes(&self.response(ResponseCode::ServFail))
    }

    /// The answer that there is one which does not fit.
    #[must_use]
    pub fn cut(&self) -> Vec<u8> {
        let mut message = self.response(ResponseCode::NoError);
        message.metadata.truncation = true;
        bytes(&message)
    }

    fn response(&self, code: ResponseCode) -> Message {
        let mut message = Message::response(self.metadata.id, OpCode::Query);
        message.metadata = Metadata::response_from_request(&self.metadata);
        message.metadata.message_type = MessageType::Response;
        message.metadata.recursion_available = true;
        message.metadata.response_code = code;
        message.add_query(self.question.clone());
        if self.has_extensions {
            let mut edns = Edns::new();
            edns.set_max_payload(OUR_PAYLOAD);
            message.set_edns(edns);
        }
        message
    }
}

/// The bytes of a message with as many of its answers as fit.
fn fit(message: Message, most: usize) -> Vec<u8> {
    let whole = bytes(&message);
    if whole.len() <= most {
        return whole;
    }
    let with = |count: usize| {
        let mut some = message.clone();
        some.answers.truncate(count);
        some.metadata.truncation = true;
        bytes(&some)
    };
    // So many fit, and so many do not.
    let (mut fitting, mut too_many) = (0, message.answers.len());
    while too_many - fitting > 1 {
        let middle = fitting.midpoint(too_many);
        match with(middle).len() <= most {
            true => fitting = middle,
            false => too_many = middle,
        }
    }
    with(fitting)
}

/// Empty where the message has no form, which is sent to nobody.
fn bytes(message: &Message) -> Vec<u8> {
    message.to_vec().unwrap_or_default()
}

fn refused(id: u16, op_code: OpCode, code: ResponseCode) -> Unread {
    Unread::Refused(bytes(&Message::error_msg(id, op_code, code)))
}

fn name(text: &str) -> Option<Name> {
    Name::from_labels(text.split('.').map(str::as_bytes)).ok()
}

/// A name as services are called; empty where one of its labels is nothing that a service could be called.
fn name_of(name: &Name) -> Box<str> {
    let mut text = String::with_capacity(name.len());
    for label in name.iter() {
        let is_usual = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'.' | b'*');
        match str::from_utf8(label) {
            Ok(label) if label.bytes().all(|byte| is_usual(&byte)) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(label);
            }
            Ok(_) | Err(_) => return Box::default(),
        }
    }
    text.make_ascii_lowercase();
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{Family, Reply, question, reply};
    use std::time::Duration;

    fn ips(count: u8) -> impl Iterator<Item = IpAddr> {
        (1..=count).map(|last| IpAddr::from([10, 0, 0, last]))
    }

    #[test]
    fn what_is_answered_is_understood_by_who_asked() {
        let asked = question(7, "Db.Shop", Family::V4).unwrap();
        let query = Query::read(&asked).unwrap();
        assert_eq!(
            (query.name(), query.kind(), query.payload()),
            ("db.shop", Kind::V4, 512)
        );
        for alias in [None, Some("db")] {
            let said = query.answer(alias, ips(3), query.payload());
            let want = Reply::Addresses {
                addresses: ips(3).collect(),
                ttl: Duration::from_secs(TTL.into()),
            };
            assert_eq!(reply(&asked, Family::V4, &said), Some(want), "{alias:?}");
        }
        let failed = reply(&asked, Family::V4, &query.fail());
        assert_eq!(failed, Some(Reply::Failed(2)));
    }

    #[test]
    fn what_does_not_fit_is_left_out_and_said() {
        let asked = question(7, "db.shop", Family::V4).unwrap();
        let query = Query::read(&asked).unwrap();
        for (count, most, is_cut) in [
            (30, 512, false),
            (31, 512, true),
            (250, 512, true),
            (250, 65_535, false),
        ] {
            let said = query.answer(None, ips(count), most);
            assert!(said.len() <= most, "{count} {most}: {}", said.len());
            let read = Message::from_vec(&said).unwrap();
            assert_eq!(read.metadata.truncation, is_cut, "{count} {most}");
            assert!(
                !is_cut || said.len() + 16 > most,
                "{count} {most}: {}",
                said.len()
            );
        }
    }

    #[test]
    fn what_is_no_question_is_dropped_or_refused() {
        let good = question(0x0102, "db.shop", Family::V4).unwrap();
        type Change = fn(&mut Vec<u8>);
        let cases: [(&str, Change, Option<u8>); 8] = [
            ("a response", |m| m[2] |= 0x80, None),
            ("a stump", |m| m.truncate(11), None),
            ("nothing", Vec::clear, None),
            ("an update", |m| m[2] |= 5 << 3, Some(4)),
            ("no question", |m| m[5] = 0, Some(1)),
            ("two questions", |m| m[5] = 2, Some(1)),
            ("a cut one", |m| m.truncate(14), Some(1)),
            ("records that are not there", |m| m[11] = 1, Some(1)),
        ];
        for (what, change, want) in cases {
            let mut message = good.clone();
            change(&mut message);
            match (Query::read(&message), want) {
                (Err(Unread::Dropped), None) => {}
                (Err(Unread::Refused(said)), Some(code)) => {
                    assert_eq!((&said[..2], said[3] & 0xf), (&[1, 2][..], code), "{what}");
                }
                (other, _) => panic!("{what}: {other:?}"),
            }
        }
    }

    #[test]
    fn names_that_no_service_has_are_nobodys() {
        for labels in [
            &[b"a.b".as_slice(), b"test"][..],
            &[b"*", b"test"],
            &[b"\xff"],
            &[b"a b"],
        ] {
            let name = Name::from_labels(labels.iter().copied()).unwrap();
            assert_eq!(&*name_of(&name), "", "{labels:?}");
        }
    }
}
