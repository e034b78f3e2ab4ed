//! An error together with its causes, as one line.

use std::error::Error;

/// Return the text of an error and of its causes, from the outside in: `cannot open the file: permission denied`.
///
/// A cause that is part of the text already is left out.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let cause_text = error.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the journal cannot be read: {0}")]
    struct JournalUnreadable(#[source] std::io::Error);

    #[test]
    fn each_cause_is_shown_once() {
        let error = anyhow::Error::new(JournalUnreadable(std::io::Error::other("the disk is gone")))
            .context("no status");
        assert_eq!(with_causes(error.as_ref()), "no status: the journal cannot be read: the disk is gone");
    }
}
