//! Tokens that this worker has accepted, so that each is checked once.
//!
//! Owns the cache and its bounds; who accepts which token is decided by `policy::jwt`. Only accepted tokens are kept, so
//! nobody fills it without a key. It is forgotten with the snapshot: keys and rules may have changed.

use core::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::cluster::JwtEvent;
use crate::jose::{CheckSignature, TokenFault};
use crate::policy::jwt::{self, Accepted, CLOCK_SKEW, NotAccepted};
use crate::snapshot::{RequestAuthentication, TokenLocation};
use crate::xxhash::xxh64;

/// Longer tokens are not kept, in bytes (Envoy's `jwt_max_token_size`).
const MAX_KEPT: usize = 4096;

/// How many tokens (JWT) are looked at, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenLimits {
    /// Of one request. One with more is not let in: each costs the check of a signature.
    pub tokens: usize,
    /// Bytes of each; at most [`MAX_TOKEN`](crate::jose::MAX_TOKEN).
    pub bytes: usize,
}

impl Default for TokenLimits {
    fn default() -> Self {
        Self {
            tokens: 8,
            bytes: 16 * 1024,
        }
    }
}

/// What a worker knows of tokens.
#[derive(Debug)]
pub(crate) struct Tokens {
    check: Option<CheckSignature>,
    limits: TokenLimits,
    /// Seconds since 1970.
    now: Cell<u64>,
    cache: RefCell<Cache>,
}

impl Tokens {
    /// At most `most` tokens are kept.
    pub(super) fn new(check: Option<CheckSignature>, most: usize, limits: TokenLimits) -> Self {
        Self {
            check,
            limits,
            now: Cell::default(),
            cache: RefCell::new(Cache {
                most,
                ..Cache::default()
            }),
        }
    }

    /// How many are looked at, and how long.
    pub(crate) const fn limits(&self) -> TokenLimits {
        self.limits
    }

    /// The time by the calendar, in seconds since 1970.
    pub(super) fn set_time(&self, now: u64) {
        self.now.set(now);
    }

    /// Rules and keys are others from now on.
    pub(super) fn forget(&self) {
        let mut cache = self.cache.borrow_mut();
        *cache = Cache {
            most: cache.most,
            ..Cache::default()
        };
    }

    /// Whether a token is accepted at a place.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn verify(
        &self,
        auth: &RequestAuthentication,
        location: &TokenLocation,
        text: &[u8],
    ) -> Result<Rc<Accepted>, NotAccepted> {
        if text.len() > self.limits.bytes {
            auth.counts.count(JwtEvent::TooLong);
            let fault = TokenFault::TooLong;
            return Err(NotAccepted { fault, rule: None });
        }
        let now = self.now.get();
        let hash = xxh64(text, 0);
        let known = self.cache.borrow_mut().find(hash, text);
        if let Some(known) = known.filter(|known| location.rules.contains(&known.rule)) {
            auth.counts.count(JwtEvent::CacheHit);
            let in_time = known.token.check_time(now, CLOCK_SKEW);
            return match in_time {
                Ok(()) => Ok(known),
                Err(fault) => Err(NotAccepted {
                    fault,
                    rule: Some(known.rule),
                }),
            };
        }
        auth.counts.count(JwtEvent::CacheMiss);
        let accepted = Rc::new(jwt::verify(auth, location, text, now, self.check)?);
        if text.len() <= MAX_KEPT
            && self
                .cache
                .borrow_mut()
                .keep(hash, text, Rc::clone(&accepted))
        {
            auth.counts.count(JwtEvent::CacheEvicted);
        }
        Ok(accepted)
    }
}

/// Accepted tokens by a hash of their text. The one that goes is the first that nobody has asked for since the last time round.
#[derive(Debug, Default)]
struct Cache {
    most: usize,
    places: BTreeMap<u64, usize>,
    kept: Vec<Kept>,
    hand: usize,
}

#[derive(Debug)]
struct Kept {
    hash: u64,
    text: Box<[u8]>,
    accepted: Rc<Accepted>,
    was_asked_for: bool,
}

impl Cache {
    fn find(&mut self, hash: u64, text: &[u8]) -> Option<Rc<Accepted>> {
        let kept = &mut self.kept[*self.places.get(&hash)?];
        if *kept.text != *text {
            return None;
        }
        kept.was_asked_for = true;
        Some(Rc::clone(&kept.accepted))
    }

    /// Keeps a token. Whether another one goes for it.
    fn keep(&mut self, hash: u64, text: &[u8], accepted: Rc<Accepted>) -> bool {
        if self.most == 0 {
            return false;
        }
        let new = Kept {
            hash,
            text: text.into(),
            accepted,
            was_asked_for: false,
        };
        // The same text at a place of other rules, or another text of the same hash.
        if let Some(at) = self.places.get(&hash) {
            self.kept[*at] = new;
            return false;
        }
        if self.kept.len() < self.most {
            self.places.insert(hash, self.kept.len());
            self.kept.push(new);
            return false;
        }
        while core::mem::take(&mut self.kept[self.hand].was_asked_for) {
            self.hand = (self.hand + 1) % self.most;
        }
        let old = core::mem::replace(&mut self.kept[self.hand], new);
        self.places.remove(&old.hash);
        self.places.insert(hash, self.hand);
        self.hand = (self.hand + 1) % self.most;
        true
    }
}

#[cfg(test)]
mod tests;
