//! First bytes, cut everywhere: what is said of them once stays, however many follow.

use outrigger_core::sniff::{FirstBytes, look};

/// Looks at every beginning of the bytes. Long ones are looked at in steps, because each look begins anew.
pub fn beginnings(bytes: &[u8]) {
    let step = 1 + bytes.len() / 256;
    let mut said = FirstBytes::Undecided;
    for end in (0..bytes.len()).step_by(step).chain([bytes.len()]) {
        let now = look(&bytes[..end]);
        assert!(
            said == FirstBytes::Undecided || said == now,
            "{said:?}, then {now:?}"
        );
        said = now;
    }
}
