//! A case file as text: sections with their prose and fenced blocks, each with its line.

use crate::Problem;

/// A fenced block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The line of its opening fence, from 1; the first line of its text is the next one.
    pub line: usize,
    /// The words after the fence.
    pub info: Vec<String>,
    /// What stands between the fences.
    pub text: String,
}

/// What stands under one `## title`, or before the first one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// The line of the title, from 1.
    pub line: usize,
    /// The title; empty for what stands before the first one.
    pub title: String,
    /// Lines outside blocks, with their numbers.
    pub prose: Vec<(usize, String)>,
    /// The blocks in order.
    pub blocks: Vec<Block>,
}

/// Splits a file. The first section is what stands before the first title.
///
/// # Errors
/// A fence that is never closed.
pub fn sections(file: &str, text: &str) -> Result<Vec<Section>, Problem> {
    let mut all = vec![Section::default()];
    let mut open: Option<Block> = None;
    for (number, line) in (1..).zip(text.lines()) {
        if let Some(mut block) = open.take() {
            if line.trim_end() == "```" {
                if let Some(section) = all.last_mut() {
                    section.blocks.push(block);
                }
            } else {
                block.text.push_str(line);
                block.text.push('\n');
                open = Some(block);
            }
        } else if let Some(info) = line.strip_prefix("```") {
            open = Some(Block {
                line: number,
                info: info.split_whitespace().map(str::to_owned).collect(),
                text: String::new(),
            });
        } else if let Some(title) = line.strip_prefix("## ") {
            all.push(Section {
                line: number,
                title: title.trim().to_owned(),
                ..Section::default()
            });
        } else if let Some(section) = all.last_mut() {
            section.prose.push((number, line.to_owned()));
        }
    }
    match open {
        Some(block) => Err(Problem::new(file, block.line, "this block is never closed")),
        None => Ok(all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_and_blocks_know_their_lines() {
        let text = "# T\nwhy\n```yaml\na: 1\n```\n## One\n\n```client inbound\n> x\n\n```\nend\n";
        let all = sections("f", text).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(
            (all[0].blocks[0].line, &*all[0].blocks[0].text),
            (3, "a: 1\n")
        );
        assert_eq!((&*all[1].title, all[1].line), ("One", 6));
        assert_eq!(all[1].blocks[0].info, ["client", "inbound"]);
        assert_eq!(all[1].blocks[0].text, "> x\n\n");
        assert_eq!(sections("f", "a\n```x\n").unwrap_err().line, 2);
    }
}
