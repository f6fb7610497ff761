//! For how long what a client has proved holds.

use std::time::{Duration, SystemTime};

use tokio::time::sleep;

/// Who has to prove again who he is, is looked at this often: clocks are set, and machines sleep.
const LOOK: Duration = Duration::from_secs(60);

/// Comes to its end when that time has come; never without one.
pub(crate) async fn over(until: Option<SystemTime>) {
    let Some(until) = until else {
        return std::future::pending().await;
    };
    while let Ok(left) = until.duration_since(SystemTime::now()) {
        if left.is_zero() {
            return;
        }
        sleep(left.min(LOOK)).await;
    }
}
