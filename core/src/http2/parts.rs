//! All that one connection is made of, for those who read, write and end things on it.

use super::closed::Closed;
use super::code::{Fatal, flood};
use super::controls::{Control, Controls};
use super::guard::Guard;
use super::hpack::{Decoder, Encoder, INITIAL_TABLE_SIZE};
use super::limits::Limits;
use super::role::Role;
use super::settings::PeerSettings;
use super::stream::State;
use super::stream_id::StreamId;
use super::streams::Streams;
use super::window::{DEFAULT_WINDOW, MAX_WINDOW, ReceiveWindow, SendWindow};
use crate::time::Instant;

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// What a client's connection begins with.
    Preface,
    /// SETTINGS (§3.4).
    FirstSettings,
    /// Any frame.
    Frames,
    /// Nothing: that was wrong.
    Dead(Fatal),
}

/// A header block of which the end is to come.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) stream: StreamId,
    pub(super) ends_stream: bool,
    pub(super) bytes: Vec<u8>,
    /// CONTINUATION frames.
    pub(super) frames: u32,
    pub(super) since: Instant,
}

/// Where our SETTINGS are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OurSettings {
    Unsent,
    /// Put into the outbox, at no known time.
    Put,
    /// To be acknowledged, since then.
    Sent(Instant),
    Acknowledged,
}

/// How far we are with leaving.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leaving {
    Not,
    /// A GOAWAY that forbids nothing was said.
    Warned,
    /// Streams above this one are not looked at.
    After(Option<StreamId>),
}

/// Whether the peer is asked if it is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asking {
    /// It is not.
    Never,
    /// It will be, then.
    At(Instant),
    /// It was; the answer may take until then.
    Until(Instant),
}

/// The connection apart from its streams and its bytes.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) settings: OurSettings,
    /// The initial window of streams that the peer knows.
    pub(super) known_window: u32,
    pub(super) leaving: Leaving,
    /// The last stream that the peer's GOAWAY lets live.
    pub(super) peer_leaves: Option<Option<StreamId>>,
    /// Whether the answer to the PING that was sent with the first GOAWAY came.
    pub(super) drain_is_known: bool,
    pub(super) asking: Asking,
    /// When a stream may have stalled for too long; there may be none by then.
    pub(super) stall_check: Option<Instant>,
    /// To be told: the peer's settings changed.
    pub(super) has_settings: bool,
    /// To be told: the peer leaves.
    pub(super) has_goaway: bool,
}

/// The parts of a connection. `T` is whose a stream is.
#[derive(Debug)]
pub(super) struct Parts<T> {
    pub(super) role: Role,
    pub(super) limits: Limits,
    pub(super) streams: Streams<T>,
    pub(super) peer: PeerSettings,
    pub(super) stage: Stage,
    pub(super) block: Option<Box<Block>>,
    pub(super) decoder: Decoder,
    pub(super) encoder: Encoder,
    /// Of the connection, for what comes.
    pub(super) credit: ReceiveWindow,
    /// Of the connection, for what is sent.
    pub(super) window: SendWindow,
    pub(super) controls: Controls,
    /// The last stream that was opened, by the client.
    pub(super) last: Option<StreamId>,
    pub(super) closed: Closed,
    pub(super) life: Life,
    pub(super) guard: Guard,
}

const FLOOD: Fatal = flood(
    "http2.outbound_control_flood",
    "the peer makes us answer and does not read",
);

impl<T: Copy> Parts<T> {
    pub(super) fn new(role: Role, limits: &Limits) -> Self {
        // What the connection may carry beyond what it carries by default is given with the first flush.
        let most = limits.connection_window.min(MAX_WINDOW);
        let mut credit = ReceiveWindow::new(DEFAULT_WINDOW);
        credit.give_back(most.saturating_sub(DEFAULT_WINDOW) as usize);
        Self {
            role,
            limits: *limits,
            streams: Streams::default(),
            peer: PeerSettings::default(),
            stage: match role {
                Role::Server => Stage::Preface,
                Role::Client => Stage::FirstSettings,
            },
            block: None,
            decoder: Decoder::new(INITIAL_TABLE_SIZE),
            encoder: Encoder::new(),
            credit,
            window: SendWindow::default(),
            controls: Controls::default(),
            last: None,
            closed: Closed::default(),
            life: Life {
                settings: OurSettings::Unsent,
                known_window: DEFAULT_WINDOW,
                leaving: Leaving::Not,
                peer_leaves: None,
                drain_is_known: false,
                asking: Asking::Never,
                stall_check: None,
                has_settings: false,
                has_goaway: false,
            },
            guard: Guard::default(),
        }
    }

    /// How many more streams may be open at once, of `most`. Those that are complete do not count, of which the owner only
    /// has to hear. Those that were reset count apart until their owner is done with them, since work may go on for them:
    /// there may be as many again.
    pub(super) fn places(&self, most: u32) -> u32 {
        let most = most as usize;
        let table = self.streams.table();
        let places = match most.saturating_sub(table.len()) {
            // Only who is at the limit has to count.
            0 => {
                let (mut open, mut reset) = (0, 0);
                for stream in table.iter().filter(|stream| !stream.is_complete()) {
                    match stream.state {
                        State::Live { .. } => open += 1,
                        State::Reset(..) => reset += 1,
                    }
                }
                let all = most.saturating_mul(2).saturating_sub(open + reset);
                most.saturating_sub(open).min(all)
            }
            places => places,
        };
        u32::try_from(places).unwrap_or(u32::MAX)
    }

    /// Says something that the peer made us say. There is a limit to what it does not read of that.
    pub(super) fn answer(&mut self, control: Control) -> Result<(), Fatal> {
        if self.controls.len() >= self.limits.control_frames {
            self.guard.counts.control_frames += 1;
            return Err(FLOOD);
        }
        self.controls.say(control);
        Ok(())
    }

    /// Whether a stream was never opened (§5.1: idle).
    pub(super) fn is_idle(&self, id: StreamId) -> bool {
        !id.is_of_client() || Some(id) > self.last
    }
}
