//! The stream to the control plane: opened, kept, and opened again, on a thread of its own.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use outrigger_xds::Asked;
use outrigger_xds::channel::Backoff;
use outrigger_xds::client::Taken;
use outrigger_xds::messages::{DeltaDiscoveryRequest, Node};
use outrigger_xds::service::discover;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Status};
use tracing::{debug, info, warn};

use super::Inbox;
use super::apart::PATIENCE;
use crate::run::command::Command;
use crate::xds_args::Server;

/// Begins to listen to a control plane. Whatever comes is told as a change of files would be.
///
/// # Errors
/// There is no thread for it.
pub(in crate::run) fn start(
    server: Server,
    node: Node,
    told: UnboundedSender<Command>,
) -> io::Result<Arc<Inbox>> {
    let (answers, answered) = unbounded_channel();
    let inbox = Arc::new(Inbox::new(
        node,
        server.asked(),
        server.workloads(),
        answers,
    ));
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let listening = Listening {
        server,
        inbox: Arc::clone(&inbox),
        told,
        answered,
        until: None,
    };
    thread::Builder::new()
        .name("discovery".into())
        .spawn(move || runtime.block_on(listening.serve()))?;
    Ok(inbox)
}

struct Listening {
    server: Server,
    inbox: Arc<Inbox>,
    told: UnboundedSender<Command>,
    answered: UnboundedReceiver<Vec<DeltaDiscoveryRequest>>,
    /// Endpoints are waited for no longer, once they are.
    until: Option<Instant>,
}

impl Listening {
    async fn serve(mut self) {
        let mut failures = 0;
        // What was told last, so that it is told once.
        let mut said = String::new();
        while !self.told.is_closed() {
            let before = self.inbox.counts.responses.load(Ordering::Relaxed);
            let ended = self.listen().await;
            let counts = &self.inbox.counts;
            counts.connected.store(false, Ordering::Relaxed);
            let broke = match ended {
                Ended::Over => return,
                Ended::Again => continue,
                Ended::Broke(why) => why,
            };
            counts.failed.fetch_add(1, Ordering::Relaxed);
            if counts.responses.load(Ordering::Relaxed) > before {
                failures = 0;
                said.clear();
            }
            self.inbox.broke(&broke);
            let text = format!("{}: {broke}", self.server.addr());
            if said == text {
                debug!(target: "discovery", "{text}");
            } else {
                let kept = match self.inbox.is_complete() {
                    true => "kept what is in use, and trying again",
                    false => "trying again",
                };
                warn!(target: "discovery", "{text}; {kept}");
                said = text;
            }
            failures = u32::saturating_add(failures, 1);
            let pause = Backoff::ORDINARY.pause(failures, outrigger_dns::random());
            tokio::select! {
                () = sleep(pause) => {}
                () = self.told.closed() => return,
            }
        }
    }

    /// Until the stream ends; says why.
    async fn listen(&mut self) -> Ended {
        let channel = tokio::select! {
            channel = self.server.connect() => channel,
            () = self.told.closed() => return Ended::Over,
        };
        let channel = match channel {
            Ok(channel) => channel,
            Err(error) => return Ended::Broke(error),
        };
        let token = self.server.token();
        let (requests, sent) = unbounded_channel();
        // Answers to a stream before are none to this one.
        while self.answered.try_recv().is_ok() {}
        for request in self.inbox.open() {
            let _ = requests.send(request);
        }
        let sent = UnboundedReceiverStream::new(sent);
        let opened = tokio::select! {
            opened = discover(channel, sent, token.as_deref()) => opened,
            () = self.told.closed() => return Ended::Over,
        };
        let mut responses = match opened {
            Ok(responses) => responses,
            Err(status) => return Ended::Broke(words(self.server.asked(), &status)),
        };
        let inbox = Arc::clone(&self.inbox);
        let counts = &inbox.counts;
        counts.opened.fetch_add(1, Ordering::Relaxed);
        counts.connected.store(true, Ordering::Relaxed);
        info!(target: "discovery", "listening to {}", self.server.addr());
        loop {
            let until = self.patience();
            tokio::select! {
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => self.wait_no_more(),
                response = responses.message() => match response {
                    Ok(Some(response)) => {
                        counts.responses.fetch_add(1, Ordering::Relaxed);
                        let kind = response.type_url.clone();
                        match self.inbox.take(response) {
                            Taken::News | Taken::Same => {
                                let _ = self.told.send(Command::FilesChanged);
                            }
                            Taken::Unasked => debug!(target: "discovery", "`{}` was not asked for", kind.escape_default()),
                        }
                    }
                    Ok(None) => return Ended::Broke("the stream was ended".to_owned()),
                    Err(status) => return Ended::Broke(words(self.server.asked(), &status)),
                },
                answers = self.answered.recv() => match answers {
                    Some(answers) => for answer in answers {
                        let _ = requests.send(answer);
                    },
                    None => return Ended::Over,
                },
                () = self.inbox.again.notified() => return Ended::Again,
                // It drains, and what changes from now on is of no use to it.
                () = self.told.closed() => return Ended::Over,
            }
        }
    }
}

impl Listening {
    /// Until when a first configuration waits for endpoints, if it does.
    fn patience(&mut self) -> Option<Instant> {
        self.inbox.awaited_endpoints()?;
        Some(*self.until.get_or_insert_with(|| Instant::now() + PATIENCE))
    }

    fn wait_no_more(&self) {
        let missing = self.inbox.awaited_endpoints().unwrap_or_default();
        warn!(target: "discovery", "the endpoints of {missing} clusters have not come; going on without them until they do");
        self.inbox.wait_no_more();
        let _ = self.told.send(Command::FilesChanged);
    }
}

/// How a stream ended.
enum Ended {
    /// It broke, or could not be opened.
    Broke(String),
    /// We are somebody else, and say so on another one.
    Again,
    /// The program ends, or another process serves.
    Over,
}

/// What ends every stream to istiod's `api` generator but those of its own namespace (`ENABLE_XDS_API_GENERATOR_AUTH`, on
/// since August 2026), and what to do.
const OF_ISTIOD: &str = "istiod tells its configuration to identities of the mesh's root namespace alone since August 2026: show a token or \
                         a certificate of a service account there (`--namespace istio-system`, over TLS), or set \
                         ENABLE_XDS_API_GENERATOR_AUTH=false at istiod";

/// What a stream ended with, and what to do about it where that is known.
fn words(asked: Asked, status: &Status) -> String {
    let text = format!("{:?}: {}", status.code(), status.message().escape_default());
    match (asked, status.code()) {
        (Asked::Istiod, Code::PermissionDenied | Code::Unauthenticated) => {
            format!("{text}; {OF_ISTIOD}")
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_not_told_hears_why_and_what_to_do() {
        for (asked, status, is_told) in [
            (Asked::Istiod, Status::permission_denied("no"), true),
            (Asked::Istiod, Status::unauthenticated("no"), true),
            (Asked::Istiod, Status::unavailable("no"), false),
            (Asked::Control, Status::permission_denied("no"), false),
        ] {
            let text = words(asked, &status);
            assert_eq!(
                text.contains("ENABLE_XDS_API_GENERATOR_AUTH=false"),
                is_told,
                "{text}"
            );
        }
    }
}
