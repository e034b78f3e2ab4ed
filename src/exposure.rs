//! Finds the files and folders by which other users of the machine could read secrets, or change what the system does. It never
//! changes one.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use uzers::{get_group_by_gid, get_user_by_uid};

use crate::config::{Config, JournalSettings};
use crate::launch::claims_folder;
use crate::net::curve;
use crate::private_folder::{Foreign, OTHERS, OTHERS_WRITE, files_in, foreign_in, is_foreign, is_set_aside};
use crate::rules;

/// The bits of a mode that are the group's.
const GROUP: u32 = 0o070;

/// The most files and folders that are looked at in search of rules, whose folder may hold other things.
const MOST_LOOKS: usize = 10_000;

/// Files of other users cannot be renamed or removed in a folder with this bit.
const STICKY: u32 = 0o1000;

/// The folders of runs are below those of days, and have files.
const LEVELS_OF_RUNS: u32 = 3;

/// The most files of other users below the journal that are told.
const MOST_FOREIGN: usize = 20;

/// A file or folder that other users can read or change, or that belongs to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure {
    path: PathBuf,
    finding: Finding,
    /// The command that repairs it.
    pub repair: String,
    /// Whether a daemon refuses to start with it.
    pub is_refused: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    /// It belongs to another user.
    Foreign(u32),
    /// Other users can write it; the mode.
    Writable(u32),
    /// Other users can read it or look into it; the mode.
    Readable(u32),
}

impl Exposure {
    /// Whether the manager has given it a name under which it is not used.
    #[must_use]
    pub fn is_set_aside(&self) -> bool {
        is_set_aside(&self.path)
    }
}

impl fmt::Display for Exposure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match self.finding {
            Finding::Foreign(user) => write!(out, "{path} belongs to another user (uid {user})"),
            Finding::Writable(mode) => write!(out, "other users can change {path} (mode {mode:04o})"),
            Finding::Readable(mode) => write!(out, "other users can read {path} (mode {mode:04o})"),
        }
    }
}

/// Return what is exposed of the journal: its folder, which has the control socket, its files, the outputs of runs, and their claims. A
/// manager that starts repairs their modes.
#[must_use]
pub fn of_journal(config: &Config) -> Vec<Exposure> {
    let runs = config.journal.runs_folder();
    let folder = &config.journal.folder;
    let claims = claims_folder(&runs);
    let files = files_in(folder).into_iter().map(|file| (file, OTHERS_WRITE));
    let places = [(folder.clone(), OTHERS_WRITE), (runs, OTHERS), (claims, OTHERS)].into_iter().chain(files);
    let found = places.filter_map(|(path, rights)| find(&path, rights));
    let found =
        found.map(|found| Exposure { is_refused: matches!(found.finding, Finding::Foreign(_)), ..found });
    let foreign =
        foreign_in_journal(&config.journal).into_iter().take(MOST_FOREIGN).map(|Foreign { path, user }| {
            let shown = path.display();
            let repair = if is_set_aside(&path) {
                format!("rm -r {shown}")
            } else {
                format!("mv {shown} {shown}.set-aside")
            };
            Exposure { finding: Finding::Foreign(user), repair, is_refused: false, path }
        });
    found.chain(foreign).collect()
}

/// Return what belongs to other users in the folders of runs and among the claims, and the links of other users in the journal's folder. Its
/// other files and folders are looked at by [`of_journal`].
#[must_use]
pub fn foreign_in_journal(journal: &JournalSettings) -> Vec<Foreign> {
    let runs = journal.runs_folder();
    let mut found = foreign_in(&journal.folder, 1);
    found.retain(|foreign| foreign.path.is_symlink());
    found.extend(foreign_in(&runs, LEVELS_OF_RUNS));
    found.extend(foreign_in(&claims_folder(&runs), 1));
    found
}

/// Return what is exposed of the files by which the manager is told what to do: configuration, rules and checklist, and their folders.
#[must_use]
pub fn of_inputs(config: &Config) -> Vec<Exposure> {
    let rules = rules::locate(&config.file, &config.registry.next_workers_module).ok();
    let required = rules.as_ref().and_then(|rules| rules.parent()).map(lua_files_in).unwrap_or_default();
    let files = [Some(config.file.clone()), rules, Some(config.checklist_file.clone())];
    let included = config.places.files().map(Path::to_owned);
    let paths: BTreeSet<PathBuf> = files
        .into_iter()
        .flatten()
        .chain(required)
        .chain(included)
        .filter_map(|file| std::path::absolute(file).ok())
        .flat_map(|file| [file.parent().map(Path::to_owned), Some(file)])
        .flatten()
        .collect();
    paths.iter().filter_map(|path| find(path, OTHERS_WRITE)).collect()
}

/// Return the files below a folder that rules can require, except in folders that are links.
fn lua_files_in(folder: &Path) -> Vec<PathBuf> {
    let (mut found, mut folders, mut looks) = (Vec::new(), vec![folder.to_owned()], 0);
    while let Some(folder) = folders.pop().filter(|_| looks < MOST_LOOKS) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten().take(MOST_LOOKS) {
            looks += 1;
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "lua") {
                found.push(path);
            }
        }
    }
    found
}

/// Return what is exposed of the key files: the secret ones may not be read, and the others not be replaced.
#[must_use]
pub fn of_keys(config: &Config) -> Vec<Exposure> {
    let Some(settings) = &config.zmq.curve else { return Vec::new() };
    let authorized = settings.folder.join(curve::AUTHORIZED);
    let mut paths = vec![settings.folder.clone(), authorized.clone()];
    paths.extend(files_in(&settings.folder));
    paths.extend(files_in(&authorized));
    paths.sort();
    let is_secret = |path: &Path| path.extension().is_some_and(|extension| extension == "key_secret");
    let check = |path: &PathBuf| {
        let rights = if is_secret(path) { OTHERS } else { OTHERS_WRITE };
        find(path, rights).map(|found| Exposure { is_refused: is_secret(path), ..found })
    };
    paths.iter().filter_map(check).collect()
}

/// Look at one file or folder, whose mode must not have these rights of others.
fn find(path: &Path, rights: u32) -> Option<Exposure> {
    let path = std::path::absolute(path).ok()?;
    let found = fs::metadata(&path).ok()?;
    let exposure =
        |finding, repair| Some(Exposure { path: path.clone(), finding, repair, is_refused: false });
    let shown = path.display();
    if is_foreign(found.uid()) {
        let user = uzers::get_effective_username().unwrap_or_else(|| "USER".into());
        return exposure(Finding::Foreign(found.uid()), format!("chown {} {shown}", user.display()));
    }
    let mode = found.mode() & 0o7777;
    // Ownership protects what is in such a folder, as in /tmp.
    let is_sticky = found.is_dir() && mode & STICKY != 0;
    let rights = if is_sticky { rights & !OTHERS_WRITE } else { rights };
    let rights = if rights == OTHERS_WRITE && is_group_of_one(&found) { rights & !GROUP } else { rights };
    let exposed = mode & rights;
    if exposed & OTHERS_WRITE != 0 {
        let letters = if rights == OTHERS { "rwx" } else { "w" };
        exposure(Finding::Writable(mode), format!("chmod go-{letters} {shown}"))
    } else if exposed != 0 {
        exposure(Finding::Readable(mode), format!("chmod go-rwx {shown}"))
    } else {
        None
    }
}

/// Whether the group of a file is that of its owner alone, as many systems make one for each user.
fn is_group_of_one(found: &fs::Metadata) -> bool {
    let (Some(user), Some(group)) = (get_user_by_uid(found.uid()), get_group_by_gid(found.gid())) else {
        return false;
    };
    user.primary_group_id() == group.gid() && user.name() == group.name()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn rights_of_others_are_found_with_the_command_that_takes_them_away() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("folder");
        fs::create_dir(&folder).unwrap();
        let shown = folder.display().to_string();
        for (mode, rights, expected) in [
            (0o755, OTHERS_WRITE, None),
            (0o700, OTHERS, None),
            (0o1777, OTHERS_WRITE, None),
            (0o757, OTHERS_WRITE, Some(("other users can change {} (mode 0757)", "chmod go-w {}"))),
            (0o733, OTHERS, Some(("other users can change {} (mode 0733)", "chmod go-rwx {}"))),
            (0o750, OTHERS, Some(("other users can read {} (mode 0750)", "chmod go-rwx {}"))),
        ] {
            fs::set_permissions(&folder, fs::Permissions::from_mode(mode)).unwrap();
            let found = find(&folder, rights).map(|found| (found.to_string(), found.repair));
            let expected =
                expected.map(|(text, repair)| (text.replace("{}", &shown), repair.replace("{}", &shown)));
            assert_eq!(found, expected, "{mode:o}");
        }
        assert_eq!(find(&parent.path().join("missing"), OTHERS), None);
    }
}
