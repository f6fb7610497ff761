//! A row while it is being counted, told by clients as they see it and by sidecars as they record it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use outrigger_core::decision::{Record, ResponseFlag, RouteDecision};
use outrigger_core::message::Known;
use outrigger_core::snapshot::Snapshot;
use outrigger_core::time::{Duration, Instant};

use super::cohorts::Cohorts;
use super::histogram::Histogram;
use super::limits;
use super::outcome::{RowKind, RowOutcome, Step};
use crate::Records;
use crate::load::{Ledger, Outcome};

/// A row that several tell.
pub(super) type Shared = Rc<RefCell<Row>>;

/// What is counted so far.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    kind: RowKind,
    requests: u64,
    firsts: u64,
    ended: u64,
    endings: BTreeMap<Outcome, u64>,
    times: Histogram,
    total_time: Duration,
    retries: u64,
    overflows: u64,
    limits: BTreeMap<&'static str, u64>,
    reasons: BTreeMap<String, u64>,
    /// The times of the step under way, in nanoseconds.
    lately: Vec<u64>,
    step: Step,
    steps: Vec<Step>,
    /// Kept for clients only: there are few of them, and many services.
    cohorts: Option<Cohorts>,
    /// Requests that passed an outbound sidecar.
    pub(super) recorded: u64,
}

impl Row {
    /// A row whose timeline has steps of this length.
    pub(super) fn new(name: &str, kind: RowKind, step: Duration) -> Shared {
        let cohorts = match kind {
            RowKind::Clients => Some(Cohorts::new(step)),
            RowKind::Service => None,
        };
        Rc::new(RefCell::new(Self {
            name: name.to_owned(),
            kind,
            requests: 0,
            firsts: 0,
            ended: 0,
            endings: BTreeMap::new(),
            times: Histogram::default(),
            total_time: Duration::ZERO,
            retries: 0,
            overflows: 0,
            limits: BTreeMap::new(),
            reasons: BTreeMap::new(),
            lately: Vec::new(),
            step: Step::default(),
            steps: Vec::new(),
            cohorts,
            recorded: 0,
        }))
    }

    /// Requests under way.
    pub(super) const fn under_way(&self) -> u64 {
        self.requests - self.ended
    }

    fn ended(&mut self, began: Instant, took: Duration, outcome: Outcome) {
        if let Some(cohorts) = &mut self.cohorts {
            cohorts.ended(began, took, outcome);
        }
        self.ended += 1;
        *self.endings.entry(outcome).or_insert(0) += 1;
        self.times.add(took);
        self.total_time += took;
        self.lately
            .push(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        self.step.ended += 1;
        self.step.failed += u32::from(!outcome.is_good());
        match outcome {
            Outcome::Open | Outcome::Answered(_) => {}
            Outcome::Cut => self.reason("answer cut"),
            Outcome::Lost => self.reason("connection lost"),
            Outcome::Left => self.reason("client left"),
            Outcome::Refused => self.reason("refused"),
        }
    }

    fn recorded(&mut self, record: &Record) {
        self.recorded += 1;
        self.retries += u64::from(record.retries);
        self.step.retries += record.retries;
        let flags = record.flags();
        if flags.contains(ResponseFlag::UpstreamOverflow) {
            self.overflows += 1;
            self.step.overflows += 1;
        }
        for limit in limits::reached(record) {
            *self.limits.entry(limit).or_insert(0) += 1;
        }
        let answered = Outcome::Answered(record.status);
        if record.status == 0 || answered.is_good() {
            return;
        }
        if flags.is_empty() {
            self.reason(&record.status.to_string());
        } else {
            self.reason(&flags.to_string());
        }
    }

    fn reason(&mut self, text: &str) {
        match self.reasons.get_mut(text) {
            Some(count) => *count += 1,
            None => drop(self.reasons.insert(text.to_owned(), 1)),
        }
    }

    /// A step of time is over.
    pub(super) fn close_step(&mut self, out: f32, at_limit: f32) {
        if let Some(cohorts) = &mut self.cohorts {
            cohorts.close_step(self.steps.len(), self.requests);
        }
        self.lately.sort_unstable();
        let at = |share: f64| {
            let rank = ((share * self.lately.len() as f64).ceil() as usize).max(1);
            self.lately.get(rank - 1).copied().unwrap_or_default()
        };
        self.steps.push(Step {
            p50: Duration::from_nanos(at(0.5)),
            p99: Duration::from_nanos(at(0.99)),
            under_way: u32::try_from(self.under_way()).unwrap_or(u32::MAX),
            out,
            at_limit,
            ..std::mem::take(&mut self.step)
        });
        self.lately.clear();
    }

    /// What came of it. Requests that have not ended by now never will.
    pub(super) fn finish(&mut self) -> RowOutcome {
        if self.under_way() > 0 {
            self.endings.insert(Outcome::Open, self.under_way());
            self.reasons
                .insert("unanswered".to_owned(), self.under_way());
        }
        let mut reasons: Vec<_> = std::mem::take(&mut self.reasons).into_iter().collect();
        reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        RowOutcome {
            name: self.name.clone(),
            kind: self.kind,
            requests: self.requests,
            firsts: self.firsts,
            endings: std::mem::take(&mut self.endings),
            times: std::mem::take(&mut self.times),
            total_time: self.total_time,
            retries: self.retries,
            overflows: self.overflows,
            limits: std::mem::take(&mut self.limits),
            ejections: 0,
            reached: 0,
            turned_away: 0,
            reasons,
            steps: std::mem::take(&mut self.steps),
            cohorts: self.cohorts.take().map(Cohorts::finish).unwrap_or_default(),
            replicas: Vec::new(),
        }
    }
}

/// The rows that the requests of one kind count for.
#[derive(Debug)]
pub(super) struct Asker {
    pub(super) rows: Vec<Shared>,
    made: u64,
}

impl Asker {
    pub(super) fn new(rows: Vec<Shared>) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(Self { rows, made: 0 }))
    }
}

impl Ledger for Asker {
    fn begin(&mut self, again: bool) -> u64 {
        self.made += 1;
        for row in &self.rows {
            let row = &mut *row.borrow_mut();
            row.requests += 1;
            row.firsts += u64::from(!again);
        }
        self.made
    }

    fn end(&mut self, _number: u64, began: Instant, ended: Instant, outcome: Outcome) {
        for row in &self.rows {
            row.borrow_mut().ended(began, ended.since(began), outcome);
        }
    }

    fn complain(&mut self, what: String) {
        for row in &self.rows {
            row.borrow_mut().reason(&what);
        }
    }
}

/// Everybody who asks; an asker's number begins the `x-request-id` of its requests.
#[derive(Clone, Debug, Default)]
pub(super) struct Askers(Rc<RefCell<Vec<Rc<RefCell<Asker>>>>>);

impl Askers {
    /// Adds an asker; what its requests' ids begin with.
    pub(super) fn add(&self, rows: Vec<Shared>) -> (Rc<RefCell<Asker>>, String) {
        let mut all = self.0.borrow_mut();
        let asker = Asker::new(rows);
        all.push(Rc::clone(&asker));
        (asker, format!("{}-", all.len() - 1))
    }

    /// Tells rows what a sidecar records of requests that its workload sent.
    pub(super) fn records(&self) -> Records {
        let askers = self.clone();
        Box::new(move |record, snapshot| {
            if !record.is_mirror() && !is_inbound(record, snapshot) {
                askers.tell(record);
            }
        })
    }

    fn tell(&self, record: &Record) -> Option<()> {
        let id = record.request.headers.get(Known::XRequestId)?;
        let end = id.iter().position(|b| *b == b'-')?;
        let number: usize = std::str::from_utf8(&id[..end]).ok()?.parse().ok()?;
        let asker = Rc::clone(self.0.borrow().get(number)?);
        for row in &asker.borrow().rows {
            row.borrow_mut().recorded(record);
        }
        Some(())
    }
}

fn is_inbound(record: &Record, snapshot: &Snapshot) -> bool {
    match record.route {
        RouteDecision::Rule { virtual_host, .. } | RouteDecision::NoRule { virtual_host } => {
            snapshot.inbound.contains(&virtual_host)
        }
        _ => false,
    }
}
