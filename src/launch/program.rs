//! How the program of a worker ended. The process of a run is `nowcast exec`, which reports for the program that it
//! executes; people want to know how the program itself ended. So it notes that in the run's folder, and the runner
//! writes it as the end of the run.

use std::fs;
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

/// Notes how the program of this process ended, if this process is the worker of a run. A worker that is called within
/// another one is not: its parent is no runner.
///
/// Without the note, the end of this process is that of the run.
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
    let written = folder.write_new(PROGRAM, &ExitRecord::now(&ending), false);
    let _ = written.and_then(|new| fs::rename(new, folder.path().join(PROGRAM)));
}

/// The end of a run whose process ended like that. A program that succeeded hides no failure of its worker.
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
    fn a_program_that_succeeded_hides_no_failure_of_its_worker() {
        let path = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(path.path(), "7");
        let of = |ending: Ending| end_of_run(&folder, ending);
        assert_eq!(of(Ending::Status(0)), Ending::Status(0));
        let program = |ending: &Ending| {
            let new = folder.write_new(PROGRAM, &ExitRecord::now(ending), false).unwrap();
            fs::rename(new, path.path().join(PROGRAM)).unwrap();
        };
        program(&Ending::Killed(11));
        assert_eq!(of(Ending::Status(0)), Ending::Killed(11));
        assert_eq!(of(Ending::Status(1)), Ending::Killed(11));
        program(&Ending::Status(0));
        assert_eq!(of(Ending::Status(1)), Ending::Status(1));
        assert_eq!(of(Ending::Killed(9)), Ending::Killed(9));
    }
}
