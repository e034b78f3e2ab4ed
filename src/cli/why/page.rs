//! [`Page`]: what there is to say of one number, and what led to it. It prints what `gather` has found out, and must
//! never read the journal itself.

use std::fmt::Write as _;

use serde::Serialize;

use super::causes::Causes;
use super::{few, hint_lines, section};
use crate::cli::read_only::ViewContext;
use crate::view::hint::Hint;
use crate::view::message::MessageView;
use crate::view::run::RunView;

/// What has a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum PageKind {
    Run,
    Message,
    Join,
    Hold,
    Command,
    #[default]
    Event,
}

/// What there is to say of one number. Its keys are those of the JSON.
#[derive(Debug, Default, Serialize)]
pub(super) struct Page {
    pub number: u64,
    pub kind: PageKind,
    pub title: String,
    /// What happened to it, in words.
    pub facts: Vec<String>,
    pub run: Option<RunView>,
    pub message: Option<MessageView>,
    /// What led to it, the nearest first.
    pub causes: Causes,
    /// The commands that help.
    #[serde(rename = "try")]
    pub hints: Vec<Hint>,
}

impl Page {
    pub(super) fn to_text(&self, context: &ViewContext) -> String {
        let mut text = String::new();
        section(&mut text, &self.title, &few(&self.facts));
        if self.facts.is_empty() {
            let _ = writeln!(text, "{}", self.title);
        }
        section(&mut text, "BECAUSE", &self.causes.to_lines(context));
        section(&mut text, "TRY", &few(&hint_lines(&self.hints)));
        text
    }
}
