//! Workers and connections over tokio.

mod workers;

use outrigger_tokio::start;
