//! How much one file may hold once it is read, and what ends the reading when that or anything else is wrong.

use crate::config::code::Code;
use crate::config::mark::Mark;
use crate::config::node::{Node, Value};

/// Deeper nesting is refused.
pub const MAX_DEPTH: usize = 64;
/// More keys and values in one file are refused, counted after aliases are expanded.
pub const MAX_NODES: usize = 1_000_000;
/// More text in the scalars of one file is refused, counted after aliases are expanded: 32 MiB.
pub const MAX_SCALAR_BYTES: usize = 32 << 20;

/// What ends the reading of one document.
pub(super) struct Fault {
    pub(super) at: Mark,
    pub(super) code: Code,
    pub(super) message: String,
    pub(super) help: &'static str,
}

/// What was read of one file so far.
#[derive(Clone, Copy, Default)]
pub(super) struct Budget {
    nodes: usize,
    scalar_bytes: usize,
}

impl Budget {
    pub(super) fn is_spent(&self) -> bool {
        self.nodes > MAX_NODES || self.scalar_bytes > MAX_SCALAR_BYTES
    }

    pub(super) fn spend(&mut self, size: Size, at: Mark) -> Result<(), Fault> {
        self.nodes = self.nodes.saturating_add(size.nodes);
        self.scalar_bytes = self.scalar_bytes.saturating_add(size.bytes);
        if !self.is_spent() {
            return Ok(());
        }
        Err(Fault {
            at,
            code: Code::YamlTooBig,
            message: format!(
                "the file has more than {MAX_NODES} values or {MAX_SCALAR_BYTES} bytes of text, aliases expanded"
            ),
            help: "split the file, or write out what the aliases stand for",
        })
    }
}

/// What a node costs when it is repeated.
#[derive(Clone, Copy, Default)]
pub(super) struct Size {
    pub(super) nodes: usize,
    pub(super) bytes: usize,
    pub(super) height: usize,
}

/// What a node costs, with all that it holds.
pub(super) fn size(node: &Node) -> Size {
    let mut total = Size {
        nodes: 1,
        bytes: 0,
        height: 0,
    };
    let mut add = |part: Size| {
        total.nodes = total.nodes.saturating_add(part.nodes);
        total.bytes = total.bytes.saturating_add(part.bytes);
        total.height = total.height.max(part.height + 1);
    };
    match &node.value {
        Value::Null => {}
        Value::Scalar(scalar) => total.bytes = scalar.text.len(),
        Value::Seq(items) => items.iter().map(size).for_each(add),
        Value::Map(entries) => {
            for entry in entries {
                let mut part = size(&entry.value);
                part.bytes = part.bytes.saturating_add(entry.key.text.len());
                add(part);
            }
        }
    }
    total
}
