//! CEL, the Common Expression Language, as far as filters of access logs and tags of metrics use it.
//!
//! Owns the grammar of the subset: literals, `request`, `response`, `source`, `destination`, `connection`, `upstream` and
//! `xds`, comparisons, `&&`, `||`, `!`, `in`, `?:`, `+`, `-`, `*`, `/`, `%`, `int`, `double`, `string`, `has`, `size`,
//! `startsWith`, `endsWith`, `contains`, `matches`. What is
//! not understood is a fault, and so is what could never have a value: a comparison of a number with text. What an
//! expression is worth is decided in `decision`.

mod attributes;
mod lex;
mod parse;

use core::ops::Range;

use super::code::Code;
use super::report::Report;
use crate::snapshot::telemetry::Expression;

/// Longer expressions are refused, in bytes.
const MAX_LENGTH: usize = 4096;

/// What is wrong with an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// For people.
    pub(crate) message: String,
    /// Which bytes of it.
    pub(crate) part: Range<usize>,
}

/// What an expression is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Boolean,
    Number,
    Real,
    Text,
    Duration,
}

impl Type {
    const fn name(self) -> &'static str {
        match self {
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::Real => "a fraction",
            Self::Text => "text",
            Self::Duration => "a duration",
        }
    }
}

/// Reads an expression, and says of which type its value is.
fn parse(text: &str) -> Result<(Expression, Type), Fault> {
    if text.len() > MAX_LENGTH {
        return Err(Fault {
            message: format!("the expression is longer than {MAX_LENGTH} bytes"),
            part: 0..text.len(),
        });
    }
    parse::Parser::new(lex::tokens(text)?, text).whole()
}

/// Reads an expression of any type.
pub(crate) fn value(text: &str) -> Result<Expression, Fault> {
    parse(text).map(|(expression, _)| expression)
}

/// Reads a condition.
pub(crate) fn condition(text: &str) -> Result<Expression, Fault> {
    let (expression, of) = parse(text)?;
    if of == Type::Boolean {
        return Ok(expression);
    }
    Err(Fault {
        message: format!("a condition is true or false; this is {}", of.name()),
        part: 0..text.len(),
    })
}

impl Fault {
    /// Tells it of the field at which the report stands, which holds the expression.
    pub(super) fn tell(self, text: &str, report: &mut Report) {
        let help = "docs/logging.md says what is understood";
        report.raise_within(
            (text, self.part),
            Code::InvalidExpression,
            self.message,
            help,
        );
    }
}

#[cfg(test)]
mod tests;
