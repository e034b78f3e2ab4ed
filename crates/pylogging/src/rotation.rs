//! Rotates the log files of the configuration in force, or those of a log aggregator. This module never decides when.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::active;
use super::handler::Handler;
use super::setup::Setup;
use super::tree::Tree;

/// rw-rw-r--: operators of the group can write, and web servers can read.
const PERMISSIONS: u32 = 0o664;

/// The logger whose files are rotated after those of the root logger.
const CHECKLIST: &str = "checklist";

/// A step of a rotation, with the absolute path of the log file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationStep<'a> {
    /// The file became `.1`; lines go to a new file.
    Rotated(&'a str),
    /// The new file's permissions were set to rw-rw-r--.
    PermissionsSet(&'a str),
}

/// A log file that could not be rotated.
#[derive(Debug, thiserror::Error)]
#[error("cannot rotate the log file {}: {error}; check the permissions and the space of its folder", file.display())]
pub struct RotateError {
    /// The file.
    pub file: PathBuf,
    /// The error of the file system.
    #[source]
    pub error: io::Error,
}

/// Rotate the file of every `RotatingFileHandler` of the root logger, then of the logger `checklist`, and return their
/// absolute paths.
///
/// With an aggregator, whose setup is made for [`super::Role::Rotator`], its root logger is used, and both its
/// `checklist` and that of the configuration in force. `done` is called after each step; lines that it logs go to the
/// new file.
///
/// # Errors
/// The first file that could not be rotated. Those before it are rotated, and logging continues.
pub fn rotate(
    aggregator: Option<&Setup>,
    mut done: impl FnMut(RotationStep<'_>),
) -> Result<Vec<String>, RotateError> {
    let mut rotated = Vec::new();
    for handler in handlers(aggregator.map(|setup| &setup.tree)) {
        let Some(mut file) = handler.rotating_file() else { continue };
        let path = file.path().to_owned();
        // Two handlers can have the same file.
        if rotated.iter().any(|known| Path::new(known) == path) {
            continue;
        }
        let failed = |error| RotateError { file: path.clone(), error };
        file.roll_over().map_err(failed)?;
        // Unlock it, because `done` may log to this file.
        drop(file);
        let name = path.display().to_string();
        done(RotationStep::Rotated(&name));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(PERMISSIONS)).map_err(failed)?;
        done(RotationStep::PermissionsSet(&name));
        rotated.push(name);
    }
    Ok(rotated)
}

/// Return the handlers, each once, even if several loggers use it.
fn handlers(aggregator: Option<&Tree>) -> Vec<Arc<Handler>> {
    let active = active::tree();
    let active = active.as_deref();
    let root = aggregator.or(active).map(|tree| &tree.root);
    let checklists = [active, aggregator].into_iter().flatten().filter_map(|tree| tree.node(CHECKLIST));
    let mut handlers: Vec<Arc<Handler>> = Vec::new();
    for handler in root.into_iter().chain(checklists).flat_map(|node| &node.handlers) {
        if !handlers.iter().any(|known| Arc::ptr_eq(known, handler)) {
            handlers.push(Arc::clone(handler));
        }
    }
    handlers
}
