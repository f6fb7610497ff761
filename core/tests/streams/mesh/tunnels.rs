//! What a client and endpoints do with a tunnel: endpoints send back what comes.

use bytes::Bytes;
use http::{Method, StatusCode};
use outrigger_core::http1::websocket;
use outrigger_core::message::{Headers, RequestHead, ResponseHead};
use outrigger_core::peer::UpstreamId;
use outrigger_core::stream::{Begins, BodyLength, Reset};
use outrigger_core::worker::Input;

use super::{Asked, ClientCodec, Codec, Endpoint, Got, Mesh};

impl Mesh {
    /// Asks for a websocket, or a tunnel; its number.
    pub(crate) fn open(&mut self, head: &RequestHead, upgrade: Option<&str>) -> usize {
        if let ClientCodec::Two(codec) = &mut self.codec
            && !codec.is_known()
        {
            // What the other side takes is told first.
            codec.flush(&mut self.outbox, usize::MAX, self.now);
            self.play();
        }
        let begins = Begins {
            body: BodyLength::None,
            upgrade: upgrade.map(Box::from),
        };
        let number = self.got.len();
        self.got.push(Got::default());
        match &mut self.codec {
            ClientCodec::One(codec, at) => {
                *at = number;
                codec.ask(head, &begins, &mut self.outbox);
            }
            ClientCodec::Two(codec) => {
                let stream = codec.ask(head, &begins, number, &mut self.outbox);
                self.streams.push(stream.expect("it is taken"));
            }
        }
        self.play();
        number
    }

    /// Bytes through a tunnel.
    pub(crate) fn say(&mut self, number: usize, bytes: &[u8]) {
        match &mut self.codec {
            ClientCodec::One(..) => self.outbox.put(bytes),
            ClientCodec::Two(codec) => {
                codec.data(self.streams[number], Bytes::copy_from_slice(bytes));
            }
        }
        self.play();
    }

    /// The client says nothing more.
    pub(crate) fn hang_up(&mut self, number: usize) {
        match &mut self.codec {
            ClientCodec::One(..) => {
                let id = self.client.into();
                self.worker.handle_input(id, Input::Eof, self.now);
            }
            ClientCodec::Two(codec) => codec.end(self.streams[number], None),
        }
        self.play();
    }

    /// The client is gone in the middle.
    pub(crate) fn give_up(&mut self, number: usize) {
        match &mut self.codec {
            ClientCodec::One(..) => {
                let id = self.client.into();
                self.worker.handle_input(id, Input::Broken, self.now);
            }
            ClientCodec::Two(_) => self.reset(number),
        }
        self.play();
    }

    /// Its endpoint says nothing more, or is gone in the middle.
    pub(crate) fn endpoint_leaves(&mut self, id: UpstreamId, in_the_middle: bool) {
        let endpoint = self.endpoints.get_mut(&id).expect("it is there");
        match (&mut endpoint.codec, in_the_middle) {
            (Codec::Server1(..), false) => {
                self.worker.handle_input(id.into(), Input::Eof, self.now);
            }
            (Codec::Server1(..), true) => {
                self.worker.handle_input(id.into(), Input::Broken, self.now);
            }
            (Codec::Server2(codec, all), false) => {
                all.keys().for_each(|stream| codec.end(*stream, None));
            }
            (Codec::Server2(codec, all), true) => {
                for stream in core::mem::take(all).into_keys() {
                    codec.reset(stream, Reset::Failed);
                }
            }
        }
        self.play();
    }

    /// Endpoints answer the key of a websocket, or another one.
    pub(crate) const fn endpoints_prove(&mut self, prove: bool) {
        self.endpoints_prove = prove;
    }

    /// What comes to endpoints is no HTTP.
    pub(crate) const fn endpoints_are_raw(&mut self) {
        self.endpoints_are_raw = true;
    }

    /// The only endpoint that has a connection.
    pub(crate) fn endpoint(&self) -> (UpstreamId, &Endpoint) {
        let (id, endpoint) = self.endpoints.iter().next().expect("one is connected");
        (*id, endpoint)
    }
}

/// A request for a websocket.
pub(crate) fn websocket(key: Option<&[u8]>) -> RequestHead {
    let mut head = RequestHead {
        method: Method::GET,
        authority: b"h.test".to_vec(),
        path: b"/chat".to_vec(),
        ..RequestHead::default()
    };
    if let Some(key) = key {
        head.headers.append(b"sec-websocket-key", key).unwrap();
    }
    head
}

/// The first value of a field.
pub(crate) fn field<'h>(headers: &'h Headers, name: &str) -> Option<&'h [u8]> {
    let mut fields = headers.iter();
    let found = fields.find(|field| field.name == name.as_bytes())?;
    Some(found.value)
}

impl Asked {
    /// What comes is no HTTP.
    pub(super) fn tunnel() -> Self {
        Self {
            upgrade: Some(true),
            ..Self::default()
        }
    }
}

impl Endpoint {
    /// What has come through its tunnel.
    pub(crate) fn heard(&self) -> &[u8] {
        match &self.codec {
            Codec::Server1(_, asked) => asked.as_ref().map_or(b"", |asked| &asked.body),
            Codec::Server2(_, all) => all.values().next().map_or(b"", |asked| &asked.body),
        }
    }

    /// What is asked of it.
    pub(crate) fn head(&self) -> &RequestHead {
        let asked = match &self.codec {
            Codec::Server1(_, asked) => asked.as_ref(),
            Codec::Server2(_, all) => all.values().next(),
        };
        &asked.expect("it is asked").head
    }

    /// What a server says that knows nothing of RFC 8441.
    pub(super) fn forget_protocols(&mut self) {
        let all: Vec<u8> = self.outbox.pieces().flatten().copied().collect();
        self.outbox.clear();
        let (known, unknown) = ([0, 8, 0, 0, 0, 1], [0, 8, 0, 0, 0, 0]);
        match all.windows(6).position(|setting| setting == known) {
            None => self.outbox.put(&all),
            Some(at) => {
                self.outbox.put(&all[..at]);
                self.outbox.put(&unknown);
                self.outbox.put(&all[at + 6..]);
            }
        }
    }

    /// Agrees to what is asked for and sends back what comes. Whether all of the connection is a tunnel.
    pub(super) fn tunnels(&mut self) -> bool {
        let proves = self.proves;
        match &mut self.codec {
            Codec::Server1(codec, asked) => {
                let Some(asked) = asked.as_mut().filter(|asked| asked.upgrade.is_some()) else {
                    return false;
                };
                if asked.upgrade == Some(false) && self.answers {
                    asked.upgrade = Some(true);
                    let head = switching(&asked.head, proves);
                    let out = &mut self.outbox;
                    codec.respond(&head, BodyLength::None, Some("websocket"), true, out);
                }
                self.outbox.put(&asked.body[asked.echoed..]);
                asked.echoed = asked.body.len();
                true
            }
            Codec::Server2(codec, all) => {
                for (stream, asked) in all.iter_mut() {
                    if asked.upgrade == Some(false) && self.answers {
                        asked.upgrade = Some(true);
                        let head = ResponseHead {
                            status: StatusCode::SWITCHING_PROTOCOLS,
                            ..ResponseHead::default()
                        };
                        codec.respond(*stream, &head, BodyLength::Unknown, &mut self.outbox);
                    }
                    if asked.upgrade == Some(true) {
                        let rest = &asked.body[asked.echoed..];
                        codec.data(*stream, Bytes::copy_from_slice(rest));
                        asked.echoed = asked.body.len();
                        if asked.is_whole {
                            codec.end(*stream, None);
                        }
                    }
                }
                false
            }
        }
    }
}

/// The answer of HTTP/1 to a request for a websocket, with the proof that its key was read, or with another one.
fn switching(asked: &RequestHead, proves: bool) -> ResponseHead {
    let mut head = ResponseHead {
        status: StatusCode::SWITCHING_PROTOCOLS,
        ..ResponseHead::default()
    };
    if let Some(key) = field(&asked.headers, "sec-websocket-key") {
        let accept = websocket::accept(if proves { key } else { b"another" });
        let headers = &mut head.headers;
        headers.append(b"sec-websocket-accept", &accept).unwrap();
    }
    head
}
