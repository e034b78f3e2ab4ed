//! Random texts: most of them nearly YAML.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::values::{TRICKY, text};

/// Pieces of YAML that mean something to a scanner.
const PIECES: &[&str] = &[
    "a",
    "b",
    "1",
    "x y",
    "- ",
    "-",
    "? ",
    "?",
    ": ",
    ":",
    "a: ",
    "a:",
    "b: ",
    ", ",
    ",",
    "[",
    "]",
    "{",
    "}",
    "\n",
    "\n",
    "\n",
    "\n  ",
    "\n ",
    "\n    ",
    " ",
    "  ",
    "\t",
    "#",
    " # c",
    "#c\n",
    "&x ",
    "&x",
    "*x",
    "*x ",
    "*x : ",
    "!!str ",
    "!!int ",
    "!!float ",
    "!!null ",
    "!!set ",
    "!!omap ",
    "!!pairs ",
    "!!binary ",
    "!!timestamp ",
    "!!bool ",
    "!!map ",
    "!!seq ",
    "! ",
    "!<tag:yaml.org,2002:str> ",
    "!e!x ",
    "!x ",
    "!!python/tuple ",
    "'",
    "\"",
    "''",
    "'a'",
    "\"a\"",
    "\"a\\\n b\"",
    "\"\\x41\"",
    "\"\\u263A\"",
    "\"\\ud83d\"",
    "\\",
    "\\n",
    "|\n",
    ">\n",
    "|-\n",
    ">+\n",
    "|2\n",
    ">1-\n",
    "|+1 # c\n",
    "|\n  a\n  b\n",
    ">\n a\n b\n\n  c\n d\n",
    "---",
    "---\n",
    "--- ",
    "...",
    "...\n",
    "%YAML 1.1\n",
    "%YAML 1.2\n---\n",
    "%TAG !e! tag:yaml.org,2002:\n---\n",
    "%FOO bar\n",
    "<<: ",
    "<<: *x\n",
    "<<",
    "=: ",
    "=",
    "~",
    "null",
    "\r\n",
    "\r",
    "\u{85}",
    "\u{2028}",
    "\u{2029}",
    "\u{FEFF}",
    "é",
    "😀",
    "%",
    "@",
    "`",
    "yes",
    "0x1F",
    "1:30",
    "2026-03-14",
    "2026-03-14 05:15:00 +1",
    "0b1",
    "1.5",
    ".inf",
    "?a",
    ":a",
    "-a",
    "a:b",
    "a#b",
    "a #b",
    "key: value\n",
    "- item\n",
    "  - item\n",
    "? k\n: v\n",
    "[a, b]",
    "{a: b}",
    "{a, b: c}",
    "[a: b, ? c : d]",
    "\u{7}",
    "\u{7F}",
    "\u{FFFF}",
    "\\\"",
    "\"a\n\n b\"",
    "'a\n\n b'",
    "a\n b",
    "a\n\n b",
    "!!set {a, b}",
    "!!omap [a: 1]",
    "!!binary YWJj",
];

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![12 => select(PIECES).prop_map(str::to_owned), 1 => select(TRICKY).prop_map(str::to_owned)]
}

/// Pieces in any order.
pub fn soup() -> BoxedStrategy<String> {
    vec(piece(), 1..14).prop_map(|pieces| pieces.concat()).boxed()
}

/// A plain, quoted or block scalar that may or may not be well formed at that indentation.
fn scalar_text() -> BoxedStrategy<String> {
    prop_oneof![
        4 => select(TRICKY).prop_map(str::to_owned),
        3 => "[a-z0-9 .:_+-]{1,10}",
        1 => text(),
        2 => select(TRICKY).prop_map(|text| format!("'{}'", text.replace('\'', "''"))),
        2 => select(TRICKY).prop_map(|text| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))),
        1 => (select(vec!["!!str", "!!int", "!!float", "!!bool", "!!null", "!!timestamp", "!!binary", "!", "!x", "&x", "&y"]), select(TRICKY))
            .prop_map(|(tag, text)| format!("{tag} {text}")),
        1 => (select(vec!["!!int", "!!float", "!!timestamp", "!!binary", "!!bool"]), text())
            .prop_map(|(tag, text)| format!("{tag} \"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))),
        1 => select(vec!["*x", "*y", "&x a", "&y {a: 1}", "&x [1]", "{<<: *y}", "{<<: [*x, *y], b: 2}", "[*x, *x]"]).prop_map(str::to_owned),
    ]
    .boxed()
}

/// A block of lines; each level adds its own indentation.
fn block() -> BoxedStrategy<Vec<String>> {
    scalar_text()
        .prop_map(|text| vec![text])
        .prop_recursive(4, 24, 5, |inner| {
            let header = select(vec!["|", ">", "|-", ">-", "|+", ">+", "|2", ">1", "|1-", "> # c"]);
            let lines = vec(select(vec!["a", " b", "", "  c", "\td", "# e", "f: g", "- h", " ", "i ", "\u{2028}j", "..."]), 0..6);
            prop_oneof![
                3 => (vec((select(vec!["- ", "-  ", "-\n", "- # c\n"]), inner.clone()), 1..4), select(vec![0, 0, 1, 2])).prop_map(|(items, shift)| entries(&items, shift, 2)),
                4 => (vec((key(), inner.clone()), 1..5), select(vec![0, 0, 0, 2])).prop_map(|(pairs, shift)| entries(&pairs, shift, 2)),
                1 => vec(inner.clone(), 0..4).prop_map(|items| flow("[", &items, "]")),
                1 => vec((key(), inner), 0..4).prop_map(|pairs| flow_mapping(&pairs)),
                1 => (header, lines, 0..3_usize).prop_map(|(header, lines, indent)| block_scalar(header, &lines, indent)),
            ]
        })
        .boxed()
}

fn key() -> BoxedStrategy<String> {
    prop_oneof![
        6 => "[a-d]: ",
        2 => select(vec!["a:\n", "b:\n", "? a\n: ", "? - a\n: ", "<<: ", "=: ", "'a': ", "\"b\" : ", "&x a: ", "*x : ", "!!str a: ", "1: ", "1.0: ", "true: ", "yes: ", "0: ", "-0.0: ", "~: ", "[a]: ", "? [a]\n: ", "{a: b}: ",
            "2026-03-14: ", "2026-03-14 00:00:00Z: ", "2026-03-14 01:00:00+1: ", ".nan: ", "!!set\n", ""]).prop_map(str::to_owned),
        1 => select(TRICKY).prop_map(|text| format!("{text}: ")),
    ]
    .boxed()
}

fn entries<T: AsRef<str>>(entries: &[(T, Vec<String>)], shift: usize, step: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for (indicator, block) in entries {
        let indicator = indicator.as_ref();
        let own_line = indicator.ends_with('\n') || (block.len() > 1 && indicator.ends_with(": "));
        let mut head: Vec<String> = indicator.trim_end_matches('\n').split('\n').map(str::to_owned).collect();
        let last = head.pop().unwrap_or_default();
        lines.extend(head);
        let inner = " ".repeat(step);
        if own_line {
            lines.push(last);
            lines.extend(block.iter().map(|line| format!("{inner}{line}")));
        } else {
            let mut block = block.iter();
            lines.push(last + block.next().map_or("", String::as_str));
            lines.extend(block.map(|line| format!("{inner}{line}")));
        }
    }
    lines.into_iter().map(|line| format!("{}{line}", " ".repeat(shift))).collect()
}

fn flow(open: &str, items: &[Vec<String>], close: &str) -> Vec<String> {
    let items: Vec<String> = items.iter().map(|lines| lines.join(" ")).collect();
    vec![format!("{open}{}{close}", items.join(", "))]
}

fn flow_mapping(pairs: &[(String, Vec<String>)]) -> Vec<String> {
    let pairs: Vec<String> =
        pairs.iter().map(|(key, lines)| format!("{}{}", key.replace('\n', " "), lines.join(" "))).collect();
    vec![format!("{{{}}}", pairs.join(", "))]
}

fn block_scalar(header: &str, lines: &[&str], indent: usize) -> Vec<String> {
    let body = lines
        .iter()
        .map(|line| if line.is_empty() { String::new() } else { format!("{}{line}", " ".repeat(indent)) });
    std::iter::once(header.to_owned()).chain(body).collect()
}

/// A structured document, with line breaks of any kind, an optional start and end, and now and then a
/// character too many or too few.
pub fn document() -> BoxedStrategy<String> {
    let start = select(vec![
        "",
        "",
        "",
        "",
        "---\n",
        "--- ",
        "%YAML 1.1\n---\n",
        "\u{FEFF}",
        "# c\n",
        "\n\n",
        "%TAG ! tag:yaml.org,2002:\n---\n",
    ]);
    let end = select(vec!["", "\n", "\n", "\n...\n", "\n---\n", " # c", "\n# c\n", "\n\n"]);
    let line_break = select(vec!["\n", "\n", "\n", "\n", "\r\n", "\r", "\u{85}", "\u{2028}"]);
    let edit =
        proptest::option::weighted(0.3, (any::<proptest::sample::Index>(), select(PIECES), any::<bool>()));
    (start, block(), end, line_break, edit)
        .prop_map(|(start, lines, end, line_break, edit)| {
            let text = format!("{start}{}{end}", lines.join(line_break));
            edit.map_or(text.clone(), |(place, piece, is_removal)| edited(&text, place, piece, is_removal))
        })
        .boxed()
}

fn edited(text: &str, place: proptest::sample::Index, piece: &str, is_removal: bool) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    let place = place.index(characters.len() + 1);
    if is_removal && place < characters.len() {
        characters.remove(place);
    } else {
        characters.splice(place..place, piece.chars());
    }
    characters.into_iter().collect()
}
