//! Envoy's `config.core.v3.RuntimeFractionalPercent`: a share of requests.

use crate::config::code::Code;
use crate::config::decode::Object;

/// So many of so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fraction {
    /// The part.
    pub numerator: u32,
    /// The whole: 100, 10,000 or 1,000,000.
    pub denominator: u32,
}

const DENOMINATORS: &[(&str, i32, u32)] = &[
    ("HUNDRED", 0, 100),
    ("TEN_THOUSAND", 1, 10_000),
    ("MILLION", 2, 1_000_000),
];

/// Reads one.
pub(super) fn fraction(o: &mut Object<'_, '_>) -> Fraction {
    if !o.string("runtimeKey").is_empty() {
        let message = "there is no runtime to look a key up in: `default_value` holds";
        o.report()
            .raise_in("runtimeKey", Code::RuntimeKey, message, "");
    }
    let value = o.message("defaultValue", |value| Fraction {
        numerator: value.integer("numerator"),
        denominator: value.symbol("denominator", DENOMINATORS).unwrap_or(100),
    });
    value.unwrap_or(Fraction {
        numerator: 0,
        denominator: 100,
    })
}
