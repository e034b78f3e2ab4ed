//! Message types that rules compare with and that no message of the worker can have.

use std::collections::HashSet;

use super::functions::types_for_rules;
use super::places::{MOST_PROBLEMS, Places};
use super::problem::{RuleProblem, RuleSeverity};
use super::type_tests::{self, TestKind, TypeTest};
use crate::config::Config;
use crate::rules;
use error_text::{closest, question};

/// Return a problem for each test of a message's type that no message of the worker passes, in the order of the files.
pub(super) fn problems(config: &Config, places: &Places) -> Vec<RuleProblem> {
    // The check of names reports files that cannot be read.
    let found: Vec<_> =
        places.texts.iter().filter_map(|text| Some((text, type_tests::find(&text.text).ok()?))).collect();
    let used: HashSet<&String> = found.iter().flat_map(|(_, found)| &found.used).collect();
    let mut problems = Vec::new();
    for (text, test) in
        found.iter().flat_map(|(text, found)| found.tests.iter().map(move |test| (text, test)))
    {
        let Some(worker) = config.registry.workers.get(&test.worker) else { continue };
        let types: Vec<&str> = types_for_rules(worker).map(String::as_str).collect();
        // Such a function may get messages of other workers, too.
        if used.contains(&format!("after_{}", test.worker)) || types.iter().any(|r#type| fits(test, r#type)) {
            continue;
        }
        let kind = (RuleSeverity::Warning, "unknown message type");
        let mut problem = places.name(kind, text, &test.place, what(test));
        let close = Some(test).filter(|test| test.kind == TestKind::Equal);
        let close = close.and_then(|test| suggestion(&test.literal, &types));
        problem.notes.push(close.unwrap_or_else(|| format!("it has {}", types.join(", "))));
        problems.push(problem);
        if problems.len() > MOST_PROBLEMS {
            break;
        }
    }
    places.limited(problems, RuleSeverity::Warning, "message types")
}

/// Suggest the type that is most similar to the literal, or else all types whose first word is: `sucess` is not similar
/// to `success 00`, but to its first word.
fn suggestion(literal: &str, types: &[&str]) -> Option<String> {
    question(literal, types).or_else(|| {
        let first_word = |name: &str| name.split_once(' ').map(|(word, _)| word.to_owned());
        let word = closest(literal, types.iter().filter_map(|name| first_word(name)))?;
        let alike = types.iter().filter(|name| first_word(name).as_ref() == Some(&word));
        let alike: Vec<String> = alike.map(|name| format!("`{name}`")).collect();
        Some(format!("did you mean {}?", alike.join(" or ")))
    })
}

fn what(TypeTest { worker, literal, kind, .. }: &TypeTest) -> String {
    let fits = match kind {
        TestKind::Equal => return format!("`{worker}` sends no message of type `{literal}` to this rule"),
        TestKind::StartsWith => "starts with",
        TestKind::EndsWith => "ends with",
        TestKind::Contains => "contains",
        TestKind::Pattern => "matches",
    };
    format!("no message type of `{worker}` {fits} `{literal}`")
}

/// Return whether a message of this type passes the test; true if that is not known.
fn fits(test: &TypeTest, r#type: &str) -> bool {
    let literal = test.literal.as_str();
    match test.kind {
        TestKind::Equal => r#type == literal,
        TestKind::StartsWith => r#type.starts_with(literal),
        TestKind::EndsWith => r#type.ends_with(literal),
        TestKind::Contains => r#type.contains(literal),
        TestKind::Pattern => rules::matches_pattern(r#type, literal).unwrap_or(true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_suggested_whole_or_by_its_first_word() {
        let types = ["success 00", "success 12", "failure", "crash"];
        assert_eq!(
            suggestion("sucess", &types).as_deref(),
            Some("did you mean `success 00` or `success 12`?")
        );
        assert_eq!(suggestion("sucess 12", &types).as_deref(), Some("did you mean `success 12`?"));
        assert_eq!(suggestion("failur", &types).as_deref(), Some("did you mean `failure`?"));
        assert_eq!(suggestion("no data", &types), None);
    }
}
