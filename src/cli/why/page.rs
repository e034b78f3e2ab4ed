//! [`Page`]: the facts about one number, and their causes, as text and as JSON. It never reads the journal: `gather`
//! does.

use std::fmt::Write as _;

use serde::Serialize;

use super::causes::Causes;
use super::{hint_lines, section, shortened};
use crate::cli::read_only::ViewContext;
use crate::view::hint::Hint;
use crate::view::message::MessageView;
use crate::view::run::RunView;
use pylogging::escape_line;

/// The kinds of numbered items.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PageKind {
    Run,
    Message,
    Join,
    Hold,
    Parked,
    Command,
    #[default]
    Event,
}

/// The facts about one number. Its keys are those of the JSON.
#[derive(Debug, Default, Serialize)]
pub(super) struct Page {
    pub number: u64,
    pub kind: PageKind,
    pub title: String,
    /// The facts, in words.
    pub facts: Vec<String>,
    pub run: Option<RunView>,
    pub message: Option<MessageView>,
    /// The causes, the nearest first.
    pub causes: Causes,
    /// The commands that help.
    #[serde(rename = "try")]
    pub hints: Vec<Hint>,
}

impl Page {
    pub(super) fn to_text(&self, context: &ViewContext) -> String {
        let mut text = String::new();
        section(&mut text, &escape_line(&self.title), &shortened(&self.facts));
        if self.facts.is_empty() {
            let _ = writeln!(text, "{}", escape_line(&self.title));
        }
        section(&mut text, "BECAUSE", &self.causes.to_lines(context));
        section(&mut text, "TRY", &shortened(&hint_lines(&self.hints)));
        text
    }
}
