//! [`finish`]: the steps that put a restored journal into its place, once that is decided. Each can be repeated, so the process that takes
//! the journal's lock next finishes what a killed one has begun. It never removes the previous journal.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::DATABASE;
use crate::config::copy_regular;
use crate::failpoint;
use crate::store::checklist_file;
use crate::store::checklist_note::CHECKLIST_NOTE;

/// The folder of a restored journal that is not in force yet. What a killed process leaves there is removed.
pub(super) const STAGED: &str = "restoring";

/// The same folder once it is decided that the journal comes into force.
const DECIDED: &str = "restored";

/// Where the previous journal goes.
const PLAN: &str = "plan.json";

/// The text of the restored checklist file.
const CHECKLIST: &str = "checklist.yaml";

/// Where files go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RestorePlan {
    /// The folder for the previous journal, in the journal's folder.
    pub(super) set_aside: PathBuf,
    /// The checklist file.
    pub(super) checklist_file: PathBuf,
}

/// Return whether a restore of the journal in a folder is decided and not finished.
#[must_use]
pub fn exists_in(folder: &Path) -> bool {
    folder.join(DECIDED).is_dir()
}

/// Decide that the staged journal comes into force, with that text of the checklist file. From here on it is only finished, not undone.
pub(super) fn decide(folder: &Path, plan: &RestorePlan, checklist: &str) -> io::Result<()> {
    let staged = folder.join(STAGED);
    write_synced(&staged.join(CHECKLIST), checklist.as_bytes())?;
    write_synced(&staged.join(PLAN), &serde_json::to_vec(plan)?)?;
    sync(&staged.join(DATABASE))?;
    sync(&staged)?;
    failpoint::pass("restore: staged");
    fs::rename(staged, folder.join(DECIDED))?;
    sync(folder)?;
    failpoint::pass("restore: decided");
    Ok(())
}

/// Finish a decided restore, if there is one. Return why the checklist file is not the restored one, if it could not be written.
pub(super) fn finish(folder: &Path) -> io::Result<Option<io::Error>> {
    if !exists_in(folder) {
        return Ok(None);
    }
    let decided = folder.join(DECIDED);
    let plan: RestorePlan = serde_json::from_slice(&fs::read(decided.join(PLAN))?)?;
    let set_aside = folder.join(&plan.set_aside);
    DirBuilder::new().recursive(true).mode(0o700).create(&set_aside)?;
    // Before the journal: a file with an edit would be compared with the restored one.
    let checklist = replace_checklist(&decided.join(CHECKLIST), &plan.checklist_file, &set_aside);
    failpoint::pass("restore: checklist written");
    if decided.join(DATABASE).try_exists()? {
        set_journal_aside(folder, &set_aside)?;
        fs::rename(decided.join(DATABASE), folder.join(DATABASE))?;
        sync(folder)?;
        failpoint::pass("restore: in place");
    }
    // Removed under the other name, so that a part of it is never taken for a decided restore.
    let staged = folder.join(STAGED);
    fs::rename(decided, &staged)?;
    failpoint::pass("restore: finished");
    fs::remove_dir_all(staged)?;
    Ok(checklist.err())
}

/// Keep the checklist file, and write the restored one. The journal knows without it that the file is older.
fn replace_checklist(restored: &Path, file: &Path, set_aside: &Path) -> io::Result<()> {
    let text = match fs::read(restored) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        text => text?,
    };
    let kept = set_aside.join(CHECKLIST);
    if file.try_exists()? && !kept.try_exists()? {
        let new = set_aside.join(format!("{CHECKLIST}.new"));
        copy_regular(file, &new)?;
        fs::rename(new, &kept)?;
    }
    failpoint::pass("restore: checklist kept");
    checklist_file::replace_text(file, &text)?;
    fs::remove_file(restored)
}

/// Move the previous journal out of its place, with its log: they belong together.
fn set_journal_aside(folder: &Path, set_aside: &Path) -> io::Result<()> {
    // The note in it tells whether the journal there is whole. It stays, too, for the numbers that were given.
    let _ = fs::copy(folder.join("lock"), set_aside.join("lock"));
    let database = |folder: &Path, suffix: &str| folder.join(format!("{DATABASE}{suffix}"));
    for suffix in ["", "-wal", "-shm"] {
        move_if_there(&database(folder, suffix), &database(set_aside, suffix))?;
        failpoint::pass("restore: file set aside");
    }
    move_if_there(&folder.join(CHECKLIST_NOTE), &set_aside.join(CHECKLIST_NOTE))
}

fn move_if_there(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn write_synced(path: &Path, content: &[u8]) -> io::Result<()> {
    fs::write(path, content)?;
    sync(path)
}

/// Flush a file, or the entries of a folder, to the disk.
fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
