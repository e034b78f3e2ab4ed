//! `nowcast tail RUN|WORKER`: prints the end of a run's output.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use serde::Serialize;

use super::operate::{self, CommonOptions};
use super::print;
use super::read_only::{ViewContext, check_worker};
use crate::launch::{RunFolder, RunFolderState};
use crate::store::journal::RunFilter;
use nowcast_core::Run;
use nowcast_core::run::Stage;

/// The pause between two reads of a followed output.
const FOLLOW_PAUSE: Duration = Duration::from_millis(200);

/// The number of bytes that are read at once.
const BLOCK: u64 = 65_536;

#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    common: CommonOptions,
    /// Follow the output until the run has ended
    #[arg(short, long, conflicts_with = "json")]
    follow: bool,
    /// Print control characters as they are, which the terminal obeys
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    /// Number of lines from the end
    #[arg(short = 'n', long, value_name = "COUNT", default_value_t = 20)]
    lines: usize,
    /// Number of a run, or name of a worker for its latest run
    #[arg(value_name = "RUN|WORKER")]
    what: String,
}

/// The end of a run's output. Its keys are those of the JSON.
#[derive(Debug, Serialize)]
struct OutputTail<'a> {
    run: u64,
    worker: String,
    file: &'a Path,
    lines: Vec<&'a str>,
}

pub(super) fn run(args: &Args) -> ExitCode {
    args.common.view(|context| match show(args, context) {
        // The reader of the pipe has read enough.
        Err(error) if is_closed_pipe(&error) => Ok(ExitCode::SUCCESS),
        shown => shown,
    })
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn show(args: &Args, context: &ViewContext) -> anyhow::Result<ExitCode> {
    let mut run = find(&args.what, context)?;
    while matches!(run.stage, Stage::Pending { .. }) {
        if !args.follow {
            anyhow::bail!("run {} is pending; \"nowcast why {}\" shows what blocks it", run.id, run.id.0);
        }
        std::thread::sleep(FOLLOW_PAUSE);
        run = find(&run.id.0.to_string(), context)?;
    }
    let folder = context
        .run_folder(&run)
        .with_context(|| format!("run {} was never launched: it has no output", run.id))?;
    let path = folder.output_log();
    let mut file = loop {
        // Checked before the file is opened, so that a file that is created just before the end is found.
        let may_grow = args.follow && may_grow(context, &run, &folder)?;
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && may_grow => {
                std::thread::sleep(FOLLOW_PAUSE);
            }
            opened => break opened.with_context(|| missing(context, &run, &path))?,
        }
    };
    let start = start_of_last(&mut file, args.lines)?;
    file.seek(SeekFrom::Start(start))?;
    if args.common.json {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        let (run, worker) = (run.id.0, run.worker.name().to_owned());
        let tail = OutputTail { run, worker, file: &path, lines: text.lines().collect() };
        return Ok(print::json(&tail));
    }
    let mut output = Output { is_raw: args.raw, incomplete: Vec::new() };
    loop {
        // Checked before the last read, so that nothing is missed.
        let may_grow = args.follow && folder.path().exists() && may_grow(context, &run, &folder)?;
        output.copy(&mut file)?;
        if !may_grow {
            output.finish()?;
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(FOLLOW_PAUSE);
    }
}

fn missing(context: &ViewContext, run: &Run, path: &Path) -> String {
    let text = format!("cannot read the output of run {} at {}", run.id, path.display());
    match context.history.run(run.id).ok().flatten().map(|run| run.stage) {
        Some(Stage::Ended { ending, .. }) => format!("{text}; it {ending}"),
        _ => text,
    }
}

/// Find a run by its number, or the latest run of a worker.
fn find(what: &str, context: &ViewContext) -> anyhow::Result<Run> {
    if let Ok(number) = operate::number(what) {
        return context
            .history
            .run(number)?
            .with_context(|| format!("there is no run {number}; \"nowcast runs\" lists runs"));
    }
    check_worker(what, context)?;
    let filter = RunFilter { worker: Some(what.to_owned()), limit: Some(1), ..RunFilter::default() };
    context
        .history
        .runs(&filter)?
        .pop()
        .with_context(|| format!("worker {what:?} has no run yet; \"nowcast why {what}\" shows why"))
}

/// Return whether the output may still grow. The run's folder shows first that the run has ended, also without a
/// manager. If the folder is missing, only the journal shows it.
fn may_grow(context: &ViewContext, run: &Run, folder: &RunFolder) -> anyhow::Result<bool> {
    let is_running = context.history.run(run.id)?.is_some_and(|run| run.is_running());
    let reading = folder.state().map(|reading| reading.state);
    Ok(is_running && !matches!(reading, Ok(RunFolderState::Ended(_)) | Err(_)))
}

/// Return the position, in bytes, at which the last lines begin.
fn start_of_last(file: &mut File, lines: usize) -> io::Result<u64> {
    let end = file.metadata()?.len();
    let mut begin = end;
    let mut found = 0;
    let mut bytes = Vec::new();
    while begin > 0 {
        let from = begin.saturating_sub(BLOCK);
        bytes.clear();
        file.seek(SeekFrom::Start(from))?;
        file.by_ref().take(begin - from).read_to_end(&mut bytes)?;
        for (at, _) in bytes.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let line = from + at as u64 + 1;
            // No line begins at the end of the file.
            found += usize::from(line < end);
            if line < end && found >= lines || lines == 0 {
                return Ok(if lines == 0 { end } else { line });
            }
        }
        begin = from;
    }
    Ok(if lines == 0 { end } else { 0 })
}

/// Copies the output of a run to standard output.
struct Output {
    is_raw: bool,
    /// The first bytes of a letter whose others have not been read.
    incomplete: Vec<u8>,
}

impl Output {
    fn copy(&mut self, file: &mut File) -> io::Result<()> {
        let mut bytes = Vec::new();
        loop {
            bytes.clear();
            bytes.append(&mut self.incomplete);
            if file.by_ref().take(BLOCK).read_to_end(&mut bytes)? == 0 {
                self.incomplete = bytes;
                return Ok(());
            }
            if self.is_raw {
                print::write(&bytes)?;
                continue;
            }
            self.incomplete = bytes.split_off(end_of_letters(&bytes));
            write_escaped(&bytes)?;
        }
    }

    fn finish(self) -> io::Result<()> {
        write_escaped(&self.incomplete)
    }
}

fn write_escaped(bytes: &[u8]) -> io::Result<()> {
    print::write(pylogging::escape(&String::from_utf8_lossy(bytes)).as_bytes())
}

/// Return the position after the last whole letter: what follows it may become one with further bytes.
fn end_of_letters(bytes: &[u8]) -> usize {
    let last = bytes.utf8_chunks().last().map(|chunk| chunk.invalid()).unwrap_or_default();
    let may_become_letter = std::str::from_utf8(last).is_err_and(|error| error.error_len().is_none());
    bytes.len() - if may_become_letter { last.len() } else { 0 }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_letter_is_not_cut_where_a_block_ends() {
        for (bytes, end) in [
            ("für".as_bytes(), 4),
            (b"f\xc3", 1),
            (b"\xf0\x9f\x8c", 0),
            (b"f\xff", 2),
            (b"\xc3f", 2),
            (b"", 0),
        ] {
            assert_eq!(end_of_letters(bytes), end, "{bytes:?}");
        }
    }

    #[test]
    fn the_last_lines_are_found() {
        for (text, lines, expected) in [
            ("", 3, ""),
            ("a\nb\nc\n", 2, "b\nc\n"),
            ("a\nb\nc", 2, "b\nc"),
            ("a\nb\n", 5, "a\nb\n"),
            ("a\n\n\n", 1, "\n"),
            ("a\nb\n", 0, ""),
        ] {
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            let start = start_of_last(&mut file, lines).unwrap();
            assert_eq!(&text[usize::try_from(start).unwrap()..], expected, "{text:?} {lines}");
        }
    }

    #[test]
    fn lines_longer_than_a_block_are_found() {
        let mut file = tempfile::tempfile().unwrap();
        let long = "x".repeat(100_000);
        write!(file, "first\n{long}\n{long}\n").unwrap();
        assert_eq!(start_of_last(&mut file, 2).unwrap(), 6);
    }
}
