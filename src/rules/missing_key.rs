//! The text of an error for a key that a table lacks.

use error_text::did_you_mean;

/// The most keys that an error lists.
const MOST_LISTED: usize = 20;

/// Describe the keys of a table that lacks the key `written`. `keys` are some of its `count` keys.
pub(super) fn missing_key(keys: &[String], count: usize, written: Option<&str>) -> String {
    if count == 0 {
        return "; the table is empty".to_owned();
    }
    let hint = written.map(|written| did_you_mean(written, keys));
    let listed: Vec<&str> = keys.iter().take(MOST_LISTED).map(String::as_str).collect();
    let more =
        if count > listed.len() { format!(" and {} more", count - listed.len()) } else { String::new() };
    format!("{}; the keys there are: {}{more}", hint.unwrap_or_default(), listed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_of_keys_is_cut() {
        let keys: Vec<String> = (0..30).map(|number| format!("key{number}")).collect();
        let text = missing_key(&keys, 1_000, None);
        assert!(text.ends_with("key18, key19 and 980 more"), "{text}");
        assert_eq!(missing_key(&[], 0, Some("x")), "; the table is empty");
    }
}
