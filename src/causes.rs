//! An error together with its causes, as one line.

use std::error::Error;

/// Return the text of an error and of its causes, from the outside in: `cannot open the file: permission denied`.
///
/// A cause that the error around it has told already is left out.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
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
    fn each_cause_is_told_once() {
        let error = anyhow::Error::new(JournalUnreadable(std::io::Error::other("the disk is gone")))
            .context("no status");
        assert_eq!(with_causes(error.as_ref()), "no status: the journal cannot be read: the disk is gone");
    }
}
