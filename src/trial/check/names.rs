//! Names that rules use and that do not exist, and globals that rules must not write.

use std::collections::{HashMap, HashSet};

use super::places::{MOST_PROBLEMS, Places};
use super::problem::{RuleProblem, RuleSeverity};
use super::scope::{self, Globals};
use crate::rules::{Engine, library};
use error_text::{closest, question};

/// Names of other languages, or of full Lua, with what to write instead.
const KNOWN_ELSEWHERE: &[(&str, &str)] = &[
    ("None", "Lua's word is `nil`"),
    ("True", "Lua's word is `true`"),
    ("False", "Lua's word is `false`"),
    ("len", "write `#list`, or `#keys(table)` for one with names"),
    ("str", "write `tostring(value)`"),
    ("int", "write `math.tointeger(value)`"),
    ("unpack", "Lua 5.4 has `table.unpack`"),
    ("loadstring", "Lua 5.4 has `load`"),
    ("io", "rules reach no files: a worker can read them and put what it finds into its payload"),
    ("dofile", "rules load their own files by `require`"),
    ("loadfile", "rules load their own files by `require`"),
    ("package", "rules load their own files by `require`"),
    ("debug", "rules have no `debug` library; `log.debug` writes to the manager's log"),
    ("collectgarbage", "the engine frees what rules leave behind"),
];

/// Return the problems with names, in the order of the files; at most [`MOST_PROBLEMS`], and then one that says so.
pub(super) fn problems(engine: &Engine, places: &Places) -> Vec<RuleProblem> {
    let mut problems = Vec::new();
    let mut found = Vec::new();
    for text in &places.texts {
        match scope::globals(&text.text) {
            Ok(globals) => found.push((text, globals)),
            Err(why) => {
                let what = format!("the names in {} cannot be looked at: {why}", text.chunk);
                let mut problem = places.whole(RuleSeverity::Warning, "names not looked at", what);
                problem.file.clone_from(&text.path);
                problems.push(problem);
            }
        }
    }
    let known = Known::new(engine, found.iter().map(|(_, globals)| globals));
    for (text, globals) in &found {
        let mut of_file = Vec::new();
        for name in globals.reads.iter().filter(|name| !known.has(&name.text)).take(MOST_PROBLEMS + 1) {
            let what = format!("there is no name `{}`", name.text);
            let mut problem = places.name((RuleSeverity::Error, "unknown name"), text, name, what);
            problem.notes.push(known.instead_of(&name.text));
            of_file.push(problem);
        }
        let written = globals.written_in_functions.iter();
        for name in written.filter(|name| known.may_not_be_written(&name.text)).take(MOST_PROBLEMS + 1) {
            let what = format!("the global `{}` cannot be set while a rule runs", name.text);
            let mut problem = places.name((RuleSeverity::Error, "global written"), text, name, what);
            let note =
                "write `local` before its first use, and keep what the next rule needs in the checklist";
            problem.notes.push(note.to_owned());
            of_file.push(problem);
        }
        for (library, member) in &globals.members {
            let Some(members) = known.members_of(library) else { continue };
            if members.contains(&member.text) || of_file.len() > MOST_PROBLEMS {
                continue;
            }
            let what = format!("`{library}` has no `{}`", member.text);
            let mut problem = places.name((RuleSeverity::Error, "unknown name"), text, member, what);
            let close = closest(&member.text, members);
            problem.notes.push(match close {
                Some(close) => format!("did you mean `{library}.{close}`?"),
                None => format!("it has {}", members.join(", ")),
            });
            of_file.push(problem);
        }
        of_file.sort_by_key(|problem| (problem.line, problem.column));
        problems.extend(of_file);
        if problems.len() > MOST_PROBLEMS {
            break;
        }
    }
    places.limited(problems, RuleSeverity::Error, "names")
}

/// The names that rules can use.
struct Known {
    /// The names of the engine, without the members of its libraries.
    engine: Vec<String>,
    libraries: HashMap<String, Vec<String>>,
    /// The names that the rules' files define when they run.
    of_rules: HashSet<String>,
    /// The names that lines outside of all functions set.
    defined: HashSet<String>,
}

impl Known {
    fn new<'a>(engine: &Engine, files: impl Iterator<Item = &'a Globals>) -> Self {
        let mut known = Self {
            engine: Vec::new(),
            libraries: HashMap::new(),
            of_rules: engine.globals().iter().cloned().collect(),
            defined: HashSet::new(),
        };
        for name in library::names() {
            match name.split_once('.') {
                Some((library, member)) => {
                    known.libraries.entry(library.to_owned()).or_default().push(member.to_owned());
                }
                None => known.engine.push(name),
            }
        }
        known.defined.extend(files.flat_map(|globals| &globals.defined).map(|name| name.text.clone()));
        known
    }

    fn has(&self, name: &str) -> bool {
        self.is_of_rules(name) || self.engine.iter().any(|known| known == name) || name == "_ENV"
    }

    fn is_of_rules(&self, name: &str) -> bool {
        self.of_rules.contains(name) || self.defined.contains(name)
    }

    /// Return whether a rule must not write the global. A global that exists after the files ran, and that no line
    /// outside of a function sets, was set by a function that they called, which is not a rule.
    fn may_not_be_written(&self, name: &str) -> bool {
        self.defined.contains(name) || !self.of_rules.contains(name)
    }

    /// Return the members of a library, or `None` if there is no such library, or the rules replaced it.
    fn members_of(&self, library: &str) -> Option<&Vec<String>> {
        self.libraries.get(library).filter(|_| !self.is_of_rules(library))
    }

    /// Return what to write instead of a name that does not exist.
    fn instead_of(&self, name: &str) -> String {
        if let Some((_, instead)) = KNOWN_ELSEWHERE.iter().find(|(elsewhere, _)| *elsewhere == name) {
            return (*instead).to_owned();
        }
        let mut all: Vec<&str> =
            self.engine.iter().chain(&self.of_rules).chain(&self.defined).map(String::as_str).collect();
        all.sort_unstable();
        if let Some(question) = question(name, all) {
            return question;
        }
        let mut holders: Vec<String> = self
            .libraries
            .iter()
            .filter(|(_, members)| members.iter().any(|member| member == name))
            .map(|(library, _)| format!("`{library}.{name}`"))
            .collect();
        holders.sort_unstable();
        match holders.first() {
            Some(first) => format!("did you mean {first}?"),
            None => "it is nil, here and everywhere: define it, or write it as text in quotes".to_owned(),
        }
    }
}
