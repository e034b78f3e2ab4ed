//! [`Exchange`]: the files of the rules and those that take their place.
//!
//! Each file is whole at any moment, the old one or the new one; the main file comes last. Whatever fails in the middle is
//! put back as it was.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Component, Path, PathBuf};

use similar::TextDiff;

use crate::core::RuleFile;
use crate::failpoint;
use crate::rules::{Engine, LoadError, RuleSet};

/// The mode of a file that was not there before.
const MODE: u32 = 0o644;

/// Why rules could not be put in force.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// They cannot be used.
    #[error("{0}")]
    Load(#[from] LoadError),
    /// They are in force as they are.
    #[error(
        "{} is the file in force itself: a change in it is in force at once. Edit a copy of it, and deploy that",
        .0.display()
    )]
    InPlace(PathBuf),
    /// A name leads out of the folder of the rules.
    #[error("{0:?} is no name of a file in the rules' folder, so it is not written")]
    Outside(String),
    /// Somebody changed a file since it was looked at.
    #[error("{} was changed meanwhile, so nothing was exchanged; look at the difference again", .0.display())]
    Changed(PathBuf),
    /// The files are there, and are not the rules that were looked at.
    #[error("the files changed while they were exchanged, so those of before were put back")]
    Other,
    /// A file cannot be read or written.
    #[error("{}: {error}{}", .file.display(), if *.is_put_back { ". The files of before were put back" } else { "" })]
    File {
        /// Which.
        file: PathBuf,
        /// Why.
        error: io::Error,
        /// Whether others had been exchanged already.
        is_put_back: bool,
    },
}

/// Files and what takes their place.
#[derive(Debug)]
pub struct Exchange {
    rule_set: RuleSet,
    /// The modules first, the main file last; those that stay as they are are not there.
    files: Vec<Replacement>,
    /// The hash of the rules afterwards.
    hash: String,
}

#[derive(Debug)]
struct Replacement {
    path: PathBuf,
    /// `None` if there is no such file yet.
    old: Option<Vec<u8>>,
    new: Vec<u8>,
}

impl Exchange {
    /// Edited rules, which were loaded as `engine`, in the place of those in force; modules beside the edited file in the
    /// place of theirs.
    ///
    /// # Errors
    /// A file cannot be read, or the edited one is the one in force.
    pub fn of_edited(rule_set: &RuleSet, edited: &Path, engine: &Engine) -> Result<Self, DeployError> {
        let place = rule_set.place()?;
        let canonical = |path: &Path| fs::canonicalize(path).map_err(|error| unreadable(path, error));
        if canonical(edited)? == canonical(&place)? {
            return Err(DeployError::InPlace(place));
        }
        let beside = edited.parent().unwrap_or(Path::new(""));
        let mut new = Vec::new();
        for (at, file) in engine.files().into_iter().enumerate() {
            let source = if at == 0 { edited.to_owned() } else { beside.join(&file.name) };
            match fs::read(&source) {
                Ok(bytes) => new.push((file.name, bytes)),
                // It is required from the folder of those in force, and stays.
                Err(error) if at > 0 && error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(&source, error)),
            }
        }
        Self::new(rule_set, &place, new, engine.hash())
    }

    /// Rules that were kept, the main file first, in the place of those in force.
    ///
    /// # Errors
    /// They cannot be loaded any more, or a file cannot be read.
    pub fn of_kept(rule_set: &RuleSet, kept: &[RuleFile]) -> Result<Self, DeployError> {
        let place = rule_set.place()?;
        let mut kept = kept.to_vec();
        if let (Some(main), Some(name)) = (kept.first_mut(), place.file_name()) {
            main.name = name.to_string_lossy().into_owned();
        }
        let engine = Engine::of_files(&kept, &rule_set.module, &rule_set.options)?;
        let new = kept.into_iter().map(|file| (file.name, file.text.into_bytes())).collect();
        Self::new(rule_set, &place, new, engine.hash())
    }

    fn new(
        rule_set: &RuleSet,
        place: &Path,
        new: Vec<(String, Vec<u8>)>,
        hash: &str,
    ) -> Result<Self, DeployError> {
        let folder = place.parent().unwrap_or(Path::new(""));
        let mut files = Vec::new();
        for (name, new) in new {
            if !Path::new(&name).components().all(|part| matches!(part, Component::Normal(_))) {
                return Err(DeployError::Outside(name));
            }
            let path = folder.join(name);
            let old = read(&path).map_err(|error| unreadable(&path, error))?;
            if old.as_ref() != Some(&new) {
                files.push(Replacement { path, old, new });
            }
        }
        // The main file was the first.
        files.reverse();
        Ok(Self { rule_set: rule_set.clone(), files, hash: hash.to_owned() })
    }

    /// Whether all files are as they should be.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// The hash of the rules afterwards.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// What changes in the files, as `diff -u` shows it.
    #[must_use]
    pub fn diff(&self) -> String {
        let mut text = String::new();
        for Replacement { path, old, new } in self.files.iter().rev() {
            let old = old.as_ref().map(|old| String::from_utf8_lossy(old)).unwrap_or_default();
            let new = String::from_utf8_lossy(new);
            let name = path.display();
            let diff = TextDiff::from_lines(old.as_ref(), new.as_ref());
            text.push_str(
                &diff
                    .unified_diff()
                    .header(&format!("{name} (in force)"), &format!("{name} (new)"))
                    .to_string(),
            );
        }
        text
    }

    /// Exchanges the files.
    ///
    /// # Errors
    /// A file cannot be written or was changed meanwhile; then all are as they were.
    pub fn swap(&self) -> Result<(), DeployError> {
        for Replacement { path, old, .. } in &self.files {
            let now = read(path).map_err(|error| unreadable(path, error))?;
            if now != *old {
                return Err(DeployError::Changed(path.clone()));
            }
        }
        let failed = |path: &Path, is_put_back| {
            let file = path.to_owned();
            move |error| DeployError::File { file, error, is_put_back }
        };
        // All are written before the first is exchanged: that takes no time in which a manager could look.
        let mut written = Vec::new();
        for Replacement { path, new, .. } in &self.files {
            failpoint::pass("deploy: before a file");
            written.push((path, Written::new(path, new).map_err(failed(path, false))?));
        }
        for (done, (path, file)) in written.into_iter().enumerate() {
            failpoint::pass("deploy: before a rename");
            if let Err(error) = file.put() {
                let is_put_back = done > 0 && self.put_back().is_ok();
                return Err(failed(path, is_put_back)(error));
            }
        }
        failpoint::pass("deploy: exchanged");
        let is_same = self.rule_set.load(None).is_ok_and(|engine| engine.hash() == self.hash);
        if is_same {
            return Ok(());
        }
        self.put_back()?;
        Err(DeployError::Other)
    }

    /// Puts the files of before back, the main one first.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn put_back(&self) -> Result<(), DeployError> {
        let failed =
            |file: &Path, error| DeployError::File { file: file.to_owned(), error, is_put_back: false };
        for Replacement { path, old, .. } in self.files.iter().rev() {
            match old {
                Some(old) => {
                    Written::new(path, old).and_then(Written::put).map_err(|error| failed(path, error))?;
                }
                None => match fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(path, error)),
                    _ => {}
                },
            }
        }
        Ok(())
    }
}

fn unreadable(file: &Path, error: io::Error) -> DeployError {
    DeployError::File { file: file.to_owned(), error, is_put_back: false }
}

/// What a file holds; `None` if there is none.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A whole file beside the one that it is to take the place of; removed if it does not.
struct Written {
    new: PathBuf,
    real: PathBuf,
}

impl Written {
    /// Writes it, with the mode and the group of the file at `path`. A symbolic link is followed, so that it stays one.
    fn new(path: &Path, content: &[u8]) -> io::Result<Self> {
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(error),
        };
        fs::create_dir_all(folder(&real))?;
        let name = real.file_name().unwrap_or_default().to_string_lossy();
        let new = folder(&real).join(format!(".{name}.{}.new", std::process::id()));
        let before = fs::metadata(&real).ok();
        let mode = before.as_ref().map_or(MODE, |before| before.permissions().mode() & 0o7777);
        let written = Self { new, real };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(mode);
        let mut file = options.open(&written.new)?;
        if let Some(before) = &before {
            // Whoever may not give it away leaves it to their own group.
            let _ = fchown(&file, None, Some(before.gid()));
            file.set_permissions(Permissions::from_mode(mode))?;
        }
        file.write_all(content)?;
        file.sync_all()?;
        Ok(written)
    }

    /// Puts it in its place.
    fn put(self) -> io::Result<()> {
        fs::rename(&self.new, &self.real)?;
        File::open(folder(&self.real))?.sync_all()
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // After the rename there is none.
        let _ = fs::remove_file(&self.new);
    }
}

/// The folder that a file is in.
fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
