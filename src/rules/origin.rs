//! Guesses from the text of the file where a variable of the rules got its value, for error messages. It must never run
//! or parse Lua; if the lines do not show it, it returns nothing.

/// Return the last expression assigned to a variable on a line, or above it in the same function.
pub(super) fn of<'a>(variable: &str, text: &'a str, line: usize) -> Option<&'a str> {
    let lines: Vec<&str> = text.lines().take(line).collect();
    for line in lines.into_iter().rev() {
        if let Some(expression) = assigned(variable, line) {
            return Some(expression);
        }
        let header = line.find("function").map(|at| &line[at..]);
        let is_parameter = header.and_then(|header| header.split_once('(')?.1.split_once(')')).is_some_and(
            |(parameters, _)| parameters.split(',').any(|parameter| parameter.trim() == variable),
        );
        let is_outermost = line.starts_with("function ") || line.starts_with("local function ");
        if is_parameter || is_outermost {
            return None;
        }
    }
    None
}

/// Return the expression that a line assigns to a variable, the last one if there are several.
fn assigned<'a>(variable: &str, line: &'a str) -> Option<&'a str> {
    let signs = line.rmatch_indices('=').map(|(at, _)| at);
    let expression = signs.filter(|at| is_assignment(line, *at)).find_map(|at| {
        let is_name = |sign: char| sign.is_ascii_alphanumeric() || "_, \t<>".contains(sign);
        let names = line[..at].trim_end();
        let start = names.rfind(|sign| !is_name(sign)).map_or(0, |before| before + 1);
        // Before the first name there may be `local` or the previous statement.
        let is_field = names[..start].ends_with(['.', ':']);
        names[start..]
            .split(',')
            .enumerate()
            .any(|(place, name)| {
                let name = name.trim().trim_end_matches("<const>").trim_end();
                let words = name.split_ascii_whitespace().count();
                let last = name.split_ascii_whitespace().next_back();
                last == Some(variable) && !(is_field && place == 0 && words == 1)
            })
            .then(|| &line[at + 1..])
    })?;
    // Another statement may follow on the line.
    let ends = [";", " local ", " return "].iter().filter_map(|end| expression.find(end));
    Some(&expression[..ends.min().unwrap_or(expression.len())])
}

/// Return whether the sign `=` at a place assigns, and does not compare.
fn is_assignment(line: &str, at: usize) -> bool {
    !line[..at].ends_with(['=', '~', '<', '>']) && !line[at + 1..].starts_with('=')
}

/// Return whether a text contains a word, and not only as a part of a longer word.
pub(super) fn has_word(text: &str, word: &str) -> bool {
    let is_part = |sign: char| sign.is_alphanumeric() || sign == '_';
    !word.is_empty()
        && text
            .match_indices(word)
            .any(|(at, _)| !text[..at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_assignment_above_is_found() {
        for (text, expected) in [
            ("local x = a.b", Some(" a.b")),
            ("local x = a.b\nif x == 3 and y <= x then", Some(" a.b")),
            ("local x = a.b\nx = c\nlocal y = x.z", Some(" c")),
            ("local x = a.b return x.y", Some(" a.b")),
            ("local y = a.b local x = nil return x.y", Some(" nil")),
            ("local x, y = a.b, c", Some(" a.b, c")),
            ("local y, x <const> = a.b, c", Some(" a.b, c")),
            ("t.x = a.b\nt.y, t.z = 1, 2", None),
            ("local xx = a.b", None),
            ("local x = a.b\nlocal function f(y, x)\n  return x.z", None),
            ("local x = a.b\nfunction after_sleep(msg)\n  return x.z", None),
            ("function after_sleep(msg)\n  local x = a.b\n  each(function(y)\n    return x.z", Some(" a.b")),
        ] {
            assert_eq!(of("x", text, text.lines().count()), expected, "{text}");
        }
    }

    #[test]
    fn a_word_is_a_whole_one() {
        assert!(
            has_word("checklist.run", "run")
                && has_word("c['run date']", "run date")
                && has_word("t[2]", "2")
        );
        assert!(!has_word("checklist.runs", "run") && !has_word("t[12]", "2") && !has_word("x", ""));
    }
}
