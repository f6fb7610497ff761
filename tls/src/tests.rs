//! Protected connections over pipes that move as many bytes at a time as they like.

mod certificates;
mod pipe;

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use outrigger_core::outbox::Outbox;
use outrigger_core::snapshot::{Alpn, ClientTls, Sni, TlsParameters, Trust};
use outrigger_runtime::Stream;
use proptest::prelude::*;

use crate::scratch::Scratch;
use crate::stream::Secured;
use pipe::{Pipe, contexts, contexts_until, shake, shake_as, spare};

/// Moves what one side has to say to the other; how many bytes were told to be written each time.
fn carry(from: &mut Secured<Pipe>, to: &mut Secured<Pipe>, said: &[u8]) -> Vec<u8> {
    let cx = &mut Context::from_waker(Waker::noop());
    let mut outbox = Outbox::default();
    // A head, and a body that is long enough to be kept apart.
    outbox.put(&said[..said.len() / 3]);
    outbox.put_bytes(bytes::Bytes::copy_from_slice(&said[said.len() / 3..]));
    let mut came = BytesMut::new();
    let mut told = 0;
    for _ in 0..10_000_000 {
        if !outbox.is_empty()
            && let Poll::Ready(wrote) = from.poll_write(cx, &outbox)
        {
            let count = wrote.expect("it can be written");
            assert!(count > 0 && count <= outbox.len());
            outbox.advance(count);
            told += count;
        }
        // Room is given in pieces, too.
        came.reserve(5000);
        if to.poll_readable(cx).is_ready()
            && let Poll::Ready(read) = to.poll_read(cx, &mut came)
        {
            assert!(read.expect("it can be read") > 0, "it has not ended");
        }
        if outbox.is_empty() && came.len() == said.len() {
            break;
        }
    }
    assert_eq!(told, said.len(), "all was told to be written");
    came.to_vec()
}

/// Bytes that are nowhere alike.
fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at * 31 + at / 251) as u8).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    #[test]
    fn the_same_bytes_come_however_they_are_cut(
        there in prop::collection::vec(1_usize..3000, 1..6),
        back in prop::collection::vec(1_usize..3000, 1..6),
        pauses in any::<bool>(),
        lengths in prop::collection::vec(1_usize..100_000, 1..4),
    ) {
        let mut there = there;
        if pauses {
            there.push(0);
        }
        let (contexts, scratch) = (contexts(), Rc::<Scratch>::default());
        let [(mut client, _), (mut server, facts)] = shake(&contexts, [&there, &back], &scratch);
        prop_assert!(!facts.resumed);
        for length in lengths {
            let said = pattern(length);
            prop_assert!(carry(&mut client, &mut server, &said) == said);
            prop_assert!(carry(&mut server, &mut client, &said) == said);
        }
        // The end is said, and told as one.
        client.shutdown_write();
        drop(client);
        let cx = &mut Context::from_waker(Waker::noop());
        let mut space = BytesMut::with_capacity(100);
        let end = loop {
            if let Poll::Ready(end) = server.poll_read(cx, &mut space) {
                break end;
            }
        };
        // A pipe that takes nothing now and then may not have taken it: then it is no end that was said.
        prop_assert!(end.is_ok_and(|count| count == 0) || pauses);
    }
}

#[test]
fn an_end_that_is_not_said_is_an_error() {
    let (contexts, scratch) = (contexts(), Rc::<Scratch>::default());
    let [(client, _), (mut server, _)] = shake(&contexts, [&[], &[]], &scratch);
    client.reset();
    let cx = &mut Context::from_waker(Waker::noop());
    let end = server.poll_read(cx, &mut BytesMut::with_capacity(100));
    let Poll::Ready(Err(error)) = end else {
        panic!("{end:?}");
    };
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

/// A server that is to prove nothing may show what is over, as often as it is asked.
#[test]
fn nothing_is_proved_by_a_session_that_is_taken_up_either() {
    let (contexts, scratch) = (contexts_until(2020), Rc::<Scratch>::default());
    for is_second in [false, true] {
        let tls = ClientTls {
            identity: Some(spare()),
            trust: Trust::Nothing,
            sni: Sni::None,
            alpn: Alpn::Mesh,
            parameters: TlsParameters::default(),
        };
        let [(mut client, facts), _server] = shake_as(tls, &contexts, [&[], &[]], &scratch);
        assert_eq!(facts.resumed, is_second);
        // The ticket.
        let cx = &mut Context::from_waker(Waker::noop());
        let read = client.poll_read(cx, &mut BytesMut::with_capacity(100));
        assert!(read.is_pending());
    }
}

/// Tickets are nothing that anybody reads.
#[test]
fn a_ticket_that_comes_later_is_no_news() {
    let (contexts, scratch) = (contexts(), Rc::<Scratch>::default());
    let [(mut client, _), (_server, _)] = shake(&contexts, [&[], &[]], &scratch);
    assert!(client.has_unread(), "a ticket lies there");
    let cx = &mut Context::from_waker(Waker::noop());
    let read = client.poll_read(cx, &mut BytesMut::with_capacity(100));
    assert!(read.is_pending());
    assert!(!client.has_unread());
}

/// What is allocated for a record: by the library to make one, by the library for what is in one that has come, and by the
/// pipe that carries it. Nothing of ours, and nothing stays.
#[test]
fn a_record_allocates_what_the_library_takes_for_it() {
    const RECORDS: u64 = 100;
    let (contexts, scratch) = (contexts(), Rc::<Scratch>::default());
    let [(mut client, _), (mut server, _)] = shake(&contexts, [&[], &[]], &scratch);
    let cx = &mut Context::from_waker(Waker::noop());
    let (said, mut outbox) = (pattern(1200), Outbox::default());
    let mut space = BytesMut::with_capacity(4096);
    let mut carry_one = || {
        outbox.put(&said);
        let wrote = client.poll_write(cx, &outbox);
        assert!(matches!(wrote, Poll::Ready(Ok(1200))), "{wrote:?}");
        outbox.advance(1200);
        let read = server.poll_read(cx, &mut space);
        assert!(matches!(read, Poll::Ready(Ok(1200))), "{read:?}");
        assert!(space[..] == said[..]);
        space.clear();
    };
    carry_one();
    let held = allocation_counter::measure(|| (0..RECORDS).for_each(|_| carry_one()));
    assert_eq!((held.count_total, held.count_current), (3 * RECORDS, 0));
}

/// What a connection holds that rests, without what the cryptography holds for itself (two ciphers, about 1 KiB).
#[test]
fn a_connection_at_rest_holds_little() {
    const MANY: usize = 100;
    let (contexts, scratch) = (contexts(), Rc::<Scratch>::default());
    let mut all = Vec::with_capacity(MANY);
    // What is shared is made before.
    drop(shake(&contexts, [&[], &[]], &scratch));
    let held = allocation_counter::measure(|| {
        for _ in 0..MANY {
            let [(mut client, _), (mut server, facts)] = shake(&contexts, [&[], &[]], &scratch);
            let said = pattern(20_000);
            assert!(carry(&mut client, &mut server, &said) == said);
            assert!(carry(&mut server, &mut client, &said) == said);
            client.reset();
            all.push((server, facts));
        }
    });
    let each = held.bytes_current as usize / MANY;
    println!("{each} bytes for each connection at rest");
    assert!(each <= 8 * 1024, "{each}");
}
