//! SETTINGS (RFC 9113 §6.5): what the peer told us, and what we tell it.

use core::ops::RangeInclusive;

use bytes::{BufMut, BytesMut};

use super::code::{Code, Fatal, broken_rule};
use super::frame::{self, Kind, LEAST_MAX_FRAME};
use super::hpack::INITIAL_TABLE_SIZE;
use super::limits::Limits;
use super::role::Role;
use super::window::{DEFAULT_WINDOW, MAX_WINDOW};

/// The largest payload of a frame, as it may be set (§4.2).
const FRAMES: RangeInclusive<u32> = LEAST_MAX_FRAME as u32..=(1 << 24) - 1;

mod name {
    pub(super) const HEADER_TABLE_SIZE: u16 = 0x1;
    pub(super) const ENABLE_PUSH: u16 = 0x2;
    pub(super) const MAX_CONCURRENT_STREAMS: u16 = 0x3;
    pub(super) const INITIAL_WINDOW_SIZE: u16 = 0x4;
    pub(super) const MAX_FRAME_SIZE: u16 = 0x5;
    pub(super) const MAX_HEADER_LIST_SIZE: u16 = 0x6;
    /// RFC 8441 §3.
    pub(super) const ENABLE_CONNECT_PROTOCOL: u16 = 0x8;
}

/// What the peer told us. What it said of pushes needs no place, since we push nothing; nor does the length of frames,
/// since we send none that is longer than what all peers take; nor that of heads, which is advice (§6.5.2) that a proxy
/// cannot follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PeerSettings {
    pub(super) header_table_size: u32,
    /// The smallest that it was since the payload before: entries beyond it are gone (RFC 7541 §4.2).
    pub(super) least_table_size: u32,
    /// None before it was said: there is no limit.
    pub(super) max_concurrent_streams: Option<u32>,
    pub(super) initial_window: u32,
    /// Extended CONNECT is understood (RFC 8441).
    pub(super) connect_protocol: bool,
}

impl Default for PeerSettings {
    fn default() -> Self {
        Self {
            header_table_size: INITIAL_TABLE_SIZE as u32,
            least_table_size: INITIAL_TABLE_SIZE as u32,
            max_concurrent_streams: None,
            initial_window: DEFAULT_WINDOW,
            connect_protocol: false,
        }
    }
}

const PUSH: Fatal = broken_rule(Code::ProtocolError, "SETTINGS_ENABLE_PUSH is not allowed");
const WINDOW: Fatal = broken_rule(
    Code::FlowControlError,
    "SETTINGS_INITIAL_WINDOW_SIZE is above 2^31 - 1",
);
const FRAME: Fatal = broken_rule(
    Code::ProtocolError,
    "SETTINGS_MAX_FRAME_SIZE is not 2^14 to 2^24 - 1",
);
const CONNECT: Fatal = broken_rule(
    Code::ProtocolError,
    "SETTINGS_ENABLE_CONNECT_PROTOCOL is not 0 or 1, or was taken back",
);

impl PeerSettings {
    /// Takes over a payload of SETTINGS, of a length that is a multiple of six. `we` is our own role.
    ///
    /// # Errors
    /// A value that is not allowed (§6.5.2, RFC 8441 §3).
    pub(super) fn apply(&mut self, payload: &[u8], we: Role) -> Result<(), Fatal> {
        let (settings, _) = payload.as_chunks::<6>();
        self.least_table_size = self.header_table_size;
        for [n0, n1, v0, v1, v2, v3] in settings {
            let value = u32::from_be_bytes([*v0, *v1, *v2, *v3]);
            match u16::from_be_bytes([*n0, *n1]) {
                name::HEADER_TABLE_SIZE => {
                    self.header_table_size = value;
                    self.least_table_size = self.least_table_size.min(value);
                }
                name::ENABLE_PUSH => match (we, value) {
                    (Role::Server, 0 | 1) | (Role::Client, 0) => {}
                    (Role::Server | Role::Client, _) => return Err(PUSH),
                },
                name::MAX_CONCURRENT_STREAMS => self.max_concurrent_streams = Some(value),
                name::INITIAL_WINDOW_SIZE if value > MAX_WINDOW => return Err(WINDOW),
                name::INITIAL_WINDOW_SIZE => self.initial_window = value,
                name::MAX_FRAME_SIZE if !FRAMES.contains(&value) => return Err(FRAME),
                name::MAX_FRAME_SIZE => {}
                name::ENABLE_CONNECT_PROTOCOL => match (self.connect_protocol, value) {
                    (false, 0) => {}
                    (false | true, 1) => self.connect_protocol = true,
                    (false | true, _) => return Err(CONNECT),
                },
                // §6.5.2: settings that are not known are ignored.
                _ => {}
            }
        }
        Ok(())
    }
}

/// Writes our own settings. What is as it is by default goes without saying.
pub(super) fn put_ours(we: Role, limits: &Limits, out: &mut BytesMut) {
    let list = u32::try_from(limits.heads.list_bytes).unwrap_or(u32::MAX);
    let window = limits.stream_window.min(MAX_WINDOW);
    let of_role = match we {
        Role::Server => [
            (name::MAX_CONCURRENT_STREAMS, limits.concurrent_streams),
            (name::ENABLE_CONNECT_PROTOCOL, 1),
        ],
        // §8.4: a client that wants no pushes says so, and allows no stream for one.
        Role::Client => [(name::ENABLE_PUSH, 0), (name::MAX_CONCURRENT_STREAMS, 0)],
    };
    let of_both = [
        (name::INITIAL_WINDOW_SIZE, window),
        (name::MAX_HEADER_LIST_SIZE, list),
    ];
    let mut payload = [0; 24];
    let mut rest = &mut payload[..];
    for (name, value) in of_role.into_iter().chain(of_both) {
        rest.put_u16(name);
        rest.put_u32(value);
    }
    frame::put(Kind::Settings, 0, None, &payload, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payload(settings: &[(u16, u32)]) -> BytesMut {
        let mut out = BytesMut::new();
        for (name, value) in settings {
            out.put_u16(*name);
            out.put_u32(*value);
        }
        out
    }

    #[test]
    fn values_are_checked() {
        let (protocol, flow) = (Err(Code::ProtocolError), Err(Code::FlowControlError));
        for (we, settings, want) in [
            (
                Role::Server,
                &[(1, u32::MAX), (3, 0), (6, 0), (9, 1), (0xffff, 7)][..],
                Ok(()),
            ),
            (Role::Server, &[(2, 0), (2, 1)], Ok(())),
            (Role::Server, &[(2, 2)], protocol),
            (Role::Client, &[(2, 0)], Ok(())),
            (Role::Client, &[(2, 1)], protocol),
            (Role::Server, &[(4, MAX_WINDOW)], Ok(())),
            (Role::Server, &[(4, MAX_WINDOW + 1)], flow),
            (Role::Server, &[(5, 16_384), (5, 16_777_215)], Ok(())),
            (Role::Server, &[(5, 16_383)], protocol),
            (Role::Server, &[(5, 16_777_216)], protocol),
            (Role::Client, &[(8, 0), (8, 1), (8, 1)], Ok(())),
            (Role::Client, &[(8, 1), (8, 0)], protocol),
            (Role::Client, &[(8, 2)], protocol),
        ] {
            let got = PeerSettings::default().apply(&payload(settings), we);
            assert_eq!(got.map_err(|fatal| fatal.code), want, "{settings:?}");
        }
    }

    #[test]
    fn ours_are_understood_by_the_other_role() {
        for (we, peer, limits) in [
            (Role::Server, Role::Client, Limits::SERVER),
            (Role::Client, Role::Server, Limits::CLIENT),
        ] {
            let mut out = BytesMut::new();
            put_ours(we, &limits, &mut out);
            let mut settings = PeerSettings::default();
            assert_eq!(settings.apply(&out[frame::HEAD..], peer), Ok(()));
            assert_eq!(settings.initial_window, 65_536);
            assert_eq!(settings.connect_protocol, we == Role::Server);
            let most = match we {
                Role::Server => 100,
                Role::Client => 0,
            };
            assert_eq!(settings.max_concurrent_streams, Some(most));
        }
    }
}
