//! How the program of a worker ended, before its report is made: operators want the program's own exit.
//!
//! A runner notes it in the run's folder, so that another runner can report if this one dies. On a remote host
//! `nowcast exec` prints it, and the runner here finds it in the run's output.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use nowcast_core::Ending;
use serde::{Deserialize, Serialize};

use super::exit_record::ExitRecord;
use super::run_folder::RunFolder;

/// The file's name in the run's folder.
pub(super) const PROGRAM: &str = "program";

/// How the line begins that shows how a program ended.
const EXIT_LINE: &str = "nowcast exec: program exit: ";

/// How much of the output's end is searched, in bytes.
const SEARCHED_TAIL: u64 = 64 * 1024;

/// The file `program`: how the program of a run ended, and all that its report needs beside the files that it wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ProgramEnd {
    #[serde(flatten)]
    pub(super) exit: ExitRecord,
    /// The worker's name.
    pub(super) worker: String,
    /// The configuration file.
    pub(super) config: PathBuf,
    /// The program and its arguments, for the log.
    pub(super) command: Vec<String>,
    /// The id of the message that reports it.
    pub(super) message_id: String,
}

impl RunFolder {
    /// Note how the program ended. Without the note, no other runner can report if this process dies.
    pub(super) fn note_program_end(&self, end: &ProgramEnd) {
        let _ = self.write(PROGRAM, end, false);
    }

    /// Return the end of the run's output.
    pub(super) fn output_tail(&self) -> io::Result<String> {
        let mut file = File::open(self.output_log())?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(SEARCHED_TAIL)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Return how the program ended, if a runner noted it.
    pub(super) fn program_end(&self) -> io::Result<Option<ProgramEnd>> {
        self.read_whole(PROGRAM)
    }
}

/// Print on standard error how the program of this process ended, for the runner on another machine.
pub fn print_program_end(program: &Ending) {
    if let Some(line) = to_line(program) {
        let _ = io::stderr().write_all(line.as_bytes());
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

/// Return the end of a remote run whose process ended with `process`: that of its program, but the success of a program
/// does not hide a failure of its worker. An end that is not an exit status is kept: the output may be incomplete.
pub(super) fn end_of_remote_run(folder: &RunFolder, process: Ending) -> Ending {
    if !matches!(process, Ending::Status(_)) {
        return process;
    }
    let program = folder.output_tail().ok().and_then(|tail| tail.lines().rev().find_map(of_line));
    program.filter(|program| process.is_success() || !program.is_success()).unwrap_or(process)
}

#[cfg(test)]
mod tests {
    use super::*;

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
