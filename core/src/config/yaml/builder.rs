//! Builds one node tree from parser events: keys, duplicates, anchors, aliases, merge keys and tags.

use std::collections::{BTreeMap, BTreeSet};

use saphyr_parser::{Event, ScalarStyle, Tag};

use super::budget::{Budget, Fault, MAX_DEPTH, Size, size};
use crate::config::code::Code;
use crate::config::mark::Mark;
use crate::config::node::{Entry, Node, Scalar, Value};
use crate::config::value::{Plain, resolve};

/// A collection that is being read.
struct Open {
    at: Mark,
    anchor: usize,
    kind: OpenKind,
}

enum OpenKind {
    Seq(Vec<Node>),
    Map(OpenMap),
}

#[derive(Default)]
struct OpenMap {
    entries: Vec<Entry>,
    seen: BTreeSet<Box<str>>,
    key: Option<(Scalar, Mark)>,
    /// What `<<` named, in order.
    merges: Vec<Node>,
}

/// What is told and does not end the reading, with the words of the author that it is about.
pub(super) enum Oddity {
    /// A key stands twice in a mapping.
    DuplicateKey(Box<str>),
    /// A tag means nothing here.
    Tag(Box<str>),
}

/// Takes events, and holds the tree so far.
pub(super) struct Builder<'r> {
    budget: &'r mut Budget,
    oddities: Vec<(Mark, Oddity)>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, (Node, Size)>,
    root: Option<Node>,
}

impl<'r> Builder<'r> {
    pub(super) fn new(budget: &'r mut Budget) -> Self {
        Self {
            budget,
            oddities: Vec::new(),
            open: Vec::new(),
            anchors: BTreeMap::new(),
            root: None,
        }
    }

    /// The tree, if one is complete, and what is odd about it.
    pub(super) fn finished(self) -> (Option<Node>, Vec<(Mark, Oddity)>) {
        (self.root, self.oddities)
    }

    /// Takes the next event, which stands at `at`.
    pub(super) fn take(&mut self, event: Event<'_>, at: Mark) -> Result<(), Fault> {
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::Alias(anchor) => {
                let node = self.expand(anchor, at)?;
                self.place(node)
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.budget.spend(
                    Size {
                        nodes: 1,
                        bytes: text.len(),
                        height: 0,
                    },
                    at,
                )?;
                let kind = self.kind(tag.as_deref(), at);
                let value = scalar(&text, style, kind, at)?;
                self.finish(Node { at, value }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.kind(tag.as_deref(), at);
                self.descend(at, anchor, OpenKind::Seq(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.kind(tag.as_deref(), at);
                self.descend(at, anchor, OpenKind::Map(OpenMap::default()))
            }
            Event::SequenceEnd | Event::MappingEnd => self.ascend(),
        }
    }

    /// The kind that a tag asks for, and a word about tags that ask for none.
    fn kind(&mut self, tag: Option<&Tag>, at: Mark) -> Kind {
        let Some(tag) = tag else {
            return Kind::AsWritten;
        };
        let name = format!("{}{}", tag.handle, tag.suffix);
        match name.strip_prefix(CORE_SCHEMA) {
            Some("str") => Kind::Text,
            Some("int" | "float" | "bool") => Kind::Resolved,
            Some("null") => Kind::Null,
            Some("seq" | "map") => Kind::AsWritten,
            Some("binary") => Kind::Binary,
            // `!` alone: take the value as it is written.
            None if matches!(&*name, "" | "!") => Kind::Text,
            Some(_) | None => {
                let name = match name.strip_prefix(CORE_SCHEMA) {
                    Some(suffix) => format!("!!{suffix}"),
                    None => name,
                };
                self.oddities.push((at, Oddity::Tag(name.into())));
                Kind::Text
            }
        }
    }

    fn descend(&mut self, at: Mark, anchor: usize, kind: OpenKind) -> Result<(), Fault> {
        self.budget.spend(
            Size {
                nodes: 1,
                bytes: 0,
                height: 0,
            },
            at,
        )?;
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(at));
        }
        self.open.push(Open { at, anchor, kind });
        Ok(())
    }

    fn ascend(&mut self) -> Result<(), Fault> {
        let Some(Open { at, anchor, kind }) = self.open.pop() else {
            return Ok(());
        };
        let value = match kind {
            OpenKind::Seq(items) => Value::Seq(items),
            OpenKind::Map(map) => Value::Map(merged(map)),
        };
        self.finish(Node { at, value }, anchor)
    }

    /// A node is complete: remember it if it has an anchor, and put it where it belongs.
    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Fault> {
        if anchor != 0 {
            let cost = size(&node);
            self.budget.spend(cost, node.at)?;
            self.anchors.insert(anchor, (node.clone(), cost));
        }
        self.place(node)
    }

    fn expand(&mut self, anchor: usize, at: Mark) -> Result<Node, Fault> {
        let Some((node, cost)) = self.anchors.get(&anchor) else {
            return Err(Fault {
                at,
                code: Code::YamlAlias,
                message: "the alias names a value that contains it".to_owned(),
                help: "write the value out",
            });
        };
        if self.open.len() + cost.height > MAX_DEPTH {
            return Err(too_deep(at));
        }
        self.budget.spend(*cost, at)?;
        let value = node.value.clone();
        Ok(Node { at, value })
    }

    fn place(&mut self, node: Node) -> Result<(), Fault> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.kind {
            OpenKind::Seq(items) => {
                items.push(node);
                Ok(())
            }
            OpenKind::Map(map) => match map.key.take() {
                None => {
                    map.key = Some(key(node)?);
                    Ok(())
                }
                Some((key, at)) => place_entry(map, key, at, node, &mut self.oddities),
            },
        }
    }
}

fn place_entry(
    map: &mut OpenMap,
    key: Scalar,
    at: Mark,
    value: Node,
    oddities: &mut Vec<(Mark, Oddity)>,
) -> Result<(), Fault> {
    if !map.seen.insert(key.text.clone()) {
        oddities.push((at, Oddity::DuplicateKey(key.text)));
        return Ok(());
    }
    if key.plain && &*key.text == "<<" {
        map.merges.extend(merge_sources(value)?);
    } else {
        map.entries.push(Entry { key, at, value });
    }
    Ok(())
}

/// What a merge key names: a map, or a list of maps (YAML 1.1 merge type).
fn merge_sources(value: Node) -> Result<Vec<Node>, Fault> {
    let at = value.at;
    let sources = match value.value {
        Value::Seq(items) => items,
        Value::Null | Value::Scalar(_) | Value::Map(_) => vec![value],
    };
    if sources
        .iter()
        .all(|source| matches!(source.value, Value::Map(_)))
    {
        return Ok(sources);
    }
    Err(Fault {
        at,
        code: Code::YamlMerge,
        message: "the merge key `<<` takes a mapping or a list of mappings".to_owned(),
        help: "name an anchored mapping, or quote the key",
    })
}

/// The entries of a map with merge keys applied: what is written wins over what is merged, earlier over later.
fn merged(map: OpenMap) -> Vec<Entry> {
    let OpenMap {
        mut entries,
        mut seen,
        merges,
        ..
    } = map;
    for source in merges {
        if let Value::Map(merged) = source.value {
            entries.extend(
                merged
                    .into_iter()
                    .filter(|entry| seen.insert(entry.key.text.clone())),
            );
        }
    }
    entries
}

fn key(node: Node) -> Result<(Scalar, Mark), Fault> {
    match node.value {
        Value::Scalar(scalar) => Ok((scalar, node.at)),
        Value::Null | Value::Seq(_) | Value::Map(_) => Err(Fault {
            at: node.at,
            code: Code::YamlKey,
            message: "a key must be text".to_owned(),
            help: "quote the key; check for a missing key or a template that was not filled in",
        }),
    }
}

fn too_deep(at: Mark) -> Fault {
    Fault {
        at,
        code: Code::YamlTooDeep,
        message: format!("nested deeper than {MAX_DEPTH} levels"),
        help: "",
    }
}

/// What stands before the name of a tag that YAML itself has (YAML 1.2 §10).
const CORE_SCHEMA: &str = "tag:yaml.org,2002:";

/// What a tag makes of a scalar. Collections are what they are.
#[derive(Clone, Copy)]
enum Kind {
    /// No tag: a plain scalar may stand for a number or a boolean.
    AsWritten,
    Text,
    /// A number or boolean, even in quotes.
    Resolved,
    Null,
    /// Base64, which nothing here reads.
    Binary,
}

/// The value of a scalar by its style and tag.
fn scalar(text: &str, style: ScalarStyle, kind: Kind, at: Mark) -> Result<Value, Fault> {
    let plain = match kind {
        Kind::AsWritten => style == ScalarStyle::Plain,
        Kind::Text => false,
        Kind::Resolved => true,
        Kind::Null => return Ok(Value::Null),
        Kind::Binary => return Err(binary(at)),
    };
    if plain && resolve(text) == Plain::Null {
        return Ok(Value::Null);
    }
    Ok(Value::Scalar(Scalar {
        text: text.into(),
        plain,
    }))
}

fn binary(at: Mark) -> Fault {
    Fault {
        at,
        code: Code::YamlTag,
        message: "tag `!!binary` is not decoded".to_owned(),
        help: "write the text itself",
    }
}
