//! Adds lines to the text of `nowcast.yaml`, which keeps its comments. It never writes a file.

use anyhow::Context;
use pyyaml::{Marks, Value};

/// Add an entry to a mapping that is written with an entry a line: before its first one. A missing section is added at the end.
///
/// # Errors
/// The text is not YAML, or the mapping is not written so.
pub(super) fn add_entry(text: &str, mapping: &[&str], entry: &str) -> anyhow::Result<String> {
    let (value, marks) = pyyaml::read_marked(text)?;
    let place = || format!("nothing was written; add `{entry}` below `{}:` by hand", mapping.join(": "));
    match find(&value, mapping) {
        None if mapping.len() == 1 => {
            let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
            Ok(format!("{text}{end}\n{}:\n  {entry}\n", mapping[0]))
        }
        Some(Value::Map(entries)) if !entries.is_empty() => {
            let first = entries.keys().next().and_then(Value::as_str).unwrap_or_default();
            insert_before(text, &marks, mapping, first, entry).with_context(place)
        }
        _ => Err(anyhow::anyhow!("it has no entry yet")).with_context(place),
    }
}

fn find<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

fn insert_before(
    text: &str,
    marks: &Marks,
    mapping: &[&str],
    first: &str,
    entry: &str,
) -> anyhow::Result<String> {
    let of_mapping = marks.line_of(mapping);
    let of_first = marks.line_of(&[mapping, &[first]].concat());
    let Some(line) = of_first.filter(|line| Some(*line) != of_mapping) else {
        anyhow::bail!("its entries are not on lines of their own");
    };
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    let before = lines.get(line - 1).context("the line is missing")?;
    let indent = &before[..before.len() - before.trim_start().len()];
    let added = format!("{indent}{entry}\n");
    // The comment before an entry stays with it.
    let is_comment = |at: usize| lines[at].trim_start().starts_with('#');
    let mut place = line - 1;
    while place > of_mapping.unwrap_or(0) && is_comment(place - 1) {
        place -= 1;
    }
    lines.insert(place, &added);
    Ok(lines.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_before_the_first_one_and_comments_stay() {
        let text = "# ours\nmessage registry:\n    workers: # all\n        sleep: {a: 1}   # kept\n";
        let expected =
            "# ours\nmessage registry:\n    workers: # all\n        wake:\n        sleep: {a: 1}   # kept\n";
        assert_eq!(add_entry(text, &["message registry", "workers"], "wake:").unwrap(), expected);
    }

    #[test]
    fn a_comment_stays_with_its_entry() {
        let text = "workers:\n  # every day\n  # at six\n  a: {exec: [b]}\n";
        let expected = "workers:\n  c: {}\n  # every day\n  # at six\n  a: {exec: [b]}\n";
        assert_eq!(add_entry(text, &["workers"], "c: {}").unwrap(), expected);
    }

    #[test]
    fn a_missing_section_is_added() {
        assert_eq!(
            add_entry("a: 1", &["workers"], "b: {exec: [c]}").unwrap(),
            "a: 1\n\nworkers:\n  b: {exec: [c]}\n"
        );
    }

    #[test]
    fn a_mapping_in_one_line_is_left_to_the_user() {
        for text in ["workers: {a: 1}\n", "workers:\n", "workers: []\n"] {
            let error = add_entry(text, &["workers"], "b:").unwrap_err();
            assert_eq!(error.to_string(), "nothing was written; add `b:` below `workers:` by hand", "{text}");
        }
    }
}
