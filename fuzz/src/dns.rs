//! Messages of DNS: as the reply to a question of ours, and as the question of an application.

use std::net::IpAddr;

use outrigger_dns::{Family, Query, Reply, Unread, question, reply};

/// Bytes of a header.
const HEADER: usize = 12;

/// Reads bytes in every way that they can come in.
///
/// # Panics
/// When something is believed that does not answer the question, or an answer of ours is none.
pub fn message(bytes: &[u8]) {
    as_reply(bytes);
    as_question(bytes);
}

fn as_reply(bytes: &[u8]) {
    let id = bytes
        .first_chunk::<2>()
        .map_or(0, |id| u16::from_be_bytes(*id));
    for family in [Family::V4, Family::V6] {
        let Some(asked) = question(id, "a.example", family) else {
            unreachable!("it is a name");
        };
        check(&asked, family, bytes);
        // Behind the question that it must have to be looked at.
        let mut behind = asked.clone();
        if let (Some(flags), Some(counts)) = (bytes.get(2..4), bytes.get(6..HEADER)) {
            behind[2..4].copy_from_slice(flags);
            behind[2] |= 0x80;
            behind[6..HEADER].copy_from_slice(counts);
            behind.extend(&bytes[HEADER..]);
            check(&asked, family, &behind);
        }
    }
}

fn check(asked: &[u8], family: Family, message: &[u8]) {
    if let Some(said) = reply(asked, family, message) {
        assert_eq!(message[..2], asked[..2], "the reply to another question");
        assert_ne!(message[2] & 0x80, 0, "a question is no reply");
        if let Reply::Addresses { addresses, .. } = said {
            assert!(
                addresses.len() * 4 <= message.len(),
                "addresses from nowhere"
            );
            let is_v4 = family == Family::V4;
            assert!(addresses.iter().all(|ip| ip.is_ipv4() == is_v4));
        }
    }
}

fn as_question(bytes: &[u8]) {
    match Query::read(bytes) {
        Err(Unread::Dropped) => {}
        Err(Unread::Refused(said)) => is_answer(bytes, &said),
        Ok(query) => {
            let addresses = || (0..40).map(|last| IpAddr::from([10, 0, 0, last]));
            for said in [
                query.answer(None, addresses(), query.payload()),
                query.answer(Some("b.example"), addresses(), query.payload()),
                query.cut(),
                query.fail(),
            ] {
                is_answer(bytes, &said);
                assert!(said.len() <= query.payload(), "{} bytes", said.len());
            }
        }
    }
}

fn is_answer(asked: &[u8], said: &[u8]) {
    assert!(said.len() >= HEADER, "no answer at all");
    assert_eq!(said[..2], asked[..2]);
    assert_ne!(said[2] & 0x80, 0);
}
