//! A file's text with all of its mutants in it, each behind its switch.

use std::ops::Range;

use crate::find::{Form, Mutant};

/// Where a mutant stands in the text that was made.
pub struct Placed {
    pub number: u32,
    /// What is its own.
    pub own: Range<usize>,
    /// With what it stands beside.
    pub all: Range<usize>,
}

const ON: &str = "::outrigger_mutant_switch::on";

/// The text, and where each stands.
pub fn guard(text: &str, mutants: &[(u32, &Mutant)]) -> (String, Vec<Placed>) {
    let mut sites: Vec<&(u32, &Mutant)> = mutants.iter().collect();
    // What contains comes before what is contained; a statement before the expression that is all of it.
    sites.sort_by_key(|(number, m)| {
        let is_inner = matches!(m.form, Form::Instead(_));
        (
            m.range.start,
            std::cmp::Reverse(m.range.end),
            is_inner,
            *number,
        )
    });
    let mut writer = Writer {
        text,
        out: String::new(),
        placed: Vec::new(),
    };
    writer.write(0..text.len(), &sites);
    (writer.out, writer.placed)
}

struct Writer<'a> {
    text: &'a str,
    out: String,
    placed: Vec<Placed>,
}

impl Writer<'_> {
    /// Writes this part, in which these are.
    fn write(&mut self, part: Range<usize>, mut sites: &[&(u32, &Mutant)]) {
        let mut at = part.start;
        while let Some((_, first)) = sites.first() {
            let range = first.range.clone();
            let form = std::mem::discriminant(&first.form);
            self.out.push_str(&self.text[at..range.start]);
            let is_alike = |m: &Mutant| m.range == range && std::mem::discriminant(&m.form) == form;
            let alike = sites.iter().take_while(|(_, m)| is_alike(m)).count();
            let inside = sites[alike..]
                .iter()
                .take_while(|(_, m)| m.range.end <= range.end && m.range.start < range.end)
                .count();
            let inside = if range.is_empty() { 0 } else { inside };
            let (these, rest) = sites.split_at(alike);
            self.site(range.clone(), these, &rest[..inside]);
            sites = &rest[inside..];
            at = range.end;
        }
        self.out.push_str(&self.text[at..part.end]);
    }

    fn site(&mut self, range: Range<usize>, alike: &[&(u32, &Mutant)], inside: &[&(u32, &Mutant)]) {
        let start = self.out.len();
        let mut own = Vec::new();
        let is_statement = matches!(alike[0].1.form, Form::LeftOut);
        match alike[0].1.form {
            Form::Instead(_) => {
                self.out.push('(');
                for (number, mutant) in alike {
                    let Form::Instead(code) = &mutant.form else {
                        continue;
                    };
                    self.out.push_str(&format!("if {ON}({number}) {{ "));
                    let from = self.out.len();
                    self.out.push_str(code);
                    own.push((*number, from..self.out.len()));
                    self.out.push_str(" } else ");
                }
                self.out.push_str("{ ");
            }
            Form::LeftOut => {
                let number = alike[0].0;
                own.push((number, start..start));
                self.out.push_str(&format!("if !{ON}({number}) {{ "));
            }
            Form::AtOnce(_) => {
                for (number, mutant) in alike {
                    let Form::AtOnce(value) = &mutant.form else {
                        continue;
                    };
                    let from = self.out.len();
                    self.out
                        .push_str(&format!(" if {ON}({number}) {{ return {value}; }}"));
                    own.push((*number, from..self.out.len()));
                }
            }
        }
        self.write(range.clone(), inside);
        match alike[0].1.form {
            Form::Instead(_) => self.out.push_str(" })"),
            Form::LeftOut => self.out.push_str(" }"),
            Form::AtOnce(_) => {}
        }
        let all = start..self.out.len();
        for (number, own) in own {
            let own = if is_statement { all.clone() } else { own };
            self.placed.push(Placed {
                number,
                own,
                all: all.clone(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::guard;
    use crate::find::{Mutant, find};

    const TEXT: &str = r#"
        const MOST: usize = 5;
        pub fn find(all: &[u8], at: usize) -> Option<u8> {
            debug_assert!(at < 9);
            if at < all.len() && !all.is_empty() { count(1); return Some(all[at]); }
            match at { 7 if at > 3 => None, _ => None }
        }
        const fn never(a: usize) -> usize { a + 1 }
        #[cfg(test)]
        mod tests { fn of_a_test() -> bool { 1 < 2 } }
        #[cfg(test)]
        mod apart;
    "#;

    fn numbered(mutants: &[Mutant]) -> Vec<(u32, &Mutant)> {
        (1..).zip(mutants).collect()
    }

    #[test]
    fn what_is_changed() {
        let found = find("core/src/x.rs", TEXT).expect("it is Rust");
        let told: Vec<_> = found
            .mutants
            .iter()
            .map(|m| format!("{} -> {}", m.from, m.to))
            .collect();
        assert_eq!(
            told,
            [
                "the body -> None",
                "at < all.len() && !all.is_empty() -> at < all.len() || !all.is_empty()",
                "at < all.len() -> at <= all.len()",
                "!all.is_empty() -> all.is_empty()",
                "count(1); -> left out",
                "1 -> 1 + 1",
                "Some(all[at]) -> None",
                "at > 3 -> true",
                "at > 3 -> false",
                "at > 3 -> at >= 3",
                "3 -> 3 + 1",
            ]
        );
        assert_eq!(found.for_tests, ["core/src/x/apart"]);
    }

    /// All of them in one text, of which the originals are left when the switches are taken out.
    #[test]
    fn what_is_guarded_is_rust_and_says_the_same() {
        let found = find("core/src/x.rs", TEXT).expect("it is Rust");
        let (text, placed) = guard(TEXT, &numbered(&found.mutants));
        syn::parse_file(&text).expect("it is Rust");
        assert_eq!(placed.len(), found.mutants.len());
        for (number, mutant) in numbered(&found.mutants) {
            let (alone, placed) = guard(TEXT, &[(number, mutant)]);
            assert!(syn::parse_file(&alone).is_ok(), "{alone}");
            let all = &placed[0].all;
            let rest = format!("{}{}", &alone[..all.start], &alone[all.end..]);
            let range = &mutant.range;
            assert_eq!(
                rest,
                format!("{}{}", &TEXT[..range.start], &TEXT[range.end..]),
                "{}",
                mutant.key
            );
            assert_eq!(
                text.matches(&format!("::on({number})")).count(),
                1,
                "{}",
                mutant.key
            );
        }
    }

    #[test]
    fn names_stay_when_lines_move() {
        let keys = |text: &str| {
            find("core/src/x.rs", text)
                .expect("it is Rust")
                .mutants
                .into_iter()
                .map(|m| m.key)
                .collect::<Vec<_>>()
        };
        assert_eq!(keys(TEXT), keys(&format!("// one more line\n{TEXT}")));
    }
}
