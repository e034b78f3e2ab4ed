//! Rules that follow their file: an edit is in force for the next message, a broken edit is not.

use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::engine::Engine;
use super::error::LoadError;
use super::limits::Options;
use super::source::Sources;

/// What a look at the files led to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Reload {
    /// Nothing to tell: the rules are those of before, and if they are not those of the files, that
    /// was told.
    Unchanged,
    /// The rules of the files are in force: new ones, or those of before after a refused edit was
    /// taken back.
    Loaded,
    /// The files hold rules that cannot be used; the rules of before stay in force.
    Refused(LoadError),
}

/// Holds the rules in force and replaces them when their files change.
#[derive(Debug)]
pub struct Reloader {
    path: PathBuf,
    module: String,
    options: Options,
    engine: Engine,
    generation: u64,
    refused: Option<Refused>,
}

/// An edit that is not in force.
#[derive(Debug)]
struct Refused {
    sources: Rc<Sources>,
    error: LoadError,
}

impl Reloader {
    /// Loads the rules for the first time; they are generation 1.
    ///
    /// # Errors
    /// As [`Engine::load`].
    pub fn start(path: &Path, module: &str, options: Options) -> Result<Self, LoadError> {
        let engine = Engine::load(path, module, &options)?;
        Ok(Self {
            path: path.to_owned(),
            module: module.to_owned(),
            options,
            engine,
            generation: 1,
            refused: None,
        })
    }

    /// The rules in force.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// How many different rules have been in force, counted from 1.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Why the files' rules are not in force, if they are not.
    #[must_use]
    pub fn refused(&self) -> Option<&LoadError> {
        self.refused.as_ref().map(|refused| &refused.error)
    }

    /// Loads the files again if one has changed. Costs one `stat` for each file if none has.
    ///
    /// `registered` are the names of the registered workers: new rules must not lose an `after_…`
    /// function of theirs, because a file that is half written looks just so. The same error is told
    /// once.
    pub fn check_now<'a>(&mut self, registered: impl IntoIterator<Item = &'a str>) -> Reload {
        let latest = self.refused.as_ref().map_or(self.engine.sources(), |refused| &refused.sources);
        if !latest.have_changed() {
            return Reload::Unchanged;
        }
        let told = self.refused.as_ref().map(|refused| refused.error.clone());
        match self.load(registered) {
            Reload::Refused(error) if told.as_ref() == Some(&error) => Reload::Unchanged,
            outcome => outcome,
        }
    }

    /// Loads the files again, changed or not, as on SIGHUP; an error is told in any case.
    pub fn force<'a>(&mut self, registered: impl IntoIterator<Item = &'a str>) -> Reload {
        match self.load(registered) {
            Reload::Unchanged => Reload::Loaded,
            outcome => outcome,
        }
    }

    /// The name or the place of the rules changed in the configuration: loads them from there.
    ///
    /// # Errors
    /// As [`Engine::load`]; the rules of before stay in force.
    pub fn move_to(&mut self, path: &Path, module: &str, options: Options) -> Result<(), LoadError> {
        let engine = Engine::load(path, module, &options)?;
        if engine.hash() != self.engine.hash() {
            self.generation += 1;
        }
        (self.path, self.module, self.options) = (path.to_owned(), module.to_owned(), options);
        self.engine = engine;
        self.refused = None;
        Ok(())
    }

    fn load<'a>(&mut self, registered: impl IntoIterator<Item = &'a str>) -> Reload {
        let sources = Rc::new(Sources::new(&self.path));
        let loaded = Engine::from_sources(Rc::clone(&sources), &self.module, &self.options);
        match loaded.and_then(|engine| self.check_complete(engine, registered)) {
            Ok(engine) if engine.hash() == self.engine.hash() => {
                self.engine.sources().take_stamps_of(engine.sources());
                if self.refused.take().is_some() { Reload::Loaded } else { Reload::Unchanged }
            }
            Ok(engine) => {
                self.engine = engine;
                self.generation += 1;
                self.refused = None;
                Reload::Loaded
            }
            Err(error) => {
                self.refused = Some(Refused { sources, error: error.clone() });
                Reload::Refused(error)
            }
        }
    }

    /// Refuses new rules that lost the function of a registered worker.
    fn check_complete<'a>(
        &self,
        engine: Engine,
        registered: impl IntoIterator<Item = &'a str>,
    ) -> Result<Engine, LoadError> {
        let has = |engine: &Engine, name: &str| engine.functions().iter().any(|known| known.name == name);
        let lost: Vec<String> = registered
            .into_iter()
            .map(|worker| format!("after_{worker}"))
            .filter(|name| has(&self.engine, name) && !has(&engine, name))
            .collect();
        match lost.first() {
            None => Ok(engine),
            Some(first) => Err(LoadError {
                file: self.path.clone(),
                line: None,
                reason: format!(
                    "{} gone, though registered workers need {}: is the file half written? To drop the rule on \
                     purpose, write function {first}() return {{}} end",
                    if lost.len() == 1 { format!("{first} is") } else { format!("{} are", lost.join(", ")) },
                    if lost.len() == 1 { "it" } else { "them" },
                ),
            }),
        }
    }
}

#[cfg(test)]
#[path = "reload_tests.rs"]
mod tests;
