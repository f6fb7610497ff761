//! The application's own metrics, asked for when somebody asks for ours, and both on one page (`/stats/prometheus` of the agent).
//!
//! Owns where they are (`ISTIO_PROMETHEUS_ANNOTATIONS`), how much they may cost, and what is left out of the page: what both tell
//! is the application's, as one name may not be told twice.

use std::collections::HashSet;
use std::iter::once;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{ACCEPT, CONNECTION, CONTENT_ENCODING, HOST, USER_AGENT};
use http::uri::PathAndQuery;
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tracing::{info, warn};

use super::application::Application;

/// The variable that says where they are.
pub(in crate::run) const VARIABLE: &str = "ISTIO_PROMETHEUS_ANNOTATIONS";

/// What may be asked of an application, and what came of it.
#[derive(Debug)]
pub(in crate::run) struct Scrape {
    place: Option<Place>,
    limits: Limits,
    permits: Semaphore,
    total: AtomicU64,
    failed: AtomicU64,
    /// Because others were being asked for.
    refused: AtomicU64,
    /// The last one did, and that was told.
    is_failing: AtomicBool,
}

/// What asking may cost.
#[derive(Clone, Copy, Debug)]
pub(in crate::run) struct Limits {
    /// Until the last byte.
    pub(in crate::run) time: Duration,
    /// A longer page is not passed on.
    pub(in crate::run) bytes: usize,
    /// Such pages in memory at a time; who asks for one more gets ours alone.
    pub(in crate::run) pages: usize,
}

/// Where an application tells its metrics.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    port: u16,
    path: PathAndQuery,
}

/// As Istio writes a pod's annotations `prometheus.io/…`.
#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    scrape: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    port: String,
}

impl Scrape {
    /// Reads the variable, where it is set.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(in crate::run) fn read(text: Option<&str>, limits: Limits) -> Result<Self, String> {
        Ok(Self {
            place: text.map(place).transpose()?.flatten(),
            limits,
            permits: Semaphore::new(limits.pages),
            total: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            is_failing: AtomicBool::new(false),
        })
    }

    /// How often an application was to be asked, how often that came to nothing, and how often because too many others asked.
    pub(in crate::run) fn counted(&self) -> (u64, u64, u64) {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (
            count(&self.total),
            count(&self.failed),
            count(&self.refused),
        )
    }

    /// What the application tells; nothing where there is none that does, or it fails, which is told and counted.
    pub(super) async fn ask(&self, application: &Application) -> Option<Theirs> {
        let place = self.place.as_ref()?;
        self.total.fetch_add(1, Ordering::Relaxed);
        let Limits { time, bytes, pages } = self.limits;
        let asked = async {
            let Ok(_permit) = self.permits.try_acquire() else {
                self.refused.fetch_add(1, Ordering::Relaxed);
                return Err(format!(
                    "with {pages} being asked for already (--agent-scrapes)"
                ));
            };
            let answered = timeout(time, get(application, place, bytes)).await;
            let seconds = time.as_secs_f64();
            answered.unwrap_or_else(|_| {
                Err(format!("no page within {seconds} s (--agent-scrape-time)"))
            })
        };
        match asked.await {
            Ok(page) => {
                if self.is_failing.swap(false, Ordering::Relaxed) {
                    info!(target: "admin", "the application tells its metrics again");
                }
                Some(Theirs::new(page))
            }
            Err(why) => {
                self.failed.fetch_add(1, Ordering::Relaxed);
                if !self.is_failing.swap(true, Ordering::Relaxed) {
                    let Place { port, path } = place;
                    warn!(target: "admin", "the application's metrics (port {port}, {path}) are left out: {why}");
                }
                None
            }
        }
    }
}

fn place(text: &str) -> Result<Option<Place>, String> {
    let Written { scrape, path, port } =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    if scrape != "true" {
        return Ok(None);
    }
    let or = |text: String, default: &str| {
        if text.is_empty() {
            default.into()
        } else {
            text
        }
    };
    let (path, port) = (or(path, "/metrics"), or(port, "80"));
    let slash = if path.starts_with('/') { "" } else { "/" };
    let number = port.parse().ok().filter(|port| *port != 0);
    Ok(Some(Place {
        port: number.ok_or_else(|| format!("`{port}` is no number of a port"))?,
        path: PathAndQuery::try_from(format!("{slash}{path}"))
            .map_err(|_| format!("`{path}` is no path"))?,
    }))
}

async fn get(application: &Application, place: &Place, longest: usize) -> Result<String, String> {
    let told = |error: hyper::Error| error.to_string();
    let stream = TokioIo::new(application.connect(place.port).await?);
    let (mut sender, connection) = http1::handshake(stream).await.map_err(told)?;
    let connection = tokio::spawn(connection);
    let request = Request::get(place.path.as_str())
        .header(HOST, application.authority(place.port))
        .header(USER_AGENT, concat!("outrigger/", env!("CARGO_PKG_VERSION")))
        .header(ACCEPT, "text/plain;version=0.0.4;charset=utf-8")
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await.map_err(told)?;
    if !answer.status().is_success() {
        return Err(format!("it answers with status {}", answer.status()));
    }
    if answer.headers().contains_key(CONTENT_ENCODING) {
        return Err("it answers in a coding that nobody asked for".into());
    }
    let body = Limited::new(answer.into_body(), longest).collect().await;
    connection.abort();
    let body = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => format!("its page is longer than {longest} bytes (--agent-scrape-bytes)"),
        false => error.to_string(),
    })?;
    String::from_utf8(body.to_bytes().into()).map_err(|_| "its page is not UTF-8".into())
}

/// What an application tells.
pub(super) struct Theirs {
    page: String,
    /// Names of its samples and families.
    names: HashSet<String>,
}

impl Theirs {
    fn new(page: String) -> Self {
        let names = page.lines().filter_map(name).map(str::to_owned).collect();
        Self { page, names }
    }

    /// One page: ours without what they tell too, and then theirs.
    pub(super) fn merged(self, ours: impl Iterator<Item = String>) -> impl Iterator<Item = String> {
        let Self { page, names } = self;
        let is_theirs = move |line: &str| name(line).is_some_and(|name| names.contains(name));
        let left = ours.map(move |piece| {
            let lines = piece.split_inclusive('\n');
            lines.filter(|line| !is_theirs(line)).collect()
        });
        // Who writes OpenMetrics ends with this, which text does not know.
        let theirs = page.lines().filter(|line| line.trim_end() != "# EOF");
        let mut theirs = theirs.collect::<Vec<_>>().join("\n");
        theirs.push('\n');
        left.chain(once(theirs))
    }
}

/// The name that a line is about, of a sample or of a family.
fn name(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let rest = match line.strip_prefix('#') {
        None => line,
        Some(comment) => {
            let comment = comment.trim_start();
            let family = comment
                .strip_prefix("TYPE ")
                .or_else(|| comment.strip_prefix("HELP "));
            family?.trim_start()
        }
    };
    let end = rest
        .find(|c: char| c == '{' || c.is_whitespace())
        .unwrap_or(rest.len());
    (end > 0).then(|| &rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_says_where() {
        for (text, want) in [
            (r#"{"scrape": "true"}"#, Ok(Some((80, "/metrics")))),
            (
                r#"{"scrape": "true", "path": "stats", "port": "15014"}"#,
                Ok(Some((15014, "/stats"))),
            ),
            (r#"{"scrape": "false", "port": "x"}"#, Ok(None)),
            (r#"{}"#, Ok(None)),
            (
                r#"{"scrape": "true", "port": "web"}"#,
                Err("`web` is no number"),
            ),
            (
                r#"{"scrape": "true", "path": "a b"}"#,
                Err("`a b` is no path"),
            ),
            ("x", Err("expected value")),
        ] {
            match (place(text), want) {
                (got, Ok(want)) => {
                    let want = want.map(|(port, path)| Place {
                        port,
                        path: PathAndQuery::from_static(path),
                    });
                    assert_eq!(got, Ok(want), "{text}");
                }
                (got, Err(want)) => assert!(got.unwrap_err().contains(want), "{text}"),
            }
        }
    }

    #[test]
    fn what_both_tell_is_the_applications() {
        let theirs =
            "# HELP a of theirs\n# TYPE a counter\na{x=\"1\"} 1\nh_bucket{le=\"1\"} 0\n# EOF\n";
        let ours = [
            "# TYPE a counter\na 2\n",
            "b 3\n# TYPE h_bucket gauge\nh_bucket 4\nh_bucket_total 5\n",
        ];
        let merged =
            Theirs::new(theirs.into()).merged(ours.iter().map(|piece| (*piece).to_owned()));
        assert_eq!(
            merged.collect::<String>(),
            "b 3\nh_bucket_total 5\n# HELP a of theirs\n# TYPE a counter\na{x=\"1\"} 1\nh_bucket{le=\"1\"} 0\n"
        );
    }

    #[test]
    fn lines_are_about_names() {
        for (line, want) in [
            ("a 1", Some("a")),
            ("a{b=\"c\"} 1", Some("a")),
            ("  a:b\t1", Some("a:b")),
            ("# TYPE a counter", Some("a")),
            ("#HELP a is", Some("a")),
            ("# a comment", None),
            ("", None),
        ] {
            assert_eq!(name(line), want, "{line}");
        }
    }
}
