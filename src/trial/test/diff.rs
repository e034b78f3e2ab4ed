//! Compares expected and actual lines.

use pyyaml::Value;

/// Check that the lines are the same, in the same order.
pub(super) fn lines(what: &str, expected: &[String], got: &[String]) -> Result<Value, String> {
    if expected == got {
        return Ok(Value::Null);
    }
    let title = if what.is_empty() {
        String::new()
    } else {
        format!("{what} not as expected (- expected, + came):\n")
    };
    Err(title + &difference(expected, got))
}

/// Check that the expected lines occur in this order, with others between them or not.
pub(super) fn order(expected: &[String], got: &[String]) -> Result<Value, String> {
    let mut rest = got.iter();
    match expected.iter().find(|line| !rest.any(|came| came == *line)) {
        None => Ok(Value::Null),
        Some(missing) => {
            let came: Vec<String> = got.iter().map(|line| format!("    {line}")).collect();
            Err(format!("{missing:?} did not run where it was expected; what ran:\n{}", came.join("\n")))
        }
    }
}

/// Return all lines, with a mark on those that only one side has.
fn difference(expected: &[String], got: &[String]) -> String {
    // The lengths of the longest common subsequences, from the end; the lists are short.
    let mut common = vec![vec![0_usize; got.len() + 1]; expected.len() + 1];
    for (i, line) in expected.iter().enumerate().rev() {
        for (j, came) in got.iter().enumerate().rev() {
            common[i][j] =
                if line == came { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    while i < expected.len() || j < got.len() {
        if i < expected.len() && j < got.len() && expected[i] == got[j] {
            lines.push(format!("      {}", expected[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == got.len() || (i < expected.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(format!("    - {}", expected[i]));
            i += 1;
        } else {
            lines.push(format!("    + {}", got[j]));
            j += 1;
        }
    }
    if lines.is_empty() { "    (nothing)".to_owned() } else { lines.join("\n") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn equal_lines_stay_between_the_differences() {
        assert_eq!(difference(&list("a b c"), &list("a c d")), "      a\n    - b\n      c\n    + d");
        assert_eq!(difference(&list(""), &list("a")), "    + a");
        assert!(lines("the launches are", &list("a b"), &list("a b")).is_ok());
    }

    #[test]
    fn an_order_may_have_others_between() {
        assert!(order(&list("a c"), &list("a b c")).is_ok());
        assert!(order(&list("c a"), &list("a b c")).unwrap_err().starts_with("\"a\" did not run where"));
    }
}
