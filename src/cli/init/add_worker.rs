//! `nowcast init --worker`: adds a worker in all places. It writes the configuration and the rules last, and whole or not at all.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::NamedTempFile;

use super::{NewFile, below, edit, generate, write_all};
use crate::config::{self, Config};
use crate::rules::{RuleSet, is_name};

/// What a new worker is written in.
#[derive(Debug, Clone, Copy)]
pub(super) enum Language {
    Shell,
    Python,
}

impl Language {
    fn script(self, name: &str) -> String {
        match self {
            Self::Shell => format!("workers/{name}.sh"),
            Self::Python => format!("workers/{name}.py"),
        }
    }

    fn interpreter(self) -> &'static str {
        match self {
            Self::Shell => "sh",
            Self::Python => "python3",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Shell => include_str!("common/worker.sh"),
            Self::Python => include_str!("common/worker.py"),
        }
    }
}

/// Files with their new texts.
type EditedFiles = Vec<(PathBuf, String)>;

/// Add a worker to the system in a folder. Return what was written.
pub(super) fn add(folder: &Path, name: &str, language: Language) -> anyhow::Result<String> {
    if !is_name(name.as_bytes()) {
        anyhow::bail!(
            "invalid name {name:?}; use letters, digits and `_`, and begin with a letter: it names a Lua function"
        );
    }
    let file = below(folder, "nowcast.yaml");
    if !file.exists() {
        let example = if folder == Path::new(".") { String::new() } else { format!(" {}", folder.display()) };
        anyhow::bail!(
            "{} does not exist, so no worker can be added; make a system with \"nowcast init{example}\", or name its folder",
            file.display()
        );
    }
    let (config, _) = config::load(&file)?;
    if config.registry.workers.contains_key(name) {
        anyhow::bail!("{} has a worker {name} already", file.display());
    }
    let script = language.script(name);
    let settings = format!("{{exec: [{}, '{{folder}}/{script}']}}", language.interpreter());
    let (edited, extended) = extended(&config, name, &settings)?;
    let rules = RuleSet::of(&config).place()?;
    let lua = with_rule(&config, name)?;
    let test = include_str!("common/worker_test.lua").replace("@WORKER@", name);
    let tests = rules.parent().unwrap_or(Path::new("")).join("tests").join(format!("{name}.lua"));
    let mut lines = write_all(&[
        NewFile::new(folder, &script, language.text().replace("@WORKER@", name)),
        NewFile { path: tests, text: test, is_program: false },
    ])?;
    if let Some(lua) = lua {
        replace(&rules, &lua)?;
        lines.push(format!("{} has the rule after_{name}", rules.display()));
    }
    for (file, yaml) in &edited {
        replace(file, yaml)?;
        lines.push(format!("{} has the worker {name}", file.display()));
    }
    let types = generate::types_again(rules.parent().unwrap_or(Path::new("")), &extended)?;
    lines.extend(types.iter().map(|file| format!("{} written", file.display())));
    Ok(format!(
        "{}\n\nTry it:\n  nowcast rules test\n  nowcast launch {name}     (a running system needs SIGHUP first)\n",
        lines.join("\n")
    ))
}

/// Return the files of the configuration that get the worker, with their new texts, and the configuration that they make. Each section is
/// extended where it is.
fn extended(config: &Config, name: &str, settings: &str) -> anyhow::Result<(EditedFiles, Config)> {
    let mut edited = EditedFiles::new();
    let entries = [
        (&["message registry", "workers"][..], format!("{name}:")),
        (&["workers"][..], format!("{name}: {settings}")),
    ];
    for (section, entry) in entries {
        let file = config.places.file_of(section).unwrap_or(&config.file);
        if let Some((_, text)) = edited.iter_mut().find(|(known, _)| known == file) {
            *text = edit::add_entry(text, section, &entry)?;
        } else {
            let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            edited.push((file.to_owned(), edit::add_entry(&text, section, &entry)?));
        }
    }
    let read_edited = |file: &Path| match edited.iter().find(|(known, _)| known == file) {
        Some((_, text)) => Ok(text.clone().into_bytes()),
        None => config::read_regular(file),
    };
    let lookup = config::defaults::with_defaults(&config.file);
    let text = read_edited(&config.file)?;
    let (config, _) = config::parse_with(&config.file, &text, &read_edited, &lookup)?;
    // A name such as `on` is not text in YAML.
    if !(config.registry.workers.contains_key(name) && config.workers.contains_key(name)) {
        anyhow::bail!("the name {name} cannot be added; use another one, or add the worker by hand");
    }
    Ok((edited, config))
}

/// Return the text of the rules with a function for the worker, which is checked; `None` if they have one.
fn with_rule(config: &Config, name: &str) -> anyhow::Result<Option<String>> {
    let set = RuleSet::of(config);
    let engine = set.load(None)?;
    let function = format!("after_{name}");
    if engine.functions().iter().any(|known| known.name == function) {
        return Ok(None);
    }
    let mut files = engine.files();
    let main = files.first_mut().context("the rules have no file")?;
    let added = include_str!("common/worker.lua").replace("@WORKER@", name);
    main.text = format!("{}\n\n{added}", main.text.trim_end_matches('\n'));
    let text = main.text.clone();
    set.load_stored(&files)
        .with_context(|| format!("add a function {function} to the rules by hand; nothing was written"))?;
    Ok(Some(text))
}

/// Replace a file by one with the same rights.
fn replace(file: &Path, text: &str) -> anyhow::Result<()> {
    let write = || -> std::io::Result<()> {
        let real = fs::canonicalize(file)?;
        let mut new = NamedTempFile::new_in(real.parent().unwrap_or(Path::new("/")))?;
        new.write_all(text.as_bytes())?;
        new.as_file().set_permissions(fs::metadata(&real)?.permissions())?;
        new.persist(&real).map(|_| ()).map_err(|error| error.error)
    };
    write().with_context(|| format!("cannot write {}", file.display()))
}
