//! The fenced code blocks of the documentation, and the commands in its sentences.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// A fenced code block.
pub struct Block {
    /// The file, relative to the repository.
    pub file: String,
    /// The line of the opening fence.
    pub line: usize,
    /// What stands behind the opening fence: the language, then how the block is tested.
    pub info: String,
    /// The lines between the fences, without the indentation of the fence.
    pub text: String,
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: this block ({})", self.file, self.line, self.info)
    }
}

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The pages whose blocks are tested, relative to the repository.
pub fn pages() -> Vec<String> {
    let docs = fs::read_dir(root().join("docs")).expect("the folder docs");
    let paths = docs.map(|entry| entry.expect("an entry").path());
    let markdown = paths.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let relative = |path: PathBuf| path.strip_prefix(root()).expect("below the root").display().to_string();
    let mut pages: Vec<String> = markdown.map(relative).collect();
    pages.extend(["README.md", "CHANGELOG.md", "CONTRIBUTING.md"].map(str::to_owned));
    pages.retain(|page| root().join(page).exists());
    pages.sort();
    pages
}

pub fn read(page: &str) -> String {
    fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

/// Every fenced block of every page.
pub fn blocks() -> Vec<Block> {
    let blocks: Vec<Block> = pages().iter().flat_map(|page| blocks_of(page, &read(page))).collect();
    assert!(blocks.len() > 30, "only {} blocks were found: are they fenced in another way?", blocks.len());
    blocks
}

/// The blocks whose info string is this one; at least one, or the test would test nothing.
pub fn of_kind(info: &str) -> Vec<Block> {
    let found: Vec<Block> = blocks().into_iter().filter(|block| block.info == info).collect();
    assert!(!found.is_empty(), "no block is marked {info:?}: remove its test");
    found
}

fn blocks_of(file: &str, text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<(Block, usize)> = None;
    for (number, line) in text.lines().enumerate() {
        let indentation = line.len() - line.trim_start().len();
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(info)) => {
                let info = info.trim().to_owned();
                let block = Block { file: file.to_owned(), line: number + 1, info, text: String::new() };
                open = Some((block, indentation));
            }
            (Some(_), Some("")) => blocks.extend(open.take().map(|(block, _)| block)),
            (Some((block, fence_indentation)), _) => {
                block.text.push_str(&line[indentation.min(*fence_indentation)..]);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{file}: the last block has no end");
    blocks
}

/// The code spans of a page outside of its blocks, with their lines.
pub fn spans(text: &str) -> Vec<(usize, String)> {
    let mut spans = Vec::new();
    let mut is_block = false;
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            is_block = !is_block;
        } else if !is_block {
            let parts = line.split('`').skip(1).step_by(2);
            spans.extend(parts.map(|part| (number + 1, part.to_owned())));
        }
    }
    spans
}
