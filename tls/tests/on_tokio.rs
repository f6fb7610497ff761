//! TLS between workers over tokio's sockets.

mod over;

use std::sync::Arc;

use outrigger_runtime::{Config, Running, StartError};
use outrigger_tls::{Identities, protect};

fn start(config: Config, identities: Arc<Identities>) -> Result<Running, StartError> {
    outrigger_runtime::start(
        protect(
            outrigger_tokio::launch(),
            identities,
            outrigger_tls::LONGEST_HELLO,
        ),
        config,
    )
}
