//! Which mutants a file has. Patterns, constants, types, attributes, macros' insides and tests have none.

use std::collections::HashMap;
use std::ops::Range;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{BinOp, Block, Expr, ItemFn, Lit, ReturnType, Stmt, Type, UnOp};

/// How a mutant stands beside what it changes.
#[derive(Clone, Debug, PartialEq)]
pub enum Form {
    /// Another expression instead.
    Instead(String),
    /// A statement that is left out.
    LeftOut,
    /// A function that ends at once.
    AtOnce(String),
}

#[derive(Clone, Debug)]
pub struct Mutant {
    /// Beside the root of the repository.
    pub file: String,
    pub line: usize,
    pub function: String,
    pub from: String,
    pub to: String,
    /// In the file, in bytes. Where a function ends at once, the place behind its brace.
    pub range: Range<usize>,
    pub form: Form,
    /// By what survivors are known when lines have moved.
    pub key: String,
}

/// What a file has.
pub struct Found {
    pub mutants: Vec<Mutant>,
    /// The modules in files of their own that it declares for tests alone: their paths without an ending.
    pub for_tests: Vec<String>,
}

/// # Errors
/// When the text is no Rust.
pub fn find(file: &str, text: &str) -> syn::Result<Found> {
    let parsed = syn::parse_file(text)?;
    let mut finder = Finder {
        file,
        text,
        names: Vec::new(),
        found: Vec::new(),
        for_tests: Vec::new(),
    };
    if !is_test(&parsed.attrs) {
        finder.visit_file(&parsed);
    }
    let for_tests = finder.for_tests;
    let mut found = finder.found;
    let mut seen: HashMap<String, usize> = HashMap::new();
    for mutant in &mut found {
        let key = format!(
            "{file}: {}: {} -> {}",
            mutant.function, mutant.from, mutant.to
        );
        let count = seen.entry(key.clone()).or_default();
        *count += 1;
        mutant.key = if *count == 1 {
            key
        } else {
            format!("{key} #{count}")
        };
    }
    Ok(Found {
        mutants: found,
        for_tests,
    })
}

struct Finder<'a> {
    file: &'a str,
    text: &'a str,
    names: Vec<String>,
    found: Vec<Mutant>,
    for_tests: Vec<String>,
}

/// One line of at most so many characters.
fn short(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().collect();
    let line = words.join(" ");
    if line.chars().count() <= 90 {
        return line;
    }
    let head: String = line.chars().take(60).collect();
    let tail: String = line.chars().skip(line.chars().count() - 27).collect();
    format!("{head}...{tail}")
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        let words = match &attribute.meta {
            syn::Meta::List(list) => list.tokens.to_string(),
            _ => String::new(),
        };
        let names = |name: &str| {
            words
                .split(|c: char| !c.is_alphanumeric())
                .any(|word| word == name)
        };
        path.is_ident("test")
            || path.is_ident("cfg") && (names("test") || names("loom")) && !names("not")
    })
}

fn swapped(operator: &BinOp) -> Option<&'static str> {
    Some(match operator {
        BinOp::Lt(_) => "<=",
        BinOp::Le(_) => "<",
        BinOp::Gt(_) => ">=",
        BinOp::Ge(_) => ">",
        BinOp::Eq(_) => "!=",
        BinOp::Ne(_) => "==",
        BinOp::And(_) => "||",
        BinOp::Or(_) => "&&",
        BinOp::Add(_) => "-",
        BinOp::Sub(_) => "+",
        BinOp::Mul(_) => "+",
        BinOp::Div(_) => "*",
        BinOp::Rem(_) => "/",
        BinOp::Shl(_) => ">>",
        BinOp::Shr(_) => "<<",
        BinOp::BitAnd(_) => "|",
        BinOp::BitOr(_) => "&",
        BinOp::BitXor(_) => "|",
        BinOp::AddAssign(_) => "-=",
        BinOp::SubAssign(_) => "+=",
        BinOp::MulAssign(_) => "+=",
        BinOp::BitOrAssign(_) => "&=",
        BinOp::BitAndAssign(_) => "|=",
        _ => return None,
    })
}

fn is_assignment(operator: &BinOp) -> bool {
    use BinOp::{AddAssign, BitAndAssign, BitOrAssign, MulAssign, SubAssign};
    matches!(
        operator,
        AddAssign(_) | SubAssign(_) | MulAssign(_) | BitOrAssign(_) | BitAndAssign(_)
    )
}

fn twin(method: &str) -> Option<&'static str> {
    Some(match method {
        "min" => "max",
        "max" => "min",
        "any" => "all",
        "all" => "any",
        "is_some" => "is_none",
        "is_none" => "is_some",
        "is_ok" => "is_err",
        "is_err" => "is_ok",
        "is_some_and" => "is_none_or",
        "is_none_or" => "is_some_and",
        "first" => "last",
        "last" => "first",
        "front" => "back",
        "back" => "front",
        "pop_front" => "pop_back",
        "pop_back" => "pop_front",
        "push_back" => "push_front",
        "push_front" => "push_back",
        "saturating_add" => "saturating_sub",
        "saturating_sub" => "saturating_add",
        "wrapping_add" => "wrapping_sub",
        "wrapping_sub" => "wrapping_add",
        "checked_add" => "checked_sub",
        "checked_sub" => "checked_add",
        "starts_with" => "ends_with",
        "ends_with" => "starts_with",
        _ => return None,
    })
}

/// What a function of this type may end with at once.
fn defaults(output: &ReturnType) -> Vec<&'static str> {
    let ReturnType::Type(_, output) = output else {
        return vec![""];
    };
    let path = match &**output {
        Type::Path(path) => path,
        Type::Reference(to) => {
            return match &*to.elem {
                Type::Path(path) if path.path.is_ident("str") => vec!["\"\""],
                Type::Slice(_) if to.mutability.is_none() => vec!["&[]"],
                _ => vec![],
            };
        }
        Type::Tuple(tuple) if tuple.elems.is_empty() => return vec![""],
        _ => return vec![],
    };
    let Some(last) = path.path.segments.last() else {
        return vec![];
    };
    match last.ident.to_string().as_str() {
        "bool" => vec!["true", "false"],
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "i32" | "i64" => vec!["0"],
        "f64" => vec!["0.0"],
        "Option" => vec!["None"],
        "String" => vec!["String::new()"],
        "Vec" => vec!["Vec::new()"],
        "Result" => match &last.arguments {
            syn::PathArguments::AngleBracketed(of) => match of.args.first() {
                Some(syn::GenericArgument::Type(Type::Tuple(unit))) if unit.elems.is_empty() => {
                    vec!["Ok(())"]
                }
                _ => vec![],
            },
            _ => vec![],
        },
        _ => vec![],
    }
}

fn has_let(expr: &Expr) -> bool {
    match expr {
        Expr::Let(_) => true,
        Expr::Binary(both) if matches!(both.op, BinOp::And(_)) => {
            has_let(&both.left) || has_let(&both.right)
        }
        _ => false,
    }
}

impl Finder<'_> {
    fn of(&self, node: &impl Spanned) -> &str {
        &self.text[node.span().byte_range()]
    }

    fn add(&mut self, node: &impl Spanned, to: &str, form: Form) {
        let span = node.span();
        let mutant = Mutant {
            file: self.file.to_owned(),
            line: span.start().line,
            function: self.names.join("::"),
            from: short(&self.text[span.byte_range()]),
            to: short(to),
            range: span.byte_range(),
            form,
            key: String::new(),
        };
        self.found.push(mutant);
    }

    fn instead(&mut self, node: &impl Spanned, shown: &str, code: String) {
        self.add(node, shown, Form::Instead(code));
    }

    /// `if` and `while`: what no operator in it turns round already.
    fn condition(&mut self, condition: &Expr) {
        let is_changed_inside = match condition {
            Expr::Binary(both) => swapped(&both.op).is_some() || has_let(condition),
            Expr::Unary(one) => matches!(one.op, UnOp::Not(_)),
            Expr::Let(_) | Expr::Lit(_) => true,
            Expr::MethodCall(call) => {
                twin(&call.method.to_string()).is_some_and(|to| to.starts_with("is_"))
            }
            _ => false,
        };
        if !is_changed_inside {
            let not = format!("!({})", self.of(condition));
            self.instead(condition, &not.clone(), not);
        }
    }

    fn function(&mut self, signature: &syn::Signature, block: &Block) {
        if signature.constness.is_some() {
            return;
        }
        self.names.push(signature.ident.to_string());
        let body = self.of(block);
        let body = body
            .trim_start_matches('{')
            .trim_end_matches('}')
            .trim()
            .to_owned();
        if !body.is_empty() && signature.asyncness.is_none() {
            for default in defaults(&signature.output) {
                if body == default {
                    continue;
                }
                let behind = block.brace_token.span.open().byte_range().end;
                let to = if default.is_empty() {
                    "return"
                } else {
                    default
                };
                self.found.push(Mutant {
                    file: self.file.to_owned(),
                    line: signature.ident.span().start().line,
                    function: self.names.join("::"),
                    from: "the body".to_owned(),
                    to: to.to_owned(),
                    range: behind..behind,
                    form: Form::AtOnce(default.to_owned()),
                    key: String::new(),
                });
            }
        }
        visit::visit_block(self, block);
        self.names.pop();
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_attribute(&mut self, _: &'ast syn::Attribute) {}
    fn visit_pat(&mut self, _: &'ast syn::Pat) {}
    fn visit_type(&mut self, _: &'ast Type) {}
    fn visit_generic_argument(&mut self, _: &'ast syn::GenericArgument) {}
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_trait_item_const(&mut self, _: &'ast syn::TraitItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_item_enum(&mut self, _: &'ast syn::ItemEnum) {}
    fn visit_item_struct(&mut self, _: &'ast syn::ItemStruct) {}
    fn visit_expr_const(&mut self, _: &'ast syn::ExprConst) {}

    fn visit_expr_repeat(&mut self, repeat: &'ast syn::ExprRepeat) {
        self.visit_expr(&repeat.expr);
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_test(&module.attrs) {
            self.names.push(module.ident.to_string());
            visit::visit_item_mod(self, module);
            self.names.pop();
        } else if module.content.is_none() {
            let stem = self.file.trim_end_matches(".rs");
            let folder = ["/mod", "/lib"]
                .iter()
                .find_map(|end| stem.strip_suffix(end))
                .unwrap_or(stem);
            self.for_tests.push(format!("{folder}/{}", module.ident));
        }
    }

    fn visit_item_impl(&mut self, block: &'ast syn::ItemImpl) {
        let of_trait = block
            .trait_
            .as_ref()
            .and_then(|(_, path, _)| path.segments.last());
        // What `{:?}` shows is promised to nobody.
        if is_test(&block.attrs) || of_trait.is_some_and(|last| last.ident == "Debug") {
            return;
        }
        let name = match &*block.self_ty {
            Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()),
            _ => None,
        };
        self.names.push(name.unwrap_or_else(|| "impl".to_owned()));
        visit::visit_item_impl(self, block);
        self.names.pop();
    }

    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        if !is_test(&function.attrs) {
            self.function(&function.sig, &function.block);
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_test(&function.attrs) {
            self.function(&function.sig, &function.block);
        }
    }

    fn visit_trait_item_fn(&mut self, function: &'ast syn::TraitItemFn) {
        if let (Some(block), false) = (&function.default, is_test(&function.attrs)) {
            self.function(&function.sig, block);
        }
    }

    fn visit_item_use(&mut self, _: &'ast syn::ItemUse) {}

    fn visit_stmt(&mut self, statement: &'ast Stmt) {
        if let Stmt::Expr(expr, Some(_)) = statement {
            let inner = if let Expr::Try(tried) = expr {
                &*tried.expr
            } else {
                expr
            };
            let is_removable = match inner {
                Expr::Call(_) | Expr::MethodCall(_) | Expr::Assign(_) => true,
                Expr::Binary(both) => is_assignment(&both.op),
                _ => false,
            };
            if is_removable {
                self.add(statement, "left out", Form::LeftOut);
            }
        }
        visit::visit_stmt(self, statement);
    }

    fn visit_expr_if(&mut self, branch: &'ast syn::ExprIf) {
        self.condition(&branch.cond);
        visit::visit_expr_if(self, branch);
    }

    fn visit_expr_while(&mut self, repeated: &'ast syn::ExprWhile) {
        self.condition(&repeated.cond);
        visit::visit_expr_while(self, repeated);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if is_test(&arm.attrs) {
            return;
        }
        if let Some((_, guard)) = &arm.guard {
            if !has_let(guard) {
                for to in ["true", "false"] {
                    self.instead(&**guard, to, to.to_owned());
                }
            }
        }
        visit::visit_arm(self, arm);
    }

    fn visit_expr_binary(&mut self, both: &'ast syn::ExprBinary) {
        let is_chain = has_let(&both.left) || has_let(&both.right);
        if let (Some(operator), false) = (swapped(&both.op), is_chain) {
            let (left, right) = (
                self.of(&both.left).to_owned(),
                self.of(&both.right).to_owned(),
            );
            let left_code = if is_assignment(&both.op) {
                left.clone()
            } else {
                format!("({left})")
            };
            let code = format!("{left_code} {operator} ({right})");
            self.instead(both, &format!("{left} {operator} {right}"), code);
        }
        visit::visit_expr_binary(self, both);
    }

    fn visit_expr_unary(&mut self, one: &'ast syn::ExprUnary) {
        if matches!(one.op, UnOp::Not(_) | UnOp::Neg(_)) {
            let inner = self.of(&one.expr).to_owned();
            self.instead(one, &inner.clone(), inner);
        }
        visit::visit_expr_unary(self, one);
    }

    fn visit_expr_lit(&mut self, literal: &'ast syn::ExprLit) {
        match &literal.lit {
            Lit::Int(number) => {
                let code = format!("{} + 1", self.of(number));
                self.instead(literal, &code.clone(), code);
            }
            Lit::Bool(truth) => {
                let code = (!truth.value).to_string();
                self.instead(literal, &code.clone(), code);
            }
            _ => {}
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if let Some(other) = twin(&call.method.to_string()) {
            let (all, name) = (call.span().byte_range(), call.method.span().byte_range());
            let code = format!(
                "{}{other}{}",
                &self.text[all.start..name.start],
                &self.text[name.end..all.end]
            );
            self.instead(call, &code.clone(), code);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_call(&mut self, call: &'ast syn::ExprCall) {
        let is_some = matches!(&*call.func, Expr::Path(path) if path.path.is_ident("Some"));
        if is_some {
            self.instead(call, "None", "None".to_owned());
        }
        visit::visit_expr_call(self, call);
    }
}
