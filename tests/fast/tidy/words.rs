//! Words that our own prose avoids, each with the one to use: one standard term for each concept.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// What is scanned: files, and folders with all files below them that [`Language::of`] knows.
/// Of code only comments count, of Rust string literals too.
const COVERED: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs",
    "examples",
    "rules",
    "nowcast.yaml",
    "supervisord.ini",
    "src",
    "crates",
    "benches",
    "fuzz/src",
    "tests",
];

/// A pattern, and what to write instead. Case does not matter, and code between backticks is not scanned.
const AVOIDED: [(&str, &str); 24] = [
    (r"\banew\b", "again"),
    // `nobody` alone is the name of a worker or of a key in tests.
    (r"\b(whoever|somebody)\b|\bnobody('s)? [a-z]+", "name the subject: the operator, a worker, the manager"),
    (r"(^|[^e]) is no [a-z]+", "is not a …, or: invalid …"),
    (r"\bare none\b", "are invalid, or: there are no …"),
    (r"\bof (before|then|now)\b", "previous, historical or current"),
    (r"\bhow often\b", "how many times"),
    (r"\ball the same\b", "in any case, still"),
    (r"\bfor good\b", "permanently, or: in production"),
    (r"\bfor ever\b", "forever"),
    // A test calls `/tests/reference/peer.py` by its path.
    (
        r"(^|[^Q] |[^ /])\bpeer('s|s)?\b",
        "NEMO_Nowcast, or the name of the program; ZeroMQ has peers, as: ZeroMQ peer",
    ),
    (r"\bfar_[a-z]+", "remote_…"),
    (r"\bobstacle", "blocked by"),
    (r"\bstands? before (it|them)\b", "blocked by"),
    (r"\btold to (end|stop)\b", "stop requested"),
    (r"\bpatience\b", "timeout"),
    (r"\btime-outs?\b", "timeout"),
    (r"\blets? (it |them )?go\b", "release"),
    (r"\blets? launches wait\b", "pause launches, hold"),
    (r"\bgives? (it|them|the run) up\b", "discard, abandon"),
    (r"\btakes? (it|them) up again\b", "adopt"),
    (r"\bin silence\b", "silently"),
    (r"\bin earnest\b", "really, in production"),
    (r"\bkeeps? house\b", "prune"),
    (r"\bwhat (comes|came|becomes) of\b", "the result of, the outcome"),
];

/// How the prose of a file is found.
#[derive(Clone, Copy)]
enum Language {
    Markdown,
    Rust,
    /// A language whose comments begin with this mark.
    Commented(&'static str),
}

impl Language {
    fn of(path: &Path) -> Option<Self> {
        Some(match path.extension()?.to_str()? {
            "md" => Self::Markdown,
            "rs" => Self::Rust,
            "lua" => Self::Commented("--"),
            "yaml" | "sh" | "py" | "toml" => Self::Commented("#"),
            "ini" => Self::Commented(";"),
            _ => return None,
        })
    }

    /// Return the prose of a line.
    fn prose(self, line: &str) -> String {
        match self {
            Self::Markdown => line.to_owned(),
            Self::Rust => comments_and_strings(line),
            Self::Commented(mark) => {
                line.split_once(mark).map(|(_, comment)| comment).unwrap_or_default().to_owned()
            }
        }
    }
}

/// The texts of a file that people read, each with its line.
fn texts(language: Language, content: &str) -> Vec<(usize, String)> {
    let mut is_block = false;
    let mut texts = Vec::new();
    for (number, line) in content.lines().enumerate() {
        if matches!(language, Language::Markdown) && line.trim_start().starts_with("```") {
            is_block = !is_block;
            continue;
        }
        if !is_block {
            texts.push((number + 1, without_code(&language.prose(line))));
        }
    }
    texts
}

/// The comment and the string literals of a line of Rust. A literal over several lines is read as its first line only.
fn comments_and_strings(line: &str) -> String {
    let mut found = String::new();
    let (mut is_string, mut previous) = (false, ' ');
    for (at, letter) in line.char_indices() {
        if !is_string && line[at..].starts_with("//") {
            found.push_str(&line[at..]);
            break;
        }
        if letter == '"' && previous != '\\' && previous != '\'' {
            is_string = !is_string;
            found.push(' ');
        } else if is_string {
            found.push(letter);
        }
        previous = letter;
    }
    found
}

fn without_code(text: &str) -> String {
    text.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

fn files(root: &Path, covered: &str) -> Vec<PathBuf> {
    let path = root.join(covered);
    if !path.is_dir() {
        return vec![path];
    }
    let entries = fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("an entry").path());
    let wanted = |path: &PathBuf| path.is_dir() || Language::of(path).is_some();
    let below = |path: PathBuf| path.strip_prefix(root).expect("below the root").display().to_string();
    entries.filter(wanted).flat_map(|path| files(root, &below(path))).collect()
}

static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let compiled = |pattern: &str| Regex::new(&format!("(?i){pattern}")).expect("a regular expression");
    AVOIDED.iter().map(|(pattern, instead)| (compiled(pattern), *instead)).collect()
});

/// Each avoided word in a text: its line, the line's text and the advice.
fn avoided(path: &Path, content: &str) -> Vec<String> {
    let language =
        Language::of(path).unwrap_or_else(|| panic!("{} has prose of no known kind", path.display()));
    let mut found = Vec::new();
    for (line, text) in texts(language, content) {
        for (pattern, instead) in PATTERNS.iter() {
            let words = pattern.find(&text).map(|words| words.as_str().trim());
            if let Some(words) = words.filter(|words| !words.ends_with("is no longer")) {
                found.push(format!(
                    "{}:{line}: {words:?}; write: {instead}\n    {}",
                    path.display(),
                    text.trim()
                ));
            }
        }
    }
    found
}

#[test]
fn prose_uses_standard_terms() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    // This file has to write the words that it looks for.
    let is_this = |path: &PathBuf| path.ends_with(file!());
    for path in COVERED.iter().flat_map(|covered| files(root, covered)).filter(|path| !is_this(path)) {
        let content = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        found.extend(avoided(path.strip_prefix(root).expect("below the root"), &content));
    }
    assert!(found.is_empty(), "words to avoid:\n{}", found.join("\n"));
}

#[test]
fn words_are_found_in_prose_comments_and_strings_only() {
    let markdown = |text| avoided(Path::new("a.md"), text).len();
    assert_eq!(markdown("It is started anew."), 1);
    assert_eq!(markdown("It is no worker, and there is no reason."), 1);
    assert_eq!(markdown("There is no reason."), 0);
    assert_eq!(markdown("`anew` is a word.\n```text\nanew\n```\n"), 0);
    let rust = |text| avoided(Path::new("a.rs"), text).len();
    assert_eq!(rust("let peer = 1; // the peer's"), 1);
    assert_eq!(rust("// the ZeroMQ peer is not connected"), 0);
    assert_eq!(rust("let peer = \"patience\";"), 1);
    assert_eq!(rust("let peer = patience('\"');"), 0);
    assert_eq!(rust("// It is no longer there."), 0);
    let other = |name, text| avoided(Path::new(name), text).len();
    assert_eq!(other("a.lua", "local peer = 1 -- the peer"), 1);
    assert_eq!((other("a.yaml", "peer: 1  # anew"), other("a.sh", "echo anew")), (1, 0));
    assert_eq!(other("a.ini", "; started anew"), 1);
}
