//! Workers and connections over glommio's executor and our ring. Where this machine refuses io_uring, as most containers
//! do, they run over tokio instead and say so.
#![cfg(target_os = "linux")]

mod workers;

use outrigger_runtime::{Config, Running, StartError};

fn start(config: Config) -> Result<Running, StartError> {
    match outrigger_glommio::probe() {
        Ok(()) => outrigger_glommio::start(config),
        Err(unavailable) => {
            eprintln!("glommio is not tested: {unavailable}");
            outrigger_tokio::start(config)
        }
    }
}
