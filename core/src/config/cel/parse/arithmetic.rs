//! Sums, products and conversions: which types go together, and what comes of them.
//!
//! As in CEL nothing is converted by itself, so a whole number is added to a whole number and a fraction to a fraction.

use super::{Parser, Read, Term, Type};
use crate::snapshot::telemetry::{Arithmetic, Expression, Literal, Real, To};

const SUMS: &[(&str, Arithmetic)] = &[("+", Arithmetic::Add), ("-", Arithmetic::Subtract)];

const PRODUCTS: &[(&str, Arithmetic)] = &[
    ("*", Arithmetic::Multiply),
    ("/", Arithmetic::Divide),
    ("%", Arithmetic::Remainder),
];

impl Parser<'_> {
    pub(super) fn sum(&mut self) -> Read<Term> {
        self.computed(SUMS, Self::product)
    }

    fn product(&mut self) -> Read<Term> {
        self.computed(PRODUCTS, Self::unary)
    }

    /// Parts with these signs between them, from left to right.
    fn computed(
        &mut self,
        signs: &[(&str, Arithmetic)],
        part: impl Fn(&mut Self) -> Read<Term>,
    ) -> Read<Term> {
        let mut left = part(self)?;
        // A tree that leans to the left is walked by its height.
        for _ in 0..super::MAX_DEPTH {
            let Some((sign, how)) = signs.iter().find(|(sign, _)| self.is_at(sign)) else {
                return Ok(left);
            };
            self.next += 1;
            let right = part(self)?;
            let at = left.at.start..right.at.end;
            let Some(of) = of(*how, left.of, right.of) else {
                let (one, other) = (left.of.name(), right.of.name());
                let message = format!("`{sign}` does not go with {one} and {other}");
                return Err(self.fault(&message, at));
            };
            let sides = Box::new([left.expression, right.expression]);
            left = Term {
                expression: Expression::Compute(*how, sides),
                of,
                at,
            };
        }
        Err(self.fault("too many are put together here", left.at))
    }

    /// What stands behind a minus, the other way round.
    pub(super) fn negated(&mut self, start: usize) -> Read<Term> {
        let term = self.deeper(start, Self::unary)?;
        let at = start..term.at.end;
        let zero = match term.of {
            Type::Number => Literal::Number(0),
            Type::Real => Literal::Real(Real::new(0.0)),
            Type::Boolean | Type::Text | Type::Duration => {
                return Err(self.fault("only a number can be negative", term.at));
            }
        };
        let expression = match term.expression {
            Expression::Literal(Literal::Number(number)) => {
                Expression::Literal(Literal::Number(-number))
            }
            Expression::Literal(Literal::Real(real)) => {
                Expression::Literal(Literal::Real(Real::new(-real.value())))
            }
            other => Expression::Compute(
                Arithmetic::Subtract,
                Box::new([Expression::Literal(zero), other]),
            ),
        };
        Ok(Term {
            expression,
            of: term.of,
            at,
        })
    }

    /// `int(…)`, `double(…)` and `string(…)`.
    pub(super) fn converted(&mut self, name: &str, start: usize) -> Read<Term> {
        let (to, of) = match name {
            "int" => (To::Number, Type::Number),
            "double" => (To::Real, Type::Real),
            _ => (To::Text, Type::Text),
        };
        self.need("(")?;
        let term = self.choice()?;
        self.need(")")?;
        let at = start..self.end();
        if matches!(term.of, Type::Boolean | Type::Duration) {
            let message = format!("`{name}` does not take {}", term.of.name());
            return Err(self.fault(&message, at));
        }
        Ok(Term {
            expression: Expression::Convert(to, Box::new(term.expression)),
            of,
            at,
        })
    }
}

/// The type of a result; `None` where the two do not go together.
fn of(how: Arithmetic, left: Type, right: Type) -> Option<Type> {
    let goes = match how {
        Arithmetic::Add => left != Type::Boolean,
        Arithmetic::Subtract => !matches!(left, Type::Boolean | Type::Text),
        Arithmetic::Multiply | Arithmetic::Divide => matches!(left, Type::Number | Type::Real),
        Arithmetic::Remainder => left == Type::Number,
    };
    (left == right && goes).then_some(left)
}
