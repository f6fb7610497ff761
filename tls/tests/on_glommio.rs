//! TLS between workers over our ring. Where this machine refuses io_uring, as most containers do, they run over tokio instead
//! and say so.
#![cfg(target_os = "linux")]

mod over;

use std::sync::Arc;

use outrigger_runtime::{Config, Running, StartError};
use outrigger_tls::{Identities, protect};

fn start(config: Config, identities: Arc<Identities>) -> Result<Running, StartError> {
    match outrigger_glommio::probe() {
        Ok(()) => {
            let launch = outrigger_glommio::launch(config.workers);
            outrigger_runtime::start(
                protect(launch, identities, outrigger_tls::LONGEST_HELLO),
                config,
            )
        }
        Err(unavailable) => {
            eprintln!("glommio is not tested: {unavailable}");
            outrigger_runtime::start(
                protect(
                    outrigger_tokio::launch(),
                    identities,
                    outrigger_tls::LONGEST_HELLO,
                ),
                config,
            )
        }
    }
}
