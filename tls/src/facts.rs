//! What a handshake has proved, in core's words.

use outrigger_core::peer::{TlsFacts, TlsFault, TlsVersion};
use rustls::{CommonState, HandshakeKind, ProtocolVersion};
use rustls_pki_types::UnixTime;

use crate::certificate;
use crate::provider::openssl_name;

/// What is known of a connection whose handshake is over. `sni` is the name that the client asked for; `is_proof`: the peer's
/// certificate had to be good, which it need not be where nothing is to be proved.
///
/// # Errors
/// An earlier session was taken up whose certificate is not good any more: nobody has looked at it in this handshake.
pub(crate) fn of(
    connection: &CommonState,
    sni: Option<Box<str>>,
    is_proof: bool,
) -> Result<TlsFacts, TlsFault> {
    let resumed = connection.handshake_kind() == Some(HandshakeKind::Resumed);
    let leaf = connection.peer_certificates().and_then(<[_]>::first);
    let read = leaf.map(certificate::read).transpose();
    let read = read.map_err(|why| TlsFault::Untrusted(why.into()))?;
    let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
    if let Some(read) = read.as_ref().filter(|_| resumed && is_proof)
        && read.not_after < now
    {
        let why = "it has expired since its session began";
        return Err(TlsFault::Untrusted(why.into()));
    }
    let alpn = connection.alpn_protocol();
    Ok(TlsFacts {
        version: match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => TlsVersion::Tls13,
            _ => TlsVersion::Tls12,
        },
        cipher: connection
            .negotiated_cipher_suite()
            .map_or_else(Box::default, openssl_name),
        sni,
        alpn: alpn.map(|alpn| String::from_utf8_lossy(alpn).into()),
        resumed,
        peer: read.map(|read| read.told),
    })
}
