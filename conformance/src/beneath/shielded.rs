//! A peer that speaks TLS over a real connection, by the library's own client or server: bytes in, bytes out, without IO.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use outrigger_core::peer::TlsVersion;
use outrigger_core::time::Instant;
use outrigger_sim::{Action, Event, Met, Peer};
use outrigger_tls::alert_name;
use rustls::server::Acceptor;
use rustls::{ClientConnection, Connection, Error, ProtocolVersion};

use super::made;
use super::setup::{self, Setup};
use crate::trust::{Tls, Trust};

/// How far the connection is.
enum Life {
    /// It is not made.
    Begins,
    /// A service that has not heard who comes.
    Listens(Box<Acceptor>),
    Speaks(Box<Connection>),
    Over,
}

/// A peer that speaks TLS.
pub(super) struct Shielded {
    inner: Box<dyn Peer>,
    setup: Result<Setup, String>,
    life: Life,
    /// What the client asked for and offered.
    sni: Option<Box<str>>,
    offered: Box<[Box<str>]>,
    /// The inner peer has heard that it is agreed on.
    is_secured: bool,
    /// It has heard of the end.
    has_ended: bool,
}

impl Shielded {
    pub(super) fn client(inner: Box<dyn Peer>, tls: &Tls, trust: &Trust, usual: &[&str]) -> Self {
        let offered = tls.protocols(usual).into_iter();
        Self {
            sni: tls.sni.as_deref().map(Into::into),
            offered: offered.map(Into::into).collect(),
            ..Self::new(inner, setup::client(tls, trust, usual))
        }
    }

    pub(super) fn service(inner: Box<dyn Peer>, tls: &Tls, trust: &Trust, usual: &[&str]) -> Self {
        Self::new(inner, setup::service(tls, trust, usual))
    }

    fn new(inner: Box<dyn Peer>, setup: Result<Setup, String>) -> Self {
        Self {
            inner,
            setup,
            life: Life::Begins,
            sni: None,
            offered: Box::default(),
            is_secured: false,
            has_ended: false,
        }
    }

    fn begin(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let begun = match &self.setup {
            Ok(Setup::Service(_)) => Ok(Life::Listens(Box::default())),
            Ok(Setup::Client(config, name)) => {
                let made = ClientConnection::new(Arc::clone(config), name.clone());
                let made = made.map(|made| Life::Speaks(Box::new(Connection::Client(made))));
                made.map_err(|error| error.to_string())
            }
            Err(why) => Err(why.clone()),
        };
        match begun {
            Ok(life) => {
                self.life = life;
                self.has_no_limit();
                self.flush(actions);
            }
            Err(why) => self.give_up(&why, now, actions),
        }
    }

    /// A script says as much as it likes at once.
    fn has_no_limit(&mut self) {
        if let Life::Speaks(connection) = &mut self.life {
            connection.set_buffer_limit(None);
        }
    }

    /// What is wrong, after what the library has to say about it.
    fn give_up(&mut self, why: &str, now: Instant, actions: &mut Vec<Action>) {
        self.flush(actions);
        self.life = Life::Over;
        self.inner.on_event(Event::NotSecured(why), now, actions);
        actions.push(Action::Close);
    }

    fn flush(&mut self, actions: &mut Vec<Action>) {
        let mut bytes = Vec::new();
        if let Life::Speaks(connection) = &mut self.life {
            while connection.wants_write() && connection.write_tls(&mut bytes).is_ok() {}
        }
        if !bytes.is_empty() {
            actions.push(Action::Send(bytes));
        }
    }

    /// Bytes of a client of which nothing is known yet. Those that belong to what it says first are taken.
    fn listen(&mut self, bytes: &mut &[u8], now: Instant, actions: &mut Vec<Action>) {
        let Life::Listens(acceptor) = &mut self.life else {
            return;
        };
        let accepted = match acceptor.read_tls(bytes) {
            Ok(_) => acceptor.accept(),
            Err(error) => return self.give_up(&error.to_string(), now, actions),
        };
        let accepted = match accepted {
            Ok(None) => return,
            Ok(Some(accepted)) => accepted,
            Err((error, mut alert)) => {
                return self.refuse(&error, |bytes| alert.write_all(bytes), now, actions);
            }
        };
        let hello = accepted.client_hello();
        self.sni = hello
            .server_name()
            .map(|name| name.to_ascii_lowercase().into());
        let offered: Vec<Box<str>> = hello
            .alpn()
            .into_iter()
            .flatten()
            .map(|name| String::from_utf8_lossy(name).into())
            .collect();
        let Ok(Setup::Service(config)) = &self.setup else {
            return;
        };
        let mut config = Arc::clone(config);
        let takes = |name: &str| {
            config
                .alpn_protocols
                .iter()
                .any(|own| *own == name.as_bytes())
        };
        // As most servers do, and unlike the library: who has no protocol in common goes on without.
        if !offered.iter().any(|name| takes(name)) {
            let mut without = (*config).clone();
            without.alpn_protocols.clear();
            config = Arc::new(without);
        }
        self.offered = offered.into();
        match accepted.into_connection(config) {
            Ok(connection) => {
                self.life = Life::Speaks(Box::new(Connection::Server(connection)));
                self.has_no_limit();
            }
            Err((error, mut alert)) => {
                self.refuse(&error, |bytes| alert.write_all(bytes), now, actions);
            }
        }
    }

    fn refuse(
        &mut self,
        error: &Error,
        say: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>,
        now: Instant,
        actions: &mut Vec<Action>,
    ) {
        let mut last_words = Vec::new();
        if say(&mut last_words).is_ok() && !last_words.is_empty() {
            actions.push(Action::Send(last_words));
        }
        self.give_up(&named(error), now, actions);
    }

    fn hear(&mut self, mut bytes: &[u8], now: Instant, actions: &mut Vec<Action>) {
        loop {
            match &mut self.life {
                Life::Begins | Life::Over => return,
                Life::Listens(_) if bytes.is_empty() => return,
                Life::Listens(_) => self.listen(&mut bytes, now, actions),
                Life::Speaks(connection) => {
                    // Nothing to read is the end, for the library.
                    if !bytes.is_empty() && connection.read_tls(&mut bytes).is_err() {
                        return self.give_up("more than there is room for", now, actions);
                    }
                    self.understand(now, actions);
                    if bytes.is_empty() {
                        return;
                    }
                }
            }
        }
    }

    fn understand(&mut self, now: Instant, actions: &mut Vec<Action>) {
        let Life::Speaks(connection) = &mut self.life else {
            return;
        };
        let state = match connection.process_new_packets() {
            Ok(state) => state,
            Err(error) => return self.give_up(&named(&error), now, actions),
        };
        let mut plaintext = vec![0; state.plaintext_bytes_to_read()];
        let read = connection.reader().read_exact(&mut plaintext).is_ok();
        let is_made = !connection.is_handshaking();
        self.flush(actions);
        if is_made && !self.is_secured {
            self.is_secured = true;
            if let Some(met) = self.met() {
                self.tell(Event::Secured(&met), now, actions);
            }
            self.tell(Event::Opened, now, actions);
        }
        if read && !plaintext.is_empty() {
            self.tell(Event::Bytes(&plaintext), now, actions);
        }
        if state.peer_has_closed() && !self.has_ended {
            self.has_ended = true;
            self.tell(Event::Eof, now, actions);
        }
    }

    fn met(&self) -> Option<Met> {
        let Life::Speaks(connection) = &self.life else {
            return None;
        };
        let agreed = connection.alpn_protocol();
        let shown = connection.peer_certificates().and_then(<[_]>::first);
        Some(Met {
            version: match connection.protocol_version() {
                Some(ProtocolVersion::TLSv1_3) => TlsVersion::Tls13,
                _ => TlsVersion::Tls12,
            },
            sni: self.sni.clone(),
            offered: self.offered.clone(),
            agreed: agreed.map(|name| String::from_utf8_lossy(name).into()),
            certificate: shown.map(|shown| made::told(shown).unwrap_or_default()),
        })
    }

    /// Tells the inner peer, and protects what it says.
    fn tell(&mut self, event: Event<'_>, now: Instant, actions: &mut Vec<Action>) {
        let mut does = Vec::new();
        self.inner.on_event(event, now, &mut does);
        for action in does {
            let Life::Speaks(connection) = &mut self.life else {
                actions.push(action);
                continue;
            };
            match &action {
                Action::Send(bytes) => {
                    // Into memory without a limit.
                    let _ = connection.writer().write_all(bytes);
                    self.flush(actions);
                    continue;
                }
                Action::Shutdown | Action::Close => connection.send_close_notify(),
                Action::Reset | Action::Sleep(_) | Action::Signal(_) => {}
            }
            if matches!(action, Action::Shutdown | Action::Close) {
                self.flush(actions);
            }
            actions.push(action);
        }
    }
}

impl Peer for Shielded {
    fn on_event(&mut self, event: Event<'_>, now: Instant, actions: &mut Vec<Action>) {
        match event {
            Event::Opened => self.begin(now, actions),
            Event::Bytes(bytes) => self.hear(bytes, now, actions),
            Event::Woken | Event::Signal(_) => self.tell(event, now, actions),
            Event::Refused | Event::Secured(_) | Event::NotSecured(_) => {
                self.inner.on_event(event, now, actions);
            }
            Event::Eof | Event::Broken if matches!(self.life, Life::Over) => {}
            Event::Eof | Event::Broken if !self.is_secured => {
                self.give_up("the connection ended", now, actions);
            }
            Event::Eof if self.has_ended => {}
            // Who does not say that it is over may have been cut off (RFC 8446 §6.1).
            Event::Eof | Event::Broken => self.tell(Event::Broken, now, actions),
        }
    }

    fn is_reading(&self) -> bool {
        !self.is_secured || self.inner.is_reading()
    }
}

/// The alert that the other side gave as the reason, or what is wrong.
fn named(error: &Error) -> String {
    match error {
        Error::AlertReceived(alert) => alert_name(*alert).into(),
        other => other.to_string(),
    }
}
