//! [`RulesExchange`]: the files of the rules and their replacements.
//!
//! Each file is whole at any moment, either the old one or the new one; the main file is exchanged last. After an error
//! the previous files are restored.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Component, Path, PathBuf};

use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use similar::TextDiff;

use crate::failpoint;
use crate::rules::{Engine, RuleSet, RulesLoadError};
use nowcast_core::RuleFile;

/// The mode of a file that did not exist before.
const MODE: u32 = 0o644;

/// The reason why rules could not be put in force.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The rules cannot be loaded.
    #[error("{0}")]
    Load(#[from] RulesLoadError),
    /// The edited file is the one in force.
    #[error(
        "{} is the file in force itself: a change in it is in force at once. Edit a copy of it, and deploy that",
        .0.display()
    )]
    InPlace(PathBuf),
    /// A name leads out of the rules' folder.
    #[error("{0:?} is not the name of a file in the rules' folder, so it is not written")]
    Outside(String),
    /// A file was changed after it was read.
    #[error("{} was changed meanwhile, so nothing was exchanged; look at the difference again", .0.display())]
    Changed(PathBuf),
    /// The exchanged files are not the rules that were checked.
    #[error("the files changed while they were exchanged, so the previous files were put back")]
    Other,
    /// A file cannot be written, and some were not restored.
    #[error(
        "{}: {error}. Files of the new rules are in force now, and could not be put back: {}. When they can be written again, \
         nowcast rules deploy --undo restores the previous rules",
        .file.display(),
        .new.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(", ")
    )]
    HalfDone {
        /// The file that cannot be written.
        file: PathBuf,
        /// The reason.
        error: io::Error,
        /// Files that were not restored.
        new: Vec<PathBuf>,
    },
    /// A file cannot be read or written.
    #[error("{}: {error}{}", .file.display(), if *.is_put_back { ". The previous files were put back" } else { "" })]
    File {
        /// The file.
        file: PathBuf,
        /// The reason.
        error: io::Error,
        /// Whether other files had been exchanged, and were restored.
        is_put_back: bool,
    },
}

/// The files of the rules and their replacements.
#[derive(Debug)]
pub struct RulesExchange {
    rule_set: RuleSet,
    /// The modules first, the main file last, without unchanged files.
    files: Vec<Replacement>,
    /// The hash of the new rules.
    hash: String,
}

#[derive(Debug)]
struct Replacement {
    path: PathBuf,
    /// The previous content; `None` if the file does not exist yet.
    old: Option<Vec<u8>>,
    new: Vec<u8>,
}

impl RulesExchange {
    /// Return the replacement of the rules in force by edited rules, which were loaded as `engine`. Modules beside the
    /// edited file replace those in force.
    ///
    /// # Errors
    /// When a file cannot be read, or the edited file is the one in force.
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
                // The module is one of those in force, and stays.
                Err(error) if at > 0 && error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(unreadable(&source, error)),
            }
        }
        Self::new(rule_set, &place, new, engine.hash())
    }

    /// Return the replacement of the rules in force by rules of the journal, of which the first is the main file.
    ///
    /// # Errors
    /// When the rules can no longer be loaded, or a file cannot be read.
    pub fn of_journal(rule_set: &RuleSet, kept: &[RuleFile]) -> Result<Self, DeployError> {
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
        // The main file was the first, and must be exchanged last.
        files.reverse();
        Ok(Self { rule_set: rule_set.clone(), files, hash: hash.to_owned() })
    }

    /// Return whether no file has to be changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Return the hash of the new rules.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// Return the changes of the files, as `diff -u` shows them.
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

    /// Exchange the files.
    ///
    /// # Errors
    /// When a file cannot be written or was changed meanwhile. The previous files are then in place, except after
    /// [`DeployError::HalfDone`].
    pub fn swap(&self) -> Result<(), DeployError> {
        for Replacement { path, old, .. } in &self.files {
            let now = read(path).map_err(|error| unreadable(path, error))?;
            if now != *old {
                return Err(DeployError::Changed(path.clone()));
            }
        }
        // Write all files before exchanging the first, and sync the disk after the last: a manager that reads in
        // between would see new modules beside the old main file.
        let mut written = Vec::new();
        for Replacement { path, new, .. } in &self.files {
            failpoint::pass("deploy: before a file");
            written.push((path, Written::new(path, new).map_err(|error| unreadable(path, error))?));
        }
        let mut folders = BTreeSet::new();
        for (path, file) in written {
            failpoint::pass("deploy: before a rename");
            folders.extend(Some(folder(&file.real).to_owned()));
            if let Err(error) = file.put() {
                return Err(self.after_failure(path, error));
            }
        }
        failpoint::pass("deploy: exchanged");
        for folder in folders {
            if let Err(error) = sync(&folder) {
                return Err(self.after_failure(&folder, error));
            }
        }
        let is_same = self.rule_set.load(None).is_ok_and(|engine| engine.hash() == self.hash);
        if is_same {
            return Ok(());
        }
        self.put_back()?;
        Err(DeployError::Other)
    }

    /// Restore the files that were exchanged before a failure, and return the error.
    fn after_failure(&self, file: &Path, error: io::Error) -> DeployError {
        let is_put_back = !self.new_files().is_empty();
        match self.put_back() {
            Ok(()) => DeployError::File { file: file.to_owned(), error, is_put_back },
            Err(error) => error,
        }
    }

    /// Restore the previous files, the main one first.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn put_back(&self) -> Result<(), DeployError> {
        let failed = |file: &Path, error| DeployError::HalfDone {
            file: file.to_owned(),
            error,
            new: self.new_files(),
        };
        let mut written = Vec::new();
        for Replacement { path, old, .. } in self.files.iter().rev() {
            let file = old.as_ref().map(|old| Written::new(path, old)).transpose();
            written.push((path, file.map_err(|error| failed(path, error))?));
        }
        let mut folders = BTreeSet::new();
        for (path, file) in written {
            folders.extend(file.as_ref().map(|file| folder(&file.real).to_owned()));
            let is_back = match file {
                Some(file) => file.put(),
                None => fs::remove_file(path),
            };
            match is_back {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(path, error)),
                _ => {}
            }
        }
        folders.into_iter().try_for_each(|folder| sync(&folder).map_err(|error| failed(&folder, error)))
    }

    /// Return the files whose content differs from the previous one.
    #[must_use]
    pub fn new_files(&self) -> Vec<PathBuf> {
        let is_new = |file: &&Replacement| !read(&file.path).is_ok_and(|now| now == file.old);
        self.files.iter().filter(is_new).map(|file| file.path.clone()).collect()
    }
}

fn unreadable(file: &Path, error: io::Error) -> DeployError {
    DeployError::File { file: file.to_owned(), error, is_put_back: false }
}

/// Return the content of a file, or `None` if it does not exist.
fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// A complete file beside the one that it will replace. It is removed if it is not put in place.
struct Written {
    new: PathBuf,
    real: PathBuf,
}

impl Written {
    /// Write the file with the mode and the group of the one at `path`. A symbolic link is followed, so that it stays a
    /// link.
    fn new(path: &Path, content: &[u8]) -> io::Result<Self> {
        let real = match fs::canonicalize(path) {
            Ok(real) => real,
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(error),
        };
        fs::create_dir_all(folder(&real))?;
        let name = real.file_name().unwrap_or_default().to_string_lossy();
        remove_left(folder(&real), &name);
        let new = folder(&real).join(format!(".{name}.{}.new", std::process::id()));
        let before = fs::metadata(&real).ok();
        let mode = before.as_ref().map_or(MODE, |before| before.permissions().mode() & 0o7777);
        let written = Self { new, real };
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(mode);
        let mut file = options.open(&written.new)?;
        if let Some(before) = &before {
            // A process that may not set the group leaves the file to its own group.
            let _ = fchown(&file, None, Some(before.gid()));
            file.set_permissions(Permissions::from_mode(mode))?;
        }
        file.write_all(content)?;
        file.sync_all()?;
        Ok(written)
    }

    /// Put the file in place. The folder still has to be synced.
    fn put(self) -> io::Result<()> {
        fs::rename(&self.new, &self.real)
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // After the rename the file no longer exists.
        let _ = fs::remove_file(&self.new);
    }
}

/// Remove the files that killed processes left. Those of running processes stay.
fn remove_left(folder: &Path, name: &str) {
    let process = |left: &str| {
        let id = left.strip_prefix(&format!(".{name}."))?.strip_suffix(".new")?;
        Pid::from_raw(id.parse().ok()?)
    };
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if let Some(process) = entry.file_name().to_str().and_then(process)
            && test_kill_process(process) == Err(Errno::SRCH)
        {
            // A file that cannot be removed does no harm.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Sync the names in a folder to the disk.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Return the folder of a file.
fn folder(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
