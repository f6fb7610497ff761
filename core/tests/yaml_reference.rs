//! Our YAML reader beside an independent one: whatever `serde_yaml` writes, we read back as it was, and every scalar
//! stands where we say it stands.

use std::collections::BTreeMap;

use outrigger_core::config::Report;
use outrigger_core::config::node::{Node, Value};
use outrigger_core::config::yaml::read;
use proptest::prelude::*;
use serde::Serialize;

/// What a document may say.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
enum Tree {
    Null,
    Boolean(bool),
    Number(i64),
    Text(String),
    Seq(Vec<Self>),
    Map(BTreeMap<String, Self>),
}

fn key() -> impl Strategy<Value = String> {
    "[a-zA-Z][a-zA-Z0-9_./-]{0,8}|true|null|y|[0-9]{1,3}"
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Boolean),
        any::<i64>().prop_map(Tree::Number),
        "[ -~\n\tàé日😀]{0,12}".prop_map(Tree::Text),
        "(null|~|yes|no|on|true|1e3|0x10|010|1_000|-|:|#|&a|\\*a|!t|%|@|`|\\[|\\{)"
            .prop_map(Tree::Text),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::Seq),
            prop::collection::btree_map(key(), inner, 0..4).prop_map(Tree::Map),
        ]
    })
}

/// Whether a node says what the tree says, and stands where it says.
fn agrees(node: &Node, tree: &Tree, lines: &[&str]) -> Result<(), TestCaseError> {
    match (&node.value, tree) {
        (Value::Null, Tree::Null) => {}
        (Value::Scalar(scalar), Tree::Text(text)) => prop_assert_eq!(&*scalar.text, text.as_str()),
        (Value::Scalar(scalar), Tree::Number(_) | Tree::Boolean(_)) => {
            let text = match tree {
                Tree::Number(number) => number.to_string(),
                other => serde_yaml::to_string(other)
                    .expect("it can be written")
                    .trim()
                    .to_owned(),
            };
            prop_assert!(scalar.plain);
            prop_assert_eq!(&*scalar.text, text.as_str());
            let line = lines[node.at.line as usize - 1];
            let here: String = line.chars().skip(node.at.column as usize - 1).collect();
            prop_assert!(here.starts_with(&*text), "{here:?} at {:?}", node.at);
        }
        (Value::Seq(items), Tree::Seq(trees)) => {
            prop_assert_eq!(items.len(), trees.len());
            for (item, tree) in items.iter().zip(trees) {
                agrees(item, tree, lines)?;
            }
        }
        (Value::Map(entries), Tree::Map(trees)) => {
            prop_assert_eq!(entries.len(), trees.len());
            for (entry, (key, tree)) in entries.iter().zip(trees) {
                prop_assert_eq!(&*entry.key.text, key.as_str());
                agrees(&entry.value, tree, lines)?;
            }
        }
        (value, tree) => prop_assert!(false, "{value:?} for {tree:?}"),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_another_writes_is_read_as_it_was(trees in prop::collection::vec(tree(), 1..3)) {
        let documents = trees.iter().map(|tree| serde_yaml::to_string(tree).expect("it can be written"));
        let text = documents.collect::<Vec<_>>().join("---\n");
        let mut report = Report::new();
        let nodes = read(text.as_bytes(), &mut report);
        let findings = report.into_findings();
        prop_assert!(findings.is_empty(), "{text}\n{findings:?}");
        // A document that says nothing is none.
        let said: Vec<&Tree> = trees.iter().filter(|tree| !matches!(tree, Tree::Null)).collect();
        let nodes: Vec<&Node> = nodes.iter().filter(|node| !node.is_null()).collect();
        prop_assert_eq!(nodes.len(), said.len(), "{}", &text);
        let lines: Vec<&str> = text.split('\n').collect();
        for (node, tree) in nodes.into_iter().zip(said) {
            agrees(node, tree, &lines)?;
        }
    }
}
