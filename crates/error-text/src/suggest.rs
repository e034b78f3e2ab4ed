//! "Did you mean …?": the known name that is most like a misspelt one.

/// Compare no names above this many bytes: the time grows with the square of the length.
const LONGEST_NAME: usize = 100;

/// Return the known name that is most like the written one, if one is like enough.
///
/// Two names are alike if at most one letter in three differs; upper and lower case are the same. A swap of two
/// neighbours counts as one difference. (rustc suggests names by the same measure.)
pub fn closest<T: AsRef<str>>(written: &str, known: impl IntoIterator<Item = T>) -> Option<T> {
    if written.len() > LONGEST_NAME {
        return None;
    }
    let most = written.chars().count().max(3) / 3;
    let lower = written.to_lowercase();
    known
        .into_iter()
        .filter(|known| known.as_ref().len().abs_diff(written.len()) <= LONGEST_NAME)
        .map(|known| (strsim::osa_distance(&lower, &known.as_ref().to_lowercase()), known))
        .filter(|(differences, _)| *differences <= most)
        .min_by_key(|(differences, _)| *differences)
        .map(|(_, known)| known)
}

/// Return ``did you mean `host`?`` if a known name is like the written one.
pub fn question<T: AsRef<str>>(written: &str, known: impl IntoIterator<Item = T>) -> Option<String> {
    closest(written, known).map(|known| format!("did you mean `{}`?", known.as_ref()))
}

/// Return ``; did you mean `host`?`` if a known name is like the written one, else an empty text.
pub fn did_you_mean<T: AsRef<str>>(written: &str, known: impl IntoIterator<Item = T>) -> String {
    question(written, known).map(|question| format!("; {question}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_name_is_suggested_and_a_distant_one_is_not() {
        assert_eq!(did_you_mean("hots", ["host", "delay"]), "; did you mean `host`?");
        assert_eq!(did_you_mean("nemo run", ["NEMO run"]), "; did you mean `NEMO run`?");
        assert_eq!(did_you_mean("colour", ["host", "delay"]), "");
        assert_eq!(did_you_mean("run types", ["run"]), "", "a common beginning is not enough");
    }

    #[test]
    fn the_closest_of_several_is_suggested() {
        assert_eq!(closest("sucess", ["access", "success"]), Some("success"));
    }

    #[test]
    fn names_without_limit_are_not_compared() {
        let long = "x".repeat(10_000_000);
        assert_eq!(closest(&long, [&long]), None);
        assert_eq!(closest("x", [&long]), None);
    }
}
