//! Renewal in virtual time, against an authority by the book that also does what no book allows.

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use outrigger_xds::certificates::CertificateRequest;
use outrigger_xds::channel::{Address, Target};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, IsCa, Issuer, KeyPair,
    SanType,
};
use tokio::time::{Instant, sleep};

use super::ask::{Ask, Proof};
use super::held::Held;
use super::renewer::Renewer;
use super::{KeyKind, Settings};
use crate::source::Source as _;

const CART: &str = "spiffe://td/ns/shop/sa/cart";

const HOUR: Duration = Duration::from_secs(3_600);

const DAY: Duration = Duration::from_secs(86_400);

/// When everything begins.
fn begin() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// A clock that goes with tokio's.
fn clock() -> Arc<dyn Fn() -> SystemTime + Send + Sync> {
    let since = Instant::now();
    Arc::new(move || begin() + since.elapsed())
}

/// An authority.
struct Book {
    issuer: Issuer<'static, KeyPair>,
    root: String,
}

impl Book {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.not_before = (begin() - DAY).into();
        params.not_after = (begin() + 3_650 * DAY).into();
        let root = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            root,
        }
    }

    fn sign(&self, csr: &str, id: &str, from: SystemTime, life: Duration) -> String {
        let mut csr = CertificateSigningRequestParams::from_pem(csr).unwrap();
        csr.params.subject_alt_names = vec![SanType::URI(id.try_into().unwrap())];
        csr.params.not_before = from.into();
        csr.params.not_after = (from + life).into();
        csr.signed_by(&self.issuer).unwrap().pem()
    }
}

/// What an authority does.
#[derive(Clone, Copy, Debug)]
enum Manner {
    Good,
    Refuses(&'static str),
    Nothing,
    OneElement,
    OtherId(&'static str),
    Expired,
    OtherRoot,
    OtherKey,
    Rubbish,
    Slow,
}

/// The authority at the other end, and what it was asked.
struct Played {
    book: Book,
    manner: RefCell<Manner>,
    life: Duration,
    now: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    asked: RefCell<Vec<(SystemTime, String)>>,
}

impl Ask for &Played {
    async fn ask(
        &self,
        request: CertificateRequest,
        proof: Proof,
        cluster: &str,
    ) -> Result<Vec<String>, String> {
        assert_eq!(cluster, "east");
        let now = (self.now)();
        let proof = match proof {
            Proof::Token(token) => token,
            Proof::Certificate(_) => "certificate".to_owned(),
        };
        self.asked.borrow_mut().push((now, proof));
        let manner = *self.manner.borrow();
        let sign = |id| self.book.sign(&request.csr, id, now, self.life);
        let root = self.book.root.clone();
        match manner {
            Manner::Good => Ok(vec![sign(CART), root]),
            Manner::Refuses(why) => Err(why.to_owned()),
            Manner::Nothing => Ok(Vec::new()),
            Manner::OneElement => Ok(vec![sign(CART)]),
            Manner::OtherId(id) => Ok(vec![sign(id), root]),
            Manner::Expired => {
                let old = now - 2 * DAY;
                Ok(vec![self.book.sign(&request.csr, CART, old, DAY), root])
            }
            Manner::OtherRoot => Ok(vec![sign(CART), Book::new().root]),
            Manner::OtherKey => {
                let (csr, _) = super::key::request(KeyKind::Ecdsa, None).unwrap();
                Ok(vec![self.book.sign(&csr, CART, now, self.life), root])
            }
            Manner::Rubbish => Ok(vec!["rubbish".into(), root]),
            Manner::Slow => {
                sleep(20 * DAY).await;
                Err("late".into())
            }
        }
    }
}

struct Stage {
    played: Played,
    held: Held,
    told: Arc<AtomicUsize>,
    token: PathBuf,
}

impl Stage {
    fn new(name: &str, life: Duration) -> Self {
        let token = format!("outrigger-csr-{name}-{}", std::process::id());
        let token = std::env::temp_dir().join(token);
        std::fs::write(&token, "one\n").unwrap();
        Self {
            played: Played {
                book: Book::new(),
                manner: RefCell::new(Manner::Good),
                life,
                now: clock(),
                asked: RefCell::default(),
            },
            held: Held::default(),
            told: Arc::default(),
            token,
        }
    }

    fn renewer(&self, id: Option<&str>) -> Renewer<&Played> {
        let told = Arc::clone(&self.told);
        let address = Address::parse("ca.mesh:15012").unwrap();
        Renewer {
            ask: &self.played,
            settings: Settings {
                target: Target::new(address, Arc::new(|| Ok(Vec::new()))),
                token: self.token.clone(),
                id: id.map(str::to_owned),
                cluster: "east".into(),
                key: KeyKind::Ecdsa,
                lifetime: DAY,
            },
            held: self.held.clone(),
            tell: Box::new(move || {
                told.fetch_add(1, Ordering::Relaxed);
            }),
            now: Arc::clone(&self.played.now),
        }
    }

    /// Plays for so long.
    async fn play(&self, renewer: Renewer<&Played>, time: Duration) {
        tokio::select! {
            () = renewer.serve() => {}
            () = sleep(time) => {}
        }
    }

    /// How many seconds lie between questions.
    fn pauses(&self) -> Vec<f64> {
        let asked = self.played.asked.borrow();
        let pairs = asked.windows(2);
        pairs
            .map(|pair| pair[1].0.duration_since(pair[0].0).unwrap().as_secs_f64())
            .collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.token);
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_is_renewed_at_half_of_its_life() {
    let stage = Stage::new("half", DAY);
    stage.play(stage.renewer(None), 5 * DAY).await;
    let pauses = stage.pauses();
    assert!((9..=10).contains(&pauses.len()), "{pauses:?}");
    for pause in pauses {
        assert!((42_336.0..=44_065.0).contains(&pause), "{pause}");
    }
    let asked = stage.played.asked.borrow().len();
    assert_eq!(stage.told.load(Ordering::Relaxed), asked);
    assert_eq!(
        (stage.held.counts().given(), stage.held.counts().failed()),
        (asked as u64, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_good_one_stays_while_there_is_no_newer_one() {
    let stage = Stage::new("stays", DAY);
    let change = async {
        sleep(HOUR).await;
        let first = stage.held.clone().fetch().unwrap();
        *stage.played.manner.borrow_mut() = Manner::Refuses("Unavailable: gone");
        sleep(14 * HOUR).await;
        assert_eq!(stage.held.clone().fetch().unwrap(), first);
        let fault = stage.held.fault().unwrap();
        assert!(fault.contains("gone"), "{fault}");
        assert!(stage.held.counts().failed() > 100);
        let before = stage.played.asked.borrow().len();
        *stage.played.manner.borrow_mut() = Manner::Good;
        // The longest pause between two tries, and a little.
        sleep(Duration::from_secs(31)).await;
        assert_ne!(stage.held.clone().fetch().unwrap(), first);
        assert_eq!(stage.held.fault(), None);
        assert_eq!(stage.played.asked.borrow().len(), before + 1);
    };
    tokio::select! {
        () = stage.renewer(None).serve() => {}
        () = change => {}
    }
    // Never at once, and never later than the longest pause.
    let pauses = stage.pauses();
    let tries = &pauses[1..pauses.len() - 1];
    assert!(
        tries.iter().all(|pause| (0.05..=30.01).contains(pause)),
        "{tries:?}"
    );
    assert!(tries[0] <= 0.51, "{tries:?}");
}

#[tokio::test(start_paused = true)]
async fn answers_that_are_none_are_said_and_not_held() {
    for (at, (manner, words)) in [
        (Manner::Refuses("PermissionDenied: no"), "PermissionDenied"),
        (Manner::Nothing, "the answer is empty"),
        (Manner::OneElement, "one certificate alone"),
        (
            Manner::OtherId("spiffe://td/ns/shop/sa/other"),
            "the answer is for",
        ),
        (
            Manner::OtherId("spiffe://other/ns/shop/sa/cart"),
            "the answer is for",
        ),
        (Manner::OtherId("https://td/cart"), "https://td/cart"),
        (Manner::Expired, "expired"),
        (Manner::OtherRoot, "does not lead to the roots"),
        (Manner::OtherKey, "not the one of the certificate"),
        (Manner::Rubbish, "no certificate"),
    ]
    .into_iter()
    .enumerate()
    {
        let stage = Stage::new(&format!("none-{at}"), DAY);
        *stage.played.manner.borrow_mut() = manner;
        stage
            .play(stage.renewer(Some(CART)), Duration::from_secs(60))
            .await;
        let fault = stage.held.fault().unwrap();
        assert!(fault.contains(words), "{manner:?}: {fault}");
        assert!(!stage.held.is_here(), "{manner:?}");
        assert_eq!(stage.told.load(Ordering::Relaxed), 0);
        let error = stage.held.clone().fetch().unwrap_err().to_string();
        assert!(error.contains(words), "{manner:?}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_it_is_does_not_change_while_it_runs() {
    let stage = Stage::new("same", DAY);
    let change = async {
        sleep(HOUR).await;
        let first = stage.held.clone().fetch().unwrap();
        *stage.played.manner.borrow_mut() = Manner::OtherId("spiffe://td/ns/shop/sa/admin");
        sleep(12 * HOUR).await;
        assert_eq!(stage.held.clone().fetch().unwrap(), first);
        assert!(stage.held.fault().unwrap().contains("sa/admin"));
    };
    tokio::select! {
        () = stage.renewer(None).serve() => {}
        () = change => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_is_read_for_each_question_and_a_certificate_is_shown_without_one() {
    let stage = Stage::new("token", DAY);
    let change = async {
        sleep(HOUR).await;
        std::fs::write(&stage.token, "two\n").unwrap();
        sleep(12 * HOUR).await;
        std::fs::remove_file(&stage.token).unwrap();
        sleep(12 * HOUR).await;
    };
    tokio::select! {
        () = stage.renewer(None).serve() => {}
        () = change => {}
    }
    let asked = stage.played.asked.take();
    let proofs: Vec<&str> = asked.iter().map(|(_, proof)| &**proof).collect();
    assert_eq!(proofs, ["one", "two", "certificate"]);
    // Without either nobody is asked.
    let stage = Stage::new("no-token", DAY);
    std::fs::remove_file(&stage.token).unwrap();
    stage
        .play(stage.renewer(None), Duration::from_secs(60))
        .await;
    assert!(stage.played.asked.borrow().is_empty());
    assert!(
        stage
            .held
            .fault()
            .unwrap()
            .contains("cannot read the token")
    );
    std::fs::write(&stage.token, " \n").unwrap();
    stage
        .play(stage.renewer(None), Duration::from_secs(60))
        .await;
    assert!(stage.held.fault().unwrap().contains("is empty"));
}

#[tokio::test(start_paused = true)]
async fn an_authority_that_does_not_answer_leaves_what_is_held() {
    let stage = Stage::new("slow", DAY);
    let change = async {
        sleep(HOUR).await;
        *stage.played.manner.borrow_mut() = Manner::Slow;
        sleep(5 * DAY).await;
        assert!(stage.held.is_here());
        assert_eq!(stage.played.asked.borrow().len(), 2);
    };
    tokio::select! {
        () = stage.renewer(None).serve() => {}
        () = change => {}
    }
}

#[test]
fn old_and_new_roots_are_both_held() {
    let (old, new) = (Book::new(), Book::new());
    let (csr, key) = super::key::request(KeyKind::Rsa, Some(CART)).unwrap();
    let leaf = new.sign(&csr, CART, begin(), DAY);
    let bundle = format!("{}{}", old.root, new.root);
    let now = begin() + HOUR;
    let identity = super::answer::take(&[leaf, bundle], key, Some(CART), now).unwrap();
    assert_eq!(identity.roots.len(), 2);
    assert_eq!(identity.id, CART);
}

/// Two clones are one: whoever asks finds what was put.
#[test]
fn clones_hold_the_same() {
    let held = Held::default();
    let other = Mutex::new(held.clone());
    held.failed("why");
    assert_eq!(other.lock().unwrap().fault().as_deref(), Some("why"));
}
