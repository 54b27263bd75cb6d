//! docs/cluster.md, as the commands that it has an administrator type.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, ensure};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cluster.md");
/// What is a command in the middle of a sentence begins with one of these, and has
/// three words at least: what has fewer is a name.
const PROGRAMS: [&str; 6] = [
    "crm",
    "crm_mon",
    "lh-control",
    "lh-mover",
    "pcs",
    "stonith_admin",
];
/// How a command begins to read what follows it, and the last line of that.
const HERE: &str = " <<'END'";
const END: &str = "END";

/// The document. What was not taken from it in the end was not run.
pub struct Document {
    blocks: Vec<Block>,
    /// What is not to be run here: how such commands begin, and why.
    skipped: &'static [(&'static str, &'static str)],
}

/// Lines of a section that stand together.
struct Block {
    section: String,
    commands: Vec<String>,
    is_taken: bool,
}

impl Document {
    /// Reads it. Commands that begin like this are left out.
    ///
    /// # Errors
    /// If it cannot be read, or nothing in it begins like that.
    pub fn read(skipped: &'static [(&'static str, &'static str)]) -> Result<Document> {
        let text = fs::read_to_string(FILE).context(FILE)?;
        let blocks = parse(&text);
        for (begin, why) in skipped {
            let mut commands = blocks.iter().flat_map(|block| &block.commands);
            ensure!(
                commands.any(|command| command.starts_with(begin)),
                "nothing begins with {begin:?} ({why})"
            );
        }
        Ok(Document { blocks, skipped })
    }

    /// The first block of a section that begins like this and was not taken yet: its
    /// commands without those that are not to be run.
    ///
    /// # Errors
    /// If there is none.
    pub fn take(&mut self, section: &str, begin: &str) -> Result<Vec<String>> {
        let skipped = self.skipped;
        let block = self.blocks.iter_mut().find(|block| {
            let first = block.commands.first();
            !block.is_taken
                && block.section == section
                && first.is_some_and(|command| command.starts_with(begin))
        });
        let block = block.with_context(|| format!("{section}: nothing begins with {begin:?}"))?;
        block.is_taken = true;
        let commands = block.commands.iter();
        Ok(commands
            .filter(|one| !is_in(skipped, one))
            .cloned()
            .collect())
    }

    /// The commands that nobody took.
    pub fn left(&self) -> BTreeSet<&str> {
        let blocks = self.blocks.iter().filter(|block| !block.is_taken);
        let commands = blocks.flat_map(|block| &block.commands);
        let left = commands.filter(|command| !is_in(self.skipped, command));
        left.map(String::as_str).collect()
    }
}

fn is_in(skipped: &[(&str, &str)], command: &str) -> bool {
    skipped.iter().any(|(begin, _)| command.starts_with(begin))
}

/// All blocks, in order. A command in a sentence is a block of its own.
fn parse(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut section = "";
    for paragraph in text.split("\n\n") {
        let paragraph = paragraph.trim_matches('\n');
        section = paragraph.strip_prefix("## ").unwrap_or(section);
        let commands = match paragraph.starts_with("    ") {
            true => vec![commands(paragraph)],
            false => spans(paragraph).map(|span| vec![span]).collect(),
        };
        blocks.extend(commands.into_iter().map(|commands| Block {
            section: section.to_owned(),
            commands,
            is_taken: false,
        }));
    }
    blocks
}

/// The commands of an indented block, as a shell is given them. A file is one, and so
/// is a command with what it reads.
fn commands(block: &str) -> Vec<String> {
    let is_file = block.lines().next().is_some_and(|line| line.ends_with('{'));
    let mut commands: Vec<String> = Vec::new();
    let mut goes_on = false;
    for line in block.lines() {
        let line = line.strip_prefix("    ").unwrap_or(line);
        match commands.last_mut().filter(|_| goes_on) {
            Some(last) => *last = format!("{last}\n{line}"),
            None => commands.push(line.to_owned()),
        }
        let last = commands.last().map_or("", String::as_str);
        let is_in_loop = last.starts_with("for ") && !last.ends_with("done");
        let reads = last.lines().next().is_some_and(|line| line.ends_with(HERE));
        let is_read = reads && line != END;
        goes_on = is_file || is_in_loop || is_read || line.ends_with('\\');
    }
    commands
}

/// The commands in sentences, unless these say what was run.
fn spans(paragraph: &str) -> impl Iterator<Item = String> {
    let is_note = ["|", "*Run", "*Not run"].map(|begin| paragraph.starts_with(begin));
    let spans = paragraph.split('`').skip(1).step_by(2);
    let spans = spans.map(|span| span.split_whitespace().collect::<Vec<_>>());
    let commands = spans.filter(move |words| {
        let is_command = words.len() > 2 && PROGRAMS.contains(&words[0]);
        is_command && !is_note.contains(&true)
    });
    commands.map(|words| words.join(" "))
}

#[test]
fn commands_are_taken_from_blocks_and_from_sentences() {
    let text = "# Title\n\n## One\n\nSay `crm node\nstandby db1`, or `crm`.\n\n    for x in 1; do\n        \
                y\n    done\n    z a \\\n        b   # why\n    crm <<'END'\n    a\n    END\n    b\n\n*Run: `pcs node standby x`.*\n\n    \
                totem {\n        version: 2\n    }\n";
    let blocks: Vec<_> = parse(text)
        .into_iter()
        .map(|block| block.commands)
        .collect();
    let expected = [
        vec!["crm node standby db1"],
        vec![
            "for x in 1; do\n    y\ndone",
            "z a \\\n    b   # why",
            "crm <<'END'\na\nEND",
            "b",
        ],
        vec!["totem {\n    version: 2\n}"],
    ];
    assert_eq!(blocks, expected);
}
