//! How the program of a worker ended. The process of an `exec:` run is `nowcast exec`, which reports for the program
//! that it executes; operators want the program's own exit. So `nowcast exec` notes it in the run's folder, and the
//! runner records it as the end of the run.

use std::io;
use std::process::ExitStatus;

use nowcast_core::Ending;
use rustix::process::getppid;

use super::children::ending;
use super::exit_record::ExitRecord;
use super::folder_files::FileContent;
use super::run_folder::{CLAIM, RunFolder};
use crate::process::{ProcessIdentity, RUN_FOLDER};

/// The file's name in the run's folder.
const PROGRAM: &str = "program";

/// Note how the program of this process ended, if this process is the worker of a run. A worker that another worker
/// calls is not: its parent is not a runner.
///
/// Without the note, the exit of this process is that of the run.
pub fn note_program_end(program: &str, ended: &io::Result<ExitStatus>) {
    let Some(path) = std::env::var_os(RUN_FOLDER) else { return };
    let folder = RunFolder::new(path, "");
    let Ok(FileContent::Whole(runner)) = folder.read::<ProcessIdentity>(CLAIM) else { return };
    if !runner.raw().is_some_and(|runner| getppid() == Some(runner)) {
        return;
    }
    let ending = match ended {
        Ok(status) => ending(*status),
        Err(error) => Ending::NotStarted(format!("{program}: {error}")),
    };
    let _ = folder.write(PROGRAM, &ExitRecord::now(&ending), false);
}

/// Return the end of a run whose process ended with `process`. The success of a program does not hide a failure of
/// its worker.
pub(super) fn end_of_run(folder: &RunFolder, process: Ending) -> Ending {
    match folder.read::<ExitRecord>(PROGRAM) {
        Ok(FileContent::Whole(program)) if process.is_success() || !program.ending().is_success() => {
            program.ending()
        }
        _ => process,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_success_of_a_program_does_not_hide_a_failure_of_its_worker() {
        let path = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(path.path(), "7");
        let of = |ending: Ending| end_of_run(&folder, ending);
        assert_eq!(of(Ending::Status(0)), Ending::Status(0));
        let program = |ending: &Ending| folder.write(PROGRAM, &ExitRecord::now(ending), false).unwrap();
        program(&Ending::Killed(11));
        assert_eq!(of(Ending::Status(0)), Ending::Killed(11));
        assert_eq!(of(Ending::Status(1)), Ending::Killed(11));
        program(&Ending::Status(0));
        assert_eq!(of(Ending::Status(1)), Ending::Status(1));
        assert_eq!(of(Ending::Killed(9)), Ending::Killed(9));
    }
}
