//! The sentences of CEL.

mod arithmetic;

use core::ops::Range;

use super::lex::{Token, Word};
use super::{Fault, Type, attributes};
use crate::config::value;
use crate::snapshot::Regex;
use crate::snapshot::telemetry::{Attribute, Comparison, Expression, Literal, Real};

/// Deeper expressions are refused.
const MAX_DEPTH: usize = 32;

/// Reads words, one after the other.
pub(super) struct Parser<'t> {
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    text: &'t str,
}

/// An expression, of which type it is, and where it stands.
struct Term {
    expression: Expression,
    of: Type,
    at: Range<usize>,
}

type Read<T> = Result<T, Fault>;

const COMPARISONS: &[(&str, Comparison)] = &[
    ("==", Comparison::Equal),
    ("!=", Comparison::NotEqual),
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
];

impl<'t> Parser<'t> {
    pub(super) const fn new(tokens: Vec<Token>, text: &'t str) -> Self {
        Self {
            tokens,
            next: 0,
            depth: 0,
            text,
        }
    }

    /// All of it.
    pub(super) fn whole(mut self) -> Read<(Expression, Type)> {
        let term = self.choice()?;
        match self.tokens.get(self.next) {
            None => Ok((term.expression, term.of)),
            Some(token) => Err(self.fault("this is not understood here", token.at.clone())),
        }
    }

    /// `condition ? then : otherwise`.
    fn choice(&mut self) -> Read<Term> {
        if self.depth == MAX_DEPTH {
            return Err(self.fault("the expression is nested too deeply", 0..self.text.len()));
        }
        self.depth += 1;
        let condition = self.any()?;
        let term = if self.eat("?") {
            expect(&condition, Type::Boolean)?;
            let then = self.choice()?;
            self.need(":")?;
            let otherwise = self.choice()?;
            expect(&otherwise, then.of)?;
            Term {
                of: then.of,
                at: condition.at.start..otherwise.at.end,
                expression: Expression::Choice(Box::new([
                    condition.expression,
                    then.expression,
                    otherwise.expression,
                ])),
            }
        } else {
            condition
        };
        self.depth -= 1;
        Ok(term)
    }

    fn any(&mut self) -> Read<Term> {
        self.joined("||", Self::all, Expression::Or)
    }

    fn all(&mut self) -> Read<Term> {
        self.joined("&&", Self::relation, Expression::And)
    }

    /// Several conditions with one sign between them.
    fn joined(
        &mut self,
        sign: &str,
        part: impl Fn(&mut Self) -> Read<Term>,
        join: impl Fn(Box<[Expression]>) -> Expression,
    ) -> Read<Term> {
        let first = part(self)?;
        if !self.is_at(sign) {
            return Ok(first);
        }
        let mut at = first.at.clone();
        expect(&first, Type::Boolean)?;
        let mut parts = vec![first.expression];
        while self.eat(sign) {
            let next = part(self)?;
            expect(&next, Type::Boolean)?;
            at.end = next.at.end;
            parts.push(next.expression);
        }
        Ok(boolean(join(parts.into()), at))
    }

    fn relation(&mut self) -> Read<Term> {
        let left = self.sum()?;
        if self.eat_name("in") {
            return self.membership(left);
        }
        let Some((_, comparison)) = COMPARISONS.iter().find(|(sign, _)| self.is_at(sign)) else {
            return Ok(left);
        };
        self.next += 1;
        let right = self.sum()?;
        let at = left.at.start..right.at.end;
        let is_numeric = |of| matches!(of, Type::Number | Type::Real);
        if left.of != right.of && !(is_numeric(left.of) && is_numeric(right.of)) {
            let message = format!("{} is compared with {}", left.of.name(), right.of.name());
            return Err(self.fault(&message, at));
        }
        let is_order = !matches!(comparison, Comparison::Equal | Comparison::NotEqual);
        if is_order && left.of == Type::Boolean {
            return Err(self.fault("true and false have no order", at));
        }
        let sides = Box::new([left.expression, right.expression]);
        Ok(boolean(Expression::Compare(*comparison, sides), at))
    }

    /// `value in [a, b]`, and `"field" in request.headers`.
    fn membership(&mut self, value: Term) -> Read<Term> {
        if let Some(root) = self.headers() {
            let at = value.at.start..self.end();
            let Expression::Literal(Literal::Text(field)) = &value.expression else {
                return Err(self.fault("only a text can be looked for in headers", value.at));
            };
            return match attributes::header(&root, field) {
                Some(attribute) => Ok(boolean(Expression::Has(attribute), at)),
                None => Err(self.fault("this is no name of a header field", value.at)),
            };
        }
        self.need("[")?;
        let mut list = Vec::new();
        while !self.is_at("]") {
            let item = self.choice()?;
            expect(&item, value.of)?;
            list.push(item.expression);
            if !self.eat(",") {
                break;
            }
        }
        self.need("]")?;
        let at = value.at.start..self.end();
        let list = Expression::In(Box::new(value.expression), list.into());
        Ok(boolean(list, at))
    }

    /// `request.headers` or `response.headers`, and nothing behind it.
    fn headers(&mut self) -> Option<String> {
        let is_word = |at: usize, word: &Word| self.tokens.get(at).is_some_and(|t| t.word == *word);
        let Word::Name(root) = &self.tokens.get(self.next)?.word else {
            return None;
        };
        let is_headers = matches!(root.as_str(), "request" | "response")
            && is_word(self.next + 1, &Word::Sign("."))
            && is_word(self.next + 2, &Word::Name("headers".into()));
        let root = is_headers.then(|| root.clone())?;
        self.next += 3;
        Some(root)
    }

    fn unary(&mut self) -> Read<Term> {
        let start = self.start();
        if self.eat("!") {
            let term = self.deeper(start, Self::unary)?;
            expect(&term, Type::Boolean)?;
            let not = Expression::Not(Box::new(term.expression));
            return Ok(boolean(not, start..term.at.end));
        }
        if self.eat("-") {
            return self.negated(start);
        }
        let mut term = self.primary()?;
        while self.eat(".") {
            term = self.method(term)?;
        }
        Ok(term)
    }

    /// A part that stands one level below, behind a sign that may come again.
    fn deeper(&mut self, start: usize, part: fn(&mut Self) -> Read<Term>) -> Read<Term> {
        if self.depth == MAX_DEPTH {
            return Err(self.fault("the expression is nested too deeply", start..self.end()));
        }
        self.depth += 1;
        let term = part(self)?;
        self.depth -= 1;
        Ok(term)
    }

    fn primary(&mut self) -> Read<Term> {
        let (word, at) = self.take()?;
        let literal = |literal, of| {
            Ok(Term {
                expression: Expression::Literal(literal),
                of,
                at: at.clone(),
            })
        };
        match word {
            Word::Number(number) => literal(Literal::Number(number), Type::Number),
            Word::Real(real) => literal(Literal::Real(Real::new(real)), Type::Real),
            Word::Text(text) => literal(Literal::Text(text.into()), Type::Text),
            Word::Sign("(") => {
                let term = self.choice()?;
                self.need(")")?;
                Ok(term)
            }
            Word::Sign(_) => Err(self.fault("a value is missing here", at)),
            Word::Name(name) => match name.as_str() {
                "true" => literal(Literal::Boolean(true), Type::Boolean),
                "false" => literal(Literal::Boolean(false), Type::Boolean),
                "has" => self.has(at.start),
                "size" => self.size_of(at.start),
                "duration" => self.duration(at.start),
                "int" | "double" | "string" => self.converted(&name, at.start),
                root if attributes::ROOTS.contains(&root) => {
                    let (attribute, of) = self.attribute(root, at.start)?;
                    Ok(Term {
                        expression: Expression::Attribute(attribute),
                        of,
                        at: at.start..self.end(),
                    })
                }
                _ => Err(self.fault(&format!("`{name}` is not understood"), at)),
            },
        }
    }

    /// What follows `request` and its like.
    fn attribute(&mut self, root: &str, start: usize) -> Read<(Attribute, Type)> {
        self.need(".")?;
        let (word, _) = self.take()?;
        let Word::Name(name) = word else {
            return Err(self.fault("a name is missing here", start..self.end()));
        };
        if name == "headers" && matches!(root, "request" | "response") {
            return self.field(root, start);
        }
        attributes::attribute(root, &name).ok_or_else(|| {
            let message = format!("`{root}.{name}` is not understood");
            self.fault(&message, start..self.end())
        })
    }

    /// `["name"]` or `.name` behind `request.headers`.
    fn field(&mut self, root: &str, start: usize) -> Read<(Attribute, Type)> {
        let name = if self.eat(".") {
            match self.take()? {
                (Word::Name(name) | Word::Text(name), _) => name,
                (Word::Number(_) | Word::Real(_) | Word::Sign(_), at) => {
                    return Err(self.fault("a name is missing here", at));
                }
            }
        } else {
            self.need("[")?;
            let (word, at) = self.take()?;
            let Word::Text(name) = word else {
                return Err(self.fault("the name of a header field is a text", at));
            };
            self.need("]")?;
            name
        };
        let attribute = attributes::header(root, &name);
        attribute
            .map(|attribute| (attribute, Type::Text))
            .ok_or_else(|| {
                let message = format!("`{name}` is no name of a header field");
                self.fault(&message, start..self.end())
            })
    }

    fn has(&mut self, start: usize) -> Read<Term> {
        self.need("(")?;
        let (word, at) = self.take()?;
        let attribute = match word {
            Word::Name(root) if attributes::ROOTS.contains(&root.as_str()) => {
                self.attribute(&root, at.start)?.0
            }
            Word::Name(_) | Word::Text(_) | Word::Number(_) | Word::Real(_) | Word::Sign(_) => {
                return Err(self.fault("`has` takes an attribute, such as `request.headers`", at));
            }
        };
        self.need(")")?;
        Ok(boolean(Expression::Has(attribute), start..self.end()))
    }

    fn size_of(&mut self, start: usize) -> Read<Term> {
        self.need("(")?;
        let term = self.choice()?;
        expect(&term, Type::Text)?;
        self.need(")")?;
        Ok(Term {
            expression: Expression::Size(Box::new(term.expression)),
            of: Type::Number,
            at: start..self.end(),
        })
    }

    /// `duration("1.5s")`.
    fn duration(&mut self, start: usize) -> Read<Term> {
        self.need("(")?;
        let (word, at) = self.take()?;
        self.need(")")?;
        let time = match &word {
            Word::Text(text) => value::parse_duration(text).ok(),
            Word::Name(_) | Word::Number(_) | Word::Real(_) | Word::Sign(_) => None,
        };
        let nanos = time.and_then(|time| i64::try_from(time.as_nanos()).ok());
        let nanos = nanos.ok_or_else(|| self.fault("this is no duration", at))?;
        Ok(Term {
            expression: Expression::Literal(Literal::Duration(nanos)),
            of: Type::Duration,
            at: start..self.end(),
        })
    }

    /// A method of a text, behind its dot.
    fn method(&mut self, of: Term) -> Read<Term> {
        let (word, at) = self.take()?;
        let Word::Name(name) = word else {
            return Err(self.fault("a name is missing here", at));
        };
        expect(&of, Type::Text)?;
        self.need("(")?;
        let start = of.at.start;
        if name == "size" {
            self.need(")")?;
            return Ok(Term {
                expression: Expression::Size(Box::new(of.expression)),
                of: Type::Number,
                at: start..self.end(),
            });
        }
        let argument = self.choice()?;
        expect(&argument, Type::Text)?;
        self.need(")")?;
        let whole = start..self.end();
        if name == "matches" {
            return self.matches(of.expression, argument, whole);
        }
        let sides = Box::new([of.expression, argument.expression]);
        let expression = match name.as_str() {
            "startsWith" => Expression::StartsWith(sides),
            "endsWith" => Expression::EndsWith(sides),
            "contains" => Expression::Contains(sides),
            _ => return Err(self.fault(&format!("`{name}` is not understood"), at)),
        };
        Ok(boolean(expression, whole))
    }

    fn matches(&self, text: Expression, pattern: Term, whole: Range<usize>) -> Read<Term> {
        let Expression::Literal(Literal::Text(words)) = &pattern.expression else {
            return Err(self.fault("a pattern is a text as written", pattern.at));
        };
        let regex = Regex::anywhere(words)
            .map_err(|why| self.fault(&format!("the pattern {why}"), pattern.at))?;
        Ok(boolean(Expression::Matches(Box::new(text), regex), whole))
    }

    fn take(&mut self) -> Read<(Word, Range<usize>)> {
        let Some(token) = self.tokens.get(self.next) else {
            let end = self.text.len();
            return Err(self.fault("the expression ends too soon", end..end));
        };
        self.next += 1;
        Ok((token.word.clone(), token.at.clone()))
    }

    fn is_at(&self, sign: &str) -> bool {
        let next = self.tokens.get(self.next);
        next.is_some_and(|token| matches!(token.word, Word::Sign(word) if word == sign))
    }

    fn eat(&mut self, sign: &str) -> bool {
        let is_at = self.is_at(sign);
        self.next += usize::from(is_at);
        is_at
    }

    fn eat_name(&mut self, name: &str) -> bool {
        let next = self.tokens.get(self.next);
        let is_at =
            next.is_some_and(|token| matches!(&token.word, Word::Name(word) if word == name));
        self.next += usize::from(is_at);
        is_at
    }

    fn need(&mut self, sign: &str) -> Read<()> {
        if self.eat(sign) {
            return Ok(());
        }
        let end = self.text.len();
        let at = self
            .tokens
            .get(self.next)
            .map_or(end..end, |t| t.at.clone());
        Err(self.fault(&format!("`{sign}` is missing here"), at))
    }

    /// Where the next word begins.
    fn start(&self) -> usize {
        let next = self.tokens.get(self.next);
        next.map_or(self.text.len(), |token| token.at.start)
    }

    /// Where the last word that was read ends.
    fn end(&self) -> usize {
        let last = self.next.checked_sub(1).and_then(|at| self.tokens.get(at));
        last.map_or(0, |token| token.at.end)
    }

    fn fault(&self, message: &str, part: Range<usize>) -> Fault {
        Fault {
            message: message.to_owned(),
            part: part.start.min(self.text.len())..part.end.min(self.text.len()),
        }
    }
}

const fn boolean(expression: Expression, at: Range<usize>) -> Term {
    Term {
        expression,
        of: Type::Boolean,
        at,
    }
}

fn expect(term: &Term, of: Type) -> Read<()> {
    if term.of == of {
        return Ok(());
    }
    Err(Fault {
        message: format!("this is {}; {} is wanted", term.of.name(), of.name()),
        part: term.at.clone(),
    })
}
