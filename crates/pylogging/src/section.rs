//! Reads a mapping of the `logging:` section key by key, with errors that name the keys.
//!
//! This module never interprets a handler or a format.

use super::error::{SetupError, Warning, choose_from};
use super::level::Level;
use pyyaml::{Map, Value};

/// A mapping and the keys that lead to it. `null` is an empty mapping, because a key without a value is null.
#[derive(Debug, Clone)]
pub(super) struct Section<'v> {
    place: String,
    map: Option<&'v Map>,
}

impl<'v> Section<'v> {
    /// Create a section, or return an error if the value is not a mapping.
    pub fn new(place: String, value: &'v Value) -> Result<Self, SetupError> {
        match value {
            Value::Null => Ok(Self { place, map: None }),
            Value::Map(map) => Ok(Self { place, map: Some(map) }),
            other => Err(SetupError::new(
                &place,
                format!("this is {}, not a mapping", other.kind()),
                "write its keys below it, indented",
            )),
        }
    }

    pub fn place(&self) -> &str {
        &self.place
    }

    /// Return the place of a key: `logging: handlers`.
    pub fn place_of(&self, key: &str) -> String {
        format!("{}: {key}", self.place)
    }

    /// Return the value of a key; `None` if it is missing or null.
    pub fn get(&self, key: &str) -> Option<&'v Value> {
        self.map?.get(&Value::from(key)).filter(|value| !value.is_null())
    }

    /// Return the mapping of a key, empty if it is missing.
    pub fn section(&self, key: &str) -> Result<Section<'v>, SetupError> {
        match self.get(key) {
            None => Ok(Section { place: self.place_of(key), map: None }),
            Some(value) => Section::new(self.place_of(key), value),
        }
    }

    /// Return the entries with their names: formatters, handlers, loggers.
    pub fn sections(&self) -> impl Iterator<Item = Result<(&'v str, Section<'v>), SetupError>> + '_ {
        self.map.into_iter().flatten().map(|(key, value)| {
            let name = key.as_str().ok_or_else(|| {
                SetupError::new(
                    &self.place,
                    format!("one of the names is {}", key.kind()),
                    "put it in quotes",
                )
            })?;
            Ok((name, Section::new(self.place_of(name), value)?))
        })
    }

    /// Return the text of a key.
    pub fn text(&self, key: &str) -> Result<Option<&'v str>, SetupError> {
        let text = |value: &'v Value| {
            value.as_str().ok_or_else(|| self.wrong(key, value, "text", "put it in quotes"))
        };
        self.get(key).map(text).transpose()
    }

    /// Return a number of bytes or files; 0 if it is missing.
    pub fn count(&self, key: &str) -> Result<u64, SetupError> {
        let Some(value) = self.get(key) else { return Ok(0) };
        let count = value.as_int().and_then(|number| u64::try_from(number).ok());
        count.ok_or_else(|| self.wrong(key, value, "a whole number", "write 0 or more"))
    }

    /// Return a flag, or `missing` if the key is missing. Python also accepts numbers.
    pub fn flag(&self, key: &str, missing: bool) -> Result<bool, SetupError> {
        match self.get(key) {
            None => Ok(missing),
            Some(Value::Bool(flag)) => Ok(*flag),
            Some(Value::Int(number)) => Ok(*number != 0),
            Some(other) => Err(self.wrong(key, other, "true or false", "write true or false")),
        }
    }

    /// Return a list of names.
    pub fn names(&self, key: &str) -> Result<Vec<&'v str>, SetupError> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let wrong = || self.wrong(key, value, "a list of names", "write it as [console]");
        value.as_list().ok_or_else(wrong)?.iter().map(|item| item.as_str().ok_or_else(wrong)).collect()
    }

    /// Return a level, given by name or number.
    pub fn level(&self, key: &str) -> Result<Option<Level>, SetupError> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let place = self.place_of(key);
        match value {
            Value::Str(name) => Level::from_name(name).map(Some).ok_or_else(|| {
                SetupError::new(
                    &place,
                    format!("there is no level {name:?}"),
                    choose_from(name, Level::names()),
                )
            }),
            Value::Int(number) => u32::try_from(*number).map(|number| Some(Level(number))).map_err(|_| {
                SetupError::new(
                    &place,
                    format!("there is no level {number}"),
                    "write 0 (all lines) to 100 (none)",
                )
            }),
            other => Err(self.wrong(key, other, "a level", "write a name as DEBUG or a number as 10")),
        }
    }

    /// Warn of unknown keys.
    pub fn warn_of_others(&self, known: &[&str], warnings: &mut Vec<Warning>) {
        for key in self.map.into_iter().flat_map(Map::keys) {
            let Some(name) = key.as_str() else { continue };
            if !known.contains(&name) {
                let hint = error_text::closest(name, known.iter().copied())
                    .map(|near| format!("; did you mean {near}?"));
                let text =
                    format!("{name} means nothing here and is passed over{}", hint.unwrap_or_default());
                warnings.push(Warning::new(self.place_of(name), text));
            }
        }
    }

    fn wrong(&self, key: &str, value: &Value, expected: &str, remedy: &str) -> SetupError {
        SetupError::new(&self.place_of(key), format!("this is {}, not {expected}", value.kind()), remedy)
    }
}
