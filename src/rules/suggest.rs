//! "Did you mean …?" for keys, options and units.

/// How alike two names must be, by Jaro and Winkler, to be suggested; found by trying.
const ALIKE: f64 = 0.84;
/// The longest names that are compared, in bytes: the time that it takes grows with the square.
const LONGEST_NAME: usize = 100;
/// As many keys as an error lists.
const MOST_LISTED: usize = 20;

/// The candidate that is most like what was written, if one is.
pub(crate) fn closest<'a>(written: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    if written.len() > LONGEST_NAME {
        return None;
    }
    let lower = written.to_lowercase();
    candidates
        .filter(|candidate| candidate.len() <= LONGEST_NAME)
        .map(|candidate| (strsim::jaro_winkler(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

/// `; did you mean "host"?` if one of the candidates is close to what was written.
pub(crate) fn did_you_mean<'a>(written: &str, candidates: impl Iterator<Item = &'a str>) -> Option<String> {
    closest(written, candidates).map(|candidate| format!("; did you mean {candidate:?}?"))
}

/// What to say about a key that is missing from a table of `count` keys, of which `keys` are some.
pub(super) fn missing_key(keys: &[String], count: usize, written: Option<&str>) -> String {
    if count == 0 {
        return "; the table is empty".to_owned();
    }
    let hint = written.and_then(|written| did_you_mean(written, keys.iter().map(String::as_str)));
    let listed: Vec<&str> = keys.iter().take(MOST_LISTED).map(String::as_str).collect();
    let more =
        if count > listed.len() { format!(" and {} more", count - listed.len()) } else { String::new() };
    format!("{}; the keys there are: {}{more}", hint.unwrap_or_default(), listed.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_name_is_suggested_and_a_far_one_is_not() {
        assert_eq!(
            did_you_mean("hots", ["host", "delay"].into_iter()),
            Some("; did you mean \"host\"?".into())
        );
        assert_eq!(
            did_you_mean("nemo run", ["NEMO run"].into_iter()),
            Some("; did you mean \"NEMO run\"?".into())
        );
        assert_eq!(did_you_mean("colour", ["host", "delay"].into_iter()), None);
    }

    #[test]
    fn a_long_list_of_keys_is_cut() {
        let keys: Vec<String> = (0..30).map(|number| format!("key{number}")).collect();
        let text = missing_key(&keys, 1_000, None);
        assert!(text.ends_with("key18, key19 and 980 more"), "{text}");
        assert_eq!(missing_key(&[], 0, Some("x")), "; the table is empty");
    }
}
