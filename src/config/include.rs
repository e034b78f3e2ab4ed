//! `include:`: makes one document of a configuration file and the files that it includes. A value never replaces another one. This module
//! reads files and writes none.

use std::fs;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glob::{MatchOptions, Pattern};

use super::places::{ConfigSource, KeyPlaces};
use super::problem::{ConfigError, Problem, Severity, as_text, key_of};
use super::words::not_yaml;
use pyyaml::{Keys, Marks, Value};

/// The setting of a merged file that names the file with `include:`. Programs and the Python package `nowcast-worker` read that one instead.
pub const MERGED_FROM: &str = "merged from";

/// The setting, in each file.
const INCLUDE: &str = "include";

/// `*` matches no hidden files, as in a shell.
const OPTIONS: MatchOptions =
    MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };

/// A function that returns the content of a file; a command that edits files passes its own.
pub type ReadFile<'a> = &'a dyn Fn(&Path) -> io::Result<Vec<u8>>;

/// A configuration with all that it includes.
pub(super) struct MergedConfig {
    pub value: Value,
    /// The text of the only file; with `include:`, the whole document as YAML, so that it can be read without the files.
    pub text: String,
    pub places: KeyPlaces,
    /// Warnings.
    pub problems: Vec<Problem>,
}

/// Read a configuration from the content of its file and those that it includes.
///
/// # Errors
/// With every problem of every file that cannot be read or merged.
pub(super) fn read(file: &Path, content: &[u8], read_file: ReadFile) -> Result<MergedConfig, ConfigError> {
    let mut assembly = Assembly {
        read_file,
        value: Value::Null,
        places: KeyPlaces::default(),
        files: Vec::new(),
        chain: Vec::new(),
        includes: false,
        problems: Vec::new(),
    };
    assembly.add(file, content);
    let Assembly { value, places, problems, includes, .. } = assembly;
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(ConfigError { problems });
    }
    let text = if includes {
        pyyaml::write(&value, Keys::AsGiven)
    } else {
        String::from_utf8_lossy(content).into_owned()
    };
    Ok(MergedConfig { value, text, places, problems })
}

/// A document that is being made.
struct Assembly<'a> {
    read_file: ReadFile<'a>,
    value: Value,
    places: KeyPlaces,
    /// The included files: their real paths, and the places that name them.
    files: Vec<(PathBuf, String)>,
    /// The files that lead to the one that is read now.
    chain: Vec<PathBuf>,
    /// Whether a file has `include:`.
    includes: bool,
    problems: Vec<Problem>,
}

impl Assembly<'_> {
    /// Add a file and all that it includes.
    fn add(&mut self, file: &Path, content: &[u8]) {
        let (mut value, marks) = match parse(file, content) {
            Ok(parsed) => parsed,
            Err(problem) => return self.problems.push(problem),
        };
        let entries = self.included(file, &mut value, &marks);
        let is_first = self.chain.is_empty();
        self.places.sources.push(ConfigSource::new(
            file.to_owned(),
            &String::from_utf8_lossy(content),
            marks,
        ));
        if is_first {
            self.value = value;
        } else if value.as_map().is_some() {
            let mut merged = mem::take(&mut self.value);
            self.merge(&mut merged, &value, &mut Vec::new());
            self.value = merged;
        } else if !value.is_null() {
            let text = format!("the file must hold a mapping of sections, but it holds {}", value.kind());
            self.problems.push(Problem::of_file(file, None, text));
        }
        self.chain.push(file.to_owned());
        for entry in &entries {
            self.follow(file, entry);
        }
        self.chain.pop();
    }

    /// Add the files of an entry of `include:`.
    fn follow(&mut self, file: &Path, entry: &IncludeEntry) {
        let problem = |severity, text| Problem {
            severity,
            key: INCLUDE.to_owned(),
            ..Problem::of_file(file, entry.line, text)
        };
        match matching(file.parent().unwrap_or(Path::new("")), &entry.pattern) {
            Ok(found) if found.is_empty() => {
                let text = format!("no file matches `{}`", entry.pattern);
                self.problems.push(problem(Severity::Warning, text));
            }
            Ok(found) => found.iter().for_each(|included| self.include(included, &problem)),
            Err(error) => {
                let text = format!("`{}` is not a pattern of file names: {}", entry.pattern, error.msg);
                self.problems.push(problem(Severity::Error, text));
            }
        }
    }

    /// Add an included file. `problem` makes a problem at the place that names it.
    fn include(&mut self, file: &Path, problem: &dyn Fn(Severity, String) -> Problem) {
        let mut refuse = |text: String| self.problems.push(problem(Severity::Error, text));
        let real = real(file);
        if let Some(at) = self.chain.iter().position(|open| self::real(open) == real) {
            let circle = self.chain[at..].iter().map(PathBuf::as_path).chain([file]);
            let circle: Vec<String> = circle.map(|file| file.display().to_string()).collect();
            return refuse(format!(
                "the files include each other: {}; remove one of these includes",
                circle.join(" → ")
            ));
        }
        if let Some((_, other)) = self.files.iter().find(|(known, _)| *known == real) {
            return refuse(format!(
                "{} is included twice, also in {other}; remove one of them",
                file.display()
            ));
        }
        match (self.read_file)(file) {
            Ok(content) => {
                self.files.push((real, problem(Severity::Error, String::new()).place()));
                self.add(file, &content);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                refuse(format!(
                    "the file {} does not exist; paths are relative to the file that includes",
                    file.display()
                ));
            }
            Err(error) => refuse(format!("{} cannot be read: {error}", file.display())),
        }
    }

    /// Take `include:` out of the value of a file and return its entries.
    fn included(&mut self, file: &Path, value: &mut Value, marks: &Marks) -> Vec<IncludeEntry> {
        let Value::Map(sections) = value else { return Vec::new() };
        let Some(include) = Arc::make_mut(sections).shift_remove(&Value::from(INCLUDE)) else {
            return Vec::new();
        };
        self.includes = true;
        let items: Vec<(String, &Value)> = match &include {
            Value::List(items) => (0..).map(|at: usize| at.to_string()).zip(items.iter()).collect(),
            item => vec![(String::new(), item)],
        };
        let mut entries = Vec::new();
        for (at, item) in items {
            let line = marks.line_of(&[INCLUDE, &at]).or_else(|| marks.line_of(&[INCLUDE]));
            if let Some(pattern) = item.as_str() {
                entries.push(IncludeEntry { pattern: pattern.to_owned(), line });
            } else {
                let text = format!("must be a file name or a list of them, not {}", item.kind());
                let key = INCLUDE.to_owned();
                self.problems.push(Problem { key, ..Problem::of_file(file, line, text) });
            }
        }
        entries
    }

    /// Merge a value of the last file. Its lists are appended; nothing else is given twice.
    fn merge(&mut self, into: &mut Value, from: &Value, path: &mut Vec<String>) {
        match (into, from) {
            (Value::Map(into), Value::Map(from)) => {
                let into = Arc::make_mut(into);
                for (key, value) in from.iter() {
                    path.push(as_text(key));
                    match into.get_mut(key) {
                        Some(there) => self.merge(there, value, path),
                        None => _ = into.insert(key.clone(), value.clone()),
                    }
                    path.pop();
                }
            }
            (Value::List(into), Value::List(from)) => {
                if let Some(source) = self.places.sources.last_mut() {
                    source.appended.push((path.clone(), into.len()));
                }
                Arc::make_mut(into).extend(from.iter().cloned());
            }
            _ => self.refuse_second(path),
        }
    }

    fn refuse_second(&mut self, path: &[String]) {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let Some((last, before)) = self.places.sources.split_last() else { return };
        let first = before.iter().find_map(|source| source.place_of(&path));
        // The place of a key that is not text is not known.
        let other = match first {
            Some(place) => place.to_string(),
            None => before.first().map(|source| source.file.display().to_string()).unwrap_or_default(),
        };
        let text = format!("is given twice, also in {other}; remove one of them");
        self.problems
            .push(Problem { key: key_of(&path), ..Problem::of_file(&last.file, last.line_of(&path), text) });
    }
}

/// An entry of `include:`.
struct IncludeEntry {
    pattern: String,
    line: Option<usize>,
}

fn parse(file: &Path, content: &[u8]) -> Result<(Value, Marks), Problem> {
    let text = std::str::from_utf8(content).map_err(|error| {
        let line = content[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        Problem::of_file(file, Some(line), "the file is not UTF-8 text".to_owned())
    })?;
    pyyaml::read_marked(text)
        .map_err(|error| Problem::of_file(file, Some(error.mark().line), not_yaml(&error)))
}

/// Return the files that a pattern matches, sorted; a name without wildcards always.
fn matching(folder: &Path, pattern: &str) -> Result<Vec<PathBuf>, glob::PatternError> {
    if !pattern.contains(['*', '?', '[']) {
        return Ok(vec![folder.join(pattern)]);
    }
    let full = Path::new(&Pattern::escape(&folder.to_string_lossy())).join(pattern);
    let mut found: Vec<PathBuf> =
        glob::glob_with(&full.to_string_lossy(), OPTIONS)?.flatten().filter(|file| !file.is_dir()).collect();
    found.sort_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    Ok(found)
}

fn real(file: &Path) -> PathBuf {
    fs::canonicalize(file).unwrap_or_else(|_| file.to_owned())
}
