//! How the program of a worker ended. The process of an `exec:` run is `nowcast exec`, which reports for the program
//! that it executes; operators want the program's own exit. So `nowcast exec` notes it in the run's folder, and the
//! runner records it as the end of the run.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::process::ExitStatus;

use nowcast_core::Ending;
use rustix::process::getppid;

use super::exit_record::ExitRecord;
use super::folder_files::FileContent;
use super::run_folder::{CLAIM, RunFolder};
use crate::process::{ProcessIdentity, RUN_FOLDER, ending};

/// The file's name in the run's folder.
const PROGRAM: &str = "program";

/// How the line begins that shows how a program ended.
const EXIT_LINE: &str = "nowcast exec: program exit: ";

/// How much of the output's end is searched for that line, in bytes.
const SEARCHED_TAIL: u64 = 64 * 1024;

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
    let ending = program_end(program, ended);
    let _ = folder.write(PROGRAM, &ExitRecord::now(&ending), false);
}

/// Print on standard error how the program of this process ended, for the runner on another machine.
pub fn print_program_end(program: &str, ended: &io::Result<ExitStatus>) {
    if let Some(line) = to_line(&program_end(program, ended)) {
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

fn program_end(program: &str, ended: &io::Result<ExitStatus>) -> Ending {
    match ended {
        Ok(status) => ending(*status),
        Err(error) => Ending::NotStarted(format!("{program}: {error}")),
    }
}

/// Success is printed, too: a Slurm job that runs again appends to the output of its earlier attempt.
fn to_line(program: &Ending) -> Option<String> {
    match program {
        Ending::Status(status) => Some(format!("{EXIT_LINE}status {status}\n")),
        Ending::Killed(signal) => Some(format!("{EXIT_LINE}signal {signal}\n")),
        Ending::NotStarted(reason) => Some(format!("{EXIT_LINE}not started {reason}\n")),
        _ => None,
    }
}

fn of_line(line: &str) -> Option<Ending> {
    // The program may have written half a line before.
    let (_, text) = line.trim_end().rsplit_once(EXIT_LINE)?;
    if let Some(reason) = text.strip_prefix("not started ") {
        return Some(Ending::NotStarted(reason.to_owned()));
    }
    match text.split_once(' ')? {
        ("status", status) => status.parse().ok().map(Ending::Status),
        ("signal", signal) => signal.parse().ok().map(Ending::Killed),
        _ => None,
    }
}

/// Return the end of a remote run that ended with `process`, by the same rule as [`end_of_run`]. An end that is not an
/// exit status is kept: the output may be incomplete.
pub(super) fn end_of_remote_run(folder: &RunFolder, process: Ending) -> Ending {
    if !matches!(process, Ending::Status(_)) {
        return process;
    }
    let tail = || -> io::Result<String> {
        let mut file = File::open(folder.output_log())?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(SEARCHED_TAIL)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    };
    let program = tail().ok().and_then(|tail| tail.lines().rev().find_map(of_line));
    of_program(program, process)
}

/// Return the end of a run whose process ended with `process`. The success of a program does not hide a failure of
/// its worker.
pub(super) fn end_of_run(folder: &RunFolder, process: Ending) -> Ending {
    of_program(folder.read_whole::<ExitRecord>(PROGRAM).map(|record| record.ending()), process)
}

fn of_program(program: Option<Ending>, process: Ending) -> Ending {
    program.filter(|program| process.is_success() || !program.is_success()).unwrap_or(process)
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

    #[test]
    fn the_output_of_a_remote_run_shows_how_its_program_ended() {
        let path = tempfile::tempdir().unwrap();
        let folder = RunFolder::new(path.path(), "7");
        let of = |ending: Ending| end_of_remote_run(&folder, ending);
        assert_eq!(of(Ending::Status(0)), Ending::Status(0));
        let not_started = Ending::NotStarted("plot.sh: No such file or directory".to_owned());
        for program in [Ending::Status(3), Ending::Killed(11), not_started] {
            let line = to_line(&program).unwrap();
            std::fs::write(folder.output_log(), format!("it plots{line}a line of its child\n")).unwrap();
            assert_eq!(of(Ending::Status(0)), program);
            assert_eq!(of(Ending::Killed(9)), Ending::Killed(9));
        }
        std::fs::write(folder.output_log(), to_line(&Ending::Status(0)).unwrap()).unwrap();
        assert_eq!(of(Ending::Status(1)), Ending::Status(1));
    }
}
