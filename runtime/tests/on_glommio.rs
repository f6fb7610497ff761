//! Workers and connections over glommio's executor and our ring. Where this machine refuses io_uring, the first failure
//! says so.
#![cfg(target_os = "linux")]

mod workers;

use outrigger_glommio::start;
