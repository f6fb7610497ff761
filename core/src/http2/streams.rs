//! The streams of one connection, and the lines in which some of them stand: for their owners to be told, for their data to
//! settle, for credit to be given back, for their turn to send.
//!
//! What leads a stream into a line is decided by whoever reads or writes; that one which leaves is nowhere any more is
//! decided here.

use super::code::Broken;
use super::stream::{By, Owner, Place, State, Stream};
use super::stream_id::StreamId;
use super::table::Table;
use super::turns::Turns;
use super::unread::Received;
use crate::message::{RequestHead, ResponseHead};

/// So many heads of each kind are kept for streams to come.
const SPARE_HEADS: usize = 4;

/// The streams of one connection.
#[derive(Debug)]
pub(super) struct Streams<T> {
    table: Table<T>,
    news: Turns,
    loose: Turns,
    credits: Turns,
    ready: Turns,
    /// Ready but for credit of the connection.
    awaiting: Turns,
    /// Bytes that wait to be taken, and those that wait to be sent.
    held: usize,
    spare: Spare,
}

/// Memory of heads that were read and are not in use.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "a box goes to a stream as it is")]
pub(super) struct Spare {
    requests: Vec<Box<RequestHead>>,
    responses: Vec<Box<ResponseHead>>,
}

impl Spare {
    pub(super) fn request(&mut self) -> Box<RequestHead> {
        self.requests.pop().unwrap_or_default()
    }

    pub(super) fn response(&mut self) -> Box<ResponseHead> {
        self.responses.pop().unwrap_or_default()
    }

    pub(super) fn keep_request(&mut self, head: Box<RequestHead>) {
        if self.requests.len() < SPARE_HEADS {
            self.requests.push(head);
        }
    }

    pub(super) fn keep_response(&mut self, head: Box<ResponseHead>) {
        if self.responses.len() < SPARE_HEADS {
            self.responses.push(head);
        }
    }

    fn keep(&mut self, item: Received) {
        match item {
            Received::Request(head, _) => self.keep_request(head),
            Received::Response(head, _) => self.keep_response(head),
            Received::Data(_) | Received::Joined(_) | Received::Trailers(_) => {}
        }
    }
}

impl<T> Default for Streams<T> {
    fn default() -> Self {
        Self {
            table: Table::default(),
            news: Turns::default(),
            loose: Turns::default(),
            credits: Turns::default(),
            ready: Turns::default(),
            awaiting: Turns::default(),
            held: 0,
            spare: Spare::default(),
        }
    }
}

impl<T: Copy> Streams<T> {
    pub(super) const fn table(&self) -> &Table<T> {
        &self.table
    }

    pub(super) const fn table_mut(&mut self) -> &mut Table<T> {
        &mut self.table
    }

    /// Bytes that wait on streams, in either direction.
    pub(super) fn held(&self) -> usize {
        debug_assert_eq!(
            self.held,
            self.table.iter().map(Stream::held).sum::<usize>(),
            "each byte is counted as it comes and as it goes"
        );
        self.held
    }

    /// So many bytes more wait on a stream.
    pub(super) const fn hold(&mut self, count: usize) {
        self.held += count;
    }

    /// So many bytes less wait on a stream.
    pub(super) const fn let_go(&mut self, count: usize) {
        self.held -= count;
    }

    pub(super) const fn spare(&mut self) -> &mut Spare {
        &mut self.spare
    }

    pub(super) fn get(&self, id: StreamId) -> Option<&Stream<T>> {
        self.table.get(id)
    }

    pub(super) fn get_mut(&mut self, id: StreamId) -> Option<&mut Stream<T>> {
        self.table.get_mut(id)
    }

    /// The owner of a stream will be told of it.
    pub(super) fn tell(&mut self, id: StreamId) {
        if let Some(stream) = self.table.get_mut(id)
            && !stream.owner.is_done()
            && !core::mem::replace(&mut stream.has_news, true)
        {
            self.news.push(id);
        }
    }

    /// The next stream that has news.
    pub(super) fn next_news(&mut self) -> Option<&mut Stream<T>> {
        let table = &self.table;
        let is_here = |id| table.get(id).is_some_and(|stream| stream.has_news);
        let id = self.news.pop(is_here)?;
        let stream = self.table.get_mut(id)?;
        stream.has_news = false;
        Some(stream)
    }

    /// Data of a stream may have to settle.
    pub(super) fn loosen(&mut self, id: StreamId) {
        if let Some(stream) = self.table.get_mut(id)
            && !core::mem::replace(&mut stream.is_loose, true)
        {
            self.loose.push(id);
        }
    }

    /// Lets all data settle that was not taken at once.
    pub(super) fn settle(&mut self) {
        let table = &mut self.table;
        while let Some(id) = self
            .loose
            .pop(|id| table.get(id).is_some_and(|s| s.is_loose))
        {
            if let Some(stream) = table.get_mut(id) {
                stream.is_loose = false;
                stream.unread.settle();
            }
        }
        self.loose.rest();
        self.news.rest();
        self.ready.rest();
        self.credits.rest();
    }

    /// Credit of a stream is to be given back.
    pub(super) fn owe_credit(&mut self, id: StreamId) {
        if let Some(stream) = self.table.get_mut(id)
            && !core::mem::replace(&mut stream.owes_credit, true)
        {
            self.credits.push(id);
        }
    }

    /// Whether credit of some stream is to be given back.
    pub(super) fn owes_credit(&self) -> bool {
        !self.credits.is_empty()
    }

    /// The next stream whose credit is to be given back.
    pub(super) fn next_credit(&mut self) -> Option<&mut Stream<T>> {
        let table = &self.table;
        let is_here = |id| table.get(id).is_some_and(|stream| stream.owes_credit);
        let id = self.credits.pop(is_here)?;
        let stream = self.table.get_mut(id)?;
        stream.owes_credit = false;
        Some(stream)
    }

    /// A stream stands elsewhere from now on.
    pub(super) fn stand(&mut self, id: StreamId, place: Place) {
        let Some(stream) = self.table.get_mut(id) else {
            return;
        };
        let before = core::mem::replace(&mut stream.place, place);
        if before == place {
            return;
        }
        let table = &self.table;
        let stands = |at| move |id| table.get(id).is_some_and(|stream| stream.place == at);
        match before {
            Place::Ready => self.ready.leave(stands(before)),
            Place::AwaitsConnection => self.awaiting.leave(stands(before)),
            Place::None | Place::AwaitsCredit => {}
        }
        match place {
            Place::Ready => self.ready.push(id),
            Place::AwaitsConnection => self.awaiting.push(id),
            Place::None | Place::AwaitsCredit => {}
        }
    }

    /// The next stream whose turn it is to send; it stands nowhere then.
    pub(super) fn next_ready(&mut self) -> Option<StreamId> {
        let table = &self.table;
        let is_here = |id| {
            let stream = table.get(id);
            stream.is_some_and(|stream| stream.place == Place::Ready)
        };
        let id = self.ready.pop(is_here)?;
        if let Some(stream) = self.table.get_mut(id) {
            stream.place = Place::None;
        }
        Some(id)
    }

    /// Whether it is some stream's turn.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// There is credit of the connection again.
    pub(super) fn all_ready(&mut self) {
        let table = &mut self.table;
        let is_here = |table: &Table<T>, id| {
            let stream = table.get(id);
            stream.is_some_and(|stream| stream.place == Place::AwaitsConnection)
        };
        while let Some(id) = self.awaiting.pop(|id| is_here(table, id)) {
            if let Some(stream) = table.get_mut(id) {
                stream.place = Place::Ready;
                self.ready.push(id);
            }
        }
    }

    /// No more comes of a stream, and its owner is told.
    pub(super) fn break_off(&mut self, id: StreamId, broken: Broken, by: By) {
        self.stand(id, Place::None);
        let Some(stream) = self.table.get_mut(id) else {
            return;
        };
        self.held -= stream.held();
        stream.state = State::Reset(broken, by);
        stream.drop_unsent();
        stream.unread.clear(|item| self.spare.keep(item));
        self.tell(id);
    }

    /// Nobody owns a stream any more. What waits to be taken is not.
    pub(super) fn abandon(&mut self, id: StreamId) {
        if let Some(stream) = self.table.get_mut(id) {
            stream.owner = Owner::Done;
            stream.unread.clear(|item| self.spare.keep(item));
        }
    }

    /// Nothing more is sent on a stream.
    pub(super) fn stop_sending(&mut self, id: StreamId) {
        self.stand(id, Place::None);
        if let Some(stream) = self.table.get_mut(id) {
            self.held -= stream.unsent.bytes;
            stream.drop_unsent();
        }
    }

    /// Forgets a stream.
    pub(super) fn remove(&mut self, id: StreamId) {
        self.stand(id, Place::None);
        let Some(stream) = self.table.get_mut(id) else {
            return;
        };
        self.held -= stream.held();
        let (news, loose) = (stream.has_news, stream.is_loose);
        let owed = stream.owes_credit;
        (stream.has_news, stream.is_loose, stream.owes_credit) = (false, false, false);
        stream.drop_unsent();
        stream.unread.clear(|item| self.spare.keep(item));
        self.table.remove(id);
        let table = &self.table;
        if news {
            self.news
                .leave(|id| table.get(id).is_some_and(|s| s.has_news));
        }
        if loose {
            self.loose
                .leave(|id| table.get(id).is_some_and(|s| s.is_loose));
        }
        if owed {
            let owes = |id| table.get(id).is_some_and(|s: &Stream<T>| s.owes_credit);
            self.credits.leave(owes);
        }
    }
}
