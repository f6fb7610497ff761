//! A document as a positioned tree: what the user wrote and where. `yaml` grows it; what it means is for who reads it.

use super::mark::Mark;
use super::spelling::snake_case;

/// A value and where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Where it begins. A value that came by an alias has the place of the alias, its parts have their own.
    pub at: Mark,
    /// What it is.
    pub value: Value,
}

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Value {
    /// Nothing, `null` or `~`.
    #[default]
    Null,
    /// Text that may stand for a number or a boolean.
    Scalar(Scalar),
    /// A list.
    Seq(Vec<Node>),
    /// A map in the order written, without duplicates, merge keys applied.
    Map(Vec<Entry>),
}

/// A scalar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar {
    /// Escapes and folding are undone.
    pub text: Box<str>,
    /// Unquoted: YAML may take it for a number or a boolean.
    pub plain: bool,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: Scalar,
    /// Where the key begins.
    pub at: Mark,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// The entries of a map; none for anything else.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            Value::Null | Value::Scalar(_) | Value::Seq(_) => &[],
        }
    }

    /// The items of a list; none for anything else.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::Seq(items) => items,
            Value::Null | Value::Scalar(_) | Value::Map(_) => &[],
        }
    }

    /// The text of a scalar, whatever it may stand for.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            Value::Null | Value::Seq(_) | Value::Map(_) => None,
        }
    }

    /// Whether another says the same in the same order, wherever it stands.
    #[must_use]
    pub fn says_the_same(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::Null, Value::Null) => true,
            (Value::Scalar(a), Value::Scalar(b)) => a == b,
            (Value::Seq(a), Value::Seq(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.says_the_same(b))
            }
            (Value::Map(a), Value::Map(b)) => {
                let same =
                    |(a, b): (&Entry, &Entry)| a.key == b.key && a.value.says_the_same(&b.value);
                a.len() == b.len() && a.iter().zip(b).all(same)
            }
            (Value::Null | Value::Scalar(_) | Value::Seq(_) | Value::Map(_), _) => false,
        }
    }

    /// Whether nothing was written, or `null`.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.value == Value::Null
    }

    /// The entry of exactly this key.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| &*entry.key.text == key)
    }

    /// The entry of a field in camel case, which may be written in snake case; camel case wins.
    #[must_use]
    pub fn field(&self, camel: &str) -> Option<&Entry> {
        self.entry(camel).or_else(|| {
            let snake = snake_case(camel);
            (snake != camel).then(|| self.entry(&snake)).flatten()
        })
    }

    /// Where the value of a path such as `spec.http[2].headers["end-user"]` stands, or else its closest parent.
    ///
    /// A value that begins on a later line than its key is found by its key, because that is where its author looks.
    #[must_use]
    pub fn locate(&self, path: &str) -> Mark {
        self.follow(path).1
    }

    /// The value of a path, as in [`locate`](Self::locate), if it is there.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<&Self> {
        let (node, _, rest) = self.follow(path);
        rest.is_empty().then_some(node)
    }

    /// The last value of a path that is there, its place, and the rest of the path.
    fn follow<'p>(&self, path: &'p str) -> (&Self, Mark, &'p str) {
        let mut node = self;
        let mut at = self.at;
        let mut rest = path;
        while let Some((step, after)) = next_step(rest) {
            let found = match step {
                Step::Field(name) => node.field(name).map(place),
                Step::Key(key) => node.entry(&key).map(place),
                Step::Index(index) => node.items().get(index).map(|item| (item, item.at)),
            };
            let Some((next, mark)) = found else { break };
            (node, at, rest) = (next, mark, after);
        }
        (node, at, rest)
    }
}

fn place(entry: &Entry) -> (&Node, Mark) {
    let value = &entry.value;
    let at = if value.at.line == entry.at.line && !value.is_null() {
        value.at
    } else {
        entry.at
    };
    (value, at)
}

enum Step<'p> {
    Field(&'p str),
    Key(String),
    Index(usize),
}

/// The first step of a path, and what is left of it.
fn next_step(path: &str) -> Option<(Step<'_>, &str)> {
    if path.is_empty() {
        return None;
    }
    if let Some(quoted) = path.strip_prefix("[\"") {
        return next_key(quoted);
    }
    if let Some(number) = path.strip_prefix('[') {
        let (digits, rest) = number.split_once(']')?;
        return Some((Step::Index(digits.parse().ok()?), rest));
    }
    let path = path.strip_prefix('.').unwrap_or(path);
    let end = path.find(['.', '[']).unwrap_or(path.len());
    Some((Step::Field(&path[..end]), &path[end..]))
}

/// The rest of `["key"]`, in the escapes that `{:?}` writes; a key with rarer escapes is not found.
fn next_key(quoted: &str) -> Option<(Step<'_>, &str)> {
    let mut key = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((Step::Key(key), quoted[at + 1..].strip_prefix(']')?)),
            '\\' => match chars.next()?.1 {
                'n' => key.push('\n'),
                't' => key.push('\t'),
                'r' => key.push('\r'),
                other => key.push(other),
            },
            other => key.push(other),
        }
    }
    None
}
