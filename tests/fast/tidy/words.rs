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
    "python",
    "tests",
];

/// A pattern, and what to write instead. Case does not matter, and code between backticks is not scanned.
const AVOIDED: [(&str, &str); 25] = [
    (r"\banew\b", "again"),
    // `nobody` alone is the name of a worker or of a key in tests.
    (
        r"\b(whoever|somebody)\b|\bnobody('s| (is|was|has|had|else|can|could|may|will|would|needs|knows|waits|wants|reads|uses|asks|gets|sees|vouches)\b)",
        "name the subject: the operator, a worker, the manager",
    ),
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
    (r"\bforet(ell|old)", "predict"),
];

/// The same for the names of functions, types, fields and variables, each read as words. The patterns of [`AVOIDED`] hold for them, too.
const AVOIDED_IN_NAMES: [(&str, &str); 9] = [
    (r"\btold\b", "said, reported, notified, or: requested"),
    (r"\bwanted\b", "requirement, requested, selected or expected"),
    (r"\bdropped\b", "discarded"),
    (r"\btried again\b", "retried"),
    (r"\btakes? up\b", "adopt"),
    (r"\bhand(s|ed)? over\b", "launch, send or give"),
    (r"\b(gives?|given|gave) up\b", "discard, abandon, or: timeout"),
    (r"\bstrangers?\b", "unregistered, unknown"),
    (r"\brooms\b", "modules"),
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

    /// Return the prose of each line.
    fn prose(self, content: &str) -> Vec<String> {
        let of_line = |line: &str| match self {
            Self::Commented(mark) => {
                line.split_once(mark).map(|(_, comment)| comment).unwrap_or_default().to_owned()
            }
            _ => line.to_owned(),
        };
        match self {
            Self::Rust => code_and_prose(content).into_iter().map(|(_, prose)| prose).collect(),
            _ => content.lines().map(of_line).collect(),
        }
    }
}

/// The texts of a file that people read, each with its line.
fn texts(language: Language, content: &str) -> Vec<(usize, String)> {
    let mut is_block = false;
    let mut texts = Vec::new();
    for (number, line) in language.prose(content).into_iter().enumerate() {
        if matches!(language, Language::Markdown) && line.trim_start().starts_with("```") {
            is_block = !is_block;
            continue;
        }
        if !is_block {
            texts.push((number + 1, without_code(&line)));
        }
    }
    texts
}

/// Where in a file of Rust a letter stands.
enum Within {
    Code,
    String,
    /// A raw string that ends with a quote and as many `#`.
    RawString(usize),
}

/// Divide each line of Rust: its code, and its comment and string literals.
fn code_and_prose(content: &str) -> Vec<(String, String)> {
    let mut within = Within::Code;
    let mut divided = Vec::new();
    for line in content.lines() {
        let (mut code, mut prose) = (String::new(), String::new());
        let mut rest = line;
        while let Some(letter) = rest.chars().next() {
            let mut length = letter.len_utf8();
            match within {
                Within::Code if rest.starts_with("//") => {
                    prose.push_str(rest);
                    break;
                }
                Within::Code => {
                    let hashes =
                        rest.strip_prefix('r').map(|rest| rest.len() - rest.trim_start_matches('#').len());
                    let raw =
                        hashes.filter(|hashes| rest[1 + hashes..].starts_with('"') && !ends_in_a_name(&code));
                    if let Some(hashes) = raw {
                        within = Within::RawString(hashes);
                        length += hashes + 1;
                    } else if letter == '"' {
                        within = Within::String;
                    } else if let Some(character) = (letter == '\'').then(|| CHARACTER.find(rest)).flatten() {
                        length = character.len();
                    } else {
                        code.push(letter);
                    }
                    if !matches!(within, Within::Code) {
                        prose.push(' ');
                    }
                }
                Within::String if letter == '\\' => {
                    length += rest[1..].chars().next().map_or(0, char::len_utf8);
                    prose.push(' ');
                }
                Within::String if letter == '"' => within = Within::Code,
                Within::RawString(hashes)
                    if letter == '"'
                        && rest[1..].bytes().take_while(|byte| *byte == b'#').count() >= hashes =>
                {
                    within = Within::Code;
                    length += hashes;
                }
                _ => prose.push(letter),
            }
            rest = &rest[length..];
        }
        divided.push((code, prose));
    }
    divided
}

/// Return whether code ends in a name, so that an `r` behind it does not begin a raw string. `br"…"` is one.
fn ends_in_a_name(code: &str) -> bool {
    let name =
        code.rsplit(|letter: char| !letter.is_alphanumeric() && letter != '_').next().unwrap_or_default();
    !matches!(name, "" | "b" | "c")
}

/// A literal of one character; a lifetime is none.
static CHARACTER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^'(\\[^']+|\\'|[^'\\])'").expect("a regular expression"));

/// A name that is given: by a keyword, or as a field, parameter or typed variable.
static GIVEN_NAME: LazyLock<Regex> = LazyLock::new(|| {
    let keywords = "fn|const|static|struct|enum|type|trait|mod|let mut|let|for";
    Regex::new(&format!(r"\b(?:{keywords}) ([A-Za-z_]\w*)|\b([a-z_]\w*):(?:[^:]|$)"))
        .expect("a regular expression")
});

/// The names that a file of Rust gives, as words, each with its line.
fn names(content: &str) -> Vec<(usize, String)> {
    let mut names = Vec::new();
    for (number, (code, _)) in code_and_prose(content).into_iter().enumerate() {
        for found in GIVEN_NAME.captures_iter(&code) {
            let name = found.get(1).or(found.get(2)).map(|name| name.as_str()).unwrap_or_default();
            names.push((number + 1, as_words(name)));
        }
    }
    names
}

/// `stop_requested` and `StopRequested` as `stop requested`.
fn as_words(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        let begins = letter.is_uppercase() && words.ends_with(char::is_lowercase);
        if letter == '_' || begins {
            words.push(' ');
        }
        if letter != '_' {
            words.push(if begins { letter.to_ascii_lowercase() } else { letter });
        }
    }
    words
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
    let is_known = |path: &PathBuf| path.is_dir() || Language::of(path).is_some();
    let below = |path: PathBuf| path.strip_prefix(root).expect("below the root").display().to_string();
    entries.filter(is_known).flat_map(|path| files(root, &below(path))).collect()
}

type Patterns = Vec<(Regex, &'static str)>;

fn compiled(patterns: &[(&str, &'static str)]) -> Patterns {
    let compiled = |pattern: &str| Regex::new(&format!("(?i){pattern}")).expect("a regular expression");
    patterns.iter().map(|(pattern, instead)| (compiled(pattern), *instead)).collect()
}

static PATTERNS: LazyLock<Patterns> = LazyLock::new(|| compiled(&AVOIDED));
static PATTERNS_OF_NAMES: LazyLock<Patterns> =
    LazyLock::new(|| compiled(&[&AVOIDED[..], &AVOIDED_IN_NAMES].concat()));

/// Each avoided word in a text: its line, the line's text and the advice.
fn avoided(path: &Path, content: &str) -> Vec<String> {
    let language =
        Language::of(path).unwrap_or_else(|| panic!("{} has prose of no known kind", path.display()));
    in_texts(path, texts(language, content), &PATTERNS)
}

/// The same for the names in a file of Rust.
fn avoided_names(path: &Path, content: &str) -> Vec<String> {
    in_texts(path, names(content), &PATTERNS_OF_NAMES)
}

fn in_texts(path: &Path, texts: Vec<(usize, String)>, patterns: &Patterns) -> Vec<String> {
    let mut found = Vec::new();
    for (line, text) in texts {
        for (pattern, instead) in patterns {
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

/// Return what `avoided` finds in all covered files.
fn in_covered_files(avoided: impl Fn(&Path, &str) -> Vec<String>) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    // This file has to write the words that it looks for.
    let is_this = |path: &PathBuf| path.ends_with(file!());
    for path in COVERED.iter().flat_map(|covered| files(root, covered)).filter(|path| !is_this(path)) {
        let content = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        found.extend(avoided(path.strip_prefix(root).expect("below the root"), &content));
    }
    found
}

#[test]
fn prose_uses_standard_terms() {
    let found = in_covered_files(avoided);
    assert!(found.is_empty(), "words to avoid:\n{}", found.join("\n"));
}

#[test]
fn names_use_standard_terms() {
    let of_rust = |path: &Path, content: &str| match Language::of(path) {
        Some(Language::Rust) => avoided_names(path, content),
        _ => Vec::new(),
    };
    let found = in_covered_files(of_rust);
    assert!(found.is_empty(), "names to avoid:\n{}", found.join("\n"));
}

#[test]
fn words_are_found_in_the_names_that_code_gives() {
    let names = |text| avoided_names(Path::new("a.rs"), text).len();
    assert_eq!(names("fn is_started_anew() {}"), 1);
    assert_eq!((names("struct StartedAnew;"), names("const PATIENCE: u8 = 1;")), (1, 1));
    assert_eq!((names("    pub told: bool,"), names("let mut wanted = 1;")), (1, 1));
    assert_eq!(names("impl Drop for Guard { fn drop(&mut self) {} }"), 0);
    assert_eq!(names("let text = \"fn told\"; // fn told"), 0);
    assert_eq!(names("told::call(x);"), 0);
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
    assert_eq!(rust("let text = \"one\nanew\";"), 1);
    assert_eq!(rust("let text = r#\"a \"word\"\nanew\"#; let anew = 1;"), 1);
    assert_eq!(rust("let text = \"a \\\"word\\\" anew\"; let c = '\\''; let anew = 1;"), 1);
    let other = |name, text| avoided(Path::new(name), text).len();
    assert_eq!(other("a.lua", "local peer = 1 -- the peer"), 1);
    assert_eq!((other("a.yaml", "peer: 1  # anew"), other("a.sh", "echo anew")), (1, 0));
    assert_eq!(other("a.ini", "; started anew"), 1);
}
