//! Studies of a policy: a scenario, the configuration it is played under, and what came of it.
//!
//! A scenario is a file that people write ([`read`]). A [`Study`] is a scenario with its configuration, and playing it
//! with a seed gives a [`StudyOutcome`]: the same one, however often.

mod cohorts;
mod contrast;
mod expectation;
mod histogram;
mod limits;
mod outcome;
mod play;
mod read;
mod recovery;
mod resources;
mod row;
mod scenario;
mod world;

pub use contrast::{Change, Contrast, Judged, Recoveries, Verdict, contrast};
pub use expectation::{Comparison, Expectation, Metric};
pub use histogram::Histogram;
pub use limits::EJECTIONS;
pub use outcome::{Cohort, ReplicaOutcome, RowKind, RowOutcome, Step, StudyOutcome};
pub use play::Progress;
pub use read::read;
pub use recovery::{Health, Recovery};
pub use scenario::{
    Clients, Group, Load, PlannedCall, PlannedFault, PlannedService, Scenario, Scope, Trouble,
};
pub use world::Study;
