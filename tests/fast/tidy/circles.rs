//! Modules import each other without circles: a circle is one module in several files, which no reader can begin with.
//!
//! The custom of this project: a module and the modules below it are one unit, and may import each other. So in each folder, the
//! modules in it, each with all modules below it, must not import each other in a circle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;

use super::{rust_files, without_tests};

/// The path of a module in its crate; empty for the crate itself.
type ModulePath = Vec<String>;

/// Imports between units of one folder, each with an import as an example.
type Imports = BTreeMap<String, BTreeMap<String, String>>;

fn module_of(file: &Path) -> ModulePath {
    let mut path: ModulePath =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if path.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
        path.pop();
    }
    path
}

/// The text without tests, comments and string literals.
fn code(text: &str) -> String {
    let noise = Regex::new(r#"(?m)//.*$|"(?:\\.|[^"\\])*""#).expect("a regular expression");
    noise.replace_all(without_tests(text), "").into_owned()
}

/// The paths of a `use` tree: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn expand(tree: &str) -> Vec<String> {
    let Some((front, rest)) = tree.split_once('{') else {
        return vec![tree.split(" as ").next().unwrap_or(tree).trim().to_owned()];
    };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let (mut branches, mut depth) = (vec![String::new()], 0);
    for letter in inner.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        match (letter, branches.last_mut()) {
            (',', _) if depth == 0 => branches.push(String::new()),
            (_, Some(branch)) => branch.push(letter),
            (_, None) => {}
        }
    }
    let branches = branches.iter().filter(|branch| !branch.trim().is_empty());
    branches.flat_map(|branch| expand(&format!("{}{}", front.trim(), branch.trim()))).collect()
}

/// The modules of the crate that a module imports by `use`, or by a path in an expression or a type.
fn imports(module: &[String], text: &str, modules: &BTreeSet<ModulePath>) -> BTreeSet<ModulePath> {
    let text = code(text);
    let uses = Regex::new(r"(?s)\buse\s+([^;]+);").expect("a regular expression");
    let paths = Regex::new(r"\b(?:\w+::)+\w+").expect("a regular expression");
    let mut found: Vec<String> = uses.captures_iter(&text).flat_map(|found| expand(&found[1])).collect();
    let rest = uses.replace_all(&text, "");
    found.extend(paths.find_iter(&rest).map(|found| found.as_str().to_owned()));
    found.iter().filter_map(|path| target(module, path, modules)).filter(|target| target != module).collect()
}

/// The module that a path leads to; `None` for another crate or a local name.
fn target(module: &[String], path: &str, modules: &BTreeSet<ModulePath>) -> Option<ModulePath> {
    let mut names: Vec<&str> = path.split("::").map(str::trim).collect();
    let mut base = module.to_vec();
    match *names.first()? {
        "crate" => base = Vec::new(),
        "self" => {}
        "super" => {
            let up = names.iter().take_while(|name| **name == "super").count();
            base.truncate(module.len().checked_sub(up)?);
            names.drain(1..up);
        }
        child => {
            base.push(child.to_owned());
            modules.contains(&base).then_some(())?;
            base.pop();
            names.insert(0, "self");
        }
    }
    // The longest part of the path that is a module; the rest is a name in it.
    base.extend(names[1..].iter().map(|name| (*name).to_owned()));
    (0..=base.len()).rev().map(|length| base[..length].to_vec()).find(|path| modules.contains(path))
}

/// For each folder, the imports between the units in it.
fn imports_by_folder(files: &[(PathBuf, String)]) -> BTreeMap<ModulePath, Imports> {
    let modules: BTreeSet<ModulePath> = files.iter().map(|(file, _)| module_of(file)).collect();
    let mut folders: BTreeMap<ModulePath, Imports> = BTreeMap::new();
    for (file, text) in files {
        let module = module_of(file);
        // A file of tests alone is not part of the program.
        if module.last().is_some_and(|last| last.ends_with("tests")) {
            continue;
        }
        for target in imports(&module, text, &modules) {
            let shared = module.iter().zip(&target).take_while(|(one, other)| one == other).count();
            if let (Some(from), Some(to)) = (module.get(shared), target.get(shared)) {
                let example = format!("{} imports {}", file.display(), target.join("::"));
                let imports = folders.entry(module[..shared].to_vec()).or_default();
                imports.entry(from.clone()).or_default().entry(to.clone()).or_insert(example);
            }
        }
    }
    folders
}

/// The units that `from` imports, directly or through others.
fn reachable<'a>(imports: &'a Imports, from: &'a str) -> BTreeSet<&'a str> {
    let mut found = BTreeSet::new();
    let mut left: Vec<&str> = vec![from];
    while let Some(unit) = left.pop() {
        let next = imports.get(unit).into_iter().flatten().map(|(to, _)| to.as_str());
        left.extend(next.filter(|to| found.insert(*to)));
    }
    found
}

/// Every import that is part of a circle.
fn circular_imports(files: &[(PathBuf, String)]) -> Vec<String> {
    let mut found = Vec::new();
    for imports in imports_by_folder(files).values() {
        for (from, targets) in imports {
            let is_circular = |to: &str| reachable(imports, to).contains(from.as_str());
            found
                .extend(targets.iter().filter(|(to, _)| is_circular(to)).map(|(_, example)| example.clone()));
        }
    }
    found
}

#[test]
fn modules_do_not_import_each_other_in_circles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut crates = vec![root.join("src")];
    let members = fs::read_dir(root.join("crates")).expect("the crates");
    crates.extend(members.map(|member| member.expect("an entry").path().join("src")));
    let found: Vec<String> =
        crates.iter().flat_map(|sources| circular_imports(&rust_files(sources))).collect();
    assert!(
        found.is_empty(),
        "imports in circles; move what both sides need to a file of its own:\n{}",
        found.join("\n")
    );
}

#[test]
fn circles_are_found_and_a_module_may_import_those_below_it() {
    let circles = |files: &[(&str, &str)]| {
        let files: Vec<(PathBuf, String)> =
            files.iter().map(|(file, text)| (file.into(), (*text).to_owned())).collect();
        circular_imports(&files)
    };
    // Three files of one folder, through a list, `super` and a path in an expression.
    let three = [
        ("journal/mod.rs", "mod find; mod row; mod stream;"),
        ("journal/find.rs", "use super::{row::{Row, read}, other};"),
        ("journal/row.rs", "use std::io;\nuse super::stream::Stream;"),
        ("journal/stream.rs", "fn next() { crate::journal::find::first() }"),
    ];
    assert_eq!(
        circles(&three),
        [
            "journal/find.rs imports journal::row",
            "journal/row.rs imports journal::stream",
            "journal/stream.rs imports journal::find"
        ]
    );
    assert!(circles(&three[..3]).is_empty());

    // Two folders, by files that know nothing of each other.
    let folders = [
        ("launch/mod.rs", "mod request; pub mod note;"),
        ("launch/request.rs", "use crate::worker;"),
        ("launch/note.rs", ""),
        ("worker/mod.rs", "mod exec;"),
        ("worker/exec.rs", "use crate::launch::note::note;"),
    ];
    assert_eq!(circles(&folders).len(), 2);

    let parent = [("plan.rs", "mod handler; use handler::Handler;"), ("plan/handler.rs", "use super::Plan;")];
    assert!(circles(&parent).is_empty());
    let in_tests_and_comments = [
        ("a.rs", "use crate::b::B;"),
        (
            "b.rs",
            "/// See [`crate::a::A`].\nfn b() { say(\"crate::a::A\") }\n#[cfg(test)]\nmod tests { use crate::a::A; }",
        ),
    ];
    assert!(circles(&in_tests_and_comments).is_empty());
}
