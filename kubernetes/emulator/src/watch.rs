//! Streams of what happens.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_stream::wrappers::ReceiverStream;

use crate::Shared;
use crate::path::{Path, Query};
use crate::resources::{Resource, shown};
use crate::status::Failure;
use crate::store::{Event, Wanted};

/// What answers are made of.
pub(crate) type Body = BoxBody<Bytes, io::Error>;

/// How long a stream is where the client does not say: shorter than Kubernetes' half an hour to an hour.
const LONGEST: Duration = Duration::from_secs(1800);

/// A client that takes nothing for so long is let go.
const STALLED: Duration = Duration::from_secs(30);

/// One stream.
struct Stream {
    shared: Arc<Shared>,
    wanted: Wanted,
    resource: Resource,
    version: String,
    bookmarks: bool,
    sender: mpsc::Sender<Result<Frame<Bytes>, io::Error>>,
    /// Up to where it has told.
    told: u64,
    /// So many more events, and the connection breaks.
    breaks_after: Option<usize>,
}

/// Why a stream ends.
enum End {
    /// As streams do after their time.
    Ordinary,
    /// The connection breaks.
    Broken,
}

/// Begins one.
pub(crate) fn start(
    shared: &Arc<Shared>,
    path: &Path,
    query: &Query,
    resource: &Resource,
) -> Result<Response<Body>, Failure> {
    let wanted = query.wanted(path)?;
    let asked = query.get("resourceVersion").unwrap_or("0");
    let bad = |_| {
        Failure::new(
            400,
            "BadRequest",
            format!("invalid resource version {asked}"),
        )
    };
    let from: u64 = asked.parse().map_err(bad)?;
    let seconds = query
        .get("timeoutSeconds")
        .and_then(|seconds| seconds.parse().ok());
    let until = Instant::now() + seconds.map_or(LONGEST, Duration::from_secs);
    let (sender, receiver) = mpsc::channel(64);
    let mut stream = Stream {
        shared: Arc::clone(shared),
        wanted,
        resource: resource.clone(),
        version: path.version.clone(),
        bookmarks: query.is("allowWatchBookmarks"),
        sender,
        told: from,
        breaks_after: shared.breaks_after(),
    };
    let generation = shared.generation();
    tokio::spawn(async move {
        if let Err(End::Broken) = stream.serve(until, generation).await {
            let broken = io::Error::other("broken as asked for");
            let _ = stream.sender.send(Err(broken)).await;
        }
    });
    let body = StreamBody::new(ReceiverStream::new(receiver)).boxed();
    let mut answer = Response::new(body);
    let json = http::HeaderValue::from_static("application/json");
    answer
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, json);
    Ok(answer)
}

impl Stream {
    async fn serve(&mut self, until: Instant, generation: u64) -> Result<(), End> {
        let mut changes = self.shared.changes();
        if self.told == 0 {
            let (all, revision) = {
                let store = self.shared.store();
                (store.all(&self.wanted), store.revision())
            };
            for (_, object) in all {
                self.tell("ADDED", &shown(&object, &self.resource, &self.version))
                    .await?;
            }
            self.told = revision;
        }
        let mut bookmark = Instant::now() + self.shared.bookmark_every();
        loop {
            changes.borrow_and_update();
            let (found, revision) = {
                let store = self.shared.store();
                (store.since(&self.wanted, self.told), store.revision())
            };
            if self.shared.generation() != generation {
                return Err(End::Broken);
            }
            let Some(events) = found else {
                self.tell("ERROR", &Failure::expired().json()).await?;
                return Ok(());
            };
            self.tell_all(&events).await?;
            self.told = self.told.max(revision);
            tokio::select! {
                changed = changes.changed() => changed.map_err(|_| End::Ordinary)?,
                () = sleep_until(bookmark) => {
                    bookmark = Instant::now() + self.shared.bookmark_every();
                    self.bookmark().await?;
                }
                () = sleep_until(until) => return Ok(()),
                () = self.sender.closed() => return Ok(()),
            }
        }
    }

    async fn tell_all(&mut self, events: &[Event]) -> Result<(), End> {
        for event in events {
            let object = shown(&event.object, &self.resource, &self.version);
            self.tell(event.what, &object).await?;
        }
        Ok(())
    }

    async fn bookmark(&mut self) -> Result<(), End> {
        if !self.bookmarks {
            return Ok(());
        }
        let bare = json!({"metadata": {"resourceVersion": self.told.to_string()}});
        let line = line("BOOKMARK", &shown(&bare, &self.resource, &self.version));
        self.send(line).await
    }

    async fn tell(&mut self, what: &str, object: &Value) -> Result<(), End> {
        if let Some(left) = &mut self.breaks_after {
            let Some(fewer) = left.checked_sub(1) else {
                return Err(End::Broken);
            };
            *left = fewer;
        }
        self.send(line(what, object)).await
    }

    async fn send(&self, line: Bytes) -> Result<(), End> {
        let sent = timeout(STALLED, self.sender.send(Ok(Frame::data(line)))).await;
        match sent {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Ordinary),
            Err(_) => Err(End::Broken),
        }
    }
}

fn line(what: &str, object: &Value) -> Bytes {
    let mut text = json!({"type": what, "object": object}).to_string();
    text.push('\n');
    text.into()
}
