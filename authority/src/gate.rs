//! The gate before a service: who comes in has proved who he is, by the certificate of his connection or by a token.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use http::header::AUTHORIZATION;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;
use tracing::{debug, warn};

use crate::accept::Peer;
use crate::caller::{Caller, Refused, Reviewer};
use crate::counts::Counts;
use crate::limits::Limits;
use crate::reviewed::Reviewed;

/// Longest token that is looked at: those of Kubernetes have some 1,200 bytes.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Lets those through who have proved who they are, with a [`Caller`] in their request's extensions. A token goes before a
/// certificate, and one that is no good is not made good by a certificate beside it.
#[derive(Clone)]
pub struct Gate<S> {
    inner: S,
    keeper: Arc<Keeper>,
}

impl<S> std::fmt::Debug for Gate<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a gate")
    }
}

/// Who decides at a gate; several gates may have one.
pub struct Keeper {
    reviewed: Reviewed,
    limits: Limits,
    counts: Arc<Counts>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the keeper of a gate")
    }
}

impl Keeper {
    /// One who asks `reviewer` about tokens.
    #[must_use]
    pub fn new(reviewer: Arc<dyn Reviewer>, limits: Limits, counts: Arc<Counts>) -> Self {
        Self {
            reviewed: Reviewed::new(reviewer, &limits, Arc::clone(&counts)),
            limits,
            counts,
        }
    }

    /// Who sends a request with this head, and until when whoever serves it may believe that.
    ///
    /// # Errors
    /// He has not proved it, or nobody can say.
    pub async fn who(&self, head: &http::request::Parts) -> Result<Caller, Refused> {
        let now = SystemTime::now();
        let peer = head.extensions.get::<Peer>();
        let mut tokens = head.headers.get_all(AUTHORIZATION).iter();
        let found = match (tokens.next(), tokens.next()) {
            (Some(value), None) => self.by_token(bearer(value)?, now).await,
            (Some(_), Some(_)) => Err(Refused::NotProved("there are two tokens".into())),
            (None, _) => match peer.and_then(|peer| peer.caller.as_ref()) {
                Some(caller) if caller.until > Some(now) => Ok(caller.clone()),
                Some(_) => Err(Refused::NotProved(
                    "the certificate of this connection is over".into(),
                )),
                None => Err(Refused::NotProved(
                    "neither a token (authorization: Bearer) nor a certificate of this mesh".into(),
                )),
            },
        };
        let counter = match &found {
            Ok(caller) => {
                if let Some(peer) = peer {
                    peer.prove();
                }
                let until = caller.until.map(|until| some_time(now, until, chance()));
                return found.map(|caller| Caller { until, ..caller });
            }
            Err(Refused::NotProved(_)) => &self.counts.not_proved,
            Err(Refused::Unknown(_)) => &self.counts.unknown,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    async fn by_token(&self, token: &str, now: SystemTime) -> Result<Caller, Refused> {
        let limit = self.limits.review_timeout;
        let review = tokio::time::timeout(limit, self.reviewed.review(token));
        let Ok(found) = review.await else {
            let why = format!(
                "nobody has said within {} s whose token this is",
                limit.as_secs()
            );
            return Err(Refused::Unknown(why));
        };
        let again = now.checked_add(self.limits.token_recheck);
        found.map(|caller| {
            let until = caller.until.into_iter().chain(again).min();
            Caller { until, ..caller }
        })
    }
}

/// A time in the last tenth of what is left, by chance, so that those who came together do not all have to come again at once.
fn some_time(now: SystemTime, until: SystemTime, chance: u64) -> SystemTime {
    let tenth = until.duration_since(now).unwrap_or_default() / 10;
    let nanos = (tenth.as_nanos() * u128::from(chance)) >> 64;
    until - Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

/// A random number. Without one nobody's time is shortened.
fn chance() -> u64 {
    let mut bytes = [0; 8];
    let filled = aws_lc_rs::rand::fill(&mut bytes);
    filled.map_or(0, |()| u64::from_ne_bytes(bytes))
}

/// The token of a header.
fn bearer(value: &http::HeaderValue) -> Result<&str, Refused> {
    let no = |why: &str| Refused::NotProved(why.to_owned());
    let text = value.to_str().map_err(|_| no("the token is no text"))?;
    let (scheme, token) = text
        .split_once(' ')
        .ok_or_else(|| no("authorization is no token"))?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Err(no("authorization is no token: it is `Bearer TOKEN`"));
    }
    if token.len() > MAX_TOKEN_BYTES {
        return Err(no("the token is too long"));
    }
    Ok(token)
}

impl<S> Gate<S> {
    /// A gate before a service.
    pub const fn new(inner: S, keeper: Arc<Keeper>) -> Self {
        Self { inner, keeper }
    }
}

impl<S: NamedService> NamedService for Gate<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<http::Request<B>> for Gate<S>
where
    S: Service<http::Request<B>, Response = http::Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let keeper = Arc::clone(&self.keeper);
        // The one that was found ready.
        let other = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, other);
        Box::pin(async move {
            let (mut head, body) = request.into_parts();
            let status = match keeper.who(&head).await {
                Ok(caller) => {
                    head.extensions.insert(caller);
                    return inner.call(http::Request::from_parts(head, body)).await;
                }
                Err(Refused::NotProved(why)) => {
                    debug!(target: "authority", "sent somebody away: {why}");
                    Status::unauthenticated(why)
                }
                Err(Refused::Unknown(why)) => {
                    warn!(target: "authority", "{why}");
                    Status::unavailable(why)
                }
            };
            Ok(status.into_http())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::{Proof, Reviewing};

    struct Nobody;

    impl Reviewer for Nobody {
        fn review<'a>(&'a self, token: &'a str) -> Reviewing<'a> {
            Box::pin(async move { Err(Refused::NotProved(format!("asked about {token}"))) })
        }
    }

    #[tokio::test]
    async fn proofs_are_looked_at_in_their_order() {
        let keeper = Keeper::new(Arc::new(Nobody), Limits::default(), Arc::default());
        let hour = Duration::from_secs(3_600);
        let now = SystemTime::now();
        let long = format!("Bearer {}", "x".repeat(MAX_TOKEN_BYTES + 1));
        for (values, until, words) in [
            (&[][..], None, "neither a token"),
            (&[], Some(now + hour), "cart"),
            (&[], Some(now - hour), "is over"),
            (&["Bearer a"], None, "asked about a"),
            (&["bearer   a "], Some(now + hour), "asked about a"),
            (&["Bearer a", "Bearer b"], Some(now + hour), "two tokens"),
            (&["Basic a"], Some(now + hour), "is no token"),
            (&["Bearer"], None, "is no token"),
            (&["Bearer  "], None, "is no token"),
            (&[long.as_str()], None, "too long"),
        ] {
            let mut request = http::Request::new(());
            for value in values {
                let value = http::HeaderValue::from_str(value).unwrap();
                request.headers_mut().append(AUTHORIZATION, value);
            }
            if let Some(until) = until {
                let caller = Caller::new("shop", "cart", Proof::Certificate).unwrap();
                let addr = ([127, 0, 0, 1], 1).into();
                let peer = Peer::new(addr, Some(caller.until(until)));
                request.extensions_mut().insert(peer);
            }
            let (head, ()) = request.into_parts();
            let found = keeper.who(&head).await;
            let told = found.map_or_else(|why| why.to_string(), |caller| caller.service_account);
            assert!(told.contains(words), "{values:?} {until:?}: {told}");
        }
    }

    /// Knows everybody, some until a time.
    struct Everybody(Option<SystemTime>);

    impl Reviewer for Everybody {
        fn review<'a>(&'a self, _token: &'a str) -> Reviewing<'a> {
            let caller = Caller::new("shop", "cart", Proof::Token);
            let until = self.0;
            Box::pin(async move { caller.map(|caller| Caller { until, ..caller }) })
        }
    }

    #[tokio::test]
    async fn nobody_is_believed_for_ever() {
        let limits = Limits::default();
        let minute = Duration::from_secs(60);
        let hour = limits.token_recheck;
        let now = SystemTime::now();
        // Until when the token says to be good, a certificate if that is what is shown, and how long who shows it is believed.
        for (token, certificate, most) in [
            (Some(None), None, hour),
            (Some(Some(now + 5 * minute)), None, 5 * minute),
            (Some(Some(now + 48 * hour)), None, hour),
            (Some(None), Some(now + minute), hour),
            (None, Some(now + minute), minute),
            (None, Some(now + 48 * hour), 48 * hour),
        ] {
            let reviewer = Arc::new(Everybody(token.flatten()));
            let keeper = Keeper::new(reviewer, limits, Arc::default());
            let mut request = http::Request::new(());
            if token.is_some() {
                let value = http::HeaderValue::from_static("Bearer a");
                request.headers_mut().append(AUTHORIZATION, value);
            }
            if let Some(until) = certificate {
                let caller = Caller::new("shop", "cart", Proof::Certificate).unwrap();
                let peer = Peer::new(([127, 0, 0, 1], 1).into(), Some(caller.until(until)));
                request.extensions_mut().insert(peer);
            }
            let (head, ()) = request.into_parts();
            let until = keeper.who(&head).await.unwrap().until.unwrap();
            let left = until.duration_since(now).unwrap();
            let clock = SystemTime::now().duration_since(now).unwrap();
            assert!(left <= most + clock, "{token:?} {certificate:?}: {left:?}");
            assert!(left >= most / 10 * 9, "{token:?} {certificate:?}: {left:?}");
        }
    }

    #[test]
    fn ends_are_spread_over_the_last_tenth() {
        let now = SystemTime::now();
        let second = Duration::from_secs(1);
        for (left, chance, end) in [
            (100, 0, 100.0),
            (100, u64::MAX / 2 + 1, 95.0),
            (100, u64::MAX, 90.0),
            (0, u64::MAX, 0.0),
        ] {
            let until = some_time(now, now + left * second, chance);
            let got = until.duration_since(now).unwrap().as_secs_f64();
            assert!((got - end).abs() < 0.001, "{left} {chance}: {got}");
        }
    }
}
