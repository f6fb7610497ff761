//! A connection that is not HTTP, as an exchange: it begins without a head, and its times run while bytes pass.

use super::Turn;
use super::call::Call;
use crate::decision::Connection;
use crate::request::{self, Verdict};
use crate::snapshot::ChainRule;
use crate::stream::Begins;
use crate::time::Instant;

/// One begins: asks the request machine what to do with it.
pub(super) fn begin(
    connection: Connection,
    rule: Option<ChainRule>,
    call: &mut Call,
    turn: &Turn<'_>,
) -> Verdict {
    call.restart(Begins::default(), turn);
    call.ledger.look_at(turn.local.view());
    call.ledger.record.revision = Some(call.ledger.snapshot().revision);
    call.ask(
        |context, record, response| {
            request::begin_connection(connection, rule, context, record, response)
        },
        turn,
    )
}

/// Its times run from when bytes can pass.
pub(super) fn arm(call: &mut Call, now: Instant) {
    let record = &call.ledger.record;
    let (idle, duration) = request::connection_times(record, call.ledger.snapshot());
    call.clocks.idle = idle;
    call.clocks.duration = duration.map(|most| now + most);
    call.clocks.moved_at = now;
}
