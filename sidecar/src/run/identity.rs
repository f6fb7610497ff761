//! The identity in use: read again when its files change, and kept when what comes is no good.
//!
//! Owns the last good one, and what is told of it: that it was taken or refused, and that its time runs out. Whether it is
//! any good is decided by `outrigger_identity`; who uses it is told through [`Keeper::in_use`].

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use outrigger_core::peer::SpiffeId;
use outrigger_identity::{Allowed, Fault, Identity, Material, Remaining, Source, Stage, check};
use tracing::{error, info, warn};

/// Reads an identity again and again.
pub(super) struct Keeper {
    source: Box<dyn Source>,
    shared: Arc<Shared>,
    /// What was refused last, so that it is told once.
    refused: Option<Material>,
    /// How far the one in use was when that was told.
    told: Stage,
    /// It was taken, which nobody was told.
    is_news: bool,
}

/// What others may know of it at any time.
#[derive(Debug, Default)]
pub(super) struct Shared(Mutex<Known>);

/// What is known of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The one in use.
    pub(super) identity: Option<Arc<Identity>>,
    /// Why what came last was refused; `None` when it was taken.
    pub(super) refused: Option<String>,
    /// How often one was taken, the first included.
    pub(super) taken: u64,
    /// How often one was refused.
    pub(super) refusals: u64,
}

impl Shared {
    /// What is known now.
    pub(super) fn known(&self) -> Known {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Each change is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of looking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The one in use is as good as ever, or better than what came.
    Same,
    /// Another one is in use.
    Taken,
}

impl Keeper {
    pub(super) fn new(source: Box<dyn Source>) -> Self {
        Self {
            source,
            shared: Arc::default(),
            refused: None,
            told: Stage::Fresh,
            is_news: false,
        }
    }

    /// What is known of it, for whoever asks.
    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    /// What is to be watched.
    pub(super) fn watched(&self) -> Vec<PathBuf> {
        self.source.watched()
    }

    /// The one in use.
    pub(super) fn in_use(&self) -> Option<Arc<Identity>> {
        self.shared.lock().identity.clone()
    }

    /// Looks at its source, for a mesh of these trust domains. What is no good is told, and the one in use stays.
    ///
    /// # Errors
    /// What comes is no good, and there is none in use.
    pub(super) fn look(&mut self, trust_domains: &[&str]) -> Result<Look, Fault> {
        let now = SystemTime::now();
        let fetched = self.source.fetch();
        let in_use = self.in_use();
        if let (Ok(material), Some(identity)) = (&fetched, &in_use)
            && *material == identity.material
        {
            // The mesh may have got another name.
            let domain = SpiffeId::parse(&identity.id).map_or("", |id| id.trust_domain);
            if !trust_domains.contains(&domain) {
                let domains = trust_domains.join(", ");
                return Err(Fault::OtherTrustDomain(identity.id.clone(), domains));
            }
            self.refused = None;
            self.shared.lock().refused = None;
            return Ok(Look::Same);
        }
        let is_told = fetched
            .as_ref()
            .is_ok_and(|m| Some(m) == self.refused.as_ref());
        let came = fetched.as_ref().ok().cloned();
        match fetched.and_then(|material| check(material, Allowed { trust_domains }, now)) {
            Ok(identity) => {
                self.take(identity);
                Ok(Look::Taken)
            }
            Err(fault) if in_use.is_some() => {
                let text = fault.to_string();
                let mut known = self.shared.lock();
                if !is_told && known.refused.as_ref() != Some(&text) {
                    error!(target: "identity", "{text}; kept the one in use");
                    known.refusals += 1;
                }
                known.refused = Some(text);
                self.refused = came;
                Ok(Look::Same)
            }
            Err(fault) => Err(fault),
        }
    }

    fn take(&mut self, identity: Identity) {
        self.told = Stage::Fresh;
        self.refused = None;
        self.is_news = true;
        let mut known = self.shared.lock();
        known.identity = Some(Arc::new(identity));
        known.refused = None;
        known.taken += 1;
    }

    /// Tells that another one was taken, once connections are made with it.
    pub(super) fn tell_taken(&mut self, now: SystemTime) {
        let Some(identity) = self.in_use().filter(|_| self.is_news) else {
            return;
        };
        self.is_news = false;
        let left = Remaining::of(&identity.leaf, now);
        let (id, serial) = (&identity.id, &identity.leaf.serial);
        let (seconds, roots) = (left.left.as_secs(), identity.roots.len());
        let s = if roots == 1 { "" } else { "s" };
        info!(target: "identity", serial, seconds, roots, "took `{id}`, good for {seconds} s, with {roots} root{s}");
        self.tell_time(now);
    }

    /// Tells that time runs out, each stage once.
    pub(super) fn tell_time(&mut self, now: SystemTime) {
        let Some(identity) = self.in_use() else {
            return;
        };
        let Remaining { left, stage } = Remaining::of(&identity.leaf, now);
        if stage <= self.told {
            return;
        }
        self.told = stage;
        let (id, seconds, what) = (&identity.id, left.as_secs(), stage.words());
        match stage {
            Stage::Fresh => {}
            Stage::Due => info!(target: "identity", seconds, "the certificate of `{id}` {what}"),
            Stage::Late => warn!(target: "identity", seconds, "the certificate of `{id}` {what}"),
            Stage::Urgent | Stage::Over => {
                error!(target: "identity", seconds, "the certificate of `{id}` {what}");
            }
        }
    }
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper")
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use outrigger_identity::authority::Authority;
    use outrigger_identity::pem_material;

    use super::*;

    /// Gives what it was last given.
    struct Given(Arc<Mutex<Option<Material>>>);

    impl Source for Given {
        fn fetch(&mut self) -> Result<Material, Fault> {
            let given = self.0.lock().unwrap().clone();
            given.ok_or_else(|| Fault::NothingIn("given".into()))
        }

        fn watched(&self) -> Vec<PathBuf> {
            Vec::new()
        }
    }

    fn material(authority: &Authority, now: SystemTime) -> Material {
        let day = Duration::from_secs(86_400);
        let issued = authority.issue("shop", "cart", now, day).unwrap();
        let root = authority.root(now, day).unwrap();
        pem_material(&issued.chain, &issued.key, &root).unwrap()
    }

    #[test]
    fn the_last_good_one_stays() {
        let now = SystemTime::now();
        let given = Arc::new(Mutex::new(None));
        let mut keeper = Keeper::new(Box::new(Given(Arc::clone(&given))));
        let give = |material: Option<Material>| *given.lock().unwrap() = material;
        assert!(keeper.look(&["td"]).is_err(), "there is none yet");
        let authority = Authority::new("td").unwrap();
        let first = material(&authority, now);
        give(Some(first.clone()));
        assert_eq!(keeper.look(&["td"]).unwrap(), Look::Taken);
        assert_eq!(keeper.look(&["td"]).unwrap(), Look::Same);
        // Of another mesh, and nothing at all.
        give(Some(material(&Authority::new("other").unwrap(), now)));
        for _ in 0..2 {
            assert_eq!(keeper.look(&["td"]).unwrap(), Look::Same);
        }
        give(None);
        assert_eq!(keeper.look(&["td"]).unwrap(), Look::Same);
        let known = keeper.shared().known();
        assert_eq!((known.taken, known.refusals), (1, 2));
        assert!(known.refused.is_some());
        assert_eq!(known.identity.unwrap().material, first);
        give(Some(material(&authority, now)));
        assert_eq!(keeper.look(&["td"]).unwrap(), Look::Taken);
        let known = keeper.shared().known();
        assert_eq!((known.taken, known.refused), (2, None));
    }

    #[test]
    fn time_that_runs_out_is_told_once_a_stage() {
        let now = SystemTime::now();
        let authority = Authority::new("td").unwrap();
        let given = Arc::new(Mutex::new(Some(material(&authority, now))));
        let mut keeper = Keeper::new(Box::new(Given(given)));
        keeper.look(&["td"]).unwrap();
        for (hours, stage) in [
            (1, Stage::Fresh),
            (13, Stage::Due),
            (14, Stage::Due),
            (20, Stage::Late),
            (23, Stage::Urgent),
            (25, Stage::Over),
        ] {
            keeper.tell_time(now + Duration::from_secs(hours * 3_600));
            assert_eq!(keeper.told, stage, "after {hours} h");
        }
    }
}
