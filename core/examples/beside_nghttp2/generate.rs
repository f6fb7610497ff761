//! Cases that nobody chose: frames with a sense and mistakes in them, and inputs of the corpus with bytes and frames changed.
//! The same seed and number give the same case.

use bytes::BytesMut;
use outrigger_core::http2::hpack::Encoder;

use crate::cases::{Case, greeted};
use crate::codec::wire::{block, frame, settings};
use crate::draws::Draws;
use crate::fields::{self, Fields};
use crate::story::is_untaken;

/// Case `number` of a seed: generated, or changed from one of `corpus`.
pub(crate) fn case(seed: u64, number: usize, corpus: &[Case]) -> Case {
    let mut draws = Draws::of(seed, number);
    if number.is_multiple_of(2) || corpus.is_empty() {
        let label = format!("generated {number} of seed {seed}");
        let is_client = draws.once_in(3);
        let said = Peer::new(is_client, &mut draws).said();
        // Half of them with mistakes that no list of mistakes has.
        let mut case = Case::cut(label, is_client, &greeted(is_client, &said));
        if draws.once_in(2) {
            case = changed(case, &mut draws);
        }
        return case;
    }
    let from = draws.pick(corpus);
    let case = Case {
        label: format!("changed {number} of seed {seed}, from {}", from.label),
        is_client: from.is_client,
        pieces: from.pieces.clone(),
    };
    changed(case, &mut draws)
}

/// Changes a few bytes or frames, but for the greeting.
fn changed(case: Case, draws: &mut Draws) -> Case {
    let Case {
        label,
        is_client,
        mut pieces,
    } = case;
    let greeting = if is_client { 1 } else { 2 };
    for _ in 0..=draws.below(3) {
        if pieces.len() <= greeting {
            break;
        }
        let at = greeting + draws.below(pieces.len() - greeting);
        let other = greeting + draws.below(pieces.len() - greeting);
        match draws.below(8) {
            0 => drop(pieces.remove(at)),
            1 => pieces.insert(other, pieces[at].clone()),
            2 => pieces.swap(at, other),
            // The flags, the stream, the type.
            3 => change(&mut pieces[at], 4, 1 << draws.below(6)),
            4 => change(&mut pieces[at], 8, 1 << draws.below(4)),
            5 => change(&mut pieces[at], 3, 1 << draws.below(4)),
            _ => {
                let byte = draws.below(pieces[at].len());
                change(&mut pieces[at], byte, 1 << draws.below(8));
            }
        }
    }
    Case::cut(label, is_client, &pieces.concat())
}

fn change(piece: &mut [u8], at: usize, by: u8) {
    if let Some(byte) = piece.get_mut(at) {
        *byte ^= by;
    }
}

/// A peer of one role, and how far its streams are.
struct Peer<'a> {
    /// Ours is the client.
    is_client: bool,
    encoder: Encoder,
    next: u32,
    /// Requests that have no response yet.
    unanswered: Vec<u32>,
    /// Messages that have not ended.
    open: Vec<u32>,
    draws: &'a mut Draws,
}

impl<'a> Peer<'a> {
    fn new(is_client: bool, draws: &'a mut Draws) -> Self {
        Self {
            is_client,
            encoder: Encoder::new(),
            next: 1,
            unanswered: (1..16).step_by(2).collect(),
            open: Vec::new(),
            draws,
        }
    }

    fn said(mut self) -> Vec<u8> {
        let count = 1 + self.draws.below(16);
        (0..count).flat_map(|_| self.frame()).collect()
    }

    /// One that was opened, mostly, or may be.
    fn stream(&mut self) -> u32 {
        match self.draws.below(40) {
            0 => self.draws.below(20) as u32,
            _ if self.is_client => 1 + 2 * self.draws.below(8) as u32,
            _ => 1 + 2 * self.draws.below((self.next as usize / 2).max(1)) as u32,
        }
    }

    fn frame(&mut self) -> Vec<u8> {
        let flag = u8::from(self.draws.once_in(2));
        match self.draws.below(20) {
            0..=6 => self.head(flag),
            // Without an open stream most data is for none.
            7..=11 if self.open.is_empty() && !self.draws.once_in(8) => self.head(0),
            7..=11 => self.data(flag),
            12 => self.trailers(),
            13 => {
                let code = self.draws.below(16) as u32;
                let length = self.length(4);
                frame(3, 0, self.stream(), &code.to_be_bytes().repeat(2)[..length])
            }
            14 => self.settings(),
            15 => self.update(),
            16 => {
                let stream = if self.draws.once_in(8) { 1 } else { 0 };
                let length = self.length(8);
                frame(6, flag, stream, &[b'p'; 16][..length])
            }
            17 => self.goaway(),
            18 => {
                let length = self.length(5);
                let dependency = u8::from(self.draws.once_in(20));
                frame(
                    2,
                    0,
                    self.stream(),
                    &[0, 0, 0, dependency, 7, 0, 0, 0, 0, 0][..length],
                )
            }
            _ if self.draws.once_in(4) => self.burst(),
            _ => {
                let kind = *self.draws.pick(&[5, 9, 10, 11, 12, 16, 200]);
                let length = self.draws.below(20);
                frame(kind, 4 | flag, self.stream(), &[1; 20][..length])
            }
        }
    }

    /// What it is to be, or nearly.
    fn length(&mut self, right: usize) -> usize {
        if self.draws.once_in(8) {
            self.draws.below(2 * right)
        } else {
            right
        }
    }

    fn update(&mut self) -> Vec<u8> {
        let more =
            *self
                .draws
                .pick(&[1, 100, 65_535, 0x7fff_0000, 0x7fff_ffff, 0, 0x8000_0001_u32]);
        let stream = if self.draws.once_in(2) {
            0
        } else {
            self.stream()
        };
        let length = self.length(4);
        frame(8, 0, stream, &more.to_be_bytes().repeat(2)[..length])
    }

    fn goaway(&mut self) -> Vec<u8> {
        let last = *self.draws.pick(&[0, 1, 5, 9, 15, 0x7fff_ffff, 2_u32]);
        let code = self.draws.below(3) as u32;
        let stream = u32::from(self.draws.once_in(8));
        let said = [last.to_be_bytes(), code.to_be_bytes()].concat();
        let length = self.length(8).min(8);
        frame(7, 0, stream, &said[..length])
    }

    fn settings(&mut self) -> Vec<u8> {
        if self.draws.once_in(16) {
            return frame(4, 1, 0, &[0; 6][..self.draws.below(8).saturating_sub(1)]);
        }
        let mut all = Vec::new();
        for _ in 0..self.draws.below(4) {
            let value = *self.draws.pick(&[
                0,
                1,
                2,
                100,
                4096,
                16_383,
                16_384,
                65_535,
                0xff_ffff,
                0x0100_0000,
                0x7fff_ffff,
                u32::MAX,
            ]);
            all.push((self.draws.below(11) as u16, value));
        }
        settings(&all)
    }

    fn data(&mut self, ends: u8) -> Vec<u8> {
        let most = *self.draws.pick(&[1, 11, 11, 300, 16_385]);
        let length = self.draws.below(most);
        let stream = self.going_on(ends);
        if !self.draws.once_in(4) {
            return frame(0, ends, stream, &vec![b'd'; length]);
        }
        let padding = self.draws.below(20);
        let said = [&[padding as u8][..], &vec![b'd'; length.min(16_000)]].concat();
        frame(0, ends | 8, stream, &said)
    }

    /// As much as a window is, or a little more or less, on one stream: one that nobody takes, if there is one.
    fn burst(&mut self) -> Vec<u8> {
        let untaken = self.open.iter().copied().find(|stream| is_untaken(*stream));
        let stream = untaken.unwrap_or_else(|| self.going_on(0));
        let mut all = frame(0, 0, stream, &vec![b'b'; 16_384]).repeat(4);
        for _ in 0..self.draws.below(3) {
            let padding = self.draws.below(2);
            all.extend(frame(0, 8, stream, &[padding as u8, 0][..1 + padding]));
            all.extend(frame(0, 0, stream, b"x"));
        }
        all
    }

    fn head(&mut self, ends: u8) -> Vec<u8> {
        let stream = self.beginning();
        let mut fields = if self.is_client {
            fields::response(self.draws)
        } else {
            fields::request(self.draws)
        };
        fields::garnish(&mut fields, self.draws);
        let is_interim = fields
            .iter()
            .any(|(name, value)| name == ":status" && value.starts_with('1'));
        if !is_interim {
            self.unanswered.retain(|other| *other != stream);
            self.open.extend((ends == 0).then_some(stream));
        }
        self.headers(stream, ends, &fields)
    }

    /// A stream for a head: the next one, or one that was asked for.
    fn beginning(&mut self) -> u32 {
        if self.draws.once_in(12) {
            return self.stream();
        }
        if self.is_client {
            return match self.unanswered[..] {
                [] => self.stream(),
                [..] => *self.draws.pick(&self.unanswered),
            };
        }
        // Now and then some are passed over (RFC 9113 §5.1.1).
        let next = self.next;
        self.next += if self.draws.once_in(8) { 4 } else { 2 };
        next
    }

    /// A stream of which there is more to come, mostly. `ends`: nothing does after this.
    fn going_on(&mut self, ends: u8) -> u32 {
        if self.open.is_empty() || self.draws.once_in(12) {
            return self.stream();
        }
        let at = self.draws.below(self.open.len());
        let stream = self.open[at];
        if ends != 0 {
            self.open.remove(at);
        }
        stream
    }

    fn trailers(&mut self) -> Vec<u8> {
        let ends = u8::from(!self.draws.once_in(6));
        let stream = self.going_on(ends);
        let fields = fields::trailers(self.draws);
        self.headers(stream, ends, &fields)
    }

    /// Encoded well, or as literals; in one frame, or with padding, priority and CONTINUATION.
    fn headers(&mut self, stream: u32, ends: u8, fields: &Fields) -> Vec<u8> {
        let said = if self.draws.once_in(3) {
            let fields: Vec<_> = fields
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            block(&fields)
        } else {
            let mut out = BytesMut::new();
            self.encoder.begin(&mut out);
            for (name, value) in fields {
                self.encoder
                    .field(name.as_bytes(), value.as_bytes(), &mut out);
            }
            out.to_vec()
        };
        match self.draws.below(8) {
            0 => {
                let padding = self.draws.below(10);
                let padded = [&[padding as u8][..], &said, &vec![0; padding]].concat();
                frame(1, 12 | ends, stream, &padded)
            }
            1 => {
                let on = if self.draws.once_in(8) {
                    self.stream()
                } else {
                    0
                };
                let signal = [&on.to_be_bytes()[..], &[16], &said].concat();
                frame(1, 0x24 | ends, stream, &signal)
            }
            2 => {
                let (first, rest) = said.split_at(self.draws.below(said.len() + 1));
                let (middle, last) = rest.split_at(self.draws.below(rest.len() + 1));
                let then = [frame(9, 0, stream, middle), frame(9, 4, stream, last)].concat();
                [frame(1, ends, stream, first), then].concat()
            }
            _ => frame(1, 4 | ends, stream, &said),
        }
    }
}
