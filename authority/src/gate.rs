//! The gate before a service: who comes in has proved who he is, by the certificate of his connection or by a token.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::SystemTime;

use http::header::AUTHORIZATION;
use tokio::sync::Semaphore;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service};
use tonic::server::NamedService;
use tracing::{debug, warn};

use crate::accept::Peer;
use crate::caller::{Caller, Refused, Reviewer};
use crate::counts::Counts;
use crate::limits::Limits;

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
    reviewer: Arc<dyn Reviewer>,
    reviews: Semaphore,
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
            reviewer,
            reviews: Semaphore::new(limits.max_reviews),
            limits,
            counts,
        }
    }

    /// Who sends a request with this head.
    ///
    /// # Errors
    /// He has not proved it, or nobody can say.
    pub async fn who(&self, head: &http::request::Parts) -> Result<Caller, Refused> {
        let mut tokens = head.headers.get_all(AUTHORIZATION).iter();
        let found = match (tokens.next(), tokens.next()) {
            (Some(value), None) => self.by_token(bearer(value)?).await,
            (Some(_), Some(_)) => Err(Refused::NotProved("there are two tokens".into())),
            (None, _) => match head.extensions.get::<Peer>() {
                Some(Peer {
                    caller: Some((caller, until)),
                    ..
                }) if *until > SystemTime::now() => Ok(caller.clone()),
                Some(Peer {
                    caller: Some(_), ..
                }) => Err(Refused::NotProved(
                    "the certificate of this connection is over".into(),
                )),
                _ => Err(Refused::NotProved(
                    "neither a token (authorization: Bearer) nor a certificate of this mesh".into(),
                )),
            },
        };
        let counter = match &found {
            Ok(_) => return found,
            Err(Refused::NotProved(_)) => &self.counts.not_proved,
            Err(Refused::Unknown(_)) => &self.counts.unknown,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        found
    }

    async fn by_token(&self, token: &str) -> Result<Caller, Refused> {
        let review = async {
            // It is never closed.
            let _turn = self.reviews.acquire().await;
            self.reviewer.review(token).await
        };
        let limit = self.limits.review_timeout;
        tokio::time::timeout(limit, review)
            .await
            .unwrap_or_else(|_| {
                let why = format!(
                    "nobody has said within {} s whose token this is",
                    limit.as_secs()
                );
                Err(Refused::Unknown(why))
            })
    }
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
    use std::time::Duration;

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
                let caller = Some((caller, until));
                request.extensions_mut().insert(Peer { addr, caller });
            }
            let (head, ()) = request.into_parts();
            let found = keeper.who(&head).await;
            let told = found.map_or_else(|why| why.to_string(), |caller| caller.service_account);
            assert!(told.contains(words), "{values:?} {until:?}: {told}");
        }
    }
}
