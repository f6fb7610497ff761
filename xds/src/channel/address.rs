//! Where a control plane or an authority is, as a command line says it.

use std::net::IpAddr;

use rustls_pki_types::ServerName;

/// `HOST:PORT`, with TLS unless `http://` stands before it, which goes to this machine alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    text: String,
    host: String,
    port: u16,
    name: Option<String>,
    is_plain: bool,
}

impl Address {
    /// Reads one.
    ///
    /// # Errors
    /// It is none, or one that is not to be spoken to in clear text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let plain = text.strip_prefix("http://");
        let rest = plain.or_else(|| text.strip_prefix("https://"));
        let rest = rest.unwrap_or(text);
        let none = || format!("`{text}` is no address: an address is HOST:PORT");
        let (host, port) = rest.rsplit_once(':').ok_or_else(none)?;
        let port = port
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(none)?;
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let host = bare.unwrap_or(host);
        // A colon belongs to an address of IPv6, which stands in brackets.
        if host.is_empty()
            || ServerName::try_from(host).is_err()
            || bare.is_none() && host.contains(':')
        {
            return Err(none());
        }
        let is_here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        if plain.is_some() && !is_here {
            return Err(format!(
                "`{text}`: what comes in clear text could be anybody's; leave out `http://`, or have the server on this machine"
            ));
        }
        Ok(Self {
            text: text.to_owned(),
            host: host.to_owned(),
            port,
            name: None,
            is_plain: plain.is_some(),
        })
    }

    /// The same, whose certificate is to be for another name.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            ..self
        }
    }

    /// As it was written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The host: a name, or an address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, 1 to 65535.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is spoken to without TLS.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.is_plain
    }

    /// What requests name as their authority (RFC 9113 §8.3.1).
    pub(super) fn authority(&self) -> String {
        let host = self.name.as_deref().unwrap_or(&self.host);
        match host.contains(':') {
            true => format!("[{host}]:{}", self.port),
            false => format!("{host}:{}", self.port),
        }
    }

    /// Whom the server's certificate is to be for.
    pub(super) fn server_name(&self) -> Result<ServerName<'static>, String> {
        let name = self.name.as_deref().unwrap_or(&self.host);
        ServerName::try_from(name.to_owned())
            .map_err(|_| format!("`{name}` is no name of a server"))
    }
}
