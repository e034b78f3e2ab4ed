//! `nowcast up --detach`: starts `nowcast up` in the background, and waits until its daemons are ready. It never ends one that it has started.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::{Args, RUNS_ALREADY, runs_already};
use crate::cli::{operate, print};
use crate::config::defaults::{LOGS, with_defaults};
use crate::config::{self, Config};
use crate::control::Call;
use crate::supervise::RunningUp;
use crate::supervise::request::{UpAnswer, ask};

/// The time limit for all daemons to be ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);

/// The pause between two looks whether they are.
const PAUSE: Duration = Duration::from_millis(50);

/// The time limit for an answer of the started process.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// The name of the file with the output of the started process and its daemons.
const OUTPUT: &str = "up.out";

/// The most lines of the output that are shown after a failure.
const LAST_LINES: usize = 20;

/// How the wait ended.
enum DetachedStart {
    Ready(UpAnswer),
    Ended(ExitStatus),
    NotYet,
}

pub(super) fn detach(args: &Args) -> anyhow::Result<ExitCode> {
    let file = args.config.path();
    let (config, _) = config::load(&file)?;
    if let Err(status) = args.start.launches(&config) {
        return Ok(status);
    }
    let journal = &config.journal.folder;
    if let Some(running) = RunningUp::find(journal) {
        return Ok(runs_already(&running, args));
    }
    let path = output_file(&file)?;
    let mut output = OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .open(&path)
        .with_context(|| format!("the output cannot go to {}", path.display()))?;
    let begin = output.seek(SeekFrom::End(0))?;
    let mut up = start(args, &path, &output)?;
    let process = up.id();
    match wait(&mut up, journal)? {
        DetachedStart::Ready(answer) => Ok(print::text(&ready(process, &answer, &config, &path))),
        DetachedStart::Ended(status) => {
            if status.code() == Some(i32::from(RUNS_ALREADY))
                && let Some(running) = RunningUp::find(journal)
            {
                return Ok(runs_already(&running, args));
            }
            if status.success() {
                return Ok(print::text(&format!(
                    "the system has ended; its output is in {}\n",
                    path.display()
                )));
            }
            complain_with_output(
                &format!("the system could not be started ({status})"),
                &mut output,
                begin,
                &path,
            )?;
            Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
        }
        DetachedStart::NotYet => {
            let text = format!(
                "process {process} runs, but not all daemons are ready after {} s; \"nowcast status\" shows which, \"nowcast shutdown\" stops it",
                READY_TIMEOUT.as_secs()
            );
            complain_with_output(&text, &mut output, begin, &path)?;
            Ok(ExitCode::FAILURE)
        }
    }
}

/// Return the path of the output, in the folder of the log files, which is made if it is missing.
fn output_file(config: &Path) -> anyhow::Result<PathBuf> {
    let folder = with_defaults(config)(LOGS).map(PathBuf::from).unwrap_or_default();
    fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    Ok(std::path::absolute(folder.join(OUTPUT))?)
}

fn start(args: &Args, path: &Path, output: &File) -> anyhow::Result<Child> {
    let program = std::env::current_exe().context("the path of this program cannot be found out")?;
    let (launch, exit) = args.start.to_options();
    let mut command = Command::new(&program);
    command.arg("up").arg(args.config.path()).args(launch).args(exit).arg("--detached").arg(path);
    args.record.iter().for_each(|file| _ = command.arg("--record").arg(file));
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .spawn()
        .with_context(|| format!("{} cannot be started", program.display()))
}

fn wait(up: &mut Child, journal: &Path) -> anyhow::Result<DetachedStart> {
    let end = Instant::now() + READY_TIMEOUT;
    loop {
        if let Some(status) = up.try_wait()? {
            return Ok(DetachedStart::Ended(status));
        }
        let is_ours = || RunningUp::find(journal).is_some_and(|running| running.process == up.id());
        let call = Call { user: operate::user(), command: None };
        match ask(journal, &call, ANSWER_TIMEOUT) {
            Ok(answer) if answer.done && is_ours() => return Ok(DetachedStart::Ready(answer)),
            _ if Instant::now() >= end => return Ok(DetachedStart::NotYet),
            _ => std::thread::sleep(PAUSE),
        }
    }
}

fn ready(process: u32, answer: &UpAnswer, config: &Config, output: &Path) -> String {
    let daemon = |name: &str, process: Option<i32>| {
        format!("{name} {}", process.map_or_else(|| "?".to_owned(), |process| process.to_string()))
    };
    let daemons: Vec<String> =
        answer.daemons.iter().map(|found| daemon(&found.name, found.process)).collect();
    let (workers, manager) = (config.zmq.workers_port, config.zmq.manager_port);
    format!(
        "the system runs in process {process} ({})\n  \
         ports   workers {workers}, manager {manager}\n  \
         output  {}\n  \
         next    nowcast status; nowcast logs -f; nowcast shutdown\n",
        daemons.join(", "),
        output.display(),
    )
}

fn complain_with_output(text: &str, output: &mut File, begin: u64, path: &Path) -> anyhow::Result<()> {
    output.seek(SeekFrom::Start(begin))?;
    let content = std::io::read_to_string(output).unwrap_or_default();
    let lines: Vec<&str> = content.lines().collect();
    let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
    print::complain(&format!("{text}. The last lines of {}:", path.display()));
    for line in last {
        print::complain(&format!("  {line}"));
    }
    Ok(())
}
