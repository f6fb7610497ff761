//! What a part of an expression is worth.

use std::borrow::Cow;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value<'a> {
    Boolean(bool),
    Number(i64),
    Real(f64),
    Text(Cow<'a, [u8]>),
    /// In nanoseconds.
    Duration(i64),
}
