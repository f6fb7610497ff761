//! What a TLS client says first (RFC 8446 §4.1.2, RFC 5246 §7.4.1.2), as far as it tells whom it wants to reach. Nothing is
//! agreed on here: the bytes pass on to who does that.

/// A record of this kind begins every connection (RFC 8446 §5.1).
pub(super) const HANDSHAKE: u8 = 22;

/// The message that a client begins with.
const CLIENT_HELLO: u8 = 1;

/// Of the head of a record: kind, version, length.
const RECORD_HEAD: usize = 5;

/// The longest record (RFC 8446 §5.1).
const MOST_RECORD: usize = 1 << 14;

const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;

/// What it tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// The name that is asked for (RFC 6066 §3), in lower case.
    pub server_name: Option<Box<str>>,
    /// The protocols that are offered (RFC 7301), the dearest first; what is no text is left out.
    pub alpn: Box<[Box<str>]>,
}

/// Reads it from the first bytes of a connection; `None` when they are none, and `Some(None)` while more are needed.
#[must_use]
pub fn client_hello(bytes: &[u8]) -> Option<Option<ClientHello>> {
    let mut message = Vec::new();
    let mut rest = bytes;
    loop {
        if let Some(whole) = whole_message(&message)? {
            return parse(whole).map(Some);
        }
        // One may be spread over records.
        match record(rest)? {
            Some((fragment, behind)) => {
                message.extend_from_slice(fragment);
                rest = behind;
            }
            None => {
                // What is here of a record may say already that it is none.
                let part = rest.get(RECORD_HEAD..).unwrap_or_default();
                message.extend_from_slice(part);
                whole_message(&message)?;
                return Some(None);
            }
        }
    }
}

/// The next record's content, and what is behind it; `Some(None)` while it is not whole, `None` when it is no part of a
/// handshake.
fn record(bytes: &[u8]) -> Option<Option<(&[u8], &[u8])>> {
    let is_right = |at: usize, right: u8| bytes.get(at).is_none_or(|byte| *byte == right);
    // The version is 3.1 to 3.4 in old and new clients alike.
    if !is_right(0, HANDSHAKE) || !is_right(1, 3) {
        return None;
    }
    let Some((head, rest)) = bytes.split_at_checked(RECORD_HEAD) else {
        return Some(None);
    };
    let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
    if length == 0 || length > MOST_RECORD {
        return None;
    }
    Some(rest.split_at_checked(length))
}

/// The body of the first message of a handshake; `Some(None)` while it is not whole, `None` when it is another one.
fn whole_message(bytes: &[u8]) -> Option<Option<&[u8]>> {
    if bytes.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
        return None;
    }
    let Some((head, body)) = bytes.split_at_checked(4) else {
        return Some(None);
    };
    let length = u32::from_be_bytes([0, head[1], head[2], head[3]]) as usize;
    Some(body.get(..length))
}

/// A part of a message that is still to be read.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self, count: usize) -> Option<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    fn u16(&mut self) -> Option<u16> {
        let two = self.take(2)?;
        Some(u16::from_be_bytes([two[0], two[1]]))
    }

    /// What stands behind its length of one byte.
    fn short(&mut self) -> Option<&'b [u8]> {
        let length = self.u8()?;
        self.take(length.into())
    }

    /// What stands behind its length of two bytes.
    fn long(&mut self) -> Option<&'b [u8]> {
        let length = self.u16()?;
        self.take(length.into())
    }

    const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// `None` for what breaks the grammar.
fn parse(body: &[u8]) -> Option<ClientHello> {
    let mut body = Reader(body);
    let _version = body.u16()?;
    let _random = body.take(32)?;
    let _session = body.short()?;
    let _suites = body.long()?;
    let _compression = body.short()?;
    let mut hello = ClientHello::default();
    if body.is_empty() {
        return Some(hello);
    }
    let mut extensions = Reader(body.long()?);
    if !body.is_empty() {
        return None;
    }
    let (mut has_name, mut has_alpn) = (false, false);
    while !extensions.is_empty() {
        let (kind, content) = (extensions.u16()?, extensions.long()?);
        match kind {
            SERVER_NAME if !has_name => {
                has_name = true;
                hello.server_name = server_name(content)?;
            }
            ALPN if !has_alpn => {
                has_alpn = true;
                hello.alpn = alpn(content)?;
            }
            // Nobody says a thing twice (RFC 8446 §4.2).
            SERVER_NAME | ALPN => return None,
            _ => {}
        }
    }
    Some(hello)
}

/// The host name of a list of names; `Some(None)` when it has none. What no host name has in it breaks the grammar.
fn server_name(content: &[u8]) -> Option<Option<Box<str>>> {
    let mut names = Reader(Reader(content).long()?);
    let mut found = None;
    while !names.is_empty() {
        let (kind, name) = (names.u8()?, names.long()?);
        if kind == 0 {
            let is_text = !name.is_empty() && name.iter().all(u8::is_ascii_graphic);
            if !is_text || found.is_some() {
                return None;
            }
            let text = core::str::from_utf8(name).ok()?;
            found = Some(text.to_ascii_lowercase().into());
        }
    }
    Some(found)
}

fn alpn(content: &[u8]) -> Option<Box<[Box<str>]>> {
    let mut protocols = Reader(Reader(content).long()?);
    let mut found = Vec::new();
    while !protocols.is_empty() {
        let protocol = protocols.short()?;
        if protocol.is_empty() {
            return None;
        }
        found.extend(core::str::from_utf8(protocol).ok().map(Box::from));
    }
    Some(found.into())
}
