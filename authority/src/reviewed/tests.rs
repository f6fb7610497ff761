//! Answers that are kept against a plain list of all that came, and who waits for whom.

use std::sync::atomic::AtomicUsize;

use proptest::prelude::*;
use tokio::sync::Notify;

use super::*;
use crate::caller::{Proof, Reviewing};

fn limits() -> Limits {
    Limits {
        good_for: Duration::from_secs(10),
        bad_for: Duration::from_secs(2),
        max_kept: 4,
        ..Limits::default()
    }
}

fn cart() -> Caller {
    Caller::new("shop", "cart", Proof::Token).unwrap()
}

fn bad() -> Found {
    Err(Refused::NotProved("no".into()))
}

fn unknown() -> Found {
    Err(Refused::Unknown("nobody answers".into()))
}

#[test]
fn an_answer_is_kept_for_its_time_and_no_longer() {
    let start = Instant::now();
    let at = SystemTime::now();
    let second = Duration::from_secs(1);
    let ends = cart().until(at + 3 * second);
    for (found, after, is_kept) in [
        (Ok(cart()), 0, true),
        (Ok(cart()), 9, true),
        (Ok(cart()), 10, false),
        (Ok(ends.clone()), 2, true),
        (Ok(ends), 3, false),
        (bad(), 1, true),
        (bad(), 2, false),
        (unknown(), 0, false),
    ] {
        let mut memory = Memory::new(&limits());
        memory.keep([1; 32], &found, start);
        let got = memory.get(&[1; 32], start + after * second, at + after * second);
        assert_eq!(got, is_kept.then(|| found.clone()), "{found:?} {after}");
        assert_eq!(memory.get(&[2; 32], start, at), None);
    }
    let long = Err(Refused::NotProved("é".repeat(10_000)));
    let mut memory = Memory::new(&limits());
    memory.keep([1; 32], &long, start);
    let kept = memory.get(&[1; 32], start, at).unwrap().unwrap_err();
    assert_eq!(kept.to_string().chars().count(), REASON);
}

proptest! {
    /// Whatever comes in whatever order: what is found is what came last, and within its time; nothing is missed that may be
    /// there; and no more is kept than is allowed.
    #[test]
    fn what_is_kept_is_what_came_last(
        steps in prop::collection::vec((0..8_u8, 0..3_u8, 0..3_000_u64), 0..80),
    ) {
        let limits = limits();
        let at = SystemTime::now();
        let mut now = Instant::now();
        let mut memory = Memory::new(&limits);
        let mut came: Vec<(Instant, u8, u8)> = Vec::new();
        for (token, kind, pause) in steps {
            now += Duration::from_millis(pause);
            let found = [Ok(cart()), bad(), unknown()][usize::from(kind)].clone();
            memory.keep([token; 32], &found, now);
            came.push((now, token, kind));
            for token in 0..8 {
                let got = memory.get(&[token; 32], now, at);
                let Some(last) = came.iter().rposition(|(_, of, _)| *of == token) else {
                    prop_assert_eq!(got, None);
                    continue;
                };
                let (since, _, kind) = came[last];
                let time = [limits.good_for, limits.bad_for, Duration::ZERO][usize::from(kind)];
                let later = came[last + 1..].iter().filter(|(_, _, of)| *of == kind).count();
                match got {
                    Some(found) => {
                        prop_assert!(now - since < time);
                        prop_assert_eq!(found.is_ok(), kind == 0);
                    }
                    None => prop_assert!(now - since >= time || later >= limits.max_kept),
                }
            }
            prop_assert!(memory.good.order.len() <= limits.max_kept);
            prop_assert!(memory.good.kept.len() <= memory.good.order.len());
            prop_assert!(memory.bad.order.len() <= limits.max_kept);
            prop_assert!(memory.bad.kept.len() <= memory.bad.order.len());
        }
    }
}

/// Answers when it is told to, and counts how often it was asked.
#[derive(Default)]
struct Slow {
    asked: AtomicUsize,
    begun: Notify,
    go: Notify,
}

impl Reviewer for Slow {
    fn review<'a>(&'a self, token: &'a str) -> Reviewing<'a> {
        Box::pin(async move {
            self.asked.fetch_add(1, Ordering::SeqCst);
            self.begun.notify_one();
            self.go.notified().await;
            match token {
                "good" => Ok(cart()),
                "bad" => bad(),
                _ => unknown(),
            }
        })
    }
}

fn stage() -> (Arc<Slow>, Arc<Reviewed>) {
    let slow = Arc::new(Slow::default());
    let reviewer: Arc<dyn Reviewer> = slow.clone();
    let reviewed = Reviewed::new(reviewer, &Limits::default(), Arc::default());
    (slow, Arc::new(reviewed))
}

/// Until so many have come.
async fn waiting(reviewed: &Reviewed, callers: usize) {
    // One more is the map's own.
    while flights(&reviewed.flights)
        .values()
        .map(Arc::strong_count)
        .sum::<usize>()
        < callers + 1
    {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn of_thousands_who_show_one_token_one_is_asked_about() {
    for (token, found, asked_again) in [
        ("good", Ok(cart()), 1),
        ("bad", bad(), 1),
        ("?", unknown(), 2),
    ] {
        let (slow, reviewed) = stage();
        let all: Vec<_> = (0..3_000)
            .map(|_| {
                let reviewed = Arc::clone(&reviewed);
                tokio::spawn(async move { reviewed.review(token).await })
            })
            .collect();
        waiting(&reviewed, 3_000).await;
        slow.go.notify_one();
        for one in all {
            assert_eq!(one.await.unwrap(), found);
        }
        assert_eq!(slow.asked.load(Ordering::SeqCst), 1, "{token}");
        assert_eq!(reviewed.counts.reviews_spared.load(Ordering::SeqCst), 2_999);
        assert!(flights(&reviewed.flights).is_empty());
        slow.go.notify_one();
        assert_eq!(reviewed.review(token).await, found);
        assert_eq!(slow.asked.load(Ordering::SeqCst), asked_again, "{token}");
    }
}

#[tokio::test]
async fn who_waits_goes_on_when_who_asked_has_gone() {
    let (slow, reviewed) = stage();
    let of = |reviewed: &Arc<Reviewed>| {
        let reviewed = Arc::clone(reviewed);
        tokio::spawn(async move { reviewed.review("good").await })
    };
    let first = of(&reviewed);
    slow.begun.notified().await;
    let second = of(&reviewed);
    waiting(&reviewed, 2).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    slow.begun.notified().await;
    slow.go.notify_one();
    assert_eq!(second.await.unwrap(), Ok(cart()));
    // And when the last one goes nothing is left behind.
    let (slow, reviewed) = stage();
    let alone = of(&reviewed);
    slow.begun.notified().await;
    assert_eq!(flights(&reviewed.flights).len(), 1);
    alone.abort();
    assert!(alone.await.unwrap_err().is_cancelled());
    assert!(flights(&reviewed.flights).is_empty());
}
