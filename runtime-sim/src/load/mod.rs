//! What a load study is made of: instances with a latency, a capacity and bad days; users and visitors; a summary.
//!
//! Instances and clients are peers as the scripted ones are, and a simulation drives both in the same world. A study is
//! a few lines: rules to a snapshot ([`Rules`](crate::Rules)), instances that serve, clients that enter, a run, and the
//! [`Summary`] of the records.

mod ask;
mod caller;
mod calls;
mod capacity;
mod carried;
mod clients;
mod conduct;
mod fault;
mod instance;
mod latency;
mod ledger;
mod pool;
mod serving;
mod summary;
mod traffic;

pub use ask::Ask;
pub use calls::{Call, Calls};
pub use capacity::Capacity;
pub use carried::{Forwards, USUAL};
pub use clients::{Users, Visitors};
pub use conduct::{Behaviour, InstanceLog};
pub use fault::{Fault, FaultWindow};
pub use instance::Instance;
pub use latency::Latency;
pub use ledger::{ClientLog, Ledger, Outcome};
pub use pool::Pool;
pub use summary::Summary;
pub use traffic::{RateWindow, Spacing, Traffic};
