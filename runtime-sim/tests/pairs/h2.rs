//! One end of a connection of HTTP/2, plainly: frames in and out, with no code of core's. Whatever the other end must not do
//! (RFC 9113) is an error here.

mod tests;
mod words;

use std::collections::BTreeMap;

pub(crate) use self::words::{Heard, Says};
use self::words::{Stream, asks, number, unpadded, well_formed};
use crate::hpack::{self, Field};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// REFUSED_STREAM: nothing was done.
pub(crate) const REFUSED: u32 = 7;
/// CANCEL.
pub(crate) const CANCEL: u32 = 8;

const WINDOW: i64 = 65_535;
const FRAME: usize = 16_384;

/// The end.
#[derive(Debug)]
pub(crate) struct Plain {
    is_client: bool,
    says: Says,
    is_heeded: bool,
    preface: usize,
    input: Vec<u8>,
    out: Vec<u8>,
    block: Option<(u32, bool, Vec<u8>)>,
    decoder: hpack::Decoder,
    streams: BTreeMap<u32, Stream>,
    /// Those that we have reset: what is under way for them is no fault.
    forgotten: BTreeMap<u32, i64>,
    next: u32,
    highest: u32,
    room: i64,
    allowed: i64,
    first_room: i64,
    most_streams: u32,
    has_settings: bool,
    /// The other side takes extended CONNECT.
    pub(crate) takes_connect: bool,
    pub(crate) is_left: bool,
}

impl Plain {
    pub(crate) fn new(is_client: bool, says: Says) -> Self {
        let mut settings = Vec::new();
        let mut set = |id: u16, value: u32| {
            settings.extend(id.to_be_bytes());
            settings.extend(value.to_be_bytes());
        };
        set(1, says.table as u32);
        set(4, says.window as u32);
        if let Some(streams) = says.streams {
            set(3, streams);
        }
        match is_client {
            true => set(2, 0),
            false => set(8, 1),
        }
        let mut plain = Self {
            is_client,
            says,
            is_heeded: false,
            preface: if is_client { 0 } else { PREFACE.len() },
            input: Vec::new(),
            out: if is_client {
                PREFACE.to_vec()
            } else {
                Vec::new()
            },
            block: None,
            decoder: hpack::Decoder::new(),
            streams: BTreeMap::new(),
            forgotten: BTreeMap::new(),
            next: 1,
            highest: 0,
            room: WINDOW,
            allowed: WINDOW,
            first_room: WINDOW,
            most_streams: u32::MAX,
            has_settings: false,
            takes_connect: false,
            is_left: false,
        };
        plain.frame(4, 0, 0, &settings);
        plain
    }

    /// What is to be sent.
    pub(crate) fn take_out(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        self.out.extend(&(payload.len() as u32).to_be_bytes()[1..]);
        self.out.extend([kind, flags]);
        self.out.extend(stream.to_be_bytes());
        self.out.extend(payload);
    }

    /// Whether another stream may begin.
    pub(crate) fn has_room(&self) -> bool {
        self.has_settings && !self.is_left && (self.streams.len() as u32) < self.most_streams
    }

    /// Whether a stream is known.
    pub(crate) fn knows(&self, stream: u32) -> bool {
        self.streams.contains_key(&stream)
    }

    /// Begins a stream.
    pub(crate) fn ask(&mut self, fields: &[Field]) -> u32 {
        let stream = self.next;
        self.next += 2;
        self.add(stream);
        self.head(stream, fields);
        stream
    }

    fn add(&mut self, stream: u32) {
        let new = Stream {
            room: self.first_room,
            allowed: self.says.window,
            ..Stream::default()
        };
        self.streams.insert(stream, new);
    }

    /// Says a head; the body or the end follows.
    pub(crate) fn head(&mut self, stream: u32, fields: &[Field]) {
        let block = hpack::write(fields);
        // Cut now and then, so that continuations are understood.
        let cut = if block.len().is_multiple_of(5) {
            block.len() / 2
        } else {
            block.len()
        };
        self.frame(
            1,
            if cut < block.len() { 0 } else { 4 },
            stream,
            &block[..cut],
        );
        if cut < block.len() {
            self.frame(9, 4, stream, &block[cut..]);
        }
    }

    /// Says some of a body, as soon as there is room.
    pub(crate) fn data(&mut self, stream: u32, bytes: Vec<u8>) {
        if let Some(of) = self.streams.get_mut(&stream) {
            of.waits.push_back(bytes);
        }
        self.flush();
    }

    /// Ends our side of a stream.
    pub(crate) fn end(&mut self, stream: u32, trailers: Vec<Field>) {
        if let Some(of) = self.streams.get_mut(&stream) {
            of.end = Some(trailers);
        }
        self.flush();
    }

    pub(crate) fn reset(&mut self, stream: u32, code: u32) {
        if let Some(of) = self.streams.remove(&stream) {
            self.forgotten.insert(stream, of.allowed);
            self.frame(3, 0, stream, &code.to_be_bytes());
        }
    }

    /// Sends what windows let through.
    fn flush(&mut self) {
        let all: Vec<u32> = self.streams.keys().copied().collect();
        for stream in all {
            while let Some(of) = self.streams.get_mut(&stream) {
                let Some(mut bytes) = of.waits.pop_front() else {
                    if let Some(trailers) = of.end.take() {
                        of.has_sent_end = true;
                        match trailers.is_empty() {
                            true => self.frame(0, 1, stream, &[]),
                            false => {
                                let block = hpack::write(&trailers);
                                self.frame(1, 5, stream, &block);
                            }
                        }
                        self.tidy(stream);
                    }
                    break;
                };
                let most = of.room.min(self.room).clamp(0, FRAME as i64) as usize;
                if most == 0 && !bytes.is_empty() {
                    of.waits.push_front(bytes);
                    break;
                }
                let rest = bytes.split_off(most.min(bytes.len()));
                of.room -= bytes.len() as i64;
                self.room -= bytes.len() as i64;
                if !rest.is_empty() {
                    of.waits.push_front(rest);
                }
                self.frame(0, 0, stream, &bytes);
            }
        }
    }

    /// Forgets a stream that both sides have ended.
    fn tidy(&mut self, stream: u32) {
        let is_over = |of: &Stream| of.has_ended && of.has_sent_end;
        if self.streams.get(&stream).is_some_and(is_over) {
            self.streams.remove(&stream);
        }
    }

    /// Takes bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Heard>, String> {
        self.input.extend_from_slice(bytes);
        let mut heard = Vec::new();
        if self.preface > 0 {
            if self.input.len() < self.preface {
                return Ok(heard);
            }
            if !self.input.starts_with(PREFACE) {
                return Err("no preface".to_owned());
            }
            self.input.drain(..self.preface);
            self.preface = 0;
        }
        let mut at = 0;
        while self.input.len() - at >= 9 {
            let head = &self.input[at..at + 9];
            let (length, kind, flags) = (number(&head[..3]) as usize, head[3], head[4]);
            let stream = number(&head[5..]);
            if length > FRAME {
                return Err(format!("a frame of {length} bytes"));
            }
            if self.input.len() - at < 9 + length {
                break;
            }
            let payload = self.input[at + 9..at + 9 + length].to_vec();
            at += 9 + length;
            self.hear((kind, flags, stream), &payload, &mut heard)
                .map_err(|what| format!("frame {kind} on stream {stream}: {what}"))?;
        }
        self.input.drain(..at);
        Ok(heard)
    }

    fn hear(
        &mut self,
        (kind, flags, stream): (u8, u8, u32),
        payload: &[u8],
        heard: &mut Vec<Heard>,
    ) -> Result<(), String> {
        if !self.has_settings && (kind != 4 || flags & 1 != 0) {
            return Err("before any settings".to_owned());
        }
        if self
            .block
            .as_ref()
            .is_some_and(|(of, ..)| kind != 9 || *of != stream)
        {
            return Err("within a block of fields".to_owned());
        }
        match kind {
            0 => self.hear_data(flags, stream, payload, heard),
            1 => {
                let mut fragment = unpadded(flags, payload)?;
                if flags & 0x20 != 0 {
                    fragment = fragment.get(5..).ok_or("too short")?;
                }
                self.block = Some((stream, flags & 1 != 0, fragment.to_vec()));
                self.hear_block(flags, heard)
            }
            9 => {
                let block = self.block.as_mut().ok_or("nothing to continue")?;
                block.2.extend_from_slice(payload);
                self.hear_block(flags, heard)
            }
            3 => {
                if payload.len() != 4 || stream == 0 || stream > self.highest.max(self.next - 1) {
                    return Err("a reset of nothing".to_owned());
                }
                if self.streams.remove(&stream).is_some() {
                    heard.push(Heard::Reset(stream, number(payload)));
                }
                Ok(())
            }
            4 => self.hear_settings(flags, stream, payload),
            6 if payload.len() != 8 || stream != 0 => Err("no ping".to_owned()),
            6 => {
                if flags & 1 == 0 {
                    self.frame(6, 1, 0, payload);
                }
                Ok(())
            }
            7 => {
                let last = number(payload.get(..4).ok_or("too short")?);
                let code = number(payload.get(4..8).ok_or("too short")?);
                if code != 0 {
                    return Err(format!(
                        "we are blamed for {code}: {}",
                        payload.escape_ascii()
                    ));
                }
                self.is_left = true;
                heard.push(Heard::Leaves(last));
                Ok(())
            }
            8 => self.hear_room(stream, payload),
            2 => Ok(()),
            _ => Err("nobody asked for such a frame".to_owned()),
        }
    }

    fn hear_data(
        &mut self,
        flags: u8,
        stream: u32,
        payload: &[u8],
        heard: &mut Vec<Heard>,
    ) -> Result<(), String> {
        let size = payload.len() as i64;
        let data = unpadded(flags, payload)?;
        self.allowed -= size;
        if self.allowed < 0 {
            return Err("more than the connection's window".to_owned());
        }
        if size > 0 {
            self.allowed += size;
            self.frame(8, 0, 0, &(size as u32).to_be_bytes());
        }
        if let Some(allowed) = self.forgotten.get_mut(&stream) {
            *allowed -= size;
            return match *allowed < 0 {
                true => Err("more than the window of a stream that is over".to_owned()),
                false => Ok(()),
            };
        }
        let of = self.streams.get_mut(&stream).ok_or("no such stream")?;
        if !of.has_head || of.has_ended {
            return Err("not its turn".to_owned());
        }
        of.allowed -= size;
        of.came += data.len() as u64;
        if of.allowed < 0 {
            return Err("more than the stream's window".to_owned());
        }
        if !data.is_empty() {
            heard.push(Heard::Data(stream, data.to_vec()));
        }
        if flags & 1 != 0 {
            return self.hear_end(stream, Vec::new(), heard);
        }
        if size > 0 {
            of.allowed += size;
            self.frame(8, 0, stream, &(size as u32).to_be_bytes());
        }
        Ok(())
    }

    fn hear_end(
        &mut self,
        stream: u32,
        trailers: Vec<Field>,
        heard: &mut Vec<Heard>,
    ) -> Result<(), String> {
        let of = self.streams.get_mut(&stream).ok_or("no such stream")?;
        if of.promised.is_some_and(|promised| promised != of.came) {
            return Err(format!("{} bytes of {:?}", of.came, of.promised));
        }
        of.has_ended = true;
        heard.push(Heard::End(stream, trailers));
        self.tidy(stream);
        Ok(())
    }

    fn hear_block(&mut self, flags: u8, heard: &mut Vec<Heard>) -> Result<(), String> {
        if flags & 4 == 0 {
            return Ok(());
        }
        let Some((stream, ends, block)) = self.block.take() else {
            return Ok(());
        };
        let fields = self.decoder.read(&block)?;
        if self.forgotten.contains_key(&stream) {
            return Ok(());
        }
        if !self.is_client && stream > self.highest {
            if stream % 2 == 0 {
                return Err("no stream of a client".to_owned());
            }
            self.highest = stream;
            self.add(stream);
            let most = self.says.streams.filter(|_| self.is_heeded);
            if most.is_some_and(|most| self.streams.len() > most as usize) {
                return Err(format!("{} streams", self.streams.len()));
            }
        }
        let of = self.streams.get_mut(&stream).ok_or("no such stream")?;
        if of.has_ended {
            return Err("it had ended".to_owned());
        }
        if of.has_head {
            if !ends || fields.iter().any(|(name, _)| name.starts_with(':')) {
                return Err(format!("no trailers: {fields:?}"));
            }
            well_formed(&fields)?;
            return self.hear_end(stream, fields, heard);
        }
        well_formed(&fields)?;
        let value = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, v)| &**v);
        let status = value(":status").and_then(|status| status.parse::<u16>().ok());
        match (self.is_client, status) {
            (true, Some(100..200)) => {
                if ends {
                    return Err("an interim response is no end".to_owned());
                }
                heard.push(Heard::Head(stream, fields));
                return Ok(());
            }
            (true, None) => return Err(format!("no status: {fields:?}")),
            (true, Some(_)) => {}
            (false, _) => asks(&fields)?,
        }
        of.has_head = true;
        // What answers HEAD is as long as its body would be.
        of.promised = match value("content-length") {
            Some(length) if !self.is_client => Some(length.parse().map_err(|_| "no length")?),
            Some(_) | None => None,
        };
        heard.push(Heard::Head(stream, fields));
        match ends {
            true => self.hear_end(stream, Vec::new(), heard),
            false => Ok(()),
        }
    }

    fn hear_settings(&mut self, flags: u8, stream: u32, payload: &[u8]) -> Result<(), String> {
        if stream != 0 || !payload.len().is_multiple_of(6) {
            return Err("no settings".to_owned());
        }
        if flags & 1 != 0 {
            if !payload.is_empty() || self.is_heeded {
                return Err("nothing to agree to".to_owned());
            }
            self.is_heeded = true;
            self.decoder.allow(self.says.table);
            return Ok(());
        }
        self.has_settings = true;
        for setting in payload.chunks(6) {
            let value = number(&setting[2..]);
            match number(&setting[..2]) {
                3 => self.most_streams = value,
                4 => {
                    let more = i64::from(value) - self.first_room;
                    self.first_room = i64::from(value);
                    self.streams.values_mut().for_each(|of| of.room += more);
                }
                8 => self.takes_connect = value == 1,
                _ => {}
            }
        }
        self.frame(4, 1, 0, &[]);
        self.flush();
        Ok(())
    }

    fn hear_room(&mut self, stream: u32, payload: &[u8]) -> Result<(), String> {
        let more = i64::from(number(payload));
        if payload.len() != 4 || more == 0 {
            return Err("no room".to_owned());
        }
        let room = match stream {
            0 => Some(&mut self.room),
            stream => self.streams.get_mut(&stream).map(|of| &mut of.room),
        };
        if let Some(room) = room {
            *room += more;
            if *room > i64::from(u32::MAX >> 1) {
                return Err("more than a window holds".to_owned());
            }
        }
        self.flush();
        Ok(())
    }
}
