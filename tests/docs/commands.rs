//! Commands in the documentation: each exists, with each of its options.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use regex::Regex;

use super::blocks::{of_kind, pages, read, root, spans};

/// Split a script into simple commands, as the shell does at its operators, without comments.
fn simple_commands(script: &str) -> Vec<Vec<String>> {
    let mut commands = vec![String::new()];
    let mut quote = None;
    let mut previous = '\n';
    let mut is_comment = false;
    for letter in script.chars() {
        let is_new_word = previous.is_whitespace();
        previous = letter;
        if is_comment && letter != '\n' {
            continue;
        }
        is_comment = quote.is_none() && letter == '#' && is_new_word;
        if is_comment {
            continue;
        }
        match quote {
            Some(open) if letter == open => quote = None,
            None if "'\"".contains(letter) => quote = Some(letter),
            None if "\n;|&()<>".contains(letter) => {
                commands.push(String::new());
                continue;
            }
            _ => {}
        }
        commands.last_mut().expect("begins with one").push(letter);
    }
    commands.iter().map(|command| shlex::split(command).expect("quotes are closed")).collect()
}

/// The arguments of `nowcast` in a simple command, whichever way it is started.
fn arguments(words: &[String]) -> Option<&[String]> {
    match words.first()?.as_str() {
        "nowcast" => Some(&words[1..]),
        "cargo" if words.get(1).is_some_and(|word| word == "run") => {
            let end = words.iter().position(|word| word == "--")?;
            Some(&words[end + 1..])
        }
        _ => None,
    }
}

/// Panic unless the command line takes these arguments of `nowcast`.
pub fn assert_parses(place: &str, arguments: &[String]) {
    let parse = |arguments: &[String]| {
        let words = std::iter::once("nowcast".to_owned()).chain(arguments.iter().cloned());
        nowcast::cli::definition().try_get_matches_from(words).map(|_| ()).map_err(|error| error.to_string())
    };
    let mut result = parse(arguments);
    if result.as_ref().is_err_and(|error| error.contains("not provided:\n  --worker")) {
        // Within a worker's script the environment gives its name.
        let name = ["--worker", "NAME"].map(str::to_owned);
        result = parse(&[&arguments[..1], &name, &arguments[1..]].concat());
    }
    if let Err(error) = result {
        panic!("{place}: nowcast {}: {error}", arguments.join(" "));
    }
}

#[test]
fn scripts_are_shell_and_their_nowcast_commands_exist() {
    let mut commands = 0;
    for block in of_kind("sh") {
        let mut shell = Command::new("sh").arg("-n").stdin(Stdio::piped()).spawn().expect("sh starts");
        let mut stdin = shell.stdin.take().expect("a pipe");
        stdin.write_all(block.text.as_bytes()).expect("sh reads");
        drop(stdin);
        assert!(shell.wait().expect("sh ends").success(), "{block} is not a shell script");
        for words in simple_commands(&block.text) {
            if let Some(arguments) = arguments(&words) {
                assert_parses(&block.to_string(), arguments);
                commands += 1;
            }
        }
    }
    assert!(commands > 10, "only {commands} commands were found");
}

#[test]
fn programs_of_supervisor_are_read_by_python_and_their_commands_exist() {
    let read = "import configparser, sys\n\
                files = configparser.RawConfigParser()\n\
                files.read_string(sys.stdin.read())\n\
                print('\\n'.join(files[name]['command'] for name in files.sections()))";
    for block in of_kind("ini") {
        let mut python = Command::new("python3");
        let python = python.args(["-c", read]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = python.spawn().expect("python3 starts");
        child.stdin.take().expect("a pipe").write_all(block.text.as_bytes()).expect("Python reads");
        let output = child.wait_with_output().expect("Python ends");
        assert!(output.status.success(), "{block} is not read by Python's configparser");
        let commands = String::from_utf8(output.stdout).expect("text");
        assert!(!commands.trim().is_empty(), "{block} starts nothing");
        for command in commands.lines() {
            let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
            let arguments = arguments(&words).unwrap_or_else(|| panic!("{block} does not start nowcast"));
            assert_parses(&block.to_string(), arguments);
        }
    }
}

/// A command that a sentence or a table names, with placeholders and alternatives: `nowcast hold --worker NAME｜--all`.
/// What cannot be parsed as it stands is looked up: the command, and each option.
fn look_up(place: &str, span: &str) {
    let plain: String =
        span.chars().map(|letter| if "[]｜…".contains(letter) { ' ' } else { letter }).collect();
    let mut words = plain.split_whitespace().skip(1).peekable();
    let definition = nowcast::cli::definition();
    let mut command = &definition;
    while let Some(found) = words.peek().and_then(|word| command.find_subcommand(word)) {
        command = found;
        words.next();
    }
    let is_misspelt = |word: &&str| word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    if command.has_subcommands()
        && let Some(word) = words.peek().filter(|word| !word.starts_with('-') && is_misspelt(word))
    {
        panic!("{place}: `{span}`: nowcast has no command {word:?} there");
    }
    for word in words.take_while(|word| *word != "--" && *word != "|") {
        let Some(name) = word.strip_prefix("--") else { continue };
        let name = name.split_once('=').map_or(name, |(name, _)| name);
        let exists = command.get_arguments().any(|argument| argument.get_long() == Some(name));
        let is_common = ["help", "version"].contains(&name);
        assert!(exists || is_common, "{place}: `{span}`: the command has no option --{name}");
    }
}

#[test]
fn commands_that_sentences_name_exist() {
    let mut commands = 0;
    for page in pages() {
        for (line, span) in spans(&read(&page)).iter().filter(|(_, span)| span.starts_with("nowcast ")) {
            look_up(&format!("{page}:{line}"), span);
            commands += 1;
        }
    }
    assert!(commands > 100, "only {commands} commands were found");
}

/// A command that a text names, in the source as `"nowcast why {worker}"`, \"nowcast status\" or `nowcast keys`. Lines of a
/// runner's log begin with its name and a colon; NEMO_Nowcast's log line on the system's checklist has no command.
static NAMED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"["`]nowcast ([a-z][a-z-]*)( [a-z-]+)?(:?)"#).expect("a regular expression")
});

fn assert_is_visible(definition: &clap::Command, place: &str, line: &str) -> usize {
    let mut commands = 0;
    for found in NAMED.captures_iter(line) {
        let (name, next) = (&found[1], found.get(2).map_or("", |next| next.as_str()));
        if !found[3].is_empty() || (name, next) == ("system", " checklist") || next == " system" {
            continue;
        }
        let command = definition.find_subcommand(name);
        let is_visible = command.is_some_and(|command| !command.is_hide_set());
        assert!(is_visible, "{place}: {line}: nowcast shows no command {name:?}");
        commands += 1;
    }
    commands
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let below = |path: PathBuf| if path.is_dir() { rust_files(&path) } else { vec![path] };
    entries
        .flat_map(below)
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

#[test]
fn commands_that_hints_and_sentences_name_are_visible() {
    let definition = nowcast::cli::definition();
    let mut commands = 0;
    for folder in ["src", "crates/nowcast-core/src"] {
        for path in rust_files(&root().join(folder)) {
            let source = fs::read_to_string(&path).expect("a source file");
            for line in source.lines().filter(|line| !line.trim_start().starts_with("//")) {
                commands += assert_is_visible(&definition, &path.display().to_string(), line.trim());
            }
        }
    }
    assert!(commands > 80, "only {commands} hints were found");
    for page in pages() {
        for line in read(&page).lines() {
            assert_is_visible(&definition, &page, line);
        }
    }
}

#[test]
#[should_panic(expected = "nowcast shows no command \"runner\"")]
fn a_hint_at_a_hidden_command_is_found() {
    assert_is_visible(&nowcast::cli::definition(), "here", "format!(\"try \\\"nowcast runner {run}\\\"\")");
}

#[test]
#[should_panic(expected = "no option --bakground")]
fn a_misspelt_option_is_found() {
    look_up("here", "nowcast up --bakground");
}

#[test]
#[should_panic(expected = "no command \"lunch\"")]
fn a_misspelt_command_is_found() {
    look_up("here", "nowcast lunch sleep");
}

#[test]
fn a_script_is_split_where_the_shell_splits_it() {
    let script = "x=$(nowcast need 'a | b') # nowcast not this\nnowcast rules graph | dot -Tsvg > out.svg\n";
    let found: Vec<Vec<String>> =
        simple_commands(script).into_iter().filter(|words| arguments(words).is_some()).collect();
    assert_eq!(found, [vec!["nowcast", "need", "a | b"], vec!["nowcast", "rules", "graph"]]);
}
