//! Bytes that come in pieces, and what the streams of a connection tell their owner of them.

use std::collections::BTreeMap;

use bytes::BytesMut;
use outrigger_core::http2::{Connection, Event, Fatal, Limits};
use outrigger_core::message::{Headers, RequestHead, ResponseHead};
use outrigger_core::outbox::Outbox;
use outrigger_core::stream::{Begins, Broken, Part, StreamId};
use outrigger_core::time::Instant;

use super::wire::{self, settings};

/// What a stream told its owner, who takes all at once.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Story {
    pub(crate) head: Option<Box<RequestHead>>,
    statuses: Vec<u16>,
    pub(crate) data: Vec<u8>,
    trailers: Option<Headers>,
    pub(crate) is_whole: bool,
}

/// Cuts bytes at places that `seed` picks.
pub(crate) fn pieces(bytes: &[u8], mut seed: u64) -> Vec<&[u8]> {
    let mut rest = bytes;
    let mut cut = Vec::new();
    while !rest.is_empty() {
        seed = outrigger_core::entropy::mix(seed);
        let (piece, after) = rest.split_at(rest.len().min(1 + (seed % 23) as usize));
        cut.push(piece);
        rest = after;
    }
    cut
}

/// All streams, by their numbers, and the fault that ended the connection.
pub(crate) fn told<'a>(
    is_client: bool,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (BTreeMap<u32, Story>, Option<Fatal>) {
    // What depends on whether an owner had the time to take something is left out.
    let limits = Limits {
        concurrent_streams: 1 << 20,
        interim_heads: usize::MAX,
        ..Limits::SERVER
    };
    let now = Instant::from_millis(1);
    let (mut inbox, mut out) = (BytesMut::new(), Outbox::default());
    let mut connection = if is_client {
        let mut connection = Connection::client(&limits);
        for n in 0..8 {
            connection.ask(&RequestHead::default(), &Begins::default(), n, &mut out);
        }
        connection
    } else {
        inbox.extend_from_slice(wire::PREFACE);
        Connection::server(&limits)
    };
    inbox.extend_from_slice(&settings(&[]));
    let mut stories: BTreeMap<u32, Story> = BTreeMap::new();
    let mut broken: Vec<u32> = Vec::new();
    let mut fatal = None;
    for piece in pieces {
        inbox.extend_from_slice(piece);
        fatal = connection.read(&mut inbox, now).err();
        while let Some(event) = connection.next_event() {
            let id = match event {
                Event::Opened(id) => {
                    connection.set_owner(id, 0);
                    id
                }
                Event::Progress(id, _) => id,
                Event::Settings | Event::GoingAway => continue,
            };
            let story = stories.entry(id.number()).or_default();
            if take_all(&mut connection, id, story).is_err() {
                broken.push(id.number());
                connection.close(id);
            }
        }
    }
    // Whether something was told of a stream before it broke depends on when it did. So it does for all that were cut by
    // the end of the connection.
    stories.retain(|id, story| !broken.contains(id) && (fatal.is_none() || story.is_whole));
    if fatal.is_some() {
        stories.clear();
    }
    (stories, fatal)
}

fn take_all(
    connection: &mut Connection<u8>,
    id: StreamId,
    story: &mut Story,
) -> Result<(), Broken> {
    let mut request = RequestHead::default();
    if let Some(_begins) = connection
        .request_head(id, &mut request)
        .map_err(Broken::Refused)?
    {
        story.head = Some(Box::new(request));
    }
    let mut response = ResponseHead::default();
    while connection.response_head(id, &mut response)?.is_some() {
        story.statuses.push(response.status.as_u16());
    }
    loop {
        match connection.body(id)? {
            Part::NeedMore => return Ok(()),
            Part::Data(data) => story.data.extend_from_slice(&data),
            Part::Trailers(trailers) => story.trailers = Some(trailers),
            Part::End => {
                story.is_whole = true;
                return Ok(());
            }
        }
    }
}
