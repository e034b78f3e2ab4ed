//! Rules that follow their file: an edit takes effect with the next message, a broken edit never does.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::engine::Engine;
use super::error::RulesLoadError;
use super::limits::EngineOptions;
use super::locate::locate;
use super::source::{RuleText, Sources};
use crate::config::Config;

use nowcast_core::{RuleCallResult, RuleError, RuleFile, RuleInput, Rules};

/// The place, the options and the required functions of a manager's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSet {
    /// The configuration file; the rules are looked for beside it.
    pub config_file: PathBuf,
    /// The value of `next workers module`: the name of the rules.
    pub module: String,
    /// The options of the engine.
    pub options: EngineOptions,
    /// The registered workers. New rules must not lose the function of one of them, because a half-written file looks
    /// the same.
    pub workers: Vec<String>,
}

impl RuleSet {
    /// Return the rules that a configuration names.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        let registry = &config.registry;
        Self {
            config_file: config.file.clone(),
            module: registry.next_workers_module.clone(),
            options: EngineOptions { package: registry.workers_package.clone(), ..EngineOptions::default() },
            workers: registry.workers.keys().cloned().collect(),
        }
    }

    /// Load the rules, or an edited copy as if it were in their place.
    ///
    /// # Errors
    /// There are no rules of that name, or they cannot be used.
    pub fn load(&self, edited: Option<&Path>) -> Result<Engine, RulesLoadError> {
        self.load_with(edited, &self.options)
    }

    /// Load the rules like [`RuleSet::load`], and record the lines that run.
    ///
    /// # Errors
    /// As for [`RuleSet::load`].
    pub fn load_noting_lines(&self, edited: Option<&Path>) -> Result<Engine, RulesLoadError> {
        self.load_with(edited, &EngineOptions { notes_lines: true, ..self.options.clone() })
    }

    fn load_with(&self, edited: Option<&Path>, options: &EngineOptions) -> Result<Engine, RulesLoadError> {
        Engine::from_sources(Rc::new(self.sources(edited)?), &self.module, options)
    }

    fn sources(&self, edited: Option<&Path>) -> Result<Sources, RulesLoadError> {
        let place = self.place()?;
        Ok(edited.map_or_else(|| Sources::new(&place), |edited| Sources::edited(edited, &place)))
    }

    /// Load rules from the files that the journal keeps, the main file first.
    ///
    /// # Errors
    /// They cannot be used any more.
    pub fn load_stored(&self, files: &[RuleFile]) -> Result<Engine, RulesLoadError> {
        Engine::of_files(files, &self.module, &self.options)
    }

    /// Return the text of the rules file, or of a module that it requires, even if the rules cannot be used.
    ///
    /// # Errors
    /// There is no such file, or it is not text.
    pub fn text(&self, edited: Option<&Path>, module: Option<&str>) -> Result<RuleText, RulesLoadError> {
        let sources = self.sources(edited)?;
        let path = match module {
            None => sources.main().to_owned(),
            Some(name) => sources
                .module(name)
                .map_err(|reason| RulesLoadError::new(sources.main().to_owned(), None, reason))?,
        };
        let text = sources.text(&path)?;
        Ok(RuleText { chunk: sources.chunk_name(&path), path, text })
    }

    /// Return the path of the rules file.
    ///
    /// # Errors
    /// There is no such file.
    pub fn place(&self) -> Result<PathBuf, RulesLoadError> {
        locate(&self.config_file, &self.module)
            .map_err(|error| RulesLoadError::new(self.config_file.clone(), None, error.to_string()))
    }

    /// Return an error if new rules, which are in the file at `path`, must not replace those in force because they lack
    /// the function of a registered worker.
    #[must_use]
    pub fn lost(&self, in_force: &Engine, new: &Engine, path: &Path) -> Option<RulesLoadError> {
        let has = |engine: &Engine, name: &str| engine.functions().iter().any(|known| known.name == name);
        let functions = self.workers.iter().map(|worker| format!("after_{worker}"));
        let lost: Vec<String> = functions.filter(|name| has(in_force, name) && !has(new, name)).collect();
        let first = lost.first()?;
        let reason = format!(
            "{} gone, though registered workers need {}: is the file half written? To drop the rule on purpose, \
             write function {first}() return {{}} end",
            if lost.len() == 1 { format!("{first} is") } else { format!("{} are", lost.join(", ")) },
            if lost.len() == 1 { "it" } else { "them" },
        );
        Some(RulesLoadError::new(path.to_owned(), None, reason))
    }
}

/// The outcome of a check of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Reload {
    /// The rules in force stay the same, and there is nothing new to report: a refused edit was reported before.
    Unchanged,
    /// The rules of the files are in force: new ones, or the previous ones after a refused edit was undone.
    Loaded,
    /// The files hold rules that cannot be used. The previous rules stay in force, if there are any.
    Refused(RulesLoadError),
}

/// Holds the rules in force and replaces them when their files change. If the rules at the manager's start were broken,
/// there may be none; then every call fails with the reason.
#[derive(Debug)]
pub struct Reloader {
    rule_set: RuleSet,
    engine: Option<Engine>,
    generation: u64,
    refused: Option<Refused>,
}

/// An edit that is not in force.
#[derive(Debug)]
struct Refused {
    /// The refused files; `None` if there was no file.
    sources: Option<Rc<Sources>>,
    error: RulesLoadError,
}

impl Reloader {
    /// Load the rules for the first time. `last` are the rules that the previous manager had in force, from the
    /// journal: as on any other reload, they stay in force if the files hold rules that cannot be used.
    pub fn start(rule_set: RuleSet, last: Option<Engine>) -> (Self, Reload) {
        let generation = u64::from(last.is_some());
        let mut reloader = Self { rule_set, engine: last, generation, refused: None };
        let outcome = reloader.force();
        (reloader, outcome)
    }

    /// Return the place, the options and the required functions of the rules.
    #[must_use]
    pub fn rule_set(&self) -> &RuleSet {
        &self.rule_set
    }

    /// Return the rules in force, if there are any.
    #[must_use]
    pub fn engine(&self) -> Option<&Engine> {
        self.engine.as_ref()
    }

    /// Return the number of rules generations that have been in force so far.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Return the reason why the rules of the files are not in force, if they are not.
    #[must_use]
    pub fn refused(&self) -> Option<&RulesLoadError> {
        self.refused.as_ref().map(|refused| &refused.error)
    }

    /// Load the files again if one has changed. If none has, this costs one `stat` for each file. The same error is
    /// returned only once.
    pub fn reload_if_changed(&mut self) -> Reload {
        let latest = match (&self.refused, &self.engine) {
            (Some(refused), _) => refused.sources.as_deref(),
            (None, Some(engine)) => Some(engine.sources()),
            (None, None) => None,
        };
        if latest.is_some_and(|sources| !sources.have_changed()) {
            return Reload::Unchanged;
        }
        let known = self.refused.as_ref().map(|refused| refused.error.clone());
        match self.load() {
            Reload::Refused(error) if known.as_ref() == Some(&error) => Reload::Unchanged,
            outcome => outcome,
        }
    }

    /// Load the files again, changed or not, as on SIGHUP. An error is returned even if it was returned before.
    pub fn force(&mut self) -> Reload {
        match self.load() {
            Reload::Unchanged => Reload::Loaded,
            outcome => outcome,
        }
    }

    /// Load the rules that a newly read configuration names.
    pub fn follow(&mut self, rule_set: RuleSet) -> Reload {
        self.rule_set = rule_set;
        self.force()
    }

    fn load(&mut self) -> Reload {
        let path = match self.rule_set.place() {
            Ok(path) => path,
            Err(error) => return self.refuse(None, error),
        };
        let RuleSet { module, options, .. } = &self.rule_set;
        let sources = Rc::new(Sources::new(&path));
        let loaded = Engine::from_sources(Rc::clone(&sources), module, options);
        let complete = loaded.and_then(|engine| {
            let lost = self.engine.as_ref().and_then(|current| self.rule_set.lost(current, &engine, &path));
            lost.map_or(Ok(engine), Err)
        });
        match complete {
            Ok(engine) => self.accept(engine),
            Err(error) => self.refuse(Some(sources), error),
        }
    }

    fn accept(&mut self, engine: Engine) -> Reload {
        let was_refused = self.refused.take().is_some();
        match &self.engine {
            Some(current) if current.is_same(&engine) => {
                if current.sources().are_stored() {
                    self.engine = Some(engine);
                } else {
                    current.sources().take_stamps_of(engine.sources());
                }
                if was_refused { Reload::Loaded } else { Reload::Unchanged }
            }
            _ => {
                self.engine = Some(engine);
                self.generation += 1;
                Reload::Loaded
            }
        }
    }

    fn refuse(&mut self, sources: Option<Rc<Sources>>, error: RulesLoadError) -> Reload {
        self.refused = Some(Refused { sources, error: error.clone() });
        Reload::Refused(error)
    }
}

impl Rules for Reloader {
    fn call_after(&self, input: &RuleInput<'_>) -> RuleCallResult {
        match (&self.engine, &self.refused) {
            (Some(engine), _) => engine.call_after(input),
            (None, refused) => {
                let reason =
                    refused.as_ref().map_or_else(String::new, |refused| format!(": {}", refused.error));
                let text = format!("there are no rules in force{reason}");
                RuleCallResult::new(Err(RuleError::Failed(text)))
            }
        }
    }
}

#[cfg(test)]
#[path = "reload_tests.rs"]
mod tests;
