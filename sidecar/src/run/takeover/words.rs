//! What the two processes of a takeover say to each other, and how it travels: a length and JSON, and descriptors between.
//!
//! Owns the version of this and how long things may be. Who says what when is in `offer` and `ask`.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::cmsg_space;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

/// Two processes understand each other if they name the same one.
pub(super) const PROTOCOL: u32 = 1;

/// No message is longer, in bytes.
const LONGEST: u32 = 4 << 20;

/// Descriptors that travel together, at most; the kernel lets 253.
const TOGETHER: usize = 128;

/// Sockets that are handed over, at most.
pub(super) const MOST_SOCKETS: usize = 1 << 16;

/// What is said, in this order: the new process greets and is offered sockets, or refused; it is ready, the old one rests, or
/// refuses; and the new one has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Word {
    /// The new process. Every version of the protocol begins like this.
    Hello {
        protocol: u32,
        version: String,
        pid: u32,
    },
    /// Not now, or never.
    Refused { why: String },
    /// What the old process listens at. The descriptors follow, in this order.
    Offer {
        protocol: u32,
        version: String,
        pid: u32,
        /// How many processes took over before this one.
        generation: u64,
        places: Vec<Place>,
    },
    /// The new process would serve now, at these places.
    Ready { places: Vec<String> },
    /// The old one accepts nobody there.
    Rested,
    /// The new one does.
    Begun,
}

/// Where the old process listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) what: What,
    /// An address, or `unix:` and a path.
    pub(super) at: String,
    /// The sockets get connections to any address that are routed to them.
    #[serde(default)]
    pub(super) is_transparent: bool,
    pub(super) sockets: usize,
}

/// Who listens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum What {
    /// The workers.
    Listener,
    Admin,
    /// Who else asks some of what the admin endpoints answer, at whichever address.
    Health,
    DnsUdp,
    DnsTcp,
    /// Who hands over.
    Takeover,
}

/// Says something.
///
/// # Errors
/// The other process is gone, or does not listen for too long.
pub(super) fn say(stream: &mut UnixStream, word: &Word) -> io::Result<()> {
    let text = serde_json::to_vec(word)?;
    let length = u32::try_from(text.len()).map_err(io::Error::other)?;
    let mut message = length.to_be_bytes().to_vec();
    message.extend(text);
    stream.write_all(&message)
}

/// What is said next.
///
/// # Errors
/// The other process is gone, says nothing for too long, or nothing that is known here.
pub(super) fn hear(stream: &mut UnixStream) -> io::Result<Word> {
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > LONGEST {
        let told = format!("a message of {length} bytes, where none is longer than {LONGEST}");
        return Err(io::Error::new(io::ErrorKind::InvalidData, told));
    }
    let mut text = vec![0; length as usize];
    stream.read_exact(&mut text)?;
    Ok(serde_json::from_slice(&text)?)
}

/// Passes descriptors on.
///
/// # Errors
/// As [`say`].
pub(super) fn pass(stream: &UnixStream, sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    for together in sockets.chunks(TOGETHER) {
        let mut room = [MaybeUninit::uninit(); cmsg_space!(ScmRights(TOGETHER))];
        let mut control = SendAncillaryBuffer::new(&mut room);
        control.push(SendAncillaryMessage::ScmRights(together));
        sendmsg(
            stream,
            &[IoSlice::new(b"s")],
            &mut control,
            SendFlags::empty(),
        )?;
    }
    Ok(())
}

/// Takes so many descriptors.
///
/// # Errors
/// As [`hear`]; or there are others.
pub(super) fn receive(stream: &UnixStream, count: usize) -> io::Result<Vec<OwnedFd>> {
    let mut sockets = Vec::new();
    while sockets.len() < count {
        let mut room = [MaybeUninit::uninit(); cmsg_space!(ScmRights(TOGETHER))];
        let mut control = RecvAncillaryBuffer::new(&mut room);
        let mut byte = [0];
        let mut bytes = [IoSliceMut::new(&mut byte)];
        #[cfg(target_os = "linux")]
        let flags = RecvFlags::CMSG_CLOEXEC;
        #[cfg(not(target_os = "linux"))]
        let flags = RecvFlags::empty();
        recvmsg(stream, &mut bytes, &mut control, flags)?;
        let before = sockets.len();
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                sockets.extend(rights);
            }
        }
        if sockets.len() == before || sockets.len() > count {
            let told =
                "sockets are missing, as where a process may have no more descriptors (ulimit -n)";
            return Err(io::Error::new(io::ErrorKind::InvalidData, told));
        }
    }
    Ok(sockets)
}

/// Whether the other process is gone.
pub(super) fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

/// Why nothing was said or heard, in words.
pub(super) fn silence(error: &io::Error, patience: Duration) -> String {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("it has not answered within {} s", patience.as_secs_f64())
        }
        _ if is_end(error) => "it has ended, or hung up".into(),
        _ => error.to_string(),
    }
}

/// Whether whoever is connected is this user.
///
/// # Errors
/// The system does not say.
pub(super) fn is_this_user(stream: &impl AsFd) -> io::Result<bool> {
    #[cfg(target_os = "linux")]
    {
        let peer = rustix::net::sockopt::socket_peercred(stream)?;
        Ok(peer.uid == rustix::process::geteuid())
    }
    // The mode of the socket's file is what there is.
    #[cfg(not(target_os = "linux"))]
    {
        let _ = stream;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn words_and_sockets_arrive_in_order() {
        let (mut old, mut new) = UnixStream::pair().unwrap();
        let listeners: Vec<_> = (0..300)
            .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
            .collect();
        let word = Word::Offer {
            protocol: PROTOCOL,
            version: "0".into(),
            pid: 1,
            generation: 3,
            places: vec![Place {
                what: What::DnsUdp,
                at: "127.0.0.1:53".into(),
                is_transparent: true,
                sockets: 300,
            }],
        };
        say(&mut old, &word).unwrap();
        let sockets: Vec<_> = listeners.iter().map(AsFd::as_fd).collect();
        pass(&old, &sockets).unwrap();
        say(&mut old, &Word::Rested).unwrap();
        assert_eq!(hear(&mut new).unwrap(), word);
        let arrived = receive(&new, 300).unwrap();
        for (sent, arrived) in listeners.iter().zip(arrived) {
            let arrived = TcpListener::from(arrived).local_addr().unwrap();
            assert_eq!(sent.local_addr().unwrap(), arrived);
        }
        assert_eq!(hear(&mut new).unwrap(), Word::Rested);
        assert!(is_this_user(&new).unwrap());
    }

    #[test]
    fn nonsense_is_an_error_and_takes_no_memory() {
        for bytes in [
            &b"\xff\xff\xff\xffx"[..],
            b"\0\0\0\x02[]",
            b"\0\0\0\x09{}",
            b"",
        ] {
            let (mut one, mut other) = UnixStream::pair().unwrap();
            one.write_all(bytes).unwrap();
            drop(one);
            assert!(hear(&mut other).is_err(), "{bytes:?}");
        }
        let (mut one, other) = UnixStream::pair().unwrap();
        one.write_all(b"no descriptors").unwrap();
        assert!(receive(&other, 1).is_err());
    }

    #[test]
    fn the_greeting_of_any_version_is_understood() {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let text = br#"{"hello":{"protocol":9,"version":"7","pid":1,"more":true}}"#;
        one.write_all(&(text.len() as u32).to_be_bytes()).unwrap();
        one.write_all(text).unwrap();
        let heard = hear(&mut other).unwrap();
        assert!(matches!(heard, Word::Hello { protocol: 9, .. }));
    }
}
