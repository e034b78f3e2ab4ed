//! [`KeyPlaces`]: the file and the line of each key of a configuration, which can consist of several files.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pyyaml::Marks;

/// The places of the keys of a configuration.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct KeyPlaces {
    /// The files, in the order in which they were merged.
    pub(super) sources: Vec<ConfigSource>,
}

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPlace<'p> {
    /// The file.
    pub file: &'p Path,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for KeyPlace<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}, line {}", self.file.display(), self.line)
    }
}

/// A file with the places of its keys.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ConfigSource {
    pub file: PathBuf,
    text: Arc<str>,
    pub marks: Marks,
    /// The lists of which this file has not the first items: the keys that lead there, and the index of its first one.
    pub appended: Vec<(Vec<String>, usize)>,
}

impl ConfigSource {
    pub(super) fn new(file: PathBuf, text: &str, marks: Marks) -> Self {
        Self { file, text: text.into(), marks, appended: Vec::new() }
    }

    pub(super) fn place_of(&self, path: &[&str]) -> Option<KeyPlace<'_>> {
        self.line_of(path).map(|line| KeyPlace { file: &self.file, line })
    }

    fn scalar(&self, path: &[&str]) -> Option<&str> {
        let mark = self.marks.mark_of(path)?;
        let line = self.text.lines().nth(mark.line - 1)?;
        let (key, _) = line.char_indices().nth(mark.column - 1)?;
        let (_, value) = line[key..].split_once(':')?;
        value.trim_start().split([' ', '\t', ',', '}']).next()
    }

    /// Return the line of the key at the end of a path in the merged document.
    pub(super) fn line_of(&self, path: &[&str]) -> Option<usize> {
        let is_above =
            |list: &[String]| list.len() < path.len() && list.iter().zip(path).all(|(a, b)| a == b);
        let Some((list, first)) = self.appended.iter().find(|(list, _)| is_above(list)) else {
            return self.marks.line_of(path);
        };
        let own = path[list.len()].parse::<usize>().ok()?.checked_sub(*first)?.to_string();
        let mut translated = path.to_vec();
        translated[list.len()] = &own;
        self.marks.line_of(&translated)
    }
}

impl KeyPlaces {
    /// Return the place of the key at the end of a path, in which an item of a list is named by its index, or of the nearest one around
    /// it.
    #[must_use]
    pub fn nearest(&self, path: &[&str]) -> Option<KeyPlace<'_>> {
        let at = |length: usize| self.sources.iter().find_map(|source| source.place_of(&path[..length]));
        (1..=path.len()).rev().find_map(at)
    }

    /// Return an unquoted word behind the key at the end of a path of mappings, as it is written on the same line.
    pub(super) fn scalar(&self, path: &[&str]) -> Option<&str> {
        self.sources.iter().find_map(|source| source.scalar(path))
    }

    /// Return whether the configuration consists of several files.
    #[must_use]
    pub fn has_includes(&self) -> bool {
        self.sources.len() > 1
    }

    /// Return the files.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.sources.iter().map(|source| source.file.as_path())
    }

    /// Return the file that has the key at the end of a path.
    #[must_use]
    pub fn file_of(&self, path: &[&str]) -> Option<&Path> {
        self.sources.iter().find_map(|source| source.place_of(path)).map(|place| place.file)
    }
}
