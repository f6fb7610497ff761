//! What Outrigger would make of a request, or of a connection that is not HTTP, and why.
//!
//! Owns the question (`question`, `reach`), the explanation as data (`explanation`) and as text (`text`), and what would come of
//! answers that endpoints give (`play`). It decides nothing: rules are tried by `policy`, requests are played by the worker
//! that serves real ones, and what is inherited from where stands in the snapshot. Reading files, and showing all of this to
//! somebody, is the program's business.

pub mod diff;
mod explanation;
pub mod filter;
mod frames;
mod play;
mod question;
mod reach;
mod subject;
pub mod text;
pub mod told;

pub use explanation::{
    AccessTold, Asked, AttemptTold, ClusterTold, ConnectionTold, Decided, Draw, EndpointTold,
    Explanation, Goal, Host, Outcome, Place, PolicyTold, Told, Tried, application, explain,
    explain_connection, nearest_known,
};
pub use play::{Answer, Circumstances, Played, play};
pub use question::{FORM, Misread, Question};
pub use reach::{CONNECTION_FORM, Reach};
pub use subject::Subject;
