//! [`RunOutput`]: the file `output.log` of a run, and its copy to the standard output that the runner was started with. It
//! never delays the worker.

use std::fs::{self, File};
use std::io;

use rustix::stdio::{dup2_stderr, dup2_stdout};

use super::output::OutputCopy;
use super::task::RunnerTask;

/// The output of a run.
pub(super) struct RunOutput<'a> {
    task: &'a RunnerTask,
    /// The length of the file before this runner: an earlier one may have written to it.
    begin: u64,
    copy: Option<OutputCopy>,
}

impl<'a> RunOutput<'a> {
    pub(super) fn of(task: &'a RunnerTask) -> Self {
        let begin = fs::metadata(task.folder.output_log()).map_or(0, |metadata| metadata.len());
        Self { task, begin, copy: None }
    }

    /// Open the file to append to it, creating it if necessary.
    pub(super) fn open(&self) -> io::Result<File> {
        let path = self.task.folder.output_log();
        let opened = File::options().create(true).append(true).open(&path);
        opened.map_err(|error| io::Error::new(error.kind(), OpenError { path, error }))
    }

    /// Make the file standard output and standard error of this process.
    pub(super) fn redirect(&self) -> io::Result<()> {
        let file = self.open()?;
        dup2_stdout(&file)?;
        dup2_stderr(&file)?;
        Ok(())
    }

    /// Start to copy what this runner and its worker write. Without the copy, the lines are in the file only.
    pub(super) fn start_copy(&mut self) {
        let stdout = self.task.streams.stdout();
        self.copy = stdout
            .and_then(|stdout| OutputCopy::start(&self.task.folder.output_log(), self.begin, stdout).ok());
    }

    /// Copy the rest.
    pub(super) fn finish_copy(self) {
        if let Some(copy) = self.copy {
            copy.finish();
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", .path.display())]
struct OpenError {
    path: std::path::PathBuf,
    #[source]
    error: io::Error,
}
