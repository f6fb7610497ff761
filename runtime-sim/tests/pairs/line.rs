//! One end of a connection, of either version.

use outrigger_sim::Action;

use crate::h1::How;
use crate::h2::{self, Heard, Says};
use crate::hpack::Field;
use crate::{h1, h2::CANCEL};

/// The end.
#[derive(Debug)]
pub(crate) enum Line {
    One(Box<h1::Plain>),
    Two(Box<h2::Plain>),
}

impl Line {
    pub(crate) fn old(is_client: bool, is_old: bool) -> Self {
        Self::One(Box::new(h1::Plain::new(is_client, is_old)))
    }

    pub(crate) fn new(is_client: bool, says: Says) -> Self {
        Self::Two(Box::new(h2::Plain::new(is_client, says)))
    }

    pub(crate) const fn is_new(&self) -> bool {
        matches!(self, Self::Two(_))
    }

    /// Whether the other side takes another stream.
    pub(crate) fn has_room(&self) -> bool {
        match self {
            Self::One(line) => !line.is_left,
            Self::Two(line) => line.has_room(),
        }
    }

    pub(crate) const fn is_left(&self) -> bool {
        match self {
            Self::One(line) => line.is_left,
            Self::Two(line) => line.is_left,
        }
    }

    /// Whether a stream is not over.
    pub(crate) fn knows(&self, stream: u32) -> bool {
        match self {
            Self::One(line) => line.knows(stream),
            Self::Two(line) => line.knows(stream),
        }
    }

    pub(crate) fn ask(&mut self, fields: &[Field], how: How) -> u32 {
        match self {
            Self::One(line) => line.ask(fields, how),
            Self::Two(line) => line.ask(fields),
        }
    }

    pub(crate) fn head(&mut self, stream: u32, fields: &[Field], how: How) {
        match self {
            Self::One(line) => line.head(fields, how),
            Self::Two(line) => line.head(stream, fields),
        }
    }

    pub(crate) fn data(&mut self, stream: u32, bytes: Vec<u8>) {
        match self {
            Self::One(line) => line.data(&bytes),
            Self::Two(line) => line.data(stream, bytes),
        }
    }

    pub(crate) fn end(&mut self, stream: u32, trailers: Vec<Field>) {
        match self {
            Self::One(line) => line.end(&trailers),
            Self::Two(line) => line.end(stream, trailers),
        }
    }

    /// Breaks a stream off, or the connection where it has but one.
    pub(crate) fn break_off(&mut self, stream: u32, code: u32, how: Action) -> Option<Action> {
        match self {
            Self::One(_) => Some(how),
            Self::Two(line) => {
                line.reset(stream, code);
                None
            }
        }
    }

    /// Gives up a stream of ours.
    pub(crate) fn cancel(&mut self, stream: u32, how: Action) -> Option<Action> {
        self.break_off(stream, CANCEL, how)
    }

    pub(crate) fn feed(&mut self, bytes: &[u8], is_eof: bool) -> Result<Vec<Heard>, String> {
        match self {
            Self::One(line) => line.feed(bytes, is_eof),
            Self::Two(line) => line.feed(bytes),
        }
    }

    /// Sends what there is to send.
    pub(crate) fn flush(&mut self, actions: &mut Vec<Action>) {
        let bytes = match self {
            Self::One(line) => line.take_out(),
            Self::Two(line) => line.take_out(),
        };
        if !bytes.is_empty() {
            actions.push(Action::Send(bytes));
        }
        if let Self::One(line) = self
            && std::mem::take(&mut line.is_closing)
        {
            actions.push(Action::Shutdown);
        }
    }
}
