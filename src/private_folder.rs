//! Folders and files that other users of the machine must not read or change. This module never reads what is in them.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use pylogging::Logger;
use rustix::fs::OFlags;
use rustix::process::geteuid;

/// The bits of a mode by which other users can change a folder.
pub const OTHERS_WRITE: u32 = 0o022;

/// The bits of a mode by which other users have any right.
pub const OTHERS: u32 = 0o077;

/// The end of the name of what was set aside.
const SET_ASIDE: &str = "set-aside";

/// Make a folder of mode 0700, or take these rights of others away from one that is there, with a warning.
///
/// # Errors
/// The folder cannot be made or changed, or it belongs to another user, who could change it at any time.
pub fn make_or_repair(folder: &Path, rights: u32, log: &Logger) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    repair(folder, rights, log)
}

/// Take these rights of others away from a file or folder, with a warning if they had any.
///
/// # Errors
/// It cannot be changed, or it belongs to another user, who could change it at any time.
pub fn repair(path: &Path, rights: u32, log: &Logger) -> io::Result<()> {
    if let Some(mode) = restrict(path, rights)? {
        log.warning(format_args!(
            "other users had rights on {} (mode {mode:04o}), which were taken away; see that they changed nothing in it",
            path.display()
        ));
    }
    Ok(())
}

/// Take these rights of others away. Return the mode that the file or folder had, if that was changed.
fn restrict(path: &Path, rights: u32) -> io::Result<Option<u32>> {
    let found = fs::metadata(path)?;
    if is_foreign(found.uid()) {
        let text = format!(
            "{} belongs to another user (uid {}), who could change what the system does; give it to the system's user with chown, or set \
             another folder in `journal: folder:`",
            path.display(),
            found.uid()
        );
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    let mode = found.mode() & 0o7777;
    if mode & rights == 0 {
        return Ok(None);
    }
    fs::set_permissions(path, Permissions::from_mode(mode & !rights))?;
    Ok(Some(mode))
}

/// Open a file for reading and writing. It is made with mode 0600. What another user has put there is refused, and so is a
/// symbolic link.
///
/// # Errors
/// The file cannot be opened, or it belongs to another user.
pub fn open_file(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags)
        .open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other(format!("{} is not a regular file; remove it", path.display())));
    }
    if is_foreign(found.uid()) {
        let text = format!("{} belongs to another user (uid {}); remove it", path.display(), found.uid());
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
    }
    Ok(file)
}

/// Return the files in a folder, without sockets and links.
#[must_use]
pub fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.path())
        .collect()
}

/// A file, folder or link that belongs to another user, or a link to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Where it is.
    pub path: PathBuf,
    /// The user.
    pub user: u32,
}

/// Return what belongs to other users in a folder, and in its folders down to so many levels. This user's own links are followed.
#[must_use]
pub fn foreign_in(folder: &Path, levels: u32) -> Vec<Foreign> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(own) = fs::symlink_metadata(&path) else { continue };
        let target = if own.is_symlink() { fs::metadata(&path).ok() } else { None };
        let owners = [Some(own.uid()), target.as_ref().map(MetadataExt::uid)];
        if let Some(user) = owners.into_iter().flatten().find(|user| is_foreign(*user)) {
            found.push(Foreign { path, user });
        } else if levels > 1 && target.unwrap_or(own).is_dir() {
            found.extend(foreign_in(&path, levels - 1));
        }
    }
    found
}

/// Give a file, folder or link a name under which it is not used. Return the name.
///
/// # Errors
/// It cannot be renamed.
pub fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let name = |number: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{number}.{SET_ASIDE}"));
        PathBuf::from(name)
    };
    let free =
        (1..u32::MAX).map(name).find(|name| fs::symlink_metadata(name).is_err()).unwrap_or_else(|| name(0));
    fs::rename(path, &free)?;
    Ok(free)
}

/// Whether a name is one that [`set_aside`] gave.
#[must_use]
pub fn is_set_aside(path: &Path) -> bool {
    path.extension() == Some(OsStr::new(SET_ASIDE))
}

/// Whether a user is neither this process's nor root.
#[must_use]
pub fn is_foreign(user: u32) -> bool {
    user != 0 && user != geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_private_and_no_link_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("poison"), folder.path().join("link"));
        open_file(&file).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
        std::os::unix::fs::symlink(&file, &link).unwrap();
        open_file(&link).unwrap_err();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let error = open_file(&pipe).unwrap_err().to_string();
        assert!(error.ends_with("/pipe is not a regular file; remove it"), "{error}");
    }

    #[test]
    fn a_folder_loses_the_rights_of_others_and_no_more() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("journal");
        let log = Logger::new("test");
        make_or_repair(&folder, OTHERS, &log).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o7777, 0o700);
        for (before, rights, after) in
            [(0o777, OTHERS_WRITE, 0o755), (0o2775, OTHERS, 0o2700), (0o750, OTHERS_WRITE, 0o750)]
        {
            fs::set_permissions(&folder, Permissions::from_mode(before)).unwrap();
            let changed = restrict(&folder, rights).unwrap();
            assert_eq!(changed, (before != after).then_some(before));
            assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o7777, after);
        }
    }
}
