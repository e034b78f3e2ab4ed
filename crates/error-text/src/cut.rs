use std::borrow::Cow;

/// Return a text cut after so many characters, with "…" in place of the rest.
#[must_use]
pub fn cut(text: &str, characters: usize) -> Cow<'_, str> {
    match text.char_indices().nth(characters) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_after_characters_and_not_after_bytes() {
        assert_eq!(cut("dépôt", 5), "dépôt");
        assert_eq!(cut("dépôt", 4), "dépô…");
        assert_eq!(cut("", 0), "");
    }
}
